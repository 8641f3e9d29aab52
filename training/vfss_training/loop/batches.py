# SPDX-License-Identifier: Apache-2.0
"""Batches: which sample comes at which step, and how it is varied.

Both are pure functions of the seed and the step, so that a run can be resumed.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from vfss.student.config import StudentConfig
from vfss.student.preprocess import normalise
from vfss_training.config.recipe import Recipe
from vfss_training.data.samples import Sample, Samples

_COVERED = 255.0
_LARGEST_SUM = 15  # pixels along a side whose sum still fits a byte
_DONORS = 32  # frames whose spectra are mixed into others


class Draw(NamedTuple):
    """One sample of a batch, and how it is to be varied.

    Attributes:
        source: Index of the source.
        item: Index of the sample in that source.
        number: Seed of its augmentation.
        size: Side of the input, px.
        view: Number of the teacher view to show, which has cached targets; -1: the sample is augmented freely.
    """

    source: int
    item: int
    number: int
    size: int
    view: int = -1


class Batch(NamedTuple):
    """N samples as the network sees them.

    Attributes:
        frames: float32 (N, 1, size, size), network input.
        target: uint8 (N, S + L, size/stride, size/stride), share of each pixel that is covered, 0..255; the last L
            planes are discs at landmarks.
        known: float32 (N, S + L), weight of each plane.
    """

    frames: Tensor
    target: Tensor
    known: Tensor


@dataclass(frozen=True)
class Order:
    """Which samples make up which step: every source is passed in rounds, each round in another order.

    Attributes:
        recipe: Steps, batch, share of replay and seed.
        lengths: Samples in each source: the labelled ones first, others are replayed or unlabelled.
        target_frames: Number of first samples of each source that have a teacher's targets; empty: none.
        unlabelled: Index of the source of unlabelled frames, left out while only labels are learnt; None: none.
    """

    recipe: Recipe
    lengths: tuple[int, ...]
    target_frames: tuple[int, ...] = ()
    unlabelled: int | None = None

    def step(self, step: int) -> list[Draw]:
        """Return the draws of one step."""
        batch, size = self.recipe.batch, self.recipe.size_at(step)
        draws: list[Draw] = []
        for source, (count, length) in enumerate(zip(self._counts(step), self.lengths, strict=True)):
            for place in range(step * count, (step + 1) * count):
                index = int(_shuffled(self.recipe.seed, source, place // length, length)[place % length])
                number = step * batch + len(draws)
                draws.append(Draw(source, index, number, size, self._view(source, index, number)))
        return draws

    def _counts(self, step: int) -> list[int]:
        """Return the number of draws from each source in one step."""
        recipe = self.recipe
        left_out = self.unlabelled is None or recipe.distill.is_last_stage(step / recipe.steps)
        unlabelled = 0 if left_out else min(round(recipe.batch * recipe.film), recipe.batch - 1)
        replays = len(self.lengths) > (1 if self.unlabelled is None else 2)
        replayed = round((recipe.batch - unlabelled) * recipe.replay) if replays else 0
        counts = [recipe.batch - unlabelled - replayed] + [replayed] * (len(self.lengths) - 1)
        if self.unlabelled is not None:
            counts[self.unlabelled] = unlabelled
        return counts

    def _view(self, source: int, item: int, number: int) -> int:
        """Return the teacher view to show of a sample, or -1."""
        if not self.target_frames or item >= self.target_frames[source]:
            return -1
        random = np.random.default_rng((self.recipe.seed, 2, number))
        # Without pseudo-labels, unlabelled frames have nothing to learn from but the features of teachers.
        features_only = source == self.unlabelled and not self.recipe.pseudo_labels
        with_targets = random.random() < self.recipe.distill.share or features_only
        return int(random.integers(self.recipe.distill.views)) if with_targets else -1

    def steps(self, first: int) -> Iterator[list[Draw]]:
        """Yield the draws of every step from `first` on."""
        return (self.step(step) for step in range(first, self.recipe.steps))


@lru_cache(maxsize=4)
def _shuffled(seed: int, source: int, round_number: int, length: int) -> npt.NDArray[np.int64]:
    return np.random.default_rng((seed, source, round_number)).permutation(length)


class Views(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """Samples as the network sees them, by Draw."""

    def __init__(self, sources: tuple[Samples, ...], recipe: Recipe, config: StudentConfig) -> None:
        """Vary the samples of these sources as a recipe wants it."""
        self._sources = sources
        self._recipe = recipe
        self._config = config
        self._teacher_views = recipe.teacher_views
        self._donors: dict[tuple[int, int], npt.NDArray[np.uint8]] = {}

    def __getitem__(self, draw: Draw) -> tuple[Tensor, Tensor, Tensor]:
        """Return input, target and known planes of one draw."""
        random = np.random.default_rng((self._recipe.seed, 1, draw.number))
        varied = self._varied(draw, random)
        if draw.view >= 0 or not self._recipe.mixup:
            return varied
        # A generator of its own, so that mixup does not change the other random choices of a recipe.
        random = np.random.default_rng((self._recipe.seed, 4, draw.number))
        if random.random() >= self._recipe.mixup:
            return varied
        other = draw._replace(item=int(random.integers(len(self._sources[draw.source]))))
        return mixed(varied, self._varied(other, random), float(random.uniform(0.5, 1.0)))

    def _varied(self, draw: Draw, random: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Return one draw without mixup."""
        sample = self._sources[draw.source][draw.item]
        augmentation = self._recipe.augmentation
        if draw.view >= 0:
            sample = augmentation.in_place()(self._teacher_views(sample, draw.item, draw.view), random)
        else:
            sample = augmentation(sample, random)
        # A generator of its own, so that it does not change the other random choices of a recipe.
        sample = self._recipe.by_structure(sample, np.random.default_rng((self._recipe.seed, 7, draw.number)))
        donor = partial(self._donor, draw.source, int(random.integers(_DONORS)))
        sample = replace(sample, frame=self._recipe.appearance(sample.frame, random, donor))
        return view(sample, self._config, draw.size, self._recipe.loss_stride, self._config.landmarks)

    def _donor(self, source: int, number: int) -> npt.NDArray[np.uint8]:
        """Return one of the first few frames of a source; each worker keeps them in memory."""
        samples = self._sources[source]
        key = (source, number % len(samples))
        if key not in self._donors:
            self._donors[key] = samples[key[1]].frame
        return self._donors[key]

    def loader(
        self, order: Order, first: int, workers: int, part: tuple[int, int] = (0, 1)
    ) -> DataLoader[tuple[Tensor, Tensor, Tensor]]:
        """Return a loader of the batches of every step from `first` on.

        Args:
            order: Which samples make up which step.
            first: First step.
            workers: Processes that make the batches; 0: this process makes them.
            part: Number of this process and number of processes, each of which gets its share of every batch.
        """
        if workers:
            # A process that is forked beside OpenCV's threads waits for them for ever: there are none from here on.
            cv2.setNumThreads(1)
        return DataLoader(
            self,
            batch_sampler=_Steps(order, first, part),
            num_workers=workers,
            prefetch_factor=4 if workers else None,
            worker_init_fn=_start_worker,
        )


class _Steps:
    """The batch sampler: a list of draws for each step, or every n-th of them for one of n processes."""

    def __init__(self, order: Order, first: int, part: tuple[int, int]) -> None:
        self._order, self._first, self._part = order, first, part

    def __len__(self) -> int:
        return self._order.recipe.steps - self._first

    def __iter__(self) -> Iterator[list[Draw]]:
        number, of = self._part
        return (draws[number::of] for draws in self._order.steps(self._first))


def _start_worker(worker: int) -> None:
    """Let a worker leave Ctrl+C to its parent, end on SIGTERM, and use one thread."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    torch.set_num_threads(1)


def view(
    sample: Sample, config: StudentConfig, size: int, stride: int, landmarks: int = 0
) -> tuple[Tensor, Tensor, Tensor]:
    """Return a sample as the network sees it.

    Args:
        sample: The sample.
        config: Config of the network.
        size: Side of the input, px.
        stride: Input pixels per pixel of the target.
        landmarks: Number of planes of landmarks that follow those of the structures; unknown where the sample has none.

    Returns:
        Input, float32 (1, size, size), target, uint8 (S + L, size/stride, size/stride), known planes, float32 (S + L,).
    """
    sample = _scaled(sample, size)
    top, left, rows, columns = sample.window
    window = (slice(top, top + rows), slice(left, left + columns))
    found = min(landmarks, sample.landmarks)
    planes = np.unpackbits(sample.bits, axis=0, count=len(sample.known) + found)
    covered, known = _covered(planes, size // stride), sample.known
    if landmarks:
        known = np.concatenate([known, np.arange(landmarks) < found]).astype(np.float32)
        covered = np.concatenate([covered, np.zeros((landmarks - found, *covered.shape[1:]), np.uint8)])
    return torch.from_numpy(normalise(sample.frame, window, config)), torch.from_numpy(covered), torch.from_numpy(known)


def mixed(
    one: tuple[Tensor, Tensor, Tensor], other: tuple[Tensor, Tensor, Tensor], weight: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Mix two samples: weighted means of pictures and covered shares; planes count as far as they count in both.

    Args:
        one: Input, target and known planes of a sample.
        other: Those of another one.
        weight: Share of the first, 0..1.
    """
    frame = torch.lerp(other[0], one[0], weight)
    target = torch.lerp(other[1].float(), one[1].float(), weight).round().to(torch.uint8)
    return frame, target, torch.minimum(one[2], other[2])


def share(target: Tensor) -> Tensor:
    """Convert a target from bytes to the covered share of each pixel, float32 0..1."""
    return target.float().div_(_COVERED)


def _covered(planes: npt.NDArray[np.uint8], side: int) -> npt.NDArray[np.uint8]:
    """Return the covered share of larger pixels, uint8 (S, side, side) 0..255, of planes, uint8 (S, H, W) 0 or 1."""
    times, rest = divmod(planes.shape[1], side)
    if rest or times > _LARGEST_SUM:
        return np.stack(
            [
                np.asarray(Image.fromarray(plane * np.uint8(_COVERED)).resize((side, side), Image.Resampling.BOX))
                for plane in planes
            ]
        )
    rows = planes[:, ::times].copy()
    for i in range(1, times):
        rows += planes[:, i::times]
    covered = rows[:, :, ::times].copy()
    for i in range(1, times):
        covered += rows[:, :, i::times]
    table = np.rint(np.arange(times**2 + 1) * (_COVERED / times**2)).astype(np.uint8)
    shares: npt.NDArray[np.uint8] = table[covered]
    return shares


def _scaled(sample: Sample, size: int) -> Sample:
    """Resize the frame of a sample; its planes stay, as targets of any size are made from them."""
    side = sample.frame.shape[0]
    if side == size:
        return sample
    frame = np.asarray(Image.fromarray(sample.frame).resize((size, size), Image.Resampling.BILINEAR))
    top, left, rows, columns = sample.window
    ends = [round(end * size / side) for end in (top, left, top + rows, left + columns)]
    return replace(sample, frame=frame, window=(ends[0], ends[1], ends[2] - ends[0], ends[3] - ends[1]))
