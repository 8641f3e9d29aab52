# SPDX-License-Identifier: Apache-2.0
"""Sources of a training: phantom frames, held-out frames, and teachers' features of them, with their size on disk."""

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
"""Frames whose cached features give the scale of a teacher's features, if the teacher runs on every batch."""
_VALIDATED_FRAMES = 48


def phantom_samples(
    recipe: Recipe, schema: Schema, config: StudentConfig, cache: Path, events: Events
) -> PhantomSamples:
    """Return the phantom frames to train on; an event reports their size on disk before any is written."""
    samples = PhantomSamples(
        cache,
        schema,
        styles=recipe.styles,
        first_seed=recipe.first_seed,
        n=recipe.phantom_frames,
        size=config.input_size,
        kept_bytes=round(recipe.kept_gb * GIGABYTE),
        frames_per_clip=recipe.frames_per_clip,
        hidden=recipe.hidden,
    )
    events.emit("disk", of="phantom frames", **samples.disk.to_dict())
    return samples


def held_out_phantoms(recipe: Recipe, schema: Schema, config: StudentConfig, cache: Path) -> dict[str, HeldOutSamples]:
    """Return phantom frames to validate on, by style; all are cached, as they are few and used often."""
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
    """Return each teacher's features of a stream, cached on disk; those that are missing are computed.

    Events report the sizes of all before the first is computed.

    Args:
        recipe: Training recipe; its part `distill` says which teachers and how many frames.
        samples: The stream.
        run: Run settings (cache, teachers' weights, events, cancellation).
    """
    distill = recipe.distill
    if not (distill.compares_features or recipe.adapt.steps):
        return {}
    few = distill.online and not recipe.adapt.steps
    features = {
        name: CachedTargets(
            run.cache,
            teacher_named(name),
            samples,
            frames=min(distill.frames, _SCALED_FRAMES) if few else distill.frames,
            pool=distill.pool,
            views=recipe.teacher_views,
            standard=distill.standard,
        )
        for name in distill.teachers
    }
    for name, targets in features.items():
        missing = len(targets.missing())
        size = {"folder": str(targets.folder), "frames": targets.frames, "bytes": targets.bytes}
        run.events.emit("disk", of=f"targets of {name}", **size, missing=missing)
    for name, targets in features.items():
        targets.prepare(teacher_loader(name, run.teachers), prepare_progress(run, f"{name} computes features"))
    return features


def feature_targets(
    recipe: Recipe, features: Mapping[str, CachedTargets], source: int, run: Run
) -> tuple[FeatureTargets, ...]:
    """Return the feature targets of a source's frames; none if the recipe has no feature loss.

    Args:
        recipe: Training recipe.
        features: Teachers' features, from cached_teacher_features().
        source: Index of the source.
        run: Run settings (teachers' weights).
    """
    if not recipe.distill.compares_features:
        return ()
    if recipe.distill.online:
        online = {
            name: OnlineTargets(teacher_loader(name, run.teachers)(), cached) for name, cached in features.items()
        }
        return tuple(FeatureTargets(name, targets, source) for name, targets in online.items())
    return tuple(FeatureTargets(name, targets, source) for name, targets in features.items())


def teacher_loader(name: str, weights: Path | None) -> Callable[[], FrozenTeacher]:
    """Return a function that loads the teacher, on a GPU if there is one."""

    def load() -> FrozenTeacher:
        teacher = load_teacher(name, weights)
        return teacher.cuda() if torch.cuda.is_available() else teacher

    return load


def prepare_progress(run: Run, of: str) -> Callable[[int, int], None]:
    """Return a callback (done, total) that reports a preparation as events, and raises if the run is cancelled.

    Args:
        run: Run settings (events, cancellation).
        of: What is prepared, in a few words for a person.
    """

    def tick(done: int, total: int) -> None:
        run.cancel.check()
        run.events.emit("prepare", of=of, done=done, total=total)

    return tick


def sample_held_out(samples: ListedSamples) -> dict[str, HeldOutSamples]:
    """Return a few samples of the held-out patients, evenly spread: enough for a curve; the final scores use all.

    They do not choose the step that is kept, as the new student is compared with the old one on the same patients.
    """
    if len(samples) == 0:
        return {}
    every = -(-len(samples) // _VALIDATED_FRAMES)
    return {"project": HeldOutSamples(ListedSamples([samples[i] for i in range(0, len(samples), every)]))}


def comparison_inputs(samples: Samples, config: StudentConfig) -> np.ndarray[Any, np.dtype[np.float32]] | None:
    """Return prepared frames to compare precisions on, float32 (N, 1, size, size); None if there are no samples."""
    n = min(len(samples), _COMPARED_FRAMES)
    if n == 0:
        return None
    return np.stack([view(samples[i], config, config.input_size, 4)[0].numpy() for i in range(n)])
