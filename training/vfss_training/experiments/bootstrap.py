# SPDX-License-Identifier: Apache-2.0
"""Bootstrap: confidence intervals of a mean Dice, and of the gain of one recipe over another.

Training seeds and test patients are both resampled with replacement, with the same draws for both sides of a
comparison (paired): patients that are hard for one student are mostly hard for the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np

from vfss.errors import TrainingError
from vfss.evaluation.bootstrap import RESAMPLES, FloatArray, draw_counts, middle_95

_CHUNK = 100


@dataclass(frozen=True)
class Estimate:
    """A mean with its interval of 95 % confidence.

    Attributes:
        mean: Mean of the measured values.
        low: 2.5th percentile over the draws.
        high: 97.5th percentile.
    """

    mean: float
    low: float
    high: float

    def to_dict(self) -> dict[str, float | list[float]]:
        """Return plain data, rounded: {"mean", "ci95": [low, high]}."""
        rounded = {name: round(value, 5) for name, value in asdict(self).items()}
        return {"mean": rounded["mean"], "ci95": [rounded["low"], rounded["high"]]}


def mean_dice(dice: FloatArray) -> float:
    """Return the mean over seeds of the mean over structures of the mean over patients.

    Args:
        dice: float64 (seeds, patients, S), nan where a structure does not count.

    Raises:
        TrainingError: No structure of any patient counts.
    """
    return float(_means(dice, np.ones(dice.shape[:2])[np.newaxis])[0])


def estimate(dice: FloatArray, *, seed: int = 0, draws: int = RESAMPLES) -> Estimate:
    """Return the mean of Dice, float64 (seeds, patients, S), with its interval."""
    means = np.concatenate([_means(dice, weights) for weights in _weights(dice.shape, seed, draws)])
    return Estimate(mean_dice(dice), *middle_95(means))


def gain(ours: FloatArray, theirs: FloatArray, *, seed: int = 0, draws: int = RESAMPLES) -> Estimate:
    """Return the mean Dice of one recipe less that of another, paired.

    Args:
        ours: float64 (seeds, patients, S), nan where a structure does not count.
        theirs: The same seeds and patients.
        seed: Seed of the draws.
        draws: Number of draws.

    Raises:
        TrainingError: They are not the same seeds and patients.
    """
    if ours.shape != theirs.shape:
        raise TrainingError(
            f"scores of {ours.shape} and {theirs.shape} cannot be paired",
            remedy="Train and score both with the same seeds on the same patients.",
        )
    gains = np.concatenate(
        [_means(ours, weights) - _means(theirs, weights) for weights in _weights(ours.shape, seed, draws)]
    )
    return Estimate(mean_dice(ours) - mean_dice(theirs), *middle_95(gains))


def _weights(shape: tuple[int, ...], seed: int, draws: int) -> Iterator[FloatArray]:
    """Yield how often each seed and patient was drawn, float64 (draws, seeds, patients), in chunks."""
    random = np.random.default_rng(seed)
    seeds, patients = shape[:2]
    for first in range(0, draws, _CHUNK):
        n = min(_CHUNK, draws - first)
        by_seed, by_patient = draw_counts(seeds, n, random), draw_counts(patients, n, random)
        yield by_seed[:, :, None] * by_patient[:, None, :]


def _means(dice: FloatArray, weights: FloatArray) -> FloatArray:
    """Return the mean Dice of each draw, float64 (draws,): over patients, then structures, then seeds.

    A structure that no drawn patient has does not count in that draw.
    """
    known = np.isfinite(dice)
    total = np.einsum("spk,dsp->dsk", np.where(known, dice, 0.0), weights)
    count = np.einsum("spk,dsp->dsk", known.astype(np.float64), weights)
    drawn = weights.sum(2)
    by_structure = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
    has = np.isfinite(by_structure)
    if not has.any(axis=(1, 2)).all():
        raise TrainingError("no structure of any patient was scored", remedy="Score on patients with annotations.")
    by_seed = np.where(has, by_structure, 0.0).sum(2) / np.maximum(has.sum(2), 1)
    # A seed counts as often as it was drawn: its weights add up to that number times the patients.
    times = drawn / drawn.sum(1, keepdims=True)
    means: FloatArray = (by_seed * times).sum(1)
    return means
