# SPDX-License-Identifier: Apache-2.0
"""Sources: where the samples of a training come from, and what they take up on disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vfss.project import Split
from vfss.schema import Schema
from vfss.student.config import StudentConfig
from vfss_training.config.recipe import Recipe
from vfss_training.data.phantoms import GIGABYTE, PhantomSamples
from vfss_training.data.samples import FrameStream, ListedSamples, Samples
from vfss_training.events import Events
from vfss_training.loop.batches import view
from vfss_training.loop.feature_targets import FeatureTargets
from vfss_training.loop.run import Run
from vfss_training.loop.validation import HeldOutSamples
from vfss_training.teachers.loading import load_teacher
from vfss_training.teachers.table import teacher_named
from vfss_training.teachers.targets import CachedTargets, OnlineTargets
from vfss_training.teachers.teacher import FrozenTeacher

HELD_OUT: tuple[Split, ...] = ("validation", "test")
TRAINED: tuple[Split, ...] = ("train",)
_COMPARED_FRAMES = 24
_SCALED_FRAMES = 64
"""Frames that say how features are spread, where all others are looked at as they come."""
_VALIDATED_FRAMES = 48


def phantoms(recipe: Recipe, schema: Schema, config: StudentConfig, cache: Path, events: Events) -> PhantomSamples:
    """The stream of phantom frames to learn from; tells what it may take up on disk before it does."""
    samples = PhantomSamples(
        cache,
        schema,
        styles=recipe.styles,
        first_seed=recipe.first_seed,
        n=recipe.phantom_frames,
        size=config.input_size,
        kept_bytes=round(recipe.kept_gb * GIGABYTE),
    )
    events.emit("disk", of="phantom frames", **samples.disk.to_dict())
    return samples


def held_out_phantoms(recipe: Recipe, schema: Schema, config: StudentConfig, cache: Path) -> dict[str, HeldOutSamples]:
    """Phantom frames to validate on, by style; all are kept, as they are few and met often."""
    return {
        style: HeldOutSamples(
            PhantomSamples(
                cache,
                schema,
                styles={style: 1.0},
                first_seed=part.first_seed,
                n=part.frames,
                size=config.input_size,
            ),
            part.weight,
        )
        for style, part in recipe.held_out.items()
    }


def cached_teacher_features(recipe: Recipe, samples: FrameStream, run: Run) -> dict[str, CachedTargets]:
    """Teachers' features of a stream, kept on disk and computed where they are missing, by teacher.

    The sizes of all are told before the first is computed.

    Args:
        recipe: Which teachers, for how many frames.
        samples: The stream.
        run: Circumstances: cache, teachers' weights, events, cancel.
    """
    how = recipe.distill
    if not (how.compares_features or recipe.adapt.steps):
        return {}
    few = how.online and not recipe.adapt.steps
    found = {
        name: CachedTargets(
            run.cache,
            teacher_named(name),
            samples,
            frames=min(how.frames, _SCALED_FRAMES) if few else how.frames,
            pool=how.pool,
            views=recipe.teacher_views,
            standard=how.standard,
        )
        for name in how.teachers
    }
    for name, targets in found.items():
        missing = len(targets.missing())
        size = {"folder": str(targets.folder), "frames": targets.frames, "bytes": targets.bytes}
        run.events.emit("disk", of=f"targets of {name}", **size, missing=missing)
    for name, targets in found.items():
        targets.prepare(loading(name, run.teachers), ticking(run, f"{name} looks at frames"))
    return found


def feature_targets(
    recipe: Recipe, seen: Mapping[str, CachedTargets], source: int, run: Run
) -> tuple[FeatureTargets, ...]:
    """What teachers have to say of the features of a source's frames; nothing where a recipe compares none.

    Args:
        recipe: How they are asked.
        seen: Their features, from cached_teacher_features().
        source: Number of the source.
        run: Circumstances: teachers' weights.
    """
    if not recipe.distill.compares_features:
        return ()
    if recipe.distill.online:
        asked = {name: OnlineTargets(loading(name, run.teachers)(), kept) for name, kept in seen.items()}
        return tuple(FeatureTargets(name, targets, source) for name, targets in asked.items())
    return tuple(FeatureTargets(name, targets, source) for name, targets in seen.items())


def loading(name: str, weights: Path | None) -> Callable[[], FrozenTeacher]:
    """A way to get the teacher, on a GPU where there is one."""

    def load() -> FrozenTeacher:
        teacher = load_teacher(name, weights)
        return teacher.cuda() if torch.cuda.is_available() else teacher

    return load


def ticking(run: Run, of: str) -> Callable[[int, int], None]:
    """What is called with things done and in all while samples and targets are made ready: tells, and may stop.

    Args:
        run: Where it tells.
        of: What is done, in a few words for a person.
    """

    def tick(done: int, total: int) -> None:
        run.cancel.check()
        run.events.emit("prepare", of=of, done=done, total=total)

    return tick


def sample_held_out(samples: ListedSamples) -> dict[str, HeldOutSamples]:
    """A few samples of the held-out patients, evenly over all: enough for a curve; the scores at the end take all.

    They choose nothing, as the new student is compared with the old one on the same patients.
    """
    if len(samples) == 0:
        return {}
    every = -(-len(samples) // _VALIDATED_FRAMES)
    return {"project": HeldOutSamples(ListedSamples([samples[i] for i in range(0, len(samples), every)]))}


def inputs(samples: Samples, config: StudentConfig) -> np.ndarray[Any, np.dtype[np.float32]] | None:
    """Prepared frames to compare precisions on, float32 (N, 1, size, size); None without any."""
    n = min(len(samples), _COMPARED_FRAMES)
    if n == 0:
        return None
    return np.stack([view(samples[i], config, config.input_size, 4)[0].numpy() for i in range(n)])
