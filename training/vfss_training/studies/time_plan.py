# SPDX-License-Identifier: Apache-2.0
"""Plan: what a training on a project would take, measured on this machine before anything is begun."""

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
from vfss_training.studies.sources import HELD_OUT, TRAINED, loading
from vfss_training.teachers.adapted import MaskHead
from vfss_training.teachers.table import TEACHERS, TeacherEntry, teacher_named
from vfss_training.teachers.weights import default_folder, misfit, weights_path

_PACKED_S = 60.0
"""Start of the process, and the file at the end with its comparison of precisions."""
_EXAMINED_S = 0.1
_SPEEDS = "speeds.json"
_KEPT_S = 24 * 3600.0


@dataclass(frozen=True)
class TeacherPlan:
    """One teacher of a plan.

    Attributes:
        name: Which.
        seconds: What it adds: its features, and learning to paint.
        bytes: What its features take up on disk.
        licence: Of its weights.
    """

    name: str
    seconds: float
    bytes: int
    licence: str


@dataclass(frozen=True)
class Plan:
    """What a training would take.

    Attributes:
        recipe: Its name.
        steps: Of the student.
        frames: Labelled frames of training patients.
        film: Frames without labels that teachers would look at.
        held_out: Labelled frames to score on.
        seconds: Without teachers.
        teachers: Those of the machine that could take part; none where the recipe names none.
    """

    recipe: str
    steps: int
    frames: int
    film: int
    held_out: int
    seconds: float
    teachers: tuple[TeacherPlan, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for an event."""
        return asdict(self)


@dataclass(frozen=True)
class Planner:
    """Measures this machine and counts frames.

    Attributes:
        project: To learn from.
        parent: The student to go on from.
        run: Circumstances: cache, teachers' weights, events, cancel.
    """

    project: Project
    parent: Checkpoint
    run: Run

    def plan(self, recipe: Recipe) -> Plan:
        """What that recipe would take here."""
        torch.set_num_threads(self.run.threads or max(1, os.cpu_count() or 1))
        clips = [(record, self.project.split(record.patient)) for record in self.project.clips()]
        painted = {record.id: len(self.project.annotated_frames(record.id)) for record, _ in clips}
        learnt = [record for record, split in clips if split in TRAINED]
        frames = sum(painted[record.id] for record in learnt)
        held_out = sum(painted[record.id] for record, split in clips if split in HELD_OUT)
        bare = sum(record.n_frames - painted[record.id] for record in learnt)
        how = recipe.distill
        film = min(how.frames, bare) if how.teachers else 0
        learns = bool(recipe.adapt.steps) and film > 0
        # Where every frame is painted, teachers look at phantoms, and nobody has to learn to paint.
        looked = film + (min(how.frames, frames) if learns else 0) if film else min(how.frames, recipe.phantom_frames)
        seen = how.views * looked
        config = self.parent.config
        seconds = _PACKED_S + recipe.steps * self._step_s(recipe) + 2 * _EXAMINED_S * held_out
        seconds += recipe.phantom_frames * self._speed("phantom frame", config, lambda: _phantom_s(config.input_size))
        if recipe.pseudo_labels:
            seconds += film * how.views * _EXAMINED_S
        found = (
            [self._teacher(entry, recipe, seen, learns=learns) for entry in found_teachers(self.run.teachers)]
            if how.teachers
            else []
        )
        return Plan(recipe.name, recipe.steps, frames, film, held_out, round(seconds, 1), tuple(found))

    def _teacher(self, entry: TeacherEntry, recipe: Recipe, seen: int, *, learns: bool) -> TeacherPlan:
        size = self.parent.config.input_size
        grid = max(1, entry.grid // recipe.distill.pool)
        each = self._speed(f"frame of {entry.name}", size, lambda: self._looked_s(entry.name))
        seconds = each * seen
        if learns:
            step = self._speed(
                f"head of {entry.channels}x{grid}", [size, asdict(recipe.adapt)], lambda: _head_s(entry, recipe, size)
            )
            seconds += step * recipe.adapt.steps
        return TeacherPlan(entry.name, round(seconds, 1), seen * 2 * entry.channels * grid**2, entry.licence)

    def _step_s(self, recipe: Recipe) -> float:
        depends = [recipe.batch, recipe.frozen_blocks, recipe.frozen_depthwise, recipe.loss_stride]
        return self._speed("step", [self.parent.config.to_json(), depends], lambda: _step_s(self.parent, recipe))

    def _looked_s(self, name: str) -> float:
        """Seconds in which a teacher looks at a frame."""
        teacher = loading(name, self.run.teachers)()
        frame = torch.zeros((1, 512, 512), dtype=torch.uint8)
        return _timed(lambda: teacher.targets(frame), 1)

    def _speed(self, what: str, depends: StudentConfig | object, measure: Callable[[], float]) -> float:
        """Seconds of one such thing, as measured now or not long ago on this machine."""
        self.run.cancel.check()
        path = self.run.cache / _SPEEDS
        known: dict[str, float] = {}
        with suppress(OSError, ValueError):
            # A computer that was busy then may be free now.
            if time.time() - path.stat().st_mtime < _KEPT_S:
                known = dict(json.loads(path.read_text("utf-8")))
        key = json.dumps([what, str(depends), platform.node(), torch.__version__, self.run.threads])
        if key not in known:
            self.run.events.emit("measuring", what=what)
            known[key] = measure()
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, json.dumps(known, indent=1).encode())
        return known[key]


def found_teachers(place: Path | None) -> list[TeacherEntry]:
    """Teachers whose weights are on this machine and are the right ones.

    Args:
        place: Folder of the weights; None: the user's.
    """
    folder = default_folder() if place is None else place
    paths = {entry.name: weights_path(entry, folder) for entry in TEACHERS.values()}
    return [
        teacher_named(name) for name, path in paths.items() if path.is_file() and not misfit(teacher_named(name), path)
    ]


def _timed(do: Callable[[], object], times: int) -> float:
    """Seconds of one go, after one that warms up."""
    do()
    began = time.monotonic()
    for _ in range(times):
        do()
    return (time.monotonic() - began) / times


def _step_s(parent: Checkpoint, recipe: Recipe) -> float:
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
    head = MaskHead(entry.channels, len(Schema.load()), recipe.adapt.width, size // LOGIT_STRIDE)
    side = max(1, entry.grid // recipe.distill.pool)
    features = torch.rand((recipe.adapt.batch, entry.channels, side, side))
    return _timed(lambda: head(features).square().mean().backward(), 2)


def _phantom_s(size: int) -> float:
    seeds = iter(np.arange(3).tolist())
    return _timed(lambda: draw_phantom(next(seeds), size, "standard"), 2)
