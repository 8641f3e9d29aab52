# SPDX-License-Identifier: Apache-2.0
"""Recipe: how a student is trained, as data that is checked when it is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

import yaml

from vfss.errors import TrainingError
from vfss.phantom import STYLES
from vfss.student.config import StudentConfig
from vfss_training.config.parts import Adaptation, Clicks, Distillation, HeldOut, SelfTeaching, Stage, Start
from vfss_training.data.appearance import Appearance
from vfss_training.data.augment import Augmentation, TeacherViews
from vfss_training.losses.balancing import Balancing
from vfss_training.teachers.table import teacher_named

_Part = TypeVar("_Part")
_PARTS: dict[str, type] = {
    "student": StudentConfig,
    "augmentation": Augmentation,
    "appearance": Appearance,
    "start": Start,
    "distill": Distillation,
    "balance": Balancing,
    "self_teaching": SelfTeaching,
    "adapt": Adaptation,
    "clicks": Clicks,
}


@dataclass(frozen=True)
class Recipe:
    """How a student is trained.

    Attributes:
        name: What to call it.
        student: Architecture, where it is trained from scratch.
        start: Student to go on from.
        seed: Of weights, order and augmentation.
        styles: Weight of each style of the phantom in training.
        first_seed: Seed of the first phantom frame.
        phantom_frames: Phantom frames, each met once in every round, each time with other augmentation. As many as
            steps x batch: none is met twice.
        kept_gb: Most that phantom frames may take up on disk, 1e9 bytes; those beyond are rendered anew each time.
        held_out: Phantom frames to validate on, by style. The step that is kept is the best by them, where any of them
            has a weight; else the last.
        validate_steps: Steps between validations; 0: by time.
        steps: Optimiser steps.
        batch: Samples per step.
        replay: Share of the labelled part of a batch that is phantom frames, where there is a project to learn from.
        film: Share of a batch that is frames without labels, where teachers have something to say of them.
        stages: Input sizes over the schedule; empty: the student's own size throughout.
        learning_rate: Peak of the schedule.
        warm_up: Share of the steps in which the rate rises.
        weight_decay: Of AdamW.
        clip_norm: Bound of the gradient's norm.
        average: Decay of the moving average of weights, which is what is kept.
        loss_stride: Input pixels per pixel of the loss, 4 (as logits come) or 2.
        augmentation: How far samples are changed.
        appearance: How else pictures are made to look.
        distill: Teachers to learn features from.
        balance: How several teachers are balanced.
        self_teaching: Students that learn the labels first and paint the rest.
        adapt: How the teachers of distill learn the labels first and paint the rest.
        clicks: How the student learns to take prompts at the end.
        mixup: Share of the draws, of those that are moved as they come, that are mixed with another frame (Zhang et
            al., arXiv 1710.09412).
        labels: Share of the phantom frames, from the first on, whose masks are known; the others are film that nobody
            has painted.
        frozen_blocks: First blocks of the backbone that keep their weights (and stem, where more than 0).
        frozen_depthwise: Depthwise kernels of at least this size keep their weights: on a CPU their gradient costs more
            than all the rest; 0: none.
        frozen_norm: Batch normalisation keeps its statistics, as few frames would spoil them.
    """

    name: str = "default"
    student: StudentConfig = field(default_factory=StudentConfig)
    start: Start = field(default_factory=Start)
    seed: int = 0
    styles: Mapping[str, float] = field(default_factory=lambda: {"standard": 1.0})
    first_seed: int = 0
    phantom_frames: int = 4000
    kept_gb: float = 8.0
    held_out: Mapping[str, HeldOut] = field(default_factory=lambda: {"standard": HeldOut()})
    validate_steps: int = 0
    steps: int = 2000
    batch: int = 16
    replay: float = 0.5
    film: float = 0.5
    stages: tuple[Stage, ...] = ()
    learning_rate: float = 1e-3
    warm_up: float = 0.05
    weight_decay: float = 0.02
    clip_norm: float = 1.0
    average: float = 0.998
    loss_stride: int = 4
    augmentation: Augmentation = field(default_factory=Augmentation)
    appearance: Appearance = field(default_factory=Appearance)
    distill: Distillation = field(default_factory=Distillation)
    balance: Balancing = field(default_factory=Balancing)
    self_teaching: SelfTeaching = field(default_factory=SelfTeaching)
    adapt: Adaptation = field(default_factory=Adaptation)
    clicks: Clicks = field(default_factory=Clicks)
    mixup: float = 0.0
    labels: float = 1.0
    frozen_blocks: int = 0
    frozen_depthwise: int = 0
    frozen_norm: bool = False

    def __post_init__(self) -> None:
        if min(self.steps, self.batch) < 1 or min(self.validate_steps, self.kept_gb) < 0:
            raise TrainingError(
                f"recipe {self.name!r} has {self.steps} steps of {self.batch} samples, validates every "
                f"{self.validate_steps} and keeps {self.kept_gb} GB"
            )
        if not 0 < self.labels <= 1:
            raise TrainingError(f"recipe {self.name!r} has labels of a share of {self.labels} of its frames")
        if not (0 <= self.mixup <= 1 and 0 <= self.replay <= 1 and 0 <= self.film < 1):
            raise TrainingError(
                f"recipe {self.name!r} has shares of mixup {self.mixup}, replay {self.replay} and film {self.film}"
            )
        if self.loss_stride not in (2, 4):
            raise TrainingError(f"loss stride {self.loss_stride} of recipe {self.name!r} is neither 2 nor 4")
        ends = [stage.until for stage in self.stages]
        if ends and (ends != sorted(set(ends)) or ends[-1] != 1.0):
            raise TrainingError(f"stages of recipe {self.name!r} end at {ends}", remedy="Let them rise to 1.0.")
        largest = self.start.input_size or self.student.input_size
        if any(stage.size % 32 or not 32 <= stage.size <= largest for stage in self.stages):
            raise TrainingError(f"a stage of recipe {self.name!r} has a size that is no multiple of 32 up to {largest}")
        for name in self.distill.teachers:
            teacher_named(name)
        self._check_styles()

    def _check_styles(self) -> None:
        """Styles exist, and no frame is learnt that is held out."""
        unknown = sorted((set(self.styles) | set(self.held_out)) - set(STYLES))
        if unknown:
            raise TrainingError(
                f"recipe {self.name!r} names styles that the phantom does not have: {', '.join(unknown)}",
                remedy=f"Choose from: {', '.join(STYLES)}.",
            )
        if not self.styles or min(self.styles.values()) <= 0:
            raise TrainingError(f"styles of recipe {self.name!r} need weights above 0")
        learnt = range(self.first_seed, self.first_seed + self.phantom_frames)
        for style, part in self.held_out.items():
            last = part.first_seed + part.frames - 1
            if style in self.styles and last >= learnt.start and part.first_seed < learnt.stop:
                raise TrainingError(
                    f"recipe {self.name!r} learns frames of style {style!r} that it also validates on",
                    remedy="Let first_seed of the held-out frames lie behind the last one that is learnt.",
                )

    def size_at(self, step: int) -> int:
        """Side of the input at a step, px."""
        done = (step + 0.5) / self.steps
        own = self.start.input_size or self.student.input_size
        return next((stage.size for stage in self.stages if done <= stage.until), own)

    @property
    def paints(self) -> bool:
        """Whether teachers, or own students, paint what nobody has painted."""
        return self.self_teaching.students > 0 or (self.adapt.steps > 0 and bool(self.distill.teachers))

    @property
    def teacher_views(self) -> TeacherViews:
        """Views that teachers see."""
        return TeacherViews(self.augmentation, self.seed, self.distill.views)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for YAML and JSON."""
        return asdict(self)

    def but(self, **changes: Any) -> Recipe:
        """The recipe with other values in some fields."""
        return replace(self, **changes)


_SHIPPED = Path(__file__).parents[1] / "recipes"


def load_recipe(path: str | Path, over: str | Path | None = None) -> Recipe:
    """Recipe of a YAML file; what it does not name keeps the default.

    Args:
        path: The file, or the name of a recipe that ships.
        over: Another one, whose fields stand instead of the recipe's; of a part only those that it names, and only
            where the recipe has that part.

    Raises:
        TrainingError: No such file, not YAML, or a field that does not exist or has a wrong type.
    """
    path = _place(path)
    values = _read(path)
    for name, value in ({} if over is None else _read(over)).items():
        if name not in _PARTS:
            values[name] = value
        elif isinstance(value, Mapping) and isinstance(values.get(name), Mapping):
            values[name] = {**values[name], **value}
    return _recipe(values, path)


def shipped_recipes() -> list[str]:
    """Names of the recipes that ship."""
    return sorted(path.stem for path in _SHIPPED.glob("*.yaml"))


def _place(path: str | Path) -> Path:
    """The file, which a bare name stands for where there is none of that name."""
    if Path(path).exists() or Path(path).name != str(path) or Path(path).suffix:
        return Path(path)
    shipped = _SHIPPED / f"{path}.yaml"
    if not shipped.is_file():
        raise TrainingError(
            f"there is no recipe {str(path)!r}", remedy=f"Name a YAML file, or one of: {', '.join(shipped_recipes())}."
        )
    return shipped


def _read(path: str | Path) -> dict[Any, Any]:
    """The mapping in a YAML file."""
    try:
        data = yaml.safe_load(Path(path).read_text("utf-8"))
    except OSError as error:
        raise TrainingError(f"cannot read the recipe ({error})", path=path) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise TrainingError(f"not readable as YAML ({error})", path=path) from error
    if not isinstance(data, Mapping):
        raise TrainingError("the recipe is not a mapping", path=path, remedy="See training/recipes/default.yaml.")
    return dict(data)


def _recipe(values: dict[Any, Any], path: str | Path) -> Recipe:
    """Recipe of plain values."""
    for name, kind in _PARTS.items():
        if name in values:
            values[name] = _built(kind, values[name], path)
    if isinstance(values.get("stages"), list):
        values["stages"] = tuple(_built(Stage, row, path) for row in values["stages"])
    if isinstance(values.get("held_out"), Mapping):
        values["held_out"] = {str(name): _built(HeldOut, row, path) for name, row in values["held_out"].items()}
    if isinstance(values.get("styles"), Mapping):
        values["styles"] = {str(name): _weight(share, path) for name, share in values["styles"].items()}
    recipe = _built(Recipe, values, path)
    start = recipe.start
    if start.student and start.student != "default":
        start = replace(start, student=str(Path(path).parent / start.student))
    return replace(recipe, start=start)


def _weight(value: object, path: str | Path) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TrainingError(f"a style of the recipe has the weight {value!r}, not a number", path=path)
    return float(value)


def _built(kind: type[_Part], values: object, path: str | Path) -> _Part:
    """A dataclass of values that are fields of it, each of the type of its default."""
    if not isinstance(values, Mapping):
        raise TrainingError(f"the recipe has {values!r} where a {kind.__name__} belongs", path=path)
    defaults: dict[str, Any] = {}
    for entry in fields(kind):  # type: ignore[arg-type]  # each of them is a dataclass
        defaults[entry.name] = entry.default if entry.default_factory is MISSING else entry.default_factory()
    unknown = sorted(str(name) for name in set(values) - set(defaults))
    if unknown:
        raise TrainingError(f"the recipe has unknown fields: {', '.join(unknown)}", path=path)
    values = {
        name: tuple(value) if isinstance(defaults[name], tuple) and isinstance(value, list) else value
        for name, value in values.items()
    }
    for name, value in values.items():
        expected = type(defaults[name])
        accepted = (int, float) if expected is float else (expected,)
        if not isinstance(value, accepted) or (isinstance(value, bool) and expected is not bool):
            raise TrainingError(f"{name} of the recipe is {value!r}, not {expected.__name__}", path=path)
    return kind(**{str(name): value for name, value in values.items()})
