# SPDX-License-Identifier: Apache-2.0
"""What may be asked of an export, and what it says of itself afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class ExportOptions:
    """What an export is asked to do.

    Attributes:
        include_edited: Take planes too that a person corrected but did not accept.
        overlaps: For formats with one label a pixel: "priority" gives it to the structure that comes first in
            `priority`, "regions" gives every combination that occurs a label of its own, and nothing is lost.
        priority: Keys of structures, the one that wins first; those not named follow in the schema's order, inner
            ones (bolus) before what they lie in (pharynx).
        unreviewed: Write recordings, too, at whose pixels nobody has looked; the dataset says so.
        name_authors: Name annotators as they are; else they stand behind pseudonyms, as patients do.
        key: The case key, outside of the export; None for the project's own.
        licence: Under which the dataset may be used, in the exporter's words, say "CC-BY-4.0"; "" where unsaid.
        name: What the dataset is called in formats that ask for a name.
    """

    include_edited: bool = False
    overlaps: str = "priority"
    priority: tuple[str, ...] = ()
    unreviewed: bool = False
    name_authors: bool = False
    key: Path | None = None
    licence: str = ""
    name: str = "VFSS"


@dataclass(frozen=True)
class ExportReport:
    """What was written, what was left out, and why.

    Attributes:
        format: Name of the format.
        folder: The finished dataset; None where the export was stopped.
        partial: Where a stopped export lies, to be gone on with; None for a finished one.
        images: Frames written.
        structures: Planes written by structure key, planes that a person called empty among them.
        patients: Patients among the frames written.
        splits: Frames written by split.
        taken_up: Frames that an earlier, interrupted export of the same had written already.
        left_out: Reason to count of what is not in the dataset; stands in the dataset too.
        lost: What the format could not keep of what was written, to count; stands in the dataset too.
        problems: Messages on what could not be read. They name files, so they stay out of the dataset.
    """

    format: str
    folder: Path | None
    images: int
    structures: Mapping[str, int]
    patients: int
    splits: Mapping[str, int]
    partial: Path | None = None
    taken_up: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)
    lost: Mapping[str, int] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    @property
    def cancelled(self) -> bool:
        """True where the export was stopped before its end."""
        return self.folder is None

    @property
    def planes(self) -> int:
        """Planes written, over all structures."""
        return sum(self.structures.values())

    def lines(self) -> list[str]:
        """The report in sentences for a person."""
        if self.cancelled:
            return [
                f"Stopped after {self.images} frames: there is no dataset. Export to the same folder again to go on, "
                f"or delete {self.partial}."
            ]
        by_split = ", ".join(f"{name} {count}" for name, count in self.splits.items() if count)
        counts = f"{self.images} frames with {self.planes} planes, patients: {self.patients} (frames: {by_split})"
        gone_on = [f"{self.taken_up} of them were there from an export that was interrupted."] if self.taken_up else []
        return [
            f"Wrote {counts} to {self.folder}.",
            *gone_on,
            *(f"Left out: {reason}: {count}." for reason, count in self.left_out.items()),
            *(f"The format cannot keep: {what}: {count}." for what, count in self.lost.items()),
            *(f"Not readable: {problem}" for problem in self.problems),
        ]
