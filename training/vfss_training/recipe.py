# SPDX-License-Identifier: Apache-2.0
"""Recipe: how a student is trained, as data that is checked when it is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import yaml

from vfss.errors import TrainingError
from vfss.student.config import StudentConfig
from vfss_training.augment import Augmentation


@dataclass(frozen=True)
class Stage:
    """A stretch of the schedule at one input size.

    Attributes:
        until: Share of all steps, 0..1, at which it ends.
        size: Side of the network's input, px, a multiple of 32.
    """

    until: float
    size: int


@dataclass(frozen=True)
class Recipe:
    """How a student is trained.

    Attributes:
        name: What to call it.
        student: Architecture, where it is trained from scratch.
        seed: Of weights, order and augmentation.
        style: Style of the phantom frames.
        first_seed: Seed of the first phantom frame.
        phantom_frames: Phantom frames, each rendered once and met again in every round with other augmentation.
        validation_first_seed: Seed of the first phantom frame to validate on.
        validation_frames: Phantom frames to validate on while training.
        steps: Optimiser steps.
        batch: Samples per step.
        replay: Share of a batch that is phantom frames where there is a project to learn from.
        stages: Input sizes over the schedule; empty: the student's own size throughout.
        learning_rate: Peak of the schedule.
        warm_up: Share of the steps in which the rate rises.
        weight_decay: Of AdamW.
        clip_norm: Bound of the gradient's norm.
        average: Decay of the moving average of weights, which is what is kept.
        loss_stride: Input pixels per pixel of the loss, 4 (as logits come) or 2.
        augmentation: How far samples are changed.
        frozen_blocks: First blocks of the backbone that keep their weights (and stem, where more than 0).
        frozen_depthwise: Depthwise kernels of at least this size keep their weights: on a CPU their gradient costs more
            than all the rest; 0: none.
        frozen_norm: Batch normalisation keeps its statistics, as few frames would spoil them.
    """

    name: str = "default"
    student: StudentConfig = field(default_factory=StudentConfig)
    seed: int = 0
    style: str = "standard"
    first_seed: int = 0
    phantom_frames: int = 4000
    validation_first_seed: int = 90_000
    validation_frames: int = 96
    steps: int = 2000
    batch: int = 16
    replay: float = 0.5
    stages: tuple[Stage, ...] = ()
    learning_rate: float = 1e-3
    warm_up: float = 0.05
    weight_decay: float = 0.02
    clip_norm: float = 1.0
    average: float = 0.998
    loss_stride: int = 4
    augmentation: Augmentation = field(default_factory=Augmentation)
    frozen_blocks: int = 0
    frozen_depthwise: int = 0
    frozen_norm: bool = False

    def __post_init__(self) -> None:
        if min(self.steps, self.batch) < 1:
            raise TrainingError(f"recipe {self.name!r} has {self.steps} steps of {self.batch} samples")
        if self.loss_stride not in (2, 4):
            raise TrainingError(f"loss stride {self.loss_stride} of recipe {self.name!r} is neither 2 nor 4")
        ends = [stage.until for stage in self.stages]
        if ends and (ends != sorted(set(ends)) or ends[-1] != 1.0):
            raise TrainingError(f"stages of recipe {self.name!r} end at {ends}", remedy="Let them rise to 1.0.")
        largest = self.student.input_size
        if any(stage.size % 32 or not 32 <= stage.size <= largest for stage in self.stages):
            raise TrainingError(f"a stage of recipe {self.name!r} has a size that is no multiple of 32 up to {largest}")

    def size_at(self, step: int) -> int:
        """Side of the input at a step, px."""
        done = (step + 0.5) / self.steps
        return next((stage.size for stage in self.stages if done <= stage.until), self.student.input_size)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for YAML and JSON."""
        return asdict(self)

    def but(self, **changes: Any) -> Recipe:
        """The recipe with other values in some fields."""
        return replace(self, **changes)


QUICK = Recipe(
    name="quick",
    phantom_frames=256,
    first_seed=60_000,
    validation_frames=0,
    steps=240,
    batch=12,
    learning_rate=3e-4,
    warm_up=0.1,
    average=0.97,
    augmentation=Augmentation(invert=0.2, warp=0.5, crop=0.1, grey=0.3, field=0.1, blur=0.1, noise=4.0),
    frozen_blocks=2,
    frozen_depthwise=5,
    frozen_norm=True,
)
"""Minutes on two cores: what Retrain does by default."""


def load_recipe(path: str | Path) -> Recipe:
    """Recipe of a YAML file; what it does not name keeps the default.

    Raises:
        TrainingError: No such file, not YAML, or a field that does not exist or has a wrong type.
    """
    try:
        data = yaml.safe_load(Path(path).read_text("utf-8"))
    except OSError as error:
        raise TrainingError(f"cannot read the recipe ({error})", path=path) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise TrainingError(f"not readable as YAML ({error})", path=path) from error
    if not isinstance(data, Mapping):
        raise TrainingError("the recipe is not a mapping", path=path, remedy="See training/recipes/default.yaml.")
    values = dict(data)
    try:
        if "student" in values:
            values["student"] = StudentConfig(**values["student"])
        if "augmentation" in values:
            values["augmentation"] = Augmentation(**values["augmentation"])
        if "stages" in values:
            values["stages"] = tuple(Stage(float(row["until"]), int(row["size"])) for row in values["stages"])
    except (TypeError, KeyError, ValueError) as error:
        raise TrainingError(f"the recipe is malformed ({error})", path=path) from error
    return Recipe(**_checked(values, path))


def _checked(values: dict[str, Any], path: str | Path) -> dict[str, Any]:
    """Values that are fields of a recipe, each of the type of its default."""
    default = Recipe()
    unknown = sorted(set(values) - {entry.name for entry in fields(Recipe)})
    if unknown:
        raise TrainingError(f"the recipe has unknown fields: {', '.join(unknown)}", path=path)
    for name, value in values.items():
        kind = type(getattr(default, name))
        accepted = (int, float) if kind is float else (kind,)
        if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
            raise TrainingError(f"{name} of the recipe is {value!r}, not {kind.__name__}", path=path)
    return values
