# SPDX-License-Identifier: Apache-2.0
"""Counts what was corrected since the last training, in a thread."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import vfss
from napari_vfss.jobs.files import FileJob

if TYPE_CHECKING:
    from vfss.project.corrected import Corrected


class CountingCorrections(FileJob):
    """Counts what was corrected since the last training, and what waits to be proposed anew."""

    def start(self, project: Path) -> None:
        """Start counting; ignored while it runs."""
        self._begin(self._count, project)

    def _count(self, folder: Path) -> tuple[str, Corrected]:
        from vfss.comparison.cards import last_training

        with vfss.Project.open(folder) as project:
            splits = project.assigned_splits()
            # A patient without a split yet may well be trained on: it is chosen when a training first needs it.
            trained = {one.patient for one in project.clips() if splits.get(one.patient, "train") == "train"}
            moment = last_training(project.shelf.all(with_deleted=True))
            return "", project.corrections.since(moment, trained)
