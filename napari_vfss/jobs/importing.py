# SPDX-License-Identifier: Apache-2.0
"""Background jobs that plan and write imports of other programs' masks."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import vfss
from napari_vfss.jobs.files import FileJob, LatestOnlyJob
from vfss.errors import VfssError
from vfss.masks import ByteArray

if TYPE_CHECKING:  # the libraries of formats take long to import: each job imports its own
    from vfss.importing import ForeignMasks, ImportChoices, ImportPlan, SourceOptions, SourceRecording

_TILE = 252  # px: three side by side fit the dialog


@dataclass(frozen=True, eq=False)
class ImportOrder:
    """Source of an import, and the choices made so far.

    Attributes:
        project: Folder of the project.
        path: File or folder of masks.
        options: Options of the source.
        choices: Choices made so far; if the source was not opened yet, its clip is the open recording.
        source: The source, if it was opened before with the same options.
    """

    project: Path
    path: Path
    options: SourceOptions
    choices: ImportChoices
    source: ForeignMasks | None = None


@dataclass(frozen=True, eq=False)
class ImportOutlook:
    """Outlook on an import.

    Attributes:
        source: The opened source.
        choices: Choices made so far; at first those suggested by names and codes of labels.
        recordings: Recordings of the source as they are known without a person's choices.
        plan: What would be written; None if a choice is missing.
        problem: Which choice is missing, or why the import is not possible; "" for no problem.
        picture: Frames with outlines, uint8 (H, W, 3); None for none.
    """

    source: ForeignMasks
    choices: ImportChoices
    recordings: tuple[SourceRecording, ...]
    plan: ImportPlan | None
    problem: str = ""
    picture: ByteArray | None = None


class ImportPlanning(LatestOnlyJob):
    """Opens a source and plans its import; ends with an ImportOutlook, or None if it was cancelled."""

    def _execute(self, order: ImportOrder) -> tuple[str, ImportOutlook | None]:
        from vfss.importing import (
            ImportChoices,
            open_source,
            plan_import,
            preview,
            recordings_of,
            suggested,
            suggested_clips,
        )

        with vfss.Project.open(order.project) as project:
            source, choices = order.source, order.choices
            opened = source or open_source(order.path, None, order.options)
            recordings = recordings_of(project, opened, ImportChoices(key=choices.key))
            if source is None:
                clips = suggested_clips(recordings, choices.clip)
                labels = suggested(opened.labels, project.schema)
                choices = replace(choices, clip=None, labels=labels, recordings=clips)
            source = opened
            try:
                plan = plan_import(project, source, choices, progress=self._on_progress)
            except VfssError as error:
                return "", ImportOutlook(source, choices, recordings, None, str(error))
            if not plan.complete:
                return "Cancelled", None
            picture, problem = None, ""
            if plan.counts:
                try:
                    picture = preview(project, plan, width=_TILE)
                except VfssError as error:
                    problem = str(error)
            return "", ImportOutlook(source, choices, recordings, plan, problem, picture)


class Importing(FileJob):
    """Writes planned masks as proposals; masks written before it is stopped are kept."""

    def start(self, project: Path, plan: ImportPlan, author: str) -> None:
        """Start; ignored while another import is written."""
        self._begin(self._write, project, plan, author)

    def _write(self, folder: Path, plan: ImportPlan, author: str) -> tuple[str, bool]:
        from vfss.importing import write_plan

        with vfss.Project.open(folder) as project:
            report = write_plan(project, plan, author=author, progress=self._on_progress)
        return "\n".join(report.lines()), True


_OPTIONS = (
    (r" \(--map [^)]*\)", " under Labels and structures"),
    (r" \(--skip[^)]*\)", ""),
    (r" \(--clip[^)]*\)", " under Recordings"),
    (r" \(--recording [^)]*=\)", ""),
    (r" \(--recording [^)]*\)", " under Recordings"),
    (r" \(--key [^)]*\)", " with Case key..."),
    (r"--first-frame 0 or (--first-frame )?1", "under First frame"),
)


def in_dialog_terms(message: str) -> str:
    """Replace the options of the command line in a message by the names of the dialog's fields."""
    for option, field in _OPTIONS:
        message = re.sub(option, field, message)
    return message
