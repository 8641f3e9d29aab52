# SPDX-License-Identifier: Apache-2.0
"""What an export promises, and what it says of itself afterwards."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from vfss.project import Project

Progress = Callable[[int, int], bool]
"""Called with frames done and frames in all; False cancels."""


@dataclass(frozen=True)
class ExportReport:
    """What was written, what was left out, and why.

    Attributes:
        format: Name of the format.
        folder: The finished dataset; None where the export was cancelled, then nothing is left on disk.
        images: Frames written.
        structures: Planes written by structure key, planes that a person called empty among them.
        patients: Patients among the frames written.
        splits: Frames written by split.
        left_out: Reason to count; stands in the dataset too.
        problems: Messages on what could not be read. They name files, so they stay out of the dataset.
    """

    format: str
    folder: Path | None
    images: int
    structures: Mapping[str, int]
    patients: int
    splits: Mapping[str, int]
    left_out: Mapping[str, int] = field(default_factory=dict)
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
            return ["Cancelled: nothing was written."]
        by_split = ", ".join(f"{name} {count}" for name, count in self.splits.items() if count)
        counts = f"{self.images} frames with {self.planes} planes, patients: {self.patients} (frames: {by_split})"
        return [
            f"Wrote {counts} to {self.folder}.",
            *(f"Left out: {reason}: {count}." for reason, count in self.left_out.items()),
            *(f"Not readable: {problem}" for problem in self.problems),
        ]


class Format(Protocol):
    """One way of writing a project's annotations for other programs."""

    @property
    def title(self) -> str:
        """Name for a menu."""

    def export(
        self, project: Project, folder: Path, *, progress: Progress | None = None, include_edited: bool = False
    ) -> ExportReport:
        """Write the frames that have at least one accepted (or empty) structure into a new folder, whole or not at all.

        Args:
            project: Where the annotations are.
            folder: The dataset to make; it must not exist, or be empty.
            progress: Called after every frame; False cancels, and leaves nothing behind.
            include_edited: Take planes too that a person corrected but did not accept.

        Raises:
            DatasetError: The folder is taken, there is nothing to export, or writing failed.
            ProjectError: The project cannot be read.
        """
