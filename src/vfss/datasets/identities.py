# SPDX-License-Identifier: Apache-2.0
"""Names of patients, recordings and people in an export, and what is hidden of their pixels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_data_path

from vfss.datasets.options import ExportOptions
from vfss.project import ClipRecord, Project
from vfss.project.case_key import FILE, CaseKey
from vfss.project.locate import project_of_reading
from vfss.project.pixel_reviews import PixelReview, not_reviewed
from vfss.redaction import Redaction


@dataclass(frozen=True)
class Identity:
    """A clip and its names in an export.

    Attributes:
        record: The clip in the project.
        case: Name of the patient in the export.
        recording: Name of the clip in the export.
        redaction: What is hidden of its pixels.
        review: Review of its pixels; None if nobody reviewed them.
        height: Rows of its frames in the export.
        width: Columns of its frames in the export.
    """

    record: ClipRecord
    case: str
    recording: str
    redaction: Redaction
    review: PixelReview | None
    height: int
    width: int

    @property
    def reviewed(self) -> bool:
        """True if a person reviewed the pixels and decided what must be hidden."""
        return self.review is not None


class Identities:
    """Assigns every clip of a project its identity.

    Attributes:
        key: Case key that maps people and recordings to names; it is never part of an export.
    """

    def __init__(self, project: Project, options: ExportOptions) -> None:
        self._project = project
        self._options = options
        self._cache: dict[str, Identity] = {}
        self.key = CaseKey(options.key or key_path(project))

    def of(self, record: ClipRecord) -> Identity:
        """Return the identity of a clip, the same in every export made with the same key."""
        if record.id not in self._cache:
            review = self._project.reviews.of(record.id)
            redaction = Redaction() if review is None else review.redaction
            height, width = redaction.size(record.height, record.width)
            case, recording = self.key.case(record.patient), self.key.recording(record.id)
            self._cache[record.id] = Identity(record, case, recording, redaction, review, height, width)
        return self._cache[record.id]

    def author(self, name: str) -> str:
        """Return the name of a person in the export."""
        return name if self._options.name_authors else self.key.annotator(name)

    def expect_reviewed(self, records: list[ClipRecord]) -> None:
        """Refuse recordings whose pixels were not reviewed, unless the options allow them.

        Raises:
            DatasetError: There are such recordings.
        """
        missing = [record.path.name for record in records if not self.of(record).reviewed]
        if missing and not self._options.unreviewed:
            raise not_reviewed(missing, self._project.folder)


def key_path(project: Project) -> Path:
    """Return the file of a project's case key: in its folder, or in the user's data folder if that is read-only.

    A second reading shares the key of its project, so that its cases have the same names.
    """
    if project.read_only:
        return user_data_path("napari-vfss") / "case-keys" / f"{project.id}.json"
    return (project_of_reading(project.folder) or project.folder) / FILE
