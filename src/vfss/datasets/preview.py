# SPDX-License-Identifier: Apache-2.0
"""What an export would write, before anything is written: counts, names, and at whose pixels nobody has looked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from vfss.datasets.format import Format, takes_all
from vfss.datasets.identities import Identities, Identity
from vfss.datasets.report import ExportOptions
from vfss.datasets.selection import Selection
from vfss.errors import ClipError
from vfss.output import Progress
from vfss.project import Project, Split
from vfss.project.pixel_reviews import PixelReview
from vfss.schema import Schema
from vfss.wording import count

SPLIT_WORDS: Mapping[Split, str] = {"train": "to train", "validation": "to validate", "test": "to test"}

PAPERS = "README.txt, DATASHEET.md, SHA256SUMS: what a reader must know, and checksums"


@dataclass(frozen=True)
class PreviewedRecording:
    """One recording as an export would have it.

    Attributes:
        identity: Who it is here and there, and who looked at its pixels.
        split: Side of its patient.
        frames: Frames that would be written.
        refused: Why it would be left out after all; "" where it would not.
    """

    identity: Identity
    split: Split
    frames: int
    refused: str = ""


@dataclass(frozen=True)
class ExportPreview:
    """What would be written, and what would not.

    Attributes:
        recordings: Those with frames to write, in the order in which they joined the project.
        structures: Planes by structure key; planes that a person called empty among them.
        splits: Frames by split.
        left_out: Reason to count of what would stay behind.
        holds: What the folder would hold, a phrase each.
    """

    recordings: tuple[PreviewedRecording, ...]
    structures: Mapping[str, int]
    splits: Mapping[str, int]
    left_out: Mapping[str, int] = field(default_factory=dict)
    holds: tuple[str, ...] = ()

    @property
    def frames(self) -> int:
        """Frames that would be written."""
        return sum(self.splits.values())

    @property
    def planes(self) -> int:
        """Planes that would be written."""
        return sum(self.structures.values())

    @property
    def patients(self) -> int:
        """Patients among them."""
        return len({known.identity.case for known in self.recordings if not known.refused})

    @property
    def unreviewed(self) -> tuple[PreviewedRecording, ...]:
        """Recordings at whose pixels nobody has looked: an export refuses them, even those its format cannot take."""
        return tuple(known for known in self.recordings if not known.identity.reviewed)

    def lines(self, schema: Schema) -> list[str]:
        """What would be written, in sentences for a person."""
        by_split = ", ".join(
            f"{words} {self.splits[split]}" for split, words in SPLIT_WORDS.items() if self.splits[split]
        )
        planes = ", ".join(f"{schema[key].name} {n}" for key, n in self.structures.items() if n)
        taken = sum(not known.refused for known in self.recordings)
        counts = f"{count(self.frames, 'frame')} of {count(taken, 'recording')}, {count(self.patients, 'patient')}"
        return [
            f"{counts}. Frames by use: {by_split}." if by_split else f"{counts}.",
            *([f"{count(self.planes, 'mask')}: {planes}."] if planes else []),
            *(f"Left out: {reason}: {n}." for reason, n in self.left_out.items()),
        ]

    def obstacle(self, options: ExportOptions) -> str:
        """Why this cannot be written yet; "" where it can."""
        if not self.recordings:
            return "There is nothing to write yet: accept frames or structures first."
        if not self.frames:
            return "This form takes none of the recordings: choose another one."
        n = len(self.unreviewed)
        if not n or options.unreviewed:
            return ""
        return (
            f"Nobody has looked at the pixels of {count(n, 'recording')}: names may stand in the picture. Look first."
        )


def preview(
    project: Project, dataset_format: Format, options: ExportOptions, progress: Progress | None = None
) -> ExportPreview | None:
    """Count what an export would write; names of cases and recordings are given now, and stay.

    Args:
        project: Where the annotations are.
        dataset_format: The format.
        options: What would be asked of it.
        progress: Told how many recordings are done; False cancels.

    Returns:
        None where it was cancelled.

    Raises:
        DatasetError: The case key cannot be read or written.
        ProjectError: The project cannot be read.
    """
    selection, identities = Selection(project, include_edited=options.include_edited), Identities(project, options)
    sides = project.splits()
    structures: Counter[str] = Counter({key: 0 for key in project.schema.keys})
    splits: Counter[str] = Counter({"train": 0, "validation": 0, "test": 0})
    left_out = Counter(selection.left_out)
    recordings: list[PreviewedRecording] = []
    for record, frames in selection.frames:
        side, refused = sides[record.patient], _refused(project, dataset_format, record.id)
        recordings.append(PreviewedRecording(identities.of(record), side, len(frames), refused))
        if refused:
            left_out[refused] += len(frames)
        else:
            splits[side] += len(frames)
            planes = np.count_nonzero(selection.written(record.id)[frames], axis=0)
            structures.update({key: int(n) for key, n in zip(project.schema.keys, planes, strict=True)})
        if progress is not None and progress(len(recordings), len(selection.frames)) is False:
            return None
    holds = (*dataset_format.holds, PAPERS)
    return ExportPreview(tuple(recordings), dict(structures), dict(splits), dict(left_out), holds)


def _refused(project: Project, dataset_format: Format, clip_id: str) -> str:
    if dataset_format.refuses is takes_all:
        return ""
    try:
        with project.open_clip(clip_id) as clip:
            return dataset_format.refuses(clip)
    except ClipError:
        return "frames of clips that could not be opened"


def said_of(review: PixelReview | None) -> str:
    """Who looked at the pixels of a recording and what was found, in a sentence."""
    if review is None:
        return "nobody has looked at the pixels yet"
    n = len(review.redaction.boxes)
    boxes = count(n, "box", "boxes") if n else "nothing hidden"
    crop = ", cropped" if review.redaction.crop is not None else ""
    remark = f" ({review.text})" if review.text else ""
    return f"looked at by {review.reviewer} on {review.time.astimezone():%d %b %Y}: {boxes}{crop}{remark}"
