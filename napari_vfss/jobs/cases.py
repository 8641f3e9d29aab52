# SPDX-License-Identifier: Apache-2.0
"""Background jobs for case ids: names of recordings, and films that are in a project twice."""

from __future__ import annotations

from pathlib import Path

from napari_vfss.jobs.files import FileJob
from vfss.project import Project
from vfss.project.case_rule import RecordingNames, recording_names
from vfss.project.case_table import hash_films


class NameReading(FileJob):
    """Reads what a rule may take case ids from; ends with the names by the id of the clip."""

    def start(self, folder: Path) -> None:
        """Start reading the names of all recordings of a project; ignored while others are read."""
        self._begin(self._read, folder)

    def _read(self, folder: Path) -> tuple[str, dict[str, RecordingNames] | None]:
        names: dict[str, RecordingNames] = {}
        with Project.open(folder) as project:
            records = project.clips()
            for done, record in enumerate(records, 1):
                names[record.id] = recording_names(record.path)
                if not self._on_progress(done, len(records)):
                    return "Cancelled", None
        return "", names


class FilmHashing(FileJob):
    """Hashes the recordings of a project that have no hash yet; ends with how many were hashed."""

    def start(self, folder: Path) -> None:
        """Start hashing; ignored while others are hashed."""
        self._begin(self._hash, folder)

    def _hash(self, folder: Path) -> tuple[str, int]:
        with Project.open(folder) as project:
            return "", 0 if project.read_only else hash_films(project, self._on_progress)
