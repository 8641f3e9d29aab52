# SPDX-License-Identifier: Apache-2.0
"""Masks of other programs, looked at and written beside the window."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from napari_vfss.jobs.files import FileJob, LatestOnlyJob
from vfss.errors import VfssError
from vfss.importing import (
    ForeignMasks,
    ImportChoices,
    ImportPlan,
    SourceOptions,
    open_source,
    plan_import,
    preview,
    suggested,
    write_plan,
)
from vfss.masks import ByteArray
from vfss.project import Project

_TILE = 252  # px: three beside each other fit the dialog


@dataclass(frozen=True, eq=False)
class ImportOrder:
    """What to look at.

    Attributes:
        project: Folder of the project.
        path: File or folder of masks.
        options: What the source may need to be told.
        choices: What a person said; without labels where nobody has seen them yet.
        source: The source, where it was opened before with the same options.
    """

    project: Path
    path: Path
    options: SourceOptions
    choices: ImportChoices
    source: ForeignMasks | None = None


@dataclass(frozen=True, eq=False)
class ImportOutlook:
    """What was found.

    Attributes:
        source: The opened source.
        choices: What a person said; at first what names and codes of labels suggest.
        plan: What would be written; None where something must be said first.
        problem: What must be said, or what hinders; "" where nothing does.
        picture: Frames with outlines, uint8 (H, W, 3); None where there is nothing to show.
    """

    source: ForeignMasks
    choices: ImportChoices
    plan: ImportPlan | None
    problem: str = ""
    picture: ByteArray | None = None


class ImportPlanning(LatestOnlyJob):
    """Opens a source, and says what an import of it would do; None where it was cancelled."""

    def _answer(self, order: ImportOrder) -> tuple[str, ImportOutlook | None]:
        with Project.open(order.project) as project:
            source, choices = order.source, order.choices
            if source is None:
                source = open_source(order.path, None, order.options)
                choices = replace(choices, labels=suggested(source.labels, project.schema))
            try:
                plan = plan_import(project, source, choices, progress=self._on_progress)
            except VfssError as error:
                return "", ImportOutlook(source, choices, None, str(error))
            if not plan.complete:
                return "Cancelled", None
            picture, problem = None, ""
            if plan.counts:
                try:
                    picture = preview(project, plan, width=_TILE)
                except VfssError as error:
                    problem = str(error)
            return "", ImportOutlook(source, choices, plan, problem, picture)


class Importing(FileJob):
    """Writes planned masks as proposals; what is written when it is stopped stays."""

    def start(self, project: Path, plan: ImportPlan, author: str) -> None:
        """Begin; nothing while another import is written."""
        self._begin(self._write, project, plan, author)

    def _write(self, folder: Path, plan: ImportPlan, author: str) -> tuple[str, bool]:
        with Project.open(folder) as project:
            report = write_plan(project, plan, author=author, progress=self._on_progress)
        return "\n".join(report.lines()), True


_FLAGS = (
    (r" \(--map [^)]*\)", " under What is what"),
    (r" \(--skip[^)]*\)", ""),
    (r" \(--clip[^)]*\)", " under Recording"),
    (r"--first-frame 0 or (--first-frame )?1", "under First frame"),
)


def in_this_window(words: str) -> str:
    """A message of the command line, with the names of the dialog's fields in place of its flags."""
    for flag, field in _FLAGS:
        words = re.sub(flag, field, words)
    return words
