# SPDX-License-Identifier: Apache-2.0
"""Behind which names patients, recordings and people stand in an export, and what of their pixels is hidden."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_data_path

from vfss.datasets.report import ExportOptions
from vfss.project import ClipRecord, Project
from vfss.project.case_key import FILE, CaseKey
from vfss.project.locate import project_of_reading
from vfss.project.pixel_reviews import PixelReview, not_reviewed
from vfss.redaction import Redaction


@dataclass(frozen=True)
class Identity:
    """A clip as an export knows it.

    Attributes:
        record: The clip in the project.
        case: Name of the patient.
        recording: Name of the clip.
        redaction: What is hidden of its pixels.
        review: Who looked at them; None where nobody did.
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
        """True where a person looked at the pixels and said what must be hidden."""
        return self.review is not None


class Identities:
    """Gives every clip of a project its identity.

    Attributes:
        key: Which name stands for whom; it lies outside of every export.
    """

    def __init__(self, project: Project, options: ExportOptions) -> None:
        self._project = project
        self._options = options
        self._found: dict[str, Identity] = {}
        self.key = CaseKey(options.key or key_path(project))

    def of(self, record: ClipRecord) -> Identity:
        """The identity of a clip, the same in every export that is made with the same key."""
        if record.id not in self._found:
            review = self._project.reviews.of(record.id)
            redaction = Redaction() if review is None else review.redaction
            height, width = redaction.size(record.height, record.width)
            case, recording = self.key.case(record.patient), self.key.recording(record.id)
            self._found[record.id] = Identity(record, case, recording, redaction, review, height, width)
        return self._found[record.id]

    def author(self, name: str) -> str:
        """As whom a person stands in the export."""
        return name if self._options.name_authors else self.key.annotator(name)

    def expect_reviewed(self, records: list[ClipRecord]) -> None:
        """Refuse recordings whose pixels were not reviewed, unless the options allow them.

        Raises:
            DatasetError: There are some.
        """
        missing = [record.path.name for record in records if not self.of(record).reviewed]
        if missing and not self._options.unreviewed:
            raise not_reviewed(missing, self._project.folder)


def key_path(project: Project) -> Path:
    """Where the case key of a project lies: in its folder, or with the user where that can only be read.

    A second reading shares the key of its project, so that its cases have the same names.
    """
    if project.read_only:
        return user_data_path("napari-vfss") / "case-keys" / f"{project.id}.json"
    return (project_of_reading(project.folder) or project.folder) / FILE
