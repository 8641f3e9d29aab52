# SPDX-License-Identifier: Apache-2.0
"""Preview an export before anything is written: counts, names, and recordings whose pixels nobody has reviewed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from vfss.datasets.format import Format, accepts_all
from vfss.datasets.identities import Identities, Identity
from vfss.datasets.options import ExportOptions
from vfss.datasets.selection import Selection
from vfss.errors import ClipError
from vfss.output import Progress
from vfss.project import Project, Split
from vfss.project.pixel_reviews import PixelReview
from vfss.schema import Schema
from vfss.wording import count

SPLIT_TEXTS: Mapping[Split, str] = {"train": "training", "validation": "validation", "test": "test"}

EVENTS = "events.csv, events.json: events and swallows that people marked"
DOCUMENTS = "README.txt, DATASHEET.md, SHA256SUMS: documentation and checksums"


@dataclass(frozen=True)
class PreviewedRecording:
    """One recording in the preview of an export.

    Attributes:
        identity: Its names and the review of its pixels.
        split: Split of its patient.
        frames: Frames that would be written.
        refused: Why the format cannot store it; "" if it can.
    """

    identity: Identity
    split: Split
    frames: int
    refused: str = ""


@dataclass(frozen=True)
class ExportPreview:
    """What an export would write, and what it would leave out.

    Attributes:
        recordings: Recordings with frames to write, in the order in which they were added to the project.
        structures: Planes by structure key, including empty ones.
        splits: Frames by split.
        left_out: Counts of what would be left out, by reason.
        contents: Files of the dataset, a phrase each.
        remarks: What a user of the dataset must know, a sentence each.
    """

    recordings: tuple[PreviewedRecording, ...]
    structures: Mapping[str, int]
    splits: Mapping[str, int]
    left_out: Mapping[str, int] = field(default_factory=dict)
    contents: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

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
        """Patients among the frames that would be written."""
        return len({known.identity.case for known in self.recordings if not known.refused})

    @property
    def unreviewed(self) -> tuple[PreviewedRecording, ...]:
        """Recordings whose pixels nobody has reviewed: an export refuses them, even if its format cannot store them."""
        return tuple(known for known in self.recordings if not known.identity.reviewed)

    def lines(self, schema: Schema) -> list[str]:
        """Return what would be written, in sentences for a person."""
        by_split = ", ".join(
            f"{text} {self.splits[split]}" for split, text in SPLIT_TEXTS.items() if self.splits[split]
        )
        planes = ", ".join(f"{schema[key].name} {n}" for key, n in self.structures.items() if n)
        taken = sum(not known.refused for known in self.recordings)
        counts = f"{count(self.frames, 'frame')} of {count(taken, 'recording')}, {count(self.patients, 'patient')}"
        return [
            f"{counts}. Frames by split: {by_split}." if by_split else f"{counts}.",
            *([f"{count(self.planes, 'mask')}: {planes}."] if planes else []),
            *(f"Left out: {reason}: {n}." for reason, n in self.left_out.items()),
            *self.remarks,
        ]

    def obstacle(self, options: ExportOptions) -> str:
        """Return why this cannot be written yet; "" if it can."""
        if not self.recordings:
            return "There is nothing to write yet: accept frames or structures first."
        if not self.frames:
            return "This format can store none of the recordings: choose another one."
        n = len(self.unreviewed)
        if not n or options.unreviewed:
            return ""
        return f"Nobody has reviewed the pixels of {count(n, 'recording')}: they may show names. Review them first."


def preview(
    project: Project, dataset_format: Format, options: ExportOptions, progress: Progress | None = None
) -> ExportPreview | None:
    """Count what an export would write; names of cases and recordings are assigned now, permanently.

    Args:
        project: Project with the annotations.
        dataset_format: Format of the export.
        options: Options of the export.
        progress: Called with recordings done and in all; False cancels.

    Returns:
        The preview; None if it was cancelled.

    Raises:
        DatasetError: The case key cannot be read or written.
        ProjectError: The project cannot be read.
    """
    selection, identities = Selection(project, include_edited=options.include_edited), Identities(project, options)
    split_of = {clip: side for clip, side in project.clip_splits().items() if side is not None}  # none has frames here
    structures: Counter[str] = Counter({key: 0 for key in project.schema.keys})
    splits: Counter[str] = Counter({"train": 0, "validation": 0, "test": 0})
    left_out = Counter(selection.left_out)
    recordings: list[PreviewedRecording] = []
    for record, frames in selection.frames:
        split, refused = split_of[record.id], _refused(project, dataset_format, record.id)
        recordings.append(PreviewedRecording(identities.of(record), split, len(frames), refused))
        if refused:
            left_out[refused] += len(frames)
        else:
            splits[split] += len(frames)
            planes = np.count_nonzero(selection.written(record.id)[frames], axis=0)
            structures.update({key: int(n) for key, n in zip(project.schema.keys, planes, strict=True)})
        if progress is not None and progress(len(recordings), len(selection.frames)) is False:
            return None
    contents = (*dataset_format.contents, EVENTS, DOCUMENTS)
    remarks = dataset_format.remarks(splits) if splits.total() else ()
    return ExportPreview(tuple(recordings), dict(structures), dict(splits), dict(left_out), contents, remarks)


def _refused(project: Project, dataset_format: Format, clip_id: str) -> str:
    if dataset_format.refuses is accepts_all:
        return ""
    try:
        with project.open_clip(clip_id) as clip:
            return dataset_format.refuses(clip)
    except ClipError:
        return "frames of clips that could not be opened"


def review_text(review: PixelReview | None) -> str:
    """Return who reviewed the pixels of a recording and what is hidden, for a person."""
    if review is None:
        return "not reviewed yet"
    n = len(review.redaction.boxes)
    boxes = count(n, "box", "boxes") if n else "nothing hidden"
    crop = ", cropped" if review.redaction.crop is not None else ""
    remark = f" ({review.text})" if review.text else ""
    return f"reviewed by {review.reviewer} on {review.time.astimezone():%d %b %Y}: {boxes}{crop}{remark}"
