# SPDX-License-Identifier: Apache-2.0
"""A training on phantoms: which frames are labelled, which are film alone, and who teaches."""

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
    """Phantom frames to learn from, of which some may be film that nobody has painted.

    Attributes:
        recipe: How.
        config: Of the student.
        run: Circumstances.
        backbone: ImageNet weights, for students that teach.
    """

    recipe: Recipe
    config: StudentConfig
    run: Run
    backbone: Path | None = None

    def task(self, network: StudentNetwork) -> Task:
        """What a network with that config is to learn; whatever teachers have to say first is computed here."""
        recipe, run, schema = self.recipe, self.run, Schema.load()
        drawn = sources.phantoms(recipe, schema, self.config, run.cache, run.events)
        n = max(1, round(recipe.labels * len(drawn)))
        learnt: Samples = drawn if n == len(drawn) else first(drawn, n)
        apart = n < len(drawn) and (bool(recipe.distill.teachers) or recipe.pseudo_labels)
        where = 1 if apart else 0
        seen = sources.cached_teacher_features(recipe, drawn, run)
        painted = self._painted(drawn, n, seen) if recipe.pseudo_labels else None
        film: Samples = UnlabelledSamples(drawn) if painted is None else PseudoLabelled(drawn, painted)
        return Task(
            network,
            self.config,
            schema,
            recipe,
            (learnt, film) if apart else (learnt,),
            sources.held_out_phantoms(recipe, schema, self.config, run.cache),
            sources.feature_targets(recipe, seen, where, run),
            None if painted is None else MaskTargets(painted, where),
            unlabelled=where if apart else None,
            source={"phantom": drawn.source, "frames": len(drawn), "labelled": n},
        )

    def _painted(self, drawn: PhantomSamples, n: int, features: dict[str, CachedTargets]) -> SoftTargets:
        """What those who learnt the labels paint on all frames; teachers learn those whose features are kept."""
        some = min(n, self.recipe.distill.frames)
        whole = (self.recipe, self.config, Schema.load(), self.run, first(drawn, some), self.backbone)
        return PseudoLabeller(*whole).paint(drawn, features, features)
