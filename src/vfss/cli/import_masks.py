# SPDX-License-Identifier: Apache-2.0
"""vfss import: masks of other programs into a project, as proposals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from vfss.cli.console import bar, plain_table, say, warn
from vfss.errors import DatasetError

# The rest of the engine is imported where it is needed: `vfss --help` must not wait for it.
if TYPE_CHECKING:
    from vfss.importing import ImportPlan
    from vfss.project import Project


ProjectFolder = Annotated[Path, typer.Argument(metavar="PROJECT", help="Project folder.", show_default=False)]
Source = Annotated[Path, typer.Argument(metavar="SOURCE", help="File or folder of masks.", show_default=False)]
FormatName = Annotated[
    str | None, typer.Option("--format", metavar="NAME", help="coco, nnunet, dicom-seg or png. [told from the content]")
]
ClipName = Annotated[str | None, typer.Option(metavar="ID|FILE", help="Clip of the project that the masks are of.")]
Mapped = Annotated[
    list[str] | None, typer.Option("--map", metavar="LABEL=STRUCTURE", help="What a label is; may be repeated.")
]
Skipped = Annotated[list[str] | None, typer.Option(metavar="LABEL", help="Leave a label out; may be repeated.")]
FirstFrame = Annotated[
    int | None, typer.Option(metavar="0|1", min=0, max=1, help="Number of a clip's first frame in file names.")
]
LabelTable = Annotated[
    Path | None, typer.Option(metavar="FILE.json", help='Names of the values in label images: {"bolus": 1, ...}.')
]
Threshold = Annotated[
    float | None, typer.Option(min=0, max=1, help="From which probability on, for fractional DICOM segmentations.")
]
PreviewFile = Annotated[
    Path | None, typer.Option("--preview", metavar="FILE.png", help="Write a sheet of frames with outlines.")
]
Key = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Case key of the project that exported them. [that of PROJECT]")
]
Author = Annotated[str | None, typer.Option(metavar="NAME", help="Who imports them. [name of the account]")]
Write = Annotated[bool, typer.Option("--write", help="Write them; without it nothing is changed.")]


def import_masks(
    *,
    project: ProjectFolder,
    source: Source,
    format_name: FormatName = None,
    clip: ClipName = None,
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
    """Take in masks of other programs as proposals; without --write only say what would be written.

    Nothing imported counts as accepted, and nothing that a person has said is changed.
    """
    from vfss.importing import ImportChoices, SourceOptions, open_source, plan_import, write_plan
    from vfss.project import Project

    with Project.open(project) as opened:
        found = open_source(source, format_name, SourceOptions(labels, threshold))
        choices = ImportChoices(_clip(opened, clip), _labels(map_label or [], skip or []), first_frame, key)
        with bar("Looking") as show:
            plan = plan_import(opened, found, choices, progress=show)
        _say_plan(opened, plan)
        if preview_file is not None:
            _write_preview(opened, plan, preview_file)
        if not write:
            say(Text("Nothing was written. Add --write to write it."))
            return
        name = author or _account()
        with bar("Importing") as show:
            report = write_plan(opened, plan, author=name, progress=show)
    for line in report.lines():
        say(Text(line))
    if report.problems:
        warn("Not all could be imported.")
        raise typer.Exit(1)


def _labels(pairs: Sequence[str], skipped: Sequence[str]) -> dict[str, str | None]:
    """What was said of labels: key of a structure, None for those left out."""
    said: dict[str, str | None] = {}
    for pair in pairs:
        label, equals, key = pair.rpartition("=")
        if not equals or not label or not key:
            raise typer.BadParameter(f"{pair!r} says not what a label is; write LABEL=STRUCTURE, e.g. jaw=mandible")
        if said.setdefault(label, key) != key:
            raise typer.BadParameter(f"{label!r} cannot be both {said[label]} and {key}")
    if both := set(said) & set(skipped):
        raise typer.BadParameter(f"{', '.join(sorted(both))} cannot be taken and left out")
    return said | dict.fromkeys(skipped)


def _clip(project: Project, name: str | None) -> str | None:
    """Content id of the clip of that id, name or file."""
    if name is None:
        return None
    records = project.clips()
    fitting = [record.id for record in records if name in (record.id, record.path.name)]
    if not fitting and len(name) > 5:
        fitting = [record.id for record in records if record.id.startswith(name)]
    if len(fitting) == 1:
        return fitting[0]
    if not fitting and Path(name).exists():
        from vfss.clips import content_id

        return project.clip(content_id(name)).id
    raise DatasetError(
        f"{len(fitting) or 'no'} clips of the project are called {name!r}",
        remedy=f"Name one by id or file: {', '.join(f'{r.path.name} ({r.id})' for r in records) or 'there is none'}.",
    )


def _account() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError) as error:  # what it raises has changed from version to version
        raise DatasetError("nobody says who imports", remedy="Add --author NAME.") from error


def _say_plan(project: Project, plan: ImportPlan) -> None:
    from vfss.importing.report import LABEL_HEADINGS, STRUCTURE_HEADINGS, label_rows, plan_lines, structure_rows

    for headings, rows in ((LABEL_HEADINGS, label_rows(plan)), (STRUCTURE_HEADINGS, structure_rows(plan))):
        table = plain_table(*headings)
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        say(table)
    for line in plan_lines(project, plan):
        say(Text(line))


def _write_preview(project: Project, plan: ImportPlan, path: Path) -> None:
    import imageio.v3 as iio

    from vfss.importing import preview

    try:
        iio.imwrite(path, preview(project, plan), extension=".png")
    except OSError as error:
        raise DatasetError(f"the preview cannot be written ({error.strerror or error})", path=path) from error
    say(Text(f"Preview: {path}"))
