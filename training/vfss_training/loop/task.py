# SPDX-License-Identifier: Apache-2.0
"""Task: everything that a training loop is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vfss.schema import Schema
from vfss.student.config import StudentConfig
from vfss.student.network.student import StudentNetwork
from vfss_training.config.recipe import Recipe
from vfss_training.data.samples import Samples
from vfss_training.loop.feature_targets import FeatureTargets
from vfss_training.loop.soft_targets import MaskTargets
from vfss_training.loop.validation import HeldOutSamples


@dataclass(frozen=True)
class Task:
    """What to train, on which samples, and where the state of the run is kept.

    Attributes:
        network: Starting weights; trained in place.
        config: Config of the network.
        schema: Structures of the network.
        recipe: Training recipe.
        sources: Samples to learn from: the first source, and optionally replayed samples and unlabelled frames.
        held_out: Samples to validate on, by name; may be empty.
        feature_targets: Teachers' features that the embedding is trained towards.
        mask_targets: Soft masks that the masks of unlabelled frames are trained towards; None: none.
        unlabelled: Index of the source of unlabelled frames; None: there is none.
        source: Where the samples come from, for the run's history.
        run: Folder for the state of the run; None: the run cannot be resumed.
        cache: Folder for what is known of this machine's speed; None: nothing is kept.
        allow_recipe_change: Let a run in that folder continue under another recipe, which its history then records.
        minutes: Time after which the schedule ends early; None: all steps are done.
        workers: Processes that make batches.
        compiled: Compile network and loss before the first step.
        report_s: Seconds between reported steps; the first two and the last one are always reported.
        validate_s: Seconds between saved states, and between validations if the recipe does not give them in steps.
    """

    network: StudentNetwork
    config: StudentConfig
    schema: Schema
    recipe: Recipe
    sources: tuple[Samples, ...]
    held_out: Mapping[str, HeldOutSamples] = field(default_factory=dict)
    feature_targets: tuple[FeatureTargets, ...] = ()
    mask_targets: MaskTargets | None = None
    unlabelled: int | None = None
    source: Mapping[str, object] = field(default_factory=dict)
    run: Path | None = None
    cache: Path | None = None
    allow_recipe_change: bool = False
    minutes: float | None = None
    workers: int = 1
    compiled: bool = False
    report_s: float = 1.0
    validate_s: float = 240.0

    @property
    def target_frames(self) -> tuple[int, ...]:
        """Number of first samples of each source that have a teacher's targets; empty if there is no teacher."""
        targets = [*self.feature_targets, *(() if self.mask_targets is None else (self.mask_targets,))]
        if not targets:
            return ()
        return tuple(
            max((one.frames for one in targets if one.source == i), default=0) for i in range(len(self.sources))
        )
