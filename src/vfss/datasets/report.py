# SPDX-License-Identifier: Apache-2.0
"""Report of an export: what was written, what was left out, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class ExportReport:
    """What was written, what was left out, and why.

    Attributes:
        format: Name of the format.
        folder: Folder of the finished dataset; None if the export was stopped.
        partial: Folder of a stopped export, which can be resumed; None for a finished one.
        images: Frames written.
        structures: Planes written by structure key, including empty ones.
        patients: Patients among the frames written.
        splits: Frames written by split.
        resumed: Frames that an earlier, interrupted identical export had written already.
        left_out: Counts of what is not in the dataset, by reason; also in the dataset's manifest.
        lost: Counts of what the format could not keep of the frames written; also in the dataset's manifest.
        remarks: What a user of the dataset must know; also in the dataset's manifest and datasheet.
        problems: Messages about what could not be read. They name files, so they are not part of the dataset.
    """

    format: str
    folder: Path | None
    images: int
    structures: Mapping[str, int]
    patients: int
    splits: Mapping[str, int]
    partial: Path | None = None
    resumed: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)
    lost: Mapping[str, int] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def cancelled(self) -> bool:
        """True if the export was stopped before its end."""
        return self.folder is None

    @property
    def planes(self) -> int:
        """Planes written, over all structures."""
        return sum(self.structures.values())

    def lines(self) -> list[str]:
        """Return the report in sentences for a person."""
        if self.cancelled:
            return [
                f"Stopped after {self.images} frames: there is no dataset yet. Export to the same folder again to "
                f"continue, or delete {self.partial}."
            ]
        by_split = ", ".join(f"{name} {count}" for name, count in self.splits.items() if count)
        counts = f"{self.images} frames with {self.planes} planes, patients: {self.patients} (frames: {by_split})"
        resumed = [f"{self.resumed} of them were written by an earlier, interrupted export."] if self.resumed else []
        return [
            f"Wrote {counts} to {self.folder}.",
            *resumed,
            *(f"Left out: {reason}: {count}." for reason, count in self.left_out.items()),
            *(f"The format cannot keep: {what}: {count}." for what, count in self.lost.items()),
            *self.remarks,
            *(f"Not readable: {problem}" for problem in self.problems),
        ]
