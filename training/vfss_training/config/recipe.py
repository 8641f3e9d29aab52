# SPDX-License-Identifier: Apache-2.0
"""Recipe: how a student is trained, as data that is checked when it is read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, field, is_dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, TypeAdapter, ValidationError, ValidatorFunctionWrapHandler, WrapValidator, model_validator

from vfss.errors import StudentError, TrainingError
from vfss.phantom import MESH_STYLES, STYLES
from vfss.plain_data import read_yaml
from vfss.student.config import StudentConfig
from vfss_training.config.parts import (
    Adaptation,
    Clicks,
    Distillation,
    HeldOut,
    SelfTeaching,
    Stage,
    Start,
    listed_backbone,
)
from vfss_training.data.appearance import Appearance
from vfss_training.data.appearance_by_structure import AppearanceByStructure
from vfss_training.data.augment import Augmentation, TeacherViews
from vfss_training.data.phantoms import MOST_FRAMES
from vfss_training.losses.balancing import Balancing
from vfss_training.recipe_part import (
    AtLeastOne,
    Count,
    NotNegative,
    Positive,
    Share,
    ShareAboveZero,
    ShareBelowOne,
    one_of,
    recipe_error,
    recipe_part,
)


def _student_config(values: Any, check: ValidatorFunctionWrapHandler) -> StudentConfig:
    """Report what StudentConfig refuses along with the other errors of a recipe."""
    try:
        config: StudentConfig = check(values)
    except StudentError as error:
        raise ValueError(error.what) from error
    listed_backbone(config.backbone)
    return config


_Style = Annotated[str, one_of(STYLES | MESH_STYLES)]


@recipe_part
class Recipe:
    """How a student is trained.

    Attributes:
        name: Name of the recipe.
        student: Architecture, if training starts from scratch.
        start: Student to start from.
        seed: Seed of weights, order and augmentation.
        styles: Weight of each style of the phantom in training.
        first_seed: Seed of the first phantom frame.
        phantom_frames: Number of phantom frames; each is seen once per epoch, each time with other augmentation. With
            steps x batch of them none is seen twice.
        frames_per_clip: Phantom frames of one clip, and so of one person, spread over its time: at three a frame costs
            half as much to render, and there are a third as many persons.
        kept_gb: Most that cached phantom frames may take up on disk, 1e9 bytes; the others are rendered each time.
        held_out: Phantom frames to validate on, by style. The step that is kept is the best on them, if any of them
            has a weight; else the last.
        validate_steps: Steps between validations; 0: by time.
        steps: Optimiser steps.
        batch: Samples per step.
        replay: Share of the labelled part of a batch that is phantom frames, when training on a project.
        film: Share of a batch that is unlabelled frames, where teachers have targets for them.
        stages: Input sizes over the schedule; empty: the student's own size throughout.
        learning_rate: Peak of the schedule.
        warm_up: Share of the steps in which the rate rises.
        weight_decay: Weight decay of AdamW.
        clip_norm: Upper bound of the gradient's norm.
        average: Decay of the moving average of weights, which is what is kept.
        loss_stride: Input pixels per pixel of the loss, 4 (that of the logits) or 2.
        level_loss: Weight of telling the members of a chain (the vertebrae) apart where one of them is; 0: none.
        landmark_loss: Weight of the loss of landmarks, if the student finds any.
        hidden: Weight of phantom planes that are empty because the structure is hidden or outside the picture: little
            means that a guess costs little, 1 that it is to be learnt as absent.
        augmentation: Geometric and grey-value augmentation.
        appearance: Changes of how pictures look.
        by_structure: Changes of how single structures look.
        distill: Teachers whose features the student is trained towards.
        balance: How several teachers are balanced.
        self_teaching: Extra students that make pseudo-labels.
        adapt: How the teachers of `distill` are trained on the labels to make pseudo-labels.
        clicks: How the student is trained to take prompts at the end.
        mixup: Share of the freely augmented draws that are mixed with another frame (Zhang et al., arXiv 1710.09412).
        labels: Share of the phantom frames, the first ones, whose masks are known; the others are unlabelled.
        frozen_blocks: First blocks of the backbone that keep their weights (and the stem, if more than 0).
        frozen_depthwise: Depthwise kernels of at least this size keep their weights: on a CPU their gradient costs more
            than all the rest; 0: none.
        frozen_norm: Batch normalisation keeps its statistics, which few frames would spoil.
    """

    name: str = "default"
    student: Annotated[StudentConfig, WrapValidator(_student_config)] = field(default_factory=StudentConfig)
    start: Start = field(default_factory=Start)
    seed: Count = 0
    styles: Annotated[Mapping[_Style, Annotated[float, Field(gt=0)]], Field(min_length=1)] = field(
        default_factory=lambda: {"standard": 1.0}
    )
    first_seed: Count = 0
    phantom_frames: Count = 4000
    frames_per_clip: Annotated[int, Field(ge=1, le=MOST_FRAMES)] = 1
    kept_gb: NotNegative = 8.0
    held_out: Mapping[_Style, HeldOut] = field(default_factory=lambda: {"standard": HeldOut()})
    validate_steps: Count = 0
    steps: AtLeastOne = 2000
    batch: AtLeastOne = 16
    replay: Share = 0.5
    film: ShareBelowOne = 0.5
    stages: tuple[Stage, ...] = ()
    learning_rate: Positive = 1e-3
    warm_up: Share = 0.05
    weight_decay: NotNegative = 0.02
    clip_norm: Positive = 1.0
    average: ShareBelowOne = 0.998
    loss_stride: Literal[2, 4] = 4
    level_loss: NotNegative = 0.0
    landmark_loss: NotNegative = 0.05
    hidden: Share = 0.2
    augmentation: Augmentation = field(default_factory=Augmentation)
    appearance: Appearance = field(default_factory=Appearance)
    by_structure: AppearanceByStructure = field(default_factory=AppearanceByStructure)
    distill: Distillation = field(default_factory=Distillation)
    balance: Balancing = field(default_factory=Balancing)
    self_teaching: SelfTeaching = field(default_factory=SelfTeaching)
    adapt: Adaptation = field(default_factory=Adaptation)
    clicks: Clicks = field(default_factory=Clicks)
    mixup: Share = 0.0
    labels: ShareAboveZero = 1.0
    frozen_blocks: Count = 0
    frozen_depthwise: Count = 0
    frozen_norm: bool = False

    @model_validator(mode="after")
    def _stages_rise_to_the_end(self) -> Self:
        ends = [stage.until for stage in self.stages]
        if ends and (ends != sorted(set(ends)) or ends[-1] != 1.0):
            raise ValueError(f"stages end at {ends}, but `until` must rise from stage to stage up to 1.0")
        largest = self.start.input_size or self.student.input_size
        too_large = [stage.size for stage in self.stages if stage.size > largest]
        if too_large:
            raise ValueError(f"stages have sizes {too_large}, larger than the student's input size {largest}")
        return self

    @model_validator(mode="after")
    def _no_frame_is_trained_on_and_held_out(self) -> Self:
        trained = range(self.first_seed, self.first_seed - (-self.phantom_frames // self.frames_per_clip))
        for style, part in self.held_out.items():
            last = part.first_seed + part.frames - 1
            if style in self.styles and last >= trained.start and part.first_seed < trained.stop:
                raise ValueError(
                    f"held_out.{style} has seeds {part.first_seed} to {last}, but training on that style uses "
                    f"{trained.start} to {trained.stop - 1}: let held_out.{style}.first_seed lie behind these"
                )
        return self

    def size_at(self, step: int) -> int:
        """Return the side of the input at a step, px."""
        done = (step + 0.5) / self.steps
        own = self.start.input_size or self.student.input_size
        return next((stage.size for stage in self.stages if done <= stage.until), own)

    @property
    def pseudo_labels(self) -> bool:
        """Whether teachers, or extra students, make pseudo-labels for the unlabelled frames."""
        return self.self_teaching.students > 0 or (self.adapt.steps > 0 and bool(self.distill.teachers))

    @property
    def teacher_views(self) -> TeacherViews:
        """Views of the frames that teachers see."""
        return TeacherViews(self.augmentation, self.seed, self.distill.views)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for YAML and JSON."""
        return asdict(self)

    def but(self, **changes: Any) -> Recipe:
        """Return the recipe with other values in some fields."""
        return replace(self, **changes)


_RECIPE = TypeAdapter(Recipe)
_PARTS = frozenset(name for name, value in vars(Recipe()).items() if is_dataclass(value))
_SHIPPED = Path(__file__).parents[1] / "recipes"


def load_recipe(path: str | Path, over: str | Path | None = None) -> Recipe:
    """Read a recipe from a YAML file; fields that are missing there take their defaults.

    Args:
        path: The file, or the name of a recipe that ships.
        over: Another file, whose fields replace those of the recipe; of a part only those that it names, and only if
            the recipe has that part.

    Raises:
        TrainingError: No such file, not YAML, or a field that is unknown, of a wrong type or out of its bounds.
    """
    path = _recipe_path(path)
    values = _read(path)
    for name, value in ({} if over is None else _read(over)).items():
        if name not in _PARTS:
            values[name] = value
        elif isinstance(value, Mapping) and isinstance(values.get(name), Mapping):
            values[name] = {**values[name], **value}
    recipe = _checked(values, path)
    start = recipe.start
    if start.student and start.student != "default":
        start = replace(start, student=str(Path(path).parent / start.student))
    return replace(recipe, start=start)


def shipped_recipes() -> list[str]:
    """Return the names of the recipes that ship."""
    return sorted(path.stem for path in _SHIPPED.rglob("*.yaml"))


def _recipe_path(path: str | Path) -> Path:
    """Return the file; a bare name stands for a recipe that ships, unless there is a file of that name."""
    if Path(path).exists() or Path(path).name != str(path) or Path(path).suffix:
        return Path(path)
    shipped = next((file for file in _SHIPPED.rglob("*.yaml") if file.stem == str(path)), None)
    if shipped is None:
        raise TrainingError(
            f"there is no recipe {str(path)!r}", remedy=f"Name a YAML file, or one of: {', '.join(shipped_recipes())}."
        )
    return shipped


def _read(path: str | Path) -> dict[Any, Any]:
    """Read the mapping in a YAML file."""
    try:
        data = read_yaml(Path(path))
    except OSError as error:
        raise TrainingError(
            f"cannot read the recipe ({error.strerror or error})", path=path, remedy="Check the path."
        ) from error
    except ValueError as error:
        raise TrainingError(
            f"not readable as YAML ({error})", path=path, remedy="See training/recipes/default.yaml."
        ) from error
    if not isinstance(data, Mapping):
        raise TrainingError("the recipe is not a mapping", path=path, remedy="See training/recipes/default.yaml.")
    return dict(data)


def _checked(values: Mapping[Any, Any], path: Path) -> Recipe:
    """Return the recipe of plain values.

    They go through JSON because pydantic's strict mode accepts mappings for parts and lists for tuples only from there.
    """
    try:
        return _RECIPE.validate_json(json.dumps(values))
    except TypeError as error:  # YAML has dates and sets
        raise TrainingError(
            f"the recipe holds a value that is no number, text, list or mapping ({error})",
            path=path,
            remedy="Put dates in quotes.",
        ) from error
    except ValidationError as error:
        raise recipe_error(error, path=path) from error
