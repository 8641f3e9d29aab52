# SPDX-License-Identifier: Apache-2.0
"""Behind which names patients, recordings and people stand in an export."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from vfss.project import ClipRecord, Project


@dataclass(frozen=True)
class Identity:
    """A clip as an export knows it.

    Attributes:
        record: The clip in the project.
        case: Pseudonym of the patient.
        recording: Name of the clip.
        height, width: Size of its frames in the export, pixels.
    """

    record: ClipRecord
    case: str
    recording: str
    height: int
    width: int


class Identities:
    """Gives every clip of a project its identity."""

    def __init__(self, project: Project) -> None:
        self._project = project

    def of(self, record: ClipRecord) -> Identity:
        """The identity of a clip, always the same."""
        case = pseudonym(self._project.id, record.patient)
        return Identity(record, case, record.id, record.height, record.width)

    def author(self, name: str) -> str:
        """As whom a person, or a student, stands in the export."""
        return name


def pseudonym(project_id: str, patient: str) -> str:
    """Name of a patient in exports: the same in every export of one project, and telling nothing.

    The project's id is random and never exported, so that nobody outside can test names against pseudonyms.
    """
    return hashlib.blake2b(f"{project_id}\0{patient}".encode(), digest_size=6).hexdigest()
