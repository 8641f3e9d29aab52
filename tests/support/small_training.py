# SPDX-License-Identifier: Apache-2.0
"""A small recipe, its samples, runs and tasks for the tests of the trainer."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from small_student import CONFIG, disc_frame
from vfss.schema import Schema
from vfss_training.config.parts import HeldOut
from vfss_training.config.recipe import Recipe
from vfss_training.data.samples import ListedSamples, Sample
from vfss_training.events import Cancel, Events
from vfss_training.loop.task import Task
from vfss_training.model.initialise import from_scratch
from vfss_training.studies.fit import Run

RECIPE = Recipe(
    name="test", student=CONFIG, phantom_frames=4, held_out={"standard": HeldOut(1.0, 90_000, 2)}, steps=2, batch=2
)


def disc_sample(seed: int, size: int = 64, *, known: tuple[float, ...] = (1.0,) * 12) -> Sample:
    """Return a sample whose plane 0 is the disc of its frame, and plane 1 an off-centre rectangle."""
    frame = disc_frame(size, size, seed)
    planes = np.zeros((12, size, size), np.bool_)
    planes[0] = frame > 120
    planes[1, size // 8 : size // 4, size // 2 : size - 6] = True
    return Sample(frame, np.packbits(planes, axis=0), np.array(known, np.float32), (0, 0, size, size))


def planes_of(sample: Sample) -> np.ndarray:
    """Return the planes of a sample, bool (12, H, W)."""
    return np.unpackbits(sample.bits, axis=0, count=12).astype(bool)


def run_in(folder: Path, stream: io.StringIO | None = None, **changes: object) -> Run:
    """Return run settings with the cache in a folder; events go to the stream."""
    events = Events(stream if stream is not None else io.StringIO())
    return replace(Run(events, Cancel(), "vfss-train test", folder / "cache", workers=0, threads=1), **changes)


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    """Return the events written to a stream."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def task(folder: Path | None = None, **changes: object) -> Task:
    """Return a task of four steps on six disc samples, with a run folder if one is given."""
    network = from_scratch(CONFIG, Schema.load(), 0, None)
    samples = ListedSamples([disc_sample(seed) for seed in range(6)])
    values = {"run": folder, "workers": 0, "recipe": replace(RECIPE, steps=4, batch=3)} | changes
    return replace(Task(network, CONFIG, Schema.load(), RECIPE, (samples,)), **values)
