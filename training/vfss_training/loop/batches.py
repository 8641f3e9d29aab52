# SPDX-License-Identifier: Apache-2.0
"""Views: which sample comes when, seen how; a pure function of seed and number, so that a run can be taken up again."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import NamedTuple

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
_MOST_SUMMED = 15  # pixels along a side whose sum still fits a byte
_DONORS = 32  # frames whose spectra are mixed into others


class Draw(NamedTuple):
    """One place in a batch.

    Attributes:
        source: Number of the source.
        item: Sample of that source.
        number: Seed of its augmentation.
        size: Side of the input, px.
        view: Number of the view in which teachers saw it, whose targets are kept; -1: it is moved as it comes.
    """

    source: int
    item: int
    number: int
    size: int
    view: int = -1


class Batch(NamedTuple):
    """Views of N samples.

    Attributes:
        frames: float32 (N, 1, size, size), network input.
        target: uint8 (N, S, size/stride, size/stride), covered share of each pixel, 0..255.
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
        lengths: Samples in each source: the first is what is learnt, others are replayed or film.
        taught: How many first samples of each source have a teacher's targets; empty: none.
        film: Number of the source that nobody has painted, which is left out where only labels are learnt; None: none.
    """

    recipe: Recipe
    lengths: tuple[int, ...]
    taught: tuple[int, ...] = ()
    film: int | None = None

    def step(self, step: int) -> list[Draw]:
        """Draws of one step."""
        batch, size = self.recipe.batch, self.recipe.size_at(step)
        draws: list[Draw] = []
        for source, (count, length) in enumerate(zip(self._counts(step), self.lengths, strict=True)):
            for place in range(step * count, (step + 1) * count):
                index = int(_shuffled(self.recipe.seed, source, place // length, length)[place % length])
                number = step * batch + len(draws)
                draws.append(Draw(source, index, number, size, self._view(source, index, number)))
        return draws

    def _counts(self, step: int) -> list[int]:
        """Draws of each source in one step."""
        recipe = self.recipe
        over = recipe.distill.is_last_stage(step / recipe.steps)
        film = 0 if self.film is None or over else min(round(recipe.batch * recipe.film), recipe.batch - 1)
        replays = len(self.lengths) > (1 if self.film is None else 2)
        replayed = round((recipe.batch - film) * recipe.replay) if replays else 0
        counts = [recipe.batch - film - replayed] + [replayed] * (len(self.lengths) - 1)
        if self.film is not None:
            counts[self.film] = film
        return counts

    def _view(self, source: int, item: int, number: int) -> int:
        if not self.taught or item >= self.taught[source]:
            return -1
        random = np.random.default_rng((self.recipe.seed, 2, number))
        # Where nobody paints film, there is nothing to learn from it but what teachers say of it.
        bare = source == self.film and not self.recipe.pseudo_labels
        taught = random.random() < self.recipe.distill.share or bare
        return int(random.integers(self.recipe.distill.views)) if taught else -1

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
        self._showing = recipe.teacher_views
        self._donors: dict[tuple[int, int], npt.NDArray[np.uint8]] = {}

    def __getitem__(self, draw: Draw) -> tuple[Tensor, Tensor, Tensor]:
        """Input, target and known planes of one draw."""
        random = np.random.default_rng((self._recipe.seed, 1, draw.number))
        shown = self._shown(draw, random)
        if draw.view >= 0 or not self._recipe.mixup:
            return shown
        # Drawn apart, so that a recipe that mixes nothing shows what it always showed.
        random = np.random.default_rng((self._recipe.seed, 4, draw.number))
        if random.random() >= self._recipe.mixup:
            return shown
        other = draw._replace(item=int(random.integers(len(self._sources[draw.source]))))
        return mixed(shown, self._shown(other, random), float(random.uniform(0.5, 1.0)))

    def _shown(self, draw: Draw, random: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """The view of one draw, unmixed."""
        sample = self._sources[draw.source][draw.item]
        augmentation = self._recipe.augmentation
        if draw.view >= 0:
            sample = augmentation.in_place()(self._showing(sample, draw.item, draw.view), random)
        else:
            sample = augmentation(sample, random)
        donor = partial(self._donor, draw.source, int(random.integers(_DONORS)))
        sample = replace(sample, frame=self._recipe.appearance(sample.frame, random, donor))
        return view(sample, self._config, draw.size, self._recipe.loss_stride)

    def _donor(self, source: int, number: int) -> npt.NDArray[np.uint8]:
        """One of the first few frames, which a worker keeps."""
        samples = self._sources[source]
        place = (source, number % len(samples))
        if place not in self._donors:
            self._donors[place] = samples[place[1]].frame
        return self._donors[place]

    def loader(
        self, order: Order, first: int, workers: int, part: tuple[int, int] = (0, 1)
    ) -> DataLoader[tuple[Tensor, Tensor, Tensor]]:
        """Batches of every step from `first` on, made by worker processes; of each only this part, as (number, of)."""
        return DataLoader(
            self,
            batch_sampler=_Steps(order, first, part),
            num_workers=workers,
            prefetch_factor=4 if workers else None,
            worker_init_fn=_quiet,
        )


class _Steps:
    """The batch sampler: one list of draws a step, or every n-th of them for one of n processes."""

    def __init__(self, order: Order, first: int, part: tuple[int, int]) -> None:
        self._order, self._first, self._part = order, first, part

    def __len__(self) -> int:
        return self._order.recipe.steps - self._first

    def __iter__(self) -> Iterator[list[Draw]]:
        number, of = self._part
        return (draws[number::of] for draws in self._order.steps(self._first))


def _quiet(worker: int) -> None:
    """A worker leaves Ctrl+C to its parent, dies of SIGTERM, and keeps to one thread."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    torch.set_num_threads(1)


def view(sample: Sample, config: StudentConfig, size: int, stride: int) -> tuple[Tensor, Tensor, Tensor]:
    """Input float32 (1, size, size), target uint8 (S, size/stride, size/stride), known float32 (S,) of a sample."""
    sample = _scaled(sample, size)
    top, left, rows, columns = sample.window
    window = (slice(top, top + rows), slice(left, left + columns))
    planes = np.unpackbits(sample.bits, axis=0, count=len(sample.known))
    target = torch.from_numpy(_covered(planes, size // stride))
    return torch.from_numpy(normalise(sample.frame, window, config)), target, torch.from_numpy(sample.known)


def mixed(
    one: tuple[Tensor, Tensor, Tensor], other: tuple[Tensor, Tensor, Tensor], much: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Two samples in one: pictures and covered shares added up; of planes only those that count in both.

    Args:
        one: Input, target and known planes of a sample.
        other: The same of another one.
        much: Share of the first, 0..1.
    """
    frame = torch.lerp(other[0], one[0], much)
    target = torch.lerp(other[1].float(), one[1].float(), much).round().to(torch.uint8)
    return frame, target, torch.minimum(one[2], other[2])


def share(target: Tensor) -> Tensor:
    """Covered share of each pixel, float32 0..1, of a target as it comes from a worker."""
    return target.float().div_(_COVERED)


def _covered(planes: npt.NDArray[np.uint8], side: int) -> npt.NDArray[np.uint8]:
    """How much of each larger pixel is covered, uint8 (S, side, side) 0..255, of planes uint8 (S, H, W) of 0 and 1."""
    times, rest = divmod(planes.shape[1], side)
    if rest or times > _MOST_SUMMED:
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
    found: npt.NDArray[np.uint8] = table[covered]
    return found


def _scaled(sample: Sample, size: int) -> Sample:
    """The sample with its frame at another size; planes stay, as the target is made from them at any size."""
    side = sample.frame.shape[0]
    if side == size:
        return sample
    frame = np.asarray(Image.fromarray(sample.frame).resize((size, size), Image.Resampling.BILINEAR))
    top, left, rows, columns = sample.window
    ends = [round(end * size / side) for end in (top, left, top + rows, left + columns)]
    return replace(sample, frame=frame, window=(ends[0], ends[1], ends[2] - ends[0], ends[3] - ends[1]))
