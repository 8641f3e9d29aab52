# SPDX-License-Identifier: Apache-2.0
"""`vfss export`: write accepted masks as a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from vfss.cli.console import LEFT_OUT, print_result, print_warning, progress_bar
from vfss.cli.deidentify import KeyFile, Unreviewed
from vfss.errors import DatasetError

_NAMES = "coco, png, nnunet, nifti, dicom-seg, yolo, cvat, datumaro, parquet or npz."


def export(  # noqa: PLR0917  (typer calls it by name)
    project: Annotated[Path, typer.Argument(metavar="PROJECT", help="Project folder.", show_default=False)],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder to create.", show_default=False)],
    format_name: Annotated[str, typer.Option("--format", help=_NAMES)] = "coco",
    include_edited: Annotated[bool, typer.Option(help="Include masks that were edited but not accepted.")] = False,
    licence: Annotated[str, typer.Option(help="Licence of the dataset, e.g. CC-BY-4.0.")] = "",
    overlaps: Annotated[
        str, typer.Option(help="nnunet: priority (one structure per pixel) or regions (nothing is lost).")
    ] = "priority",
    priority: Annotated[
        str, typer.Option(metavar="KEY,KEY", help="nnunet: where structures overlap, the first of these wins.")
    ] = "",
    polygons: Annotated[
        bool, typer.Option(help="coco: outlines as polygons (holes are filled) instead of run-length codes.")
    ] = False,
    name: Annotated[str, typer.Option(help="Name of the dataset, for formats that need one.")] = "VFSS",
    name_authors: Annotated[bool, typer.Option(help="Write annotators' names instead of pseudonyms.")] = False,
    event_text: Annotated[
        bool, typer.Option(help="Write what people typed about events, too; it may name patients.")
    ] = False,
    key: KeyFile = None,
    unreviewed: Unreviewed = False,
) -> None:
    """Write accepted masks as a dataset; the same command continues an interrupted export."""
    from vfss.datasets import FORMATS, ExportOptions, run_export
    from vfss.project import Project

    if format_name not in FORMATS:
        raise DatasetError(f"no format {format_name!r}", remedy=f"Choose from: {', '.join(FORMATS)}.")
    if overlaps not in ("priority", "regions"):
        raise typer.BadParameter(f"--overlaps must be priority or regions, not {overlaps!r}")
    options = ExportOptions(
        include_edited=include_edited,
        overlaps=overlaps,
        priority=tuple(part for part in priority.split(",") if part),
        polygons=polygons,
        unreviewed=unreviewed,
        event_text=event_text,
        name_authors=name_authors,
        key=key,
        licence=licence,
        name=name,
    )
    with Project.open(project) as opened, progress_bar("Exporting") as show:
        report = run_export(FORMATS[format_name], opened, out, options, progress=show)
    for line in report.lines():
        print_result(Text(line))
    if report.problems:
        print_warning("The dataset is written, but not all recordings could be read as they were annotated.")
        raise typer.Exit(LEFT_OUT)
