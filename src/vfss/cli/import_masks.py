# SPDX-License-Identifier: Apache-2.0
"""`vfss import`: import masks of other programs into a project, as proposals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from vfss.cli.console import LEFT_OUT, plain_table, print_result, print_warning, progress_bar
from vfss.cli.named_clip import named_clip
from vfss.errors import DatasetError

# The rest of the engine is imported where it is needed: `vfss --help` must not wait for it.
if TYPE_CHECKING:
    from vfss.importing import ImportPlan
    from vfss.project import Project


ProjectFolder = Annotated[Path, typer.Argument(metavar="PROJECT", help="Project folder.", show_default=False)]
Source = Annotated[Path, typer.Argument(metavar="SOURCE", help="File or folder of masks.", show_default=False)]
FormatName = Annotated[
    str | None,
    typer.Option(
        "--format", metavar="NAME", help="coco, nnunet, dicom-seg, cvat, datumaro, yolo, nifti or png. [detected]"
    ),
]
ClipName = Annotated[str | None, typer.Option(metavar="ID|FILE", help="Clip of the project that the masks belong to.")]
Recordings = Annotated[
    list[str] | None,
    typer.Option(
        "--recording",
        metavar="NAME=CLIP",
        help="Clip of the files of one recording, where there are several; NAME= leaves it out; may be repeated.",
    ),
]
Mapped = Annotated[
    list[str] | None, typer.Option("--map", metavar="LABEL=STRUCTURE", help="Structure of a label; may be repeated.")
]
Skipped = Annotated[list[str] | None, typer.Option(metavar="LABEL", help="Do not import a label; may be repeated.")]
FirstFrame = Annotated[
    int | None, typer.Option(metavar="0|1", min=0, max=1, help="Number of a clip's first frame in file names.")
]
LabelTable = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help='Names of the values in label images, or of the classes of YOLO: {"bolus": 1, ...}.'
    ),
]
Threshold = Annotated[
    float | None, typer.Option(min=0, max=1, help="Probability threshold, for fractional DICOM segmentations.")
]
PreviewFile = Annotated[
    Path | None, typer.Option("--preview", metavar="FILE.png", help="Write an image of some frames with outlines.")
]
Key = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Case key of the project that exported the masks. [that of PROJECT]")
]
Author = Annotated[str | None, typer.Option(metavar="NAME", help="Author of the import. [name of the user account]")]
Write = Annotated[bool, typer.Option("--write", help="Write the masks; without it nothing is changed.")]


def import_masks(
    *,
    project: ProjectFolder,
    source: Source,
    format_name: FormatName = None,
    clip: ClipName = None,
    recording: Recordings = None,
    map_label: Mapped = None,
    skip: Skipped = None,
    first_frame: FirstFrame = None,
    labels: LabelTable = None,
    threshold: Threshold = None,
    preview_file: PreviewFile = None,
    author: Author = None,
    key: Key = None,
    write: Write = False,
) -> None:
    """Import masks of other programs as proposals; without --write only show what would be written.

    No imported mask counts as accepted, and no annotated mask is changed.
    """
    from vfss.importing import ImportChoices, SourceOptions, open_source, plan_import, write_plan
    from vfss.project import Project

    with Project.open(project) as opened:
        masks = open_source(source, format_name, SourceOptions(labels, threshold))
        choices = ImportChoices(
            clip=_clip(opened, clip),
            labels=_labels(map_label or [], skip or []),
            first_frame=first_frame,
            key=key,
            recordings=_recordings(opened, recording or []),
        )
        with progress_bar("Reading") as show:
            plan = plan_import(opened, masks, choices, progress=show)
        _print_plan(opened, plan)
        if preview_file is not None:
            _write_preview(opened, plan, preview_file)
        if not write:
            print_result(Text("Nothing was written. Add --write to write it."))
            return
        name = author or _account()
        with progress_bar("Importing") as show:
            report = write_plan(opened, plan, author=name, progress=show)
    for line in report.lines():
        print_result(Text(line))
    if report.problems:
        print_warning("Not all masks could be imported.")
        raise typer.Exit(LEFT_OUT if report.written or report.same else 1)


def _recordings(project: Project, pairs: Sequence[str]) -> dict[str, str | None]:
    """Parse --recording: content id of a clip by name of a recording in the source, None to leave it out."""
    from vfss.importing.recordings import UNNAMED

    clips: dict[str, str | None] = {}
    for pair in pairs:
        name, equals, clip = pair.rpartition("=")
        if not equals:
            raise typer.BadParameter(f"{pair!r} names no clip; write NAME=CLIP, e.g. swallow2=clip2.mp4")
        clips["" if name == UNNAMED else name] = _clip(project, clip or None)
    return clips


def _labels(pairs: Sequence[str], skipped: Sequence[str]) -> dict[str, str | None]:
    """Parse --map and --skip: key of a structure by label, None for skipped labels."""
    structures: dict[str, str | None] = {}
    for pair in pairs:
        label, equals, key = pair.rpartition("=")
        if not equals or not label or not key:
            raise typer.BadParameter(f"{pair!r} does not map a label; write LABEL=STRUCTURE, e.g. jaw=mandible")
        if structures.setdefault(label, key) != key:
            raise typer.BadParameter(f"{label!r} cannot be both {structures[label]} and {key}")
    if both := set(structures) & set(skipped):
        raise typer.BadParameter(f"{', '.join(sorted(both))} cannot be both mapped and skipped")
    return structures | dict.fromkeys(skipped)


def _clip(project: Project, name: str | None) -> str | None:
    """Return the content id of the clip of that id, name or file."""
    return None if name is None else named_clip(project, name).id


def _account() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError) as error:  # what it raises has changed from version to version
        raise DatasetError("the name of the user account is not known", remedy="Add --author NAME.") from error


def _print_plan(project: Project, plan: ImportPlan) -> None:
    from vfss.importing import report

    for headings, rows in (
        (report.RECORDING_HEADINGS, report.recording_rows(project, plan.recordings)),
        (report.LABEL_HEADINGS, report.label_rows(plan)),
        (report.STRUCTURE_HEADINGS, report.structure_rows(plan)),
    ):
        table = plain_table(*headings)
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        print_result(table)
    for line in report.plan_lines(project, plan):
        print_result(Text(line))


def _write_preview(project: Project, plan: ImportPlan, path: Path) -> None:
    import imageio.v3 as iio

    from vfss.importing import preview

    try:
        iio.imwrite(path, preview(project, plan), extension=".png")
    except OSError as error:
        raise DatasetError(f"the preview cannot be written ({error.strerror or error})", path=path) from error
    print_result(Text(f"Preview: {path}"))
