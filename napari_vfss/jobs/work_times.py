# SPDX-License-Identifier: Apache-2.0
"""Background job that reads how long people worked on a project."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_vfss.jobs.files import LatestOnlyJob

if TYPE_CHECKING:
    from vfss.project.work_times import WorkTimes


class WorkTimesReading(LatestOnlyJob):
    """Reads the working times of a project, given its folder; ends with WorkTimes, or None and a message."""

    def _execute(self, order: Path) -> tuple[str, WorkTimes | None]:
        from vfss.project import Project

        with Project.open(order) as project:
            return "", project.work_times()
