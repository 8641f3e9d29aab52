# SPDX-License-Identifier: Apache-2.0
"""Time plan: how long a training on a project would take, from speeds measured on this machine."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vfss.plain_data import parse_json
from vfss.project import Project
from vfss.schema import Schema
from vfss.student.checkpoint import Checkpoint, write_atomically
from vfss.student.config import LOGIT_STRIDE, StudentConfig
from vfss.student.torch_runtime import build_network
from vfss_training.config.recipe import Recipe
from vfss_training.data.phantoms import draw_phantom
from vfss_training.loop.run import Run
from vfss_training.losses.masks import MaskLoss
from vfss_training.model.training_setup import fast_depthwise, freeze
from vfss_training.studies.learnt import accepted_masks, learnt_by, not_learnt_notice
from vfss_training.studies.sources import HELD_OUT, TRAINED, teacher_loader
from vfss_training.teachers.adapted import MaskHead
from vfss_training.teachers.table import TEACHERS, TeacherEntry, teacher_named
from vfss_training.teachers.weights import default_folder, mismatch, weights_path

_PACKED_S = 60.0
"""Seconds to start the process, and to write the student's file with its comparison of precisions."""
_EXAMINED_S = 0.1
_SPEEDS = "speeds.json"
_KEPT_S = 24 * 3600.0


@dataclass(frozen=True)
class TeacherPlan:
    """One teacher of a plan.

    Attributes:
        name: Name of the teacher.
        seconds: Time that it adds: for its features, and for its adaptation.
        bytes: Size of its features on disk.
        licence: Licence of its weights.
    """

    name: str
    seconds: float
    bytes: int
    licence: str


@dataclass(frozen=True)
class Plan:
    """Estimated time of a training, and the frames that it would use.

    Attributes:
        recipe: Name of the recipe.
        steps: Optimiser steps.
        frames: Labelled frames of training patients.
        film: Unlabelled frames with teachers' targets.
        held_out: Labelled frames to score on.
        seconds: Time without teachers.
        teachers: Teachers on this machine that could take part; none if the recipe names none.
        not_learnt: Message that names the structures that nobody annotated on frames of training patients; empty if
            the student will have learnt all.
    """

    recipe: str
    steps: int
    frames: int
    film: int
    held_out: int
    seconds: float
    teachers: tuple[TeacherPlan, ...]
    not_learnt: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for an event."""
        return asdict(self)


@dataclass(frozen=True)
class Planner:
    """Measures the speed of this machine and counts the frames of a project.

    Attributes:
        project: Project to train on.
        parent: Student to start from.
        run: Run settings (cache, teachers' weights, events, cancellation).
    """

    project: Project
    parent: Checkpoint
    run: Run

    def plan(self, recipe: Recipe) -> Plan:
        """Return how long a recipe would take here."""
        torch.set_num_threads(self.run.threads or max(1, os.cpu_count() or 1))
        sides = self.project.clip_splits()
        clips = [(record, sides[record.id]) for record in self.project.clips()]
        annotated = {record.id: len(self.project.annotated_frames(record.id)) for record, _ in clips}
        trained = [record for record, split in clips if split in TRAINED]
        frames = sum(annotated[record.id] for record in trained)
        held_out = sum(annotated[record.id] for record, split in clips if split in HELD_OUT)
        bare = sum(record.n_frames - annotated[record.id] for record in trained)
        distill = recipe.distill
        film = min(distill.frames, bare) if distill.teachers else 0
        adapted = bool(recipe.adapt.steps) and film > 0
        if film:
            frames_of_teachers = film + (min(distill.frames, frames) if adapted else 0)
        else:
            # If every frame is annotated, teachers run on phantom frames and are not adapted.
            frames_of_teachers = min(distill.frames, recipe.phantom_frames)
        views = distill.views * frames_of_teachers
        config = self.parent.config
        seconds = _PACKED_S + recipe.steps * self._step_s(recipe) + 2 * _EXAMINED_S * held_out
        seconds += recipe.phantom_frames * self._speed("phantom frame", config, lambda: _phantom_s(config.input_size))
        if recipe.pseudo_labels:
            seconds += film * distill.views * _EXAMINED_S
        entries = available_teachers(self.run.teachers) if distill.teachers else []
        teachers = tuple(self._teacher(entry, recipe, views, adapted=adapted) for entry in entries)
        learnt = learnt_by(accepted_masks((self.project,)), self.project.schema, recipe, self.parent)
        not_learnt = not_learnt_notice(self.project.schema, learnt)
        return Plan(recipe.name, recipe.steps, frames, film, held_out, round(seconds, 1), teachers, not_learnt)

    def _teacher(self, entry: TeacherEntry, recipe: Recipe, views: int, *, adapted: bool) -> TeacherPlan:
        """Return what a teacher adds, given how many views it computes features of."""
        size = self.parent.config.input_size
        grid = max(1, entry.grid // recipe.distill.pool)
        each = self._speed(f"frame of {entry.name}", size, lambda: self._features_s(entry.name))
        seconds = each * views
        if adapted:
            step = self._speed(
                f"head of {entry.channels}x{grid}", [size, asdict(recipe.adapt)], lambda: _head_s(entry, recipe, size)
            )
            seconds += step * recipe.adapt.steps
        return TeacherPlan(entry.name, round(seconds, 1), views * 2 * entry.channels * grid**2, entry.licence)

    def _step_s(self, recipe: Recipe) -> float:
        """Return the seconds of one optimiser step."""
        depends = [recipe.batch, recipe.frozen_blocks, recipe.frozen_depthwise, recipe.loss_stride]
        return self._speed("step", [self.parent.config.to_json(), depends], lambda: _step_s(self.parent, recipe))

    def _features_s(self, name: str) -> float:
        """Return the seconds in which a teacher computes its features of a frame."""
        teacher = teacher_loader(name, self.run.teachers)()
        frame = torch.zeros((1, 512, 512), dtype=torch.uint8)
        return _timed(lambda: teacher.targets(frame), 1)

    def _speed(self, what: str, depends: StudentConfig | object, measure: Callable[[], float]) -> float:
        """Return the seconds of one such thing, measured now or within the last day on this machine."""
        self.run.cancel.check()
        path = self.run.cache / _SPEEDS
        known: dict[str, float] = {}
        with suppress(OSError, ValueError):
            # Speeds get old: a computer that was busy then may be idle now.
            if time.time() - path.stat().st_mtime < _KEPT_S:
                known = _speeds(parse_json(path.read_text("utf-8")))
        key = json.dumps([what, str(depends), platform.node(), torch.__version__, self.run.threads])
        if key not in known:
            self.run.events.emit("measuring", what=what)
            known[key] = measure()
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, json.dumps(known, indent=1).encode())
        return known[key]


def _speeds(stored: object) -> dict[str, float]:
    """Return the speeds in a file that were stored as such."""
    speeds = stored.items() if isinstance(stored, dict) else ()
    return {name: value for name, value in speeds if isinstance(value, float) and 0 < value < _KEPT_S}


def available_teachers(weights: Path | None) -> list[TeacherEntry]:
    """Return the teachers whose weights are on this machine and have the right hash, as far as it is known.

    Args:
        weights: Folder of the weights; None: the user's cache folder.
    """
    folder = default_folder() if weights is None else weights
    paths = {entry.name: weights_path(entry, folder) for entry in TEACHERS.values()}
    return [
        teacher_named(name)
        for name, path in paths.items()
        if path.is_file() and not mismatch(teacher_named(name), path)
    ]


def _timed(do: Callable[[], object], times: int) -> float:
    """Return the mean seconds of a call, after one to warm up."""
    do()
    began = time.monotonic()
    for _ in range(times):
        do()
    return (time.monotonic() - began) / times


def _step_s(parent: Checkpoint, recipe: Recipe) -> float:
    """Measure a step: forward and backward pass of one batch at the full input size."""
    network = build_network(parent)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network.to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]  # torch's stubs
    freeze(network, recipe)
    size, s = parent.config.input_size, len(parent.schema)
    frames = torch.rand((recipe.batch, 1, size, size), device=device)
    side = size // recipe.loss_stride
    target = torch.zeros((recipe.batch, s, side, side), device=device)

    def step() -> None:
        logits, quality = network(frames)
        loss = MaskLoss()(logits, quality, target, torch.ones((recipe.batch, s), device=device))
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own

    with fast_depthwise(network, active=device.type == "cpu"):
        return _timed(step, 1)


def _head_s(entry: TeacherEntry, recipe: Recipe, size: int) -> float:
    """Measure a step of an adaptation."""
    head = MaskHead(entry.channels, len(Schema.load()), recipe.adapt.width, size // LOGIT_STRIDE)
    side = max(1, entry.grid // recipe.distill.pool)
    features = torch.rand((recipe.adapt.batch, entry.channels, side, side))
    return _timed(lambda: head(features).square().mean().backward(), 2)


def _phantom_s(size: int) -> float:
    """Measure the rendering of a phantom frame."""
    seeds = iter(np.arange(3).tolist())
    return _timed(lambda: draw_phantom(next(seeds), size, "standard"), 2)
