# SPDX-License-Identifier: Apache-2.0
"""vfss deidentify: write a review pack, record the review of the pixels, write de-identified recordings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from vfss.cli.console import LEFT_OUT, print_result, print_warning, progress_bar
from vfss.errors import DatasetError, ProjectError
from vfss.wording import count

if TYPE_CHECKING:
    from vfss.project import ClipRecord, Project


KeyFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="File that links ids to patients. [case-key.json in the project]")
]
Unreviewed = Annotated[
    bool,
    typer.Option(
        "--i-accept-that-nobody-looked-at-the-pixels", help="Also write recordings whose pixels were not reviewed."
    ),
]


def deidentify(
    target: Annotated[
        Path, typer.Argument(metavar="CLIP|PROJECT", help="Recording, or project folder for all its clips.")
    ],
    *,
    project: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Project of a recording; created if it does not exist.")
    ] = None,
    prepare: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Detect text and the exposed field; write strips and proposed redactions here."
        ),
    ] = None,
    accept: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Record that the reviewer accepts the redactions in this file.")
    ] = None,
    reviewer: Annotated[str, typer.Option(metavar="NAME", help="Name of the person who reviewed the pixels.")] = "",
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Write de-identified recordings here.")] = None,
    key: KeyFile = None,
    unreviewed: Unreviewed = False,
) -> None:
    """De-identify recordings: --prepare, review the strips, --accept, then --out.

    Recordings that cannot be read are left out, frames that cannot be are replaced by placards; both are named, and the
    exit code is then 3.
    """
    if sum(choice is not None for choice in (prepare, accept, out)) != 1:
        raise typer.BadParameter("choose one of --prepare DIR, --accept FILE and --out DIR")
    with _open_project(target, project) as (opened, records):
        if prepare is not None:
            _prepare(opened, records, prepare)
        elif accept is not None:
            _accept(opened, accept, reviewer)
        elif out is not None:
            _write(opened, records, out, key, unreviewed)


@contextmanager
def _open_project(target: Path, project: Path | None) -> Iterator[tuple[Project, list[ClipRecord]]]:
    from vfss.project import Project

    if project is None and not target.is_dir():
        raise ProjectError("a recording needs a project for its review", path=target, remedy="Add --project DIR.")
    with Project.open(target) if project is None else Project.open_or_create(project) as opened:
        yield opened, opened.clips() if project is None else [opened.add_clip(target)]


def _prepare(project: Project, records: list[ClipRecord], folder: Path) -> None:
    from vfss.deidentify.review_pack import write_review_pack

    if not records:
        raise DatasetError("there is no recording to review", path=project.folder, remedy="Add recordings first.")
    left_out: list[str] = []
    with progress_bar("Detecting text") as progress:
        file = write_review_pack(project, records, folder, progress, left_out.append)
    print_result(Text(f"Review the strips in {folder}, and correct {file}."))
    print_result(Text(f'Then: vfss deidentify {project.folder} --accept {file} --reviewer "YOUR NAME"'))
    _exit_if_left_out(left_out)


def _exit_if_left_out(messages: list[str]) -> None:
    for message in messages:
        print_warning(f"Not readable: {message}")
    if messages:
        raise typer.Exit(LEFT_OUT)


def _accept(project: Project, file: Path, reviewer: str) -> None:
    from vfss.deidentify.review_pack import accept_review_pack

    reviews = accept_review_pack(project, file, reviewer=reviewer)
    boxes = sum(len(review.redaction.boxes) for review in reviews)
    print_result(Text(f"{reviewer} accepted {count(len(reviews), 'recording')} with {count(boxes, 'box', 'boxes')}."))


def _write(project: Project, records: list[ClipRecord], folder: Path, key_file: Path | None, unreviewed: bool) -> None:
    from vfss.datasets.identities import key_path
    from vfss.deidentify import CaseKey
    from vfss.deidentify.project import deidentify_project

    key = CaseKey(key_file or key_path(project))
    clips = [record.id for record in records]
    with progress_bar("De-identifying") as progress:
        report = deidentify_project(project, folder, key, clips=clips, unreviewed=unreviewed, progress=progress)
    for line in report.lines():
        print_result(Text(line))
    print_result(Text(f"{key.path} links ids to patients: keep it secret."))
    if report.unreviewed:
        print_warning("Not all pixels were reviewed: names may be visible in the pictures.")
    if report.problems:
        print_warning("The folder is written, but some recordings or frames could not be read.")
        raise typer.Exit(LEFT_OUT)
