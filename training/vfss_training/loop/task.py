# SPDX-License-Identifier: Apache-2.0
"""Task: what a loop is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vfss.schema import Schema
from vfss.student.config import StudentConfig
from vfss.student.network.student import StudentNetwork
from vfss_training.config.recipe import Recipe
from vfss_training.data.samples import Samples
from vfss_training.loop.feature_lessons import FeatureTargets
from vfss_training.loop.soft_targets import MaskTargets
from vfss_training.loop.validation import HeldOutSamples


@dataclass(frozen=True)
class Task:
    """What is to be learnt, and where the run lives.

    Attributes:
        network: Starting weights; trained in place.
        config: Its config.
        schema: Its schema.
        recipe: How.
        sources: What is learnt, and optionally what is replayed.
        held_out: What to validate on, by name; may be empty.
        lessons: What teachers have to say.
        painted: What teachers of masks have painted; None: nothing.
        film: Number of the source that nobody has painted; None: there is none.
        source: Where the samples come from, for the run's history.
        run: Folder for the state of the run; None: it cannot be taken up again.
        allow_recipe_change: A run in that folder may go on under another recipe, which its history then says.
        minutes: Time after which the schedule ends early; None: all steps are done.
        workers: Processes that make batches.
        compiled: Network and loss are compiled before the first step.
        validate_s: Seconds between saved states, and between validations where the recipe does not say steps.
    """

    network: StudentNetwork
    config: StudentConfig
    schema: Schema
    recipe: Recipe
    sources: tuple[Samples, ...]
    held_out: Mapping[str, HeldOutSamples] = field(default_factory=dict)
    lessons: tuple[FeatureTargets, ...] = ()
    painted: MaskTargets | None = None
    film: int | None = None
    source: Mapping[str, object] = field(default_factory=dict)
    run: Path | None = None
    allow_recipe_change: bool = False
    minutes: float | None = None
    workers: int = 1
    compiled: bool = False
    validate_s: float = 240.0

    @property
    def taught_frames(self) -> tuple[int, ...]:
        """How many first samples of each source have a teacher's targets; empty without a teacher."""
        taught = [*self.lessons, *(() if self.painted is None else (self.painted,))]
        if not taught:
            return ()
        return tuple(
            max((lesson.targets.frames for lesson in taught if lesson.source == i), default=0)
            for i in range(len(self.sources))
        )
