# SPDX-License-Identifier: Apache-2.0
"""Painters: teachers and own students that learn the labels first, and then paint film for the student to learn."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vfss.schema import Schema
from vfss.student.checkpoint import Checkpoint, load_checkpoint
from vfss.student.config import LOGIT_STRIDE, StudentConfig
from vfss.student.preprocess import Placement, prepare
from vfss.student.torch_runtime import build_network
from vfss_training.config.parts import Adaptation, Distillation, SelfTeaching
from vfss_training.config.recipe import Recipe
from vfss_training.data.samples import ChosenSamples, FrameStream
from vfss_training.loop.batches import share, view
from vfss_training.loop.run import Run, train
from vfss_training.loop.soft_masks import LabelAgreement
from vfss_training.loop.soft_targets import MaskTeacher, SoftTargets
from vfss_training.loop.task import Task
from vfss_training.model.export import pack
from vfss_training.model.initialise import from_scratch, sha256
from vfss_training.studies import sources
from vfss_training.studies.teacher_adaptation import Adapting
from vfss_training.teachers.adapted import AdaptedTeacher
from vfss_training.teachers.feature_statistics import Origin
from vfss_training.teachers.table import TEACHERS, teacher_named
from vfss_training.teachers.targets import CachedTargets, exposed_cells


class StudentTeacher:
    """One student that paints masks.

    Attributes:
        key: Id of its file.
        grid: Side of its masks, px.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        """Build its network; logits are the mean over the frame and its mirror image."""
        self.key = checkpoint.id
        self._config = replace(checkpoint.config, mirrored=True)
        self.grid = self._config.input_size // LOGIT_STRIDE
        self._network = build_network(replace(checkpoint, config=self._config))
        if torch.cuda.is_available():
            self._network.cuda()

    def masks(self, frames: Tensor, places: Sequence[tuple[int, int]] = ()) -> Tensor:
        """Sigmoid of each structure, float32 (N, S, grid, grid).

        Args:
            frames: uint8 (N, size, size).
            places: Of the frames in their stream; it looks at the frames themselves.
        """
        side = frames.shape[1]
        placement = Placement.of(side, side, self._config.input_size)
        inputs = np.stack([prepare(frame, placement, self._config) for frame in frames.numpy()])
        with torch.inference_mode():
            logits, _ = self._network(torch.from_numpy(inputs).to(next(self._network.parameters()).device))
        found: Tensor = logits.float().sigmoid().cpu()
        return found


_FOLDS = 5
_AT_ONCE = 8
_HALF = 0.5


@dataclass(frozen=True)
class PseudoLabeller:
    """Those who paint.

    Attributes:
        recipe: How.
        config: Of the student.
        schema: Its structures.
        run: Circumstances.
        labelled: Frames that people painted.
        backbone: ImageNet weights, for own students.
        parent: A student that paints as it is; None: none.
    """

    recipe: Recipe
    config: StudentConfig
    schema: Schema
    run: Run
    labelled: FrameStream
    backbone: Path | None = None
    parent: Checkpoint | None = None

    def paint(
        self, film: FrameStream, shown: Mapping[str, CachedTargets], seen: Mapping[str, CachedTargets]
    ) -> SoftTargets:
        """Soft masks of the first frames of some film, painted where they are missing.

        Each painter leaves another fifth of the labelled frames unlearnt, and weighs what it is worth there.

        Args:
            film: The frames.
            shown: Each teacher's features of it.
            seen: Each teacher's features of the labelled frames.
        """
        who: list[MaskTeacher] = []
        worth: list[Tensor] = []
        for name in self.recipe.distill.teachers if self.recipe.adapt.steps else ():
            fold = list(TEACHERS).index(name)
            teacher = self._adapted(name, seen[name], self._learnt(fold))
            worth.append(self._worth(teacher, self._left(fold)))
            who.append(teacher.for_frames(shown[name]))
        for number in range(self.recipe.self_teaching.students):
            own = StudentTeacher(self._own(number, self._learnt(number)))
            worth.append(self._worth(own, self._left(number)))
            who.append(own)
        if self.parent is not None and self.parent.schema.keys == self.schema.keys:
            who.append(StudentTeacher(self.parent))
            worth.append(self._worth(who[-1], tuple(range(len(self.labelled)))))
        targets = SoftTargets(
            self.run.cache,
            who,
            film,
            structures=len(self.schema),
            frames=self.recipe.distill.frames,
            views=self.recipe.teacher_views,
            agreement=torch.stack(worth),
        )
        size = {"folder": str(targets.folder), "frames": targets.frames, "bytes": targets.bytes}
        self.run.events.emit("disk", of="painted masks", **size, missing=len(targets.missing()))
        targets.prepare(sources.ticking(self.run, "teachers paint frames"))
        return targets

    def _left(self, fold: int) -> tuple[int, ...]:
        """Labelled frames that a painter does not learn; none where there is but one."""
        n = len(self.labelled)
        folds = min(_FOLDS, n)
        return tuple(range(fold % folds, n, folds)) if n > 1 else ()

    def _learnt(self, fold: int) -> tuple[int, ...]:
        left = set(self._left(fold))
        return tuple(i for i in range(len(self.labelled)) if i not in left)

    def _worth(self, painter: MaskTeacher, items: Sequence[int]) -> Tensor:
        """Dice of its masks with what people painted on these frames, float32 (S,).

        Where nobody painted a structure, a painter is worth there what it is worth on the mean of the others; where
        nothing can be compared at all it is worth nothing beside the student that is gone on from, and else 1.
        """
        agreement = LabelAgreement(1, len(self.schema), ())
        compared = torch.zeros(len(self.schema), dtype=torch.bool)
        size, grid = self.config.input_size, self.config.input_size // LOGIT_STRIDE
        for start in range(0, len(items), _AT_ONCE):
            some = items[start : start + _AT_ONCE]
            samples = [self.labelled[i] for i in some]
            frames = torch.from_numpy(np.stack([np.ascontiguousarray(sample.frame) for sample in samples]))
            masks = functional.interpolate(painter.masks(frames, [(i, 0) for i in some]), (grid, grid), mode="bilinear")
            rows = [view(sample, self.config, size, LOGIT_STRIDE) for sample in samples]
            labels = torch.stack([share(row[1]) for row in rows]) > _HALF
            known = torch.stack([row[2] for row in rows]) == 1
            compared |= known.any(0)
            origins = [Origin(self.labelled.patient(i), f"labelled frame {i}") for i in some]
            agreement.add(masks[None], labels, known, exposed_cells(frames, grid), origins)
        worth = agreement.value()[0]
        unknown = worth[compared].mean() if compared.any() else torch.tensor(1.0 if self.parent is None else 0.0)
        worth = torch.where(compared, worth, unknown)
        told = {key: round(value, 3) for key, value in zip(self.schema.keys, worth.tolist(), strict=True)}
        self.run.events.emit("painter", painter=painter.key, frames=len(items), dice=told)
        return worth

    def _adapted(self, name: str, seen: CachedTargets, items: tuple[int, ...]) -> AdaptedTeacher:
        """A teacher that learnt these of the labelled frames; kept, so that it need not be taught again."""
        load = sources.loading(name, self.run.teachers)
        whole = (seen, self.recipe, self.config, len(self.schema), self.run)
        return Adapting(teacher_named(name), load, self.labelled, items, *whole).teacher()

    def _own(self, number: int, items: tuple[int, ...]) -> Checkpoint:
        """A student that learnt these labels alone; kept as well."""
        how, run, learnt = self._own_recipe(number), self.run, ChosenSamples(self.labelled, items)
        weights = self.backbone if how.student.backbone == self.config.backbone else None
        depends = [how.to_dict(), learnt.key, None if weights is None else sha256(weights)]
        key = hashlib.blake2b(json.dumps(depends, sort_keys=True).encode(), digest_size=10).hexdigest()
        path = run.cache / f"own-{key}.safetensors"
        if path.is_file():
            return load_checkpoint(path)
        network = from_scratch(how.student, self.schema, how.seed, weights)
        trained, _ = train(
            Task(network, how.student, self.schema, how, (learnt,)), replace(run, folder=None, minutes=None)
        )
        return pack(trained, how.student, self.schema, provenance={"recipe": how.to_dict()}).save(path)

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
            adapt=Adaptation(),
            held_out={},
            stages=(),
        )
