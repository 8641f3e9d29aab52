# SPDX-License-Identifier: Apache-2.0
"""A training on phantoms: which frames are labelled, which are film alone, and who teaches."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path

from vfss.schema import Schema
from vfss.student.checkpoint import Checkpoint, load_checkpoint
from vfss.student.config import StudentConfig
from vfss.student.network import StudentNetwork
from vfss_training import sources
from vfss_training.data import FirstSamples, Samples, Unlabelled
from vfss_training.ensemble import StudentTeacher
from vfss_training.export import pack
from vfss_training.parts import Distillation, SelfTeaching
from vfss_training.phantoms import PhantomSamples
from vfss_training.recipe import Recipe
from vfss_training.run import Run, train
from vfss_training.soft_targets import MaskLesson, SoftTargets
from vfss_training.start import from_scratch, sha256
from vfss_training.task import Task


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
        learnt: Samples = drawn if n == len(drawn) else FirstSamples(drawn, n)
        teaches = bool(recipe.distill.teachers) or recipe.self_teaching.students > 0
        apart = n < len(drawn) and teaches
        where = 1 if apart else 0
        return Task(
            network,
            self.config,
            schema,
            recipe,
            (learnt, Unlabelled(drawn)) if apart else (learnt,),
            sources.held_out_phantoms(recipe, schema, self.config, run.cache),
            sources.lessons(recipe, drawn, where, run),
            MaskLesson(self._painted(drawn, learnt), where) if recipe.self_teaching.students else None,
            {"phantom": drawn.source, "frames": len(drawn), "labelled": n},
        )

    def _painted(self, drawn: PhantomSamples, labelled: Samples) -> SoftTargets:
        """What students of one's own, which learnt the labelled frames, paint on all."""
        own = [self._own(drawn, labelled, number) for number in range(self.recipe.self_teaching.students)]
        targets = SoftTargets(
            self.run.cache,
            [StudentTeacher(checkpoint) for checkpoint in own],
            drawn,
            structures=len(Schema.load()),
            frames=self.recipe.distill.frames,
            showing=self.recipe.showing,
        )
        size = {"folder": str(targets.folder), "frames": targets.frames, "bytes": targets.bytes}
        self.run.events.tell("disk", of="painted masks", **size, missing=len(targets.missing()))

        def tick(done: int, total: int) -> None:
            self.run.cancel.check()
            self.run.events.tell("prepare", done=done, total=total)

        targets.prepare(tick)
        return targets

    def _own(self, drawn: PhantomSamples, labelled: Samples, number: int) -> Checkpoint:
        """A student that learnt the labels alone; kept, so that other ways of training need not make it again."""
        how, run, schema = self._own_recipe(number), self.run, Schema.load()
        weights = self.backbone if how.student.backbone == self.config.backbone else None
        depends = [how.to_dict(), drawn.key, len(labelled), None if weights is None else sha256(weights)]
        key = hashlib.blake2b(json.dumps(depends, sort_keys=True).encode(), digest_size=10).hexdigest()
        path = run.cache / f"own-{key}.safetensors"
        if path.is_file():
            return load_checkpoint(path)
        network = from_scratch(how.student, schema, how.seed, weights)
        task = Task(network, how.student, schema, how, (labelled,))
        trained, _ = train(task, replace(run, folder=None, minutes=None))
        return pack(trained, how.student, schema, provenance={"recipe": how.to_dict()}).save(path)

    def _own_recipe(self, number: int) -> Recipe:
        wanted, config = self.recipe.self_teaching, self.config
        own = replace(
            config, backbone=wanted.backbone or config.backbone, input_size=wanted.input_size or config.input_size
        )
        return self.recipe.but(
            name=f"own student {number + 1}",
            student=own,
            seed=1000 * (self.recipe.seed + 1) + number,
            steps=wanted.steps or self.recipe.steps,
            distill=Distillation(),
            self_teaching=SelfTeaching(),
            held_out={},
            stages=(),
        )
