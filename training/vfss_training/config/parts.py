# SPDX-License-Identifier: Apache-2.0
"""Parts of a recipe: stages, held-out styles, starting student, distillation, pseudo-labels, prompts."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from vfss.landmarks import LANDMARKS
from vfss.student.config import LARGEST_INPUT, StudentConfig, is_backbone_name
from vfss_training.losses.features import FEATURE_LOSSES, PROJECTORS
from vfss_training.recipe_part import (
    AtLeastOne,
    Count,
    NotNegative,
    Positive,
    Share,
    ShareAboveZero,
    ShareBelowOne,
    one_of,
    recipe_part,
)
from vfss_training.teachers.standardise import STANDARDS
from vfss_training.teachers.table import TEACHERS

_LAST_STAGE_RATE = 0.1


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse a teacher that is named twice."""
    if len(set(names)) < len(names):
        raise ValueError(f"a teacher is named twice in {', '.join(names)}")
    return names


def listed_backbone(name: str) -> str:
    """Refuse a backbone that timm does not list; "" stands for another part's."""
    import timm

    if name and not (is_backbone_name(name) and timm.is_model(name)):
        raise ValueError(f"{name!r} is not the name of a model that timm lists")
    return name


@recipe_part
class Stage:
    """A stretch of the schedule at one input size.

    Attributes:
        until: Share of all steps, 0..1, at which it ends.
        size: Side of the network's input, px, a multiple of 32.
    """

    until: ShareAboveZero = 1.0
    size: Annotated[int, Field(ge=32, le=LARGEST_INPUT, multiple_of=32)] = 320


@recipe_part
class HeldOut:
    """Phantom frames of one style to validate on.

    Attributes:
        weight: Weight of its mean Dice in the choice of the step that is kept; 0: it is only reported.
        first_seed: Seed of the first frame.
        frames: Number of frames.
    """

    weight: NotNegative = 1.0
    first_seed: Count = 90_000
    frames: AtLeastOne = 96


@recipe_part
class Start:
    """The student that training starts from.

    Attributes:
        student: File, or "default"; empty: from scratch. A relative path is relative to the recipe's folder.
        sha256: Hash that the file must have; empty: any.
        input_size: Side of the new student's input, px; 0: that of the starting student.
        crop_to_field: The new student crops frames to the exposed field, even if the starting student does not.
        fine_width: Channels of the new student's decoder at stride 8; 0: those of the starting student. If it differs,
            the finer levels of the decoder start from random weights.
        detail: The new student has detail layers, even if the starting student has none.
        landmarks: Number of landmarks that the new student finds, if the starting student finds fewer.
    """

    student: str = ""
    sha256: str = ""
    input_size: Count = 0
    crop_to_field: bool = False
    fine_width: Count = 0
    detail: bool = False
    landmarks: Annotated[int, Field(ge=0, le=len(LANDMARKS))] = 0

    def grown(self, config: StudentConfig) -> StudentConfig:
        """Return the new student's config, from that of the starting student."""
        return replace(
            config,
            input_size=self.input_size or config.input_size,
            crop_to_field=self.crop_to_field or config.crop_to_field,
            fine_width=self.fine_width or config.fine_width,
            detail=self.detail or config.detail,
            landmarks=max(self.landmarks, config.landmarks),
        )


@recipe_part
class Distillation:
    """Distillation: the student's embedding is trained towards the features of teachers.

    Attributes:
        teachers: Names from vfss_training.teachers.table; empty: none.
        loss: Feature loss, one of FEATURE_LOSSES.
        relation: Weight, in addition, of the similarities between the cells of a frame.
        standard: How a teacher's features are scaled, one of STANDARDS.
        projector: From the student's embedding to a teacher's channels: "linear", or "mlp" with one hidden layer.
        weight: Weight of the feature loss against that of the masks, at the start.
        final_weight: The same at the end; it changes linearly in between.
        features_only: Share of the schedule, from its start, in which only features are trained.
        labels_only: Share of the schedule, at its end, in which only labels are trained, at a tenth of the rate.
        frames: Phantom frames with targets, the first of the training frames; the targets stay on disk.
        views: Views of each of those frames that teachers see: one as it is, the others augmented.
        share: Share of the draws of those frames that show one of those views and have teachers' targets; the others
            are augmented freely.
        pool: Cells of a teacher's grid per target along each axis: 2 makes a quarter of the bytes, and what is left
            is still finer than the student's own grid.
        online: Teachers run on every batch as the student sees it, instead of on views cached before; needs a GPU.
        mask_weight: Weight of the loss of pseudo-labels against that of labels.
    """

    teachers: Annotated[tuple[Annotated[str, one_of(TEACHERS)], ...], AfterValidator(_distinct)] = ()
    loss: Annotated[str, one_of(FEATURE_LOSSES)] = "unic"
    relation: NotNegative = 0.0
    standard: Annotated[str, one_of(STANDARDS)] = "channel"
    projector: Annotated[str, one_of(PROJECTORS)] = "linear"
    weight: NotNegative = 0.5
    final_weight: NotNegative = 0.05
    features_only: Share = 0.0
    labels_only: Share = 0.0
    frames: AtLeastOne = 1000
    views: AtLeastOne = 1
    share: ShareAboveZero = 0.5
    pool: Literal[1, 2, 4] = 1
    online: bool = False
    mask_weight: NotNegative = 1.0

    @model_validator(mode="after")
    def _stages_leave_something_between_them(self) -> Self:
        if self.features_only + self.labels_only >= 1:
            raise ValueError(
                f"features_only {self.features_only} and labels_only {self.labels_only} must add up to less than 1"
            )
        return self

    @property
    def compares_features(self) -> bool:
        """Whether there is a feature loss; if not, teachers only make pseudo-labels."""
        return bool(self.teachers) and max(self.weight, self.final_weight) > 0

    def weight_at(self, progress: float) -> float:
        """Return the weight of the feature loss after a share of the schedule, 0..1."""
        if self.is_last_stage(progress):
            return 0.0
        return self.weight + (self.final_weight - self.weight) * min(max(progress, 0.0), 1.0)

    def is_last_stage(self, progress: float) -> bool:
        """Return whether only labels are trained after that share of the schedule."""
        return self.labels_only > 0 and progress >= 1.0 - self.labels_only

    def rate_at(self, progress: float) -> float:
        """Return the factor of the learning rate after that share of the schedule."""
        return _LAST_STAGE_RATE if self.is_last_stage(progress) else 1.0

    def learns_masks(self, progress: float) -> bool:
        """Return whether masks are trained after that share of the schedule."""
        return not self.teachers or progress >= self.features_only


@recipe_part
class SelfTeaching:
    """Extra students: trained on the labelled frames first, they pseudo-label the unlabelled ones together.

    Attributes:
        students: Number of them; 0: none.
        backbone: Their backbone; empty: the student's.
        input_size: Their input size, px; 0: the student's.
        steps: Their optimiser steps; 0: as many as the student's.
    """

    students: Annotated[int, Field(ge=0, le=64)] = 0
    backbone: Annotated[str, AfterValidator(listed_backbone)] = ""
    input_size: Annotated[int, Field(ge=0, le=LARGEST_INPUT, multiple_of=32)] = 0
    steps: Count = 0


@recipe_part
class Adaptation:
    """Adapted teachers: trained on the labelled frames first, they pseudo-label the unlabelled ones.

    Attributes:
        steps: Optimiser steps of each; 0: teachers make no pseudo-labels.
        rank: Rank of the low-rank corrections of their attention (8 to 16 with a GPU); 0: their features stay as they
            are and only a head on them is trained, which costs next to nothing where targets are cached.
        width: Channels of that head.
        batch: Frames per step.
        learning_rate: Peak of the schedule.
    """

    steps: Count = 0
    rank: Count = 0
    width: AtLeastOne = 64
    batch: AtLeastOne = 8
    learning_rate: Positive = 2e-3


@recipe_part
class Clicks:
    """Prompt training: the corrector, if the student has one, is trained after everything else.

    Attributes:
        steps: Optimiser steps; 0: the corrector stays as it is.
        batch: Frames per step, one structure of each.
        learning_rate: Peak of the schedule.
        average: Decay of the moving average of weights, which is what is kept.
        boxes: Share of the prompts with a box.
    """

    steps: Count = 0
    batch: AtLeastOne = 8
    learning_rate: Positive = 1e-3
    average: ShareBelowOne = 0.99
    boxes: Share = 0.15
