# SPDX-License-Identifier: Apache-2.0
"""vfss export: what people accepted, as a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from vfss.cli.console import bar, say, warn
from vfss.cli.deidentify import KeyFile, Unreviewed
from vfss.errors import DatasetError

_NAMES = "coco, png, nnunet, nifti, dicom-seg, yolo, cvat, datumaro, parquet or npz."


def export(  # noqa: PLR0917  (typer calls it by name)
    project: Annotated[Path, typer.Argument(metavar="PROJECT", help="Project folder.", show_default=False)],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder to make.", show_default=False)],
    format_name: Annotated[str, typer.Option("--format", help=_NAMES)] = "coco",
    include_edited: Annotated[bool, typer.Option(help="Also planes that were corrected but not accepted.")] = False,
    licence: Annotated[str, typer.Option(help="Under which the dataset may be used, say CC-BY-4.0.")] = "",
    overlaps: Annotated[
        str, typer.Option(help="nnunet: priority (one structure a pixel) or regions (nothing is lost).")
    ] = "priority",
    priority: Annotated[
        str, typer.Option(metavar="KEY,KEY", help="nnunet: structures that win where they overlap, first wins.")
    ] = "",
    name: Annotated[str, typer.Option(help="Name of the dataset, for formats that ask for one.")] = "VFSS",
    name_authors: Annotated[bool, typer.Option(help="Name annotators instead of giving pseudonyms.")] = False,
    key: KeyFile = None,
    unreviewed: Unreviewed = False,
) -> None:
    """Write what people accepted as a dataset; the same command goes on where it was interrupted."""
    from vfss.datasets import FORMATS, ExportOptions, run_export
    from vfss.project import Project

    if format_name not in FORMATS:
        raise DatasetError(f"no format {format_name!r}", remedy=f"There are: {', '.join(FORMATS)}.")
    if overlaps not in ("priority", "regions"):
        raise typer.BadParameter(f"--overlaps is priority or regions, not {overlaps!r}")
    options = ExportOptions(
        include_edited=include_edited,
        overlaps=overlaps,
        priority=tuple(part for part in priority.split(",") if part),
        unreviewed=unreviewed,
        name_authors=name_authors,
        key=key,
        licence=licence,
        name=name,
    )
    with Project.open(project) as opened, bar("Exporting") as show:
        report = run_export(FORMATS[format_name], opened, out, options, progress=show)
    for line in report.lines():
        say(Text(line))
    if report.problems:
        warn("The dataset is written, but not all could be read.")
        raise typer.Exit(1)
