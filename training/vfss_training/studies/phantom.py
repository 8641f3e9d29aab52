# SPDX-License-Identifier: Apache-2.0
"""Training on phantom frames: which are labelled, which count as unlabelled, which targets teachers give."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vfss.schema import Schema
from vfss.student.config import StudentConfig
from vfss.student.network.student import StudentNetwork
from vfss_training.config.recipe import Recipe
from vfss_training.data.phantoms import PhantomSamples
from vfss_training.data.samples import Samples, UnlabelledSamples, first
from vfss_training.loop.run import Run
from vfss_training.loop.soft_targets import MaskTargets, PseudoLabelled, SoftTargets
from vfss_training.loop.task import Task
from vfss_training.studies import sources
from vfss_training.studies.pseudo_labels import PseudoLabeller
from vfss_training.teachers.targets import CachedTargets


@dataclass(frozen=True)
class PhantomStudy:
    """Phantom frames to train on, some of which may count as unlabelled.

    Attributes:
        recipe: Training recipe.
        config: Config of the student.
        run: Run settings (cache, events, cancellation).
        backbone: ImageNet weights, for extra students.
    """

    recipe: Recipe
    config: StudentConfig
    run: Run
    backbone: Path | None = None

    def task(self, network: StudentNetwork) -> Task:
        """Return the task of a network with that config; missing targets of teachers are computed first."""
        recipe, run, schema = self.recipe, self.run, Schema.load()
        frames = sources.phantom_samples(recipe, schema, self.config, run.cache, run.events)
        n = max(1, round(recipe.labels * len(frames)))
        labelled: Samples = frames if n == len(frames) else first(frames, n)
        apart = n < len(frames) and (bool(recipe.distill.teachers) or recipe.pseudo_labels)
        source = 1 if apart else 0
        features = sources.cached_teacher_features(recipe, frames, run)
        targets = self._pseudo_labels(frames, n, features) if recipe.pseudo_labels else None
        unlabelled: Samples = UnlabelledSamples(frames) if targets is None else PseudoLabelled(frames, targets)
        return Task(
            network,
            self.config,
            schema,
            recipe,
            (labelled, unlabelled) if apart else (labelled,),
            sources.held_out_phantoms(recipe, schema, self.config, run.cache),
            sources.feature_targets(recipe, features, source, run),
            None if targets is None else MaskTargets(targets, source),
            unlabelled=source if apart else None,
            source={"phantom": frames.source, "frames": len(frames), "labelled": n},
        )

    def _pseudo_labels(self, frames: PhantomSamples, n: int, features: dict[str, CachedTargets]) -> SoftTargets:
        """Return pseudo-labels of all frames.

        Teachers and extra students are trained on the first n frames, as far as those have cached features.
        """
        labelled = first(frames, min(n, self.recipe.distill.frames))
        labeller = PseudoLabeller(self.recipe, self.config, Schema.load(), self.run, labelled, self.backbone)
        return labeller.pseudo_label(frames, features, features)
