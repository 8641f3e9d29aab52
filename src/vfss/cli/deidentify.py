# SPDX-License-Identifier: Apache-2.0
"""vfss deidentify: prepare what a person looks at, record that somebody did, write what may leave."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from vfss.cli.console import bar, say, warn
from vfss.errors import DatasetError, ProjectError

if TYPE_CHECKING:
    from vfss.project import ClipRecord, Project


KeyFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Which id is which patient. [case-key.json in the project]")
]
Unreviewed = Annotated[
    bool,
    typer.Option(
        "--i-accept-that-nobody-looked-at-the-pixels", help="Write recordings, too, that nobody has reviewed."
    ),
]


def deidentify(
    target: Annotated[
        Path, typer.Argument(metavar="CLIP|PROJECT", help="Recording, or project folder for all its clips.")
    ],
    *,
    project: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Project of a recording; made where there is none.")
    ] = None,
    prepare: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Find text and the exposed field, and write strips and proposals here."),
    ] = None,
    accept: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Record that the reviewer looked and accepts these redactions.")
    ] = None,
    reviewer: Annotated[str, typer.Option(metavar="NAME", help="Who looked at the pixels.")] = "",
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Write de-identified recordings here.")] = None,
    key: KeyFile = None,
    unreviewed: Unreviewed = False,
) -> None:
    """Write recordings without names: --prepare, look at the strips, --accept, then --out."""
    if sum(choice is not None for choice in (prepare, accept, out)) != 1:
        raise typer.BadParameter("choose one of --prepare DIR, --accept FILE and --out DIR")
    with _opened(target, project) as (opened, records):
        if prepare is not None:
            _prepare(opened, records, prepare)
        elif accept is not None:
            _accept(opened, accept, reviewer)
        elif out is not None:
            _write(opened, records, out, key, unreviewed)


@contextmanager
def _opened(target: Path, project: Path | None) -> Iterator[tuple[Project, list[ClipRecord]]]:
    from vfss.project import Project

    if project is None and not target.is_dir():
        raise ProjectError("a recording needs a project for its review", path=target, remedy="Add --project DIR.")
    with Project.open(target) if project is None else Project.open_or_create(project) as opened:
        yield opened, opened.clips() if project is None else [opened.add_clip(target)]


def _prepare(project: Project, records: list[ClipRecord], folder: Path) -> None:
    from vfss.deidentify.review_pack import write_review_pack

    if not records:
        raise DatasetError("there is no recording to look at", path=project.folder, remedy="Add recordings first.")
    with bar("Looking for text") as show:
        file = write_review_pack(project, records, folder, show)
    say(Text(f"Look at the strips in {folder}, and correct {file}."))
    say(Text(f'Then: vfss deidentify {project.folder} --accept {file} --reviewer "YOUR NAME"'))


def _accept(project: Project, file: Path, reviewer: str) -> None:
    from vfss.deidentify.review_pack import accept_review_pack

    reviews = accept_review_pack(project, file, reviewer=reviewer)
    boxes = sum(len(review.redaction.boxes) for review in reviews)
    say(Text(f"{reviewer} accepted {len(reviews)} recordings with {boxes} boxes."))


def _write(project: Project, records: list[ClipRecord], folder: Path, key_file: Path | None, unreviewed: bool) -> None:
    from vfss.datasets.identities import key_path
    from vfss.deidentify import CaseKey
    from vfss.deidentify.project import deidentify_project

    key = CaseKey(key_file or key_path(project))
    wanted = [record.id for record in records]
    with bar("De-identifying") as show:
        report = deidentify_project(project, folder, key, clips=wanted, unreviewed=unreviewed, progress=show)
    for line in report.lines():
        say(Text(line))
    say(Text(f"Which id is which patient stands in {key.path}: keep it secret."))
    if report.unreviewed:
        warn("Nobody looked at the pixels of all of them: names may stand in the pictures.")
    if report.problems:
        warn("The folder is written, but not all could be read.")
        raise typer.Exit(1)
