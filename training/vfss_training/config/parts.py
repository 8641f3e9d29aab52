# SPDX-License-Identifier: Apache-2.0
"""Parts of a recipe: stages, held-out styles, the student to go on from, distillation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from vfss.errors import TrainingError
from vfss.student.config import StudentConfig
from vfss_training.losses.features import FEATURE_LOSSES, PROJECTORS
from vfss_training.teachers.standardise import STANDARDS

_LAST_RATE = 0.1


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
    """Features of teachers that the student's embedding is drawn to, on phantom frames.

    Attributes:
        teachers: Their names in vfss_training.teachers.table; empty: none.
        loss: How features are compared, one of FEATURE_LOSSES.
        relation: Weight, beside that, of which cells of a frame resemble which.
        standard: How a teacher's features are put on a common scale, one of STANDARDS.
        projector: From the student's embedding to a teacher's channels: "linear", or "mlp" with one hidden layer.
        weight: Of the teachers' loss beside that of the masks, at the beginning.
        final_weight: The same at the end; between them it changes evenly.
        features_only: Share of the schedule, from its beginning, in which only features are learnt.
        labels_only: Share of the schedule, at its end, in which only masks are learnt, at a tenth of the rate.
        frames: Phantom frames with targets, the first of the training frames; they stay on disk.
        views: Views of each of those frames that teachers see: one as it is, the others moved.
        share: Share of the draws of those frames that show one of those views and learn from teachers; the others are
            moved as they come.
        pool: Cells of a teacher's grid per target along each axis: 2 makes a quarter of the bytes, and what is left
            is still finer than the student's own grid.
        online: Teachers look at every batch as the student is shown it, instead of at views that are kept; wants a GPU.
        mask_weight: Of the loss of masks that teachers painted, beside that of labels.
    """

    teachers: tuple[str, ...] = ()
    loss: str = "unic"
    relation: float = 0.0
    standard: str = "channel"
    projector: str = "linear"
    weight: float = 0.5
    final_weight: float = 0.05
    features_only: float = 0.0
    labels_only: float = 0.0
    frames: int = 1000
    views: int = 1
    share: float = 0.5
    pool: int = 1
    online: bool = False
    mask_weight: float = 1.0

    def __post_init__(self) -> None:
        weights = (self.weight, self.final_weight, self.relation, self.mask_weight)
        if min(weights) < 0 or not 0 < self.share <= 1:
            raise TrainingError(f"distillation of share {self.share} and weights {', '.join(map(str, weights))}")
        if min(self.frames, self.views) < 1 or self.pool not in (1, 2, 4):
            raise TrainingError(
                f"distillation on {self.views} views of {self.frames} frames, {self.pool} cells pooled",
                remedy="At least one of each; pool 1, 2 or 4.",
            )
        if min(self.features_only, self.labels_only) < 0 or self.features_only + self.labels_only >= 1:
            raise TrainingError(f"stages of {self.features_only} and {self.labels_only} leave nothing between them")
        if len(set(self.teachers)) < len(self.teachers):
            raise TrainingError(f"a teacher is named twice in {', '.join(self.teachers)}")
        choices: dict[str, Mapping[str, object]] = {
            "loss": FEATURE_LOSSES,
            "standard": STANDARDS,
            "projector": PROJECTORS,
        }
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise TrainingError(
                    f"no {name} {getattr(self, name)!r} in distillation", remedy=f"Choose one of: {', '.join(known)}."
                )

    @property
    def compares(self) -> bool:
        """Whether features are compared at all; else teachers only paint."""
        return bool(self.teachers) and max(self.weight, self.final_weight) > 0

    def weight_at(self, progress: float) -> float:
        """Weight of the teachers' loss after that share of the schedule, 0..1."""
        if self.is_last_stage(progress):
            return 0.0
        return self.weight + (self.final_weight - self.weight) * min(max(progress, 0.0), 1.0)

    def is_last_stage(self, progress: float) -> bool:
        """Whether only labels are learnt after that share of the schedule."""
        return self.labels_only > 0 and progress >= 1.0 - self.labels_only

    def rate_at(self, progress: float) -> float:
        """What the learning rate is multiplied by after that share of the schedule."""
        return _LAST_RATE if self.is_last_stage(progress) else 1.0

    def learns_masks(self, progress: float) -> bool:
        """Whether masks are learnt after that share of the schedule."""
        return not self.teachers or progress >= self.features_only


@dataclass(frozen=True)
class SelfTeaching:
    """Students that learn the labels first and then paint, together, what nobody has painted, for the student to learn.

    Attributes:
        students: How many; 0: none.
        backbone: Of theirs; empty: the student's.
        input_size: Of theirs, px; 0: the student's.
        steps: Of their training; 0: as many as the student's.
    """

    students: int = 0
    backbone: str = ""
    input_size: int = 0
    steps: int = 0

    def __post_init__(self) -> None:
        if min(self.students, self.input_size, self.steps) < 0:
            raise TrainingError(f"{self.students} students of {self.steps} steps and {self.input_size} px teach")


@dataclass(frozen=True)
class Adaptation:
    """Teachers that learn the labels first, and then paint what nobody has painted, for the student to learn.

    Attributes:
        steps: Of their training; 0: teachers paint nothing.
        rank: Of the corrections inside their attention (8 to 16 where there is a GPU); 0: their features stay as they
            are, and only a head on them learns, which costs next to nothing where targets are kept.
        width: Channels of that head.
        batch: Frames per step.
        learning_rate: Peak of the schedule.
    """

    steps: int = 0
    rank: int = 0
    width: int = 64
    batch: int = 8
    learning_rate: float = 2e-3

    def __post_init__(self) -> None:
        if min(self.steps, self.rank) < 0 or min(self.width, self.batch) < 1 or self.learning_rate <= 0:
            raise TrainingError(
                f"teachers adapt with rank {self.rank}, width {self.width}, rate {self.learning_rate} in {self.steps} "
                f"steps of {self.batch} frames"
            )


@dataclass(frozen=True)
class Clicks:
    """How the corrector, where the student has one, is taught to take prompts once the rest is trained.

    Attributes:
        steps: Optimiser steps; 0: it stays as it is.
        batch: Frames per step, one structure of each.
        learning_rate: Peak of the schedule.
        average: Decay of the moving average of weights, which is what is kept.
        boxes: Share of the prompts with a box.
    """

    steps: int = 0
    batch: int = 8
    learning_rate: float = 1e-3
    average: float = 0.99
    boxes: float = 0.15

    def __post_init__(self) -> None:
        if self.steps < 0 or self.batch < 1 or self.learning_rate <= 0:
            raise TrainingError(
                f"prompts are learnt in {self.steps} steps of {self.batch} frames at a rate of {self.learning_rate}"
            )
        if not (0 <= self.average < 1 and 0 <= self.boxes <= 1):
            raise TrainingError(f"prompts are learnt with average {self.average} and a share of boxes of {self.boxes}")
