# SPDX-License-Identifier: Apache-2.0
"""Views: which sample comes when, seen how; a pure function of seed and number, so that a run can be taken up again."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from vfss.student.config import StudentConfig
from vfss.student.preprocess import normalise
from vfss_training.data import Sample, Samples
from vfss_training.recipe import Recipe

_COVERED = 255.0


class Draw(NamedTuple):
    """One place in a batch: sample `item` of source `source` at input size `size`; `number` seeds its augmentation."""

    source: int
    item: int
    number: int
    size: int


class Batch(NamedTuple):
    """Views of N samples.

    Attributes:
        frames: float32 (N, 1, size, size), network input.
        target: float32 (N, S, size/stride, size/stride), covered share of each pixel, 0..1.
        known: float32 (N, S), weight of each plane.
    """

    frames: Tensor
    target: Tensor
    known: Tensor


@dataclass(frozen=True)
class Order:
    """Which samples make up which step: every source is gone through in rounds, each round in another order.

    Attributes:
        recipe: Steps, batch, share of replay and seed.
        lengths: Samples in each source: the first is what is learnt, a second is replayed.
    """

    recipe: Recipe
    lengths: tuple[int, ...]

    def step(self, step: int) -> list[Draw]:
        """Draws of one step."""
        batch, size = self.recipe.batch, self.recipe.size_at(step)
        replayed = round(batch * self.recipe.replay) if len(self.lengths) > 1 else 0
        counts = (batch - replayed, replayed)
        draws: list[Draw] = []
        for source, (count, length) in enumerate(zip(counts, self.lengths, strict=False)):
            for place in range(step * count, (step + 1) * count):
                index = int(_shuffled(self.recipe.seed, source, place // length, length)[place % length])
                draws.append(Draw(source, index, step * batch + len(draws), size))
        return draws

    def steps(self, first: int) -> Iterator[list[Draw]]:
        """Draws of every step from `first` on."""
        return (self.step(step) for step in range(first, self.recipe.steps))


@lru_cache(maxsize=4)
def _shuffled(seed: int, source: int, turn: int, length: int) -> npt.NDArray[np.int64]:
    return np.random.default_rng((seed, source, turn)).permutation(length)


class Views(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """Samples as the network sees them, by Draw."""

    def __init__(self, sources: tuple[Samples, ...], recipe: Recipe, config: StudentConfig) -> None:
        """View these sources under that recipe."""
        self._sources = sources
        self._recipe = recipe
        self._config = config

    def __getitem__(self, draw: Draw) -> tuple[Tensor, Tensor, Tensor]:
        """Input, target and known planes of one draw."""
        sample = self._sources[draw.source][draw.item]
        sample = self._recipe.augmentation(sample, np.random.default_rng((self._recipe.seed, 1, draw.number)))
        return view(sample, self._config, draw.size, self._recipe.loss_stride)

    def loader(self, order: Order, first: int, workers: int) -> DataLoader[tuple[Tensor, Tensor, Tensor]]:
        """Batches of every step from `first` on, made by worker processes."""
        return DataLoader(
            self,
            batch_sampler=_Steps(order, first),
            num_workers=workers,
            prefetch_factor=4 if workers else None,
            worker_init_fn=_quiet,
        )


class _Steps:
    """The batch sampler: one list of draws a step."""

    def __init__(self, order: Order, first: int) -> None:
        self._order, self._first = order, first

    def __len__(self) -> int:
        return self._order.recipe.steps - self._first

    def __iter__(self) -> Iterator[list[Draw]]:
        return self._order.steps(self._first)


def _quiet(worker: int) -> None:
    """A worker leaves Ctrl+C to its parent, dies of SIGTERM, and keeps to one thread."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    torch.set_num_threads(1)


def view(sample: Sample, config: StudentConfig, size: int, stride: int) -> tuple[Tensor, Tensor, Tensor]:
    """Input float32 (1, size, size), target float32 (S, size/stride, size/stride), known float32 (S,) of a sample."""
    sample = _scaled(sample, size)
    top, left, rows, columns = sample.window
    window = (slice(top, top + rows), slice(left, left + columns))
    planes = np.unpackbits(sample.bits, axis=0, count=len(sample.known))
    side = size // stride
    covered = [
        np.asarray(Image.fromarray(plane * np.uint8(_COVERED)).resize((side, side), Image.Resampling.BOX))
        for plane in planes
    ]
    target = torch.from_numpy(np.stack(covered)).float() / _COVERED
    return torch.from_numpy(normalise(sample.frame, window, config)), target, torch.from_numpy(sample.known)


def _scaled(sample: Sample, size: int) -> Sample:
    """The sample with its frame at another size; planes stay, as the target is made from them at any size."""
    side = sample.frame.shape[0]
    if side == size:
        return sample
    frame = np.asarray(Image.fromarray(sample.frame).resize((size, size), Image.Resampling.BILINEAR))
    top, left, rows, columns = sample.window
    ends = [round(end * size / side) for end in (top, left, top + rows, left + columns)]
    return replace(sample, frame=frame, window=(ends[0], ends[1], ends[2] - ends[0], ends[3] - ends[1]))
