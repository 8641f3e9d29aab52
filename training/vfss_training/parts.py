# SPDX-License-Identifier: Apache-2.0
"""Parts of a recipe: stages, held-out styles, the student to go on from, distillation."""

from __future__ import annotations

from dataclasses import dataclass, replace

from vfss.errors import TrainingError
from vfss.student.config import StudentConfig


@dataclass(frozen=True)
class Stage:
    """A stretch of the schedule at one input size.

    Attributes:
        until: Share of all steps, 0..1, at which it ends.
        size: Side of the network's input, px, a multiple of 32.
    """

    until: float = 1.0
    size: int = 320


@dataclass(frozen=True)
class HeldOut:
    """Phantom frames of one style to validate on.

    Attributes:
        weight: What its mean Dice counts for in the choice of the step that is kept; 0: it is only told.
        first_seed: Seed of the first frame.
        frames: Number of frames.
    """

    weight: float = 1.0
    first_seed: int = 90_000
    frames: int = 96

    def __post_init__(self) -> None:
        if self.weight < 0 or self.frames < 1 or self.first_seed < 0:
            raise TrainingError(
                f"a held-out style has weight {self.weight}, first seed {self.first_seed} and {self.frames} frames"
            )


@dataclass(frozen=True)
class Start:
    """The student that training goes on from.

    Attributes:
        student: File, or "default"; empty: from scratch. A relative one counts from the recipe's folder.
        sha256: Hash that the file must have; empty: any.
        input_size: Side of the new student's input, px; 0: that of the old one.
        crop_to_field: The new student looks at the exposed field alone, even where the old one did not.
        fine_width: Channels of the new student's decoder at stride 8; 0: as the old one. Where it differs, the finer
            levels of the decoder begin at random.
        detail: The new student has detail layers, even where the old one had none.
    """

    student: str = ""
    sha256: str = ""
    input_size: int = 0
    crop_to_field: bool = False
    fine_width: int = 0
    detail: bool = False

    def grown(self, config: StudentConfig) -> StudentConfig:
        """The new student's config from the old one's."""
        return replace(
            config,
            input_size=self.input_size or config.input_size,
            crop_to_field=self.crop_to_field or config.crop_to_field,
            fine_width=self.fine_width or config.fine_width,
            detail=self.detail or config.detail,
        )


@dataclass(frozen=True)
class Distillation:
    """Features of a teacher that the student's embedding is drawn to, on phantom frames.

    Attributes:
        teacher: Its name in vfss_training.teachers.TEACHERS; empty: none.
        weight: Of its loss beside that of the masks, at the beginning.
        final_weight: The same at the end; between them it changes evenly.
        frames: Phantom frames with targets, the first of the training frames; they stay on disk.
        share: Share of those frames' views that keep their place in the picture, which the targets need, and learn
            from the teacher; the others are turned and mirrored as usual.
        pool: Cells of the teacher's grid per target along each axis: 2 makes a quarter of the bytes, and what is left
            is still finer than the student's own grid.
    """

    teacher: str = ""
    weight: float = 0.5
    final_weight: float = 0.05
    frames: int = 1000
    share: float = 0.5
    pool: int = 1

    def __post_init__(self) -> None:
        if min(self.weight, self.final_weight) < 0 or not 0 < self.share <= 1 or self.frames < 1:
            raise TrainingError(f"distillation of {self.frames} frames, share {self.share}, weight {self.weight}")
        if self.pool not in (1, 2, 4):
            raise TrainingError(f"distillation pools {self.pool} cells", remedy="Pool 1, 2 or 4.")

    def weight_at(self, progress: float) -> float:
        """Weight after that share of the schedule, 0..1."""
        return self.weight + (self.final_weight - self.weight) * min(max(progress, 0.0), 1.0)
