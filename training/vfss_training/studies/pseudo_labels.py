# SPDX-License-Identifier: Apache-2.0
"""Pseudo-labelling: fit teachers and extra students on labelled frames, predict the unlabelled ones."""

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
from vfss_training.studies.teacher_adaptation import TeacherAdaptation
from vfss_training.teachers.adapted import AdaptedTeacher
from vfss_training.teachers.feature_statistics import Origin
from vfss_training.teachers.table import TEACHERS, teacher_named
from vfss_training.teachers.targets import CachedTargets, exposed_cells


class StudentTeacher:
    """A student as a teacher of masks.

    Attributes:
        key: Id of the student.
        grid: Side of its masks, px.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        """Build the network; logits are the mean over the frame and its mirror image."""
        self.key = checkpoint.id
        self._config = replace(checkpoint.config, mirrored=True)
        self.grid = self._config.input_size // LOGIT_STRIDE
        self._network = build_network(replace(checkpoint, config=self._config))
        if torch.cuda.is_available():
            self._network.cuda()

    def masks(self, frames: Tensor, places: Sequence[tuple[int, int]] = ()) -> Tensor:
        """Return the probability of each structure, float32 (N, S, grid, grid).

        Args:
            frames: uint8 (N, size, size).
            places: Indices of the frames in their stream; not used, as the frames themselves are given.
        """
        side = frames.shape[1]
        placement = Placement.of(side, side, self._config.input_size)
        inputs = np.stack([prepare(frame, placement, self._config) for frame in frames.numpy()])
        with torch.inference_mode():
            logits, _ = self._network(torch.from_numpy(inputs).to(next(self._network.parameters()).device))
        probabilities: Tensor = logits.float().sigmoid().cpu()
        return probabilities


_FOLDS = 5
_CHUNK = 8
_HALF = 0.5


@dataclass(frozen=True)
class PseudoLabeller:
    """Fits teachers and extra students on labelled frames, and has them predict unlabelled ones.

    Attributes:
        recipe: Training recipe.
        config: Config of the student that is to be trained on the pseudo-labels.
        schema: Structures of the student.
        run: Run settings (cache, events, cancellation).
        labelled: Annotated frames.
        backbone: ImageNet weights, for extra students.
        parent: A student that makes pseudo-labels as it is; None: none.
    """

    recipe: Recipe
    config: StudentConfig
    schema: Schema
    run: Run
    labelled: FrameStream
    backbone: Path | None = None
    parent: Checkpoint | None = None

    def pseudo_label(
        self,
        unlabelled: FrameStream,
        features: Mapping[str, CachedTargets],
        labelled_features: Mapping[str, CachedTargets],
    ) -> SoftTargets:
        """Return soft masks of the first unlabelled frames, computing those that are not cached.

        Args:
            unlabelled: Frames to pseudo-label.
            features: Each teacher's features of them.
            labelled_features: Each teacher's features of the labelled frames.
        """
        weighted = self._weighted_teachers(features, labelled_features)
        targets = SoftTargets(
            self.run.cache,
            [teacher for teacher, _ in weighted],
            unlabelled,
            structures=len(self.schema),
            frames=self.recipe.distill.frames,
            views=self.recipe.teacher_views,
            agreement=torch.stack([weight for _, weight in weighted]),
        )
        size = {"folder": str(targets.folder), "frames": targets.frames, "bytes": targets.bytes}
        self.run.events.emit("disk", of="pseudo-labels", **size, missing=len(targets.missing()))
        targets.prepare(sources.prepare_progress(self.run, "teachers predict masks"))
        return targets

    def _weighted_teachers(
        self, features: Mapping[str, CachedTargets], labelled_features: Mapping[str, CachedTargets]
    ) -> list[tuple[MaskTeacher, Tensor]]:
        """Return all that make pseudo-labels: teachers, extra students and the parent, with their weights in the mean.

        Each holds out another fifth of the labelled frames; its weight is its Dice there, float32 (S,), and 0 for
        structures that it cannot have learnt.
        """
        weighted: list[tuple[MaskTeacher, Tensor]] = []
        labelled = self._labelled_structures()
        for name in self.recipe.distill.teachers if self.recipe.adapt.steps else ():
            fold = list(TEACHERS).index(name)
            teacher = self._adapted_teacher(name, labelled_features[name], self.training_items(fold))
            weight = self.agreement(teacher, self.held_out_items(fold)) * labelled
            weighted.append((teacher.for_frames(features[name]), weight))
        for number in range(self.recipe.self_teaching.students):
            student = StudentTeacher(self._extra_student(number, self.training_items(number)))
            weighted.append((student, self.agreement(student, self.held_out_items(number)) * labelled))
        if self.parent is not None and self.parent.schema.keys == self.schema.keys:
            parent, learnt = StudentTeacher(self.parent), self.parent.learnt_keys
            knows = torch.tensor([float(key in learnt) for key in self.schema.keys])
            weighted.append((parent, self.agreement(parent, tuple(range(len(self.labelled)))) * knows))
        return weighted

    def _labelled_structures(self) -> Tensor:
        """Return 1 for each structure that is annotated on some labelled frame, else 0, float32 (S,).

        Networks fitted on labels know nothing of the others: their masks of these get no weight.
        """
        known = np.zeros(len(self.schema), np.bool_)
        for i in range(len(self.labelled)):
            known |= self.labelled[i].known == 1
            if known.all():
                break
        return torch.from_numpy(known.astype(np.float32))

    def held_out_items(self, fold: int) -> tuple[int, ...]:
        """Return the labelled frames that a fold holds out; none if there is only one labelled frame."""
        n = len(self.labelled)
        folds = min(_FOLDS, n)
        return tuple(range(fold % folds, n, folds)) if n > 1 else ()

    def training_items(self, fold: int) -> tuple[int, ...]:
        """Return the labelled frames that a fold trains on."""
        held_out = set(self.held_out_items(fold))
        return tuple(i for i in range(len(self.labelled)) if i not in held_out)

    def agreement(self, teacher: MaskTeacher, items: Sequence[int]) -> Tensor:
        """Return the Dice of a teacher's masks with the annotations of some frames, float32 (S,).

        A structure without annotation gets the mean of the others. If nothing can be compared at all, the value is 0
        if there is a parent, whose masks must not be spoilt by a teacher of unknown quality, and else 1.
        """
        measured = LabelAgreement(1, len(self.schema), ())
        compared = torch.zeros(len(self.schema), dtype=torch.bool)
        size, grid = self.config.input_size, self.config.input_size // LOGIT_STRIDE
        for start in range(0, len(items), _CHUNK):
            chunk = items[start : start + _CHUNK]
            samples = [self.labelled[i] for i in chunk]
            frames = torch.from_numpy(np.stack([np.ascontiguousarray(sample.frame) for sample in samples]))
            masks = teacher.masks(frames, [(i, 0) for i in chunk])
            masks = functional.interpolate(masks, (grid, grid), mode="bilinear")
            rows = [view(sample, self.config, size, LOGIT_STRIDE) for sample in samples]
            labels = torch.stack([share(row[1]) for row in rows]) > _HALF
            known = torch.stack([row[2] for row in rows]) == 1
            compared |= known.any(0)
            origins = [Origin(self.labelled.patient(i), f"labelled frame {i}") for i in chunk]
            measured.add(masks[None], labels, known, exposed_cells(frames, grid), origins)
        dice = measured.value()[0]
        unknown = dice[compared].mean() if compared.any() else torch.tensor(1.0 if self.parent is None else 0.0)
        dice = torch.where(compared, dice, unknown)
        by_structure = {key: round(value, 3) for key, value in zip(self.schema.keys, dice.tolist(), strict=True)}
        self.run.events.emit("painter", painter=teacher.key, frames=len(items), dice=by_structure)
        return dice

    def _adapted_teacher(self, name: str, features: CachedTargets, items: tuple[int, ...]) -> AdaptedTeacher:
        """Return a teacher trained on these of the labelled frames; cached, so that it is trained only once."""
        load = sources.teacher_loader(name, self.run.teachers)
        settings = (features, self.recipe, self.config, len(self.schema), self.run)
        return TeacherAdaptation(teacher_named(name), load, self.labelled, items, *settings).teacher()

    def _extra_student(self, number: int, items: tuple[int, ...]) -> Checkpoint:
        """Return a student trained on these of the labelled frames alone; cached as well."""
        recipe, run, samples = self._extra_student_recipe(number), self.run, ChosenSamples(self.labelled, items)
        weights = self.backbone if recipe.student.backbone == self.config.backbone else None
        depends = [recipe.to_dict(), samples.key, None if weights is None else sha256(weights)]
        key = hashlib.blake2b(json.dumps(depends, sort_keys=True).encode(), digest_size=10).hexdigest()
        path = run.cache / f"own-{key}.safetensors"
        if path.is_file():
            return load_checkpoint(path)
        network = from_scratch(recipe.student, self.schema, recipe.seed, weights)
        trained, _ = train(
            Task(network, recipe.student, self.schema, recipe, (samples,)), replace(run, folder=None, minutes=None)
        )
        return pack(trained, recipe.student, self.schema, provenance={"recipe": recipe.to_dict()}).save(path)

    def _extra_student_recipe(self, number: int) -> Recipe:
        """Return the recipe of an extra student: labels only, another seed."""
        part, config = self.recipe.self_teaching, self.config
        student = replace(
            config, backbone=part.backbone or config.backbone, input_size=part.input_size or config.input_size
        )
        return self.recipe.but(
            name=f"own student {number + 1}",
            student=student,
            seed=1000 * (self.recipe.seed + 1) + number,
            steps=part.steps or self.recipe.steps,
            distill=Distillation(),
            self_teaching=SelfTeaching(),
            adapt=Adaptation(),
            held_out={},
            stages=(),
        )
