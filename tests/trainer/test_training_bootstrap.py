# SPDX-License-Identifier: Apache-2.0
"""Bootstrap: coverage of the intervals, and narrower ones for paired scores."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vfss.errors import TrainingError
from vfss_training.experiments.bootstrap import estimate, gain, mean_dice


def scores(seed: int, mean: float, *, seeds: int = 3, patients: int = 40, structures: int = 4) -> np.ndarray:
    """Return Dice (seeds, patients, structures) with hard and easy patients, small differences of seeds, and noise."""
    shared = np.random.default_rng(99).normal(0, 0.08, (1, patients, 1))
    random = np.random.default_rng(seed)
    return (
        mean + shared + random.normal(0, 0.005, (seeds, 1, 1)) + random.normal(0, 0.02, (seeds, patients, structures))
    )


@given(st.integers(0, 10_000), st.floats(0.2, 0.9))
@settings(max_examples=20, deadline=None)
def test_the_mean_lies_in_its_interval(seed: int, mean: float) -> None:
    interval = estimate(scores(seed, mean), draws=200)
    assert interval.low < interval.mean < interval.high
    assert interval.mean == pytest.approx(scores(seed, mean).mean())


def test_pairing_detects_a_gain_smaller_than_the_spread_of_patients() -> None:
    better, worse = scores(1, 0.82), scores(2, 0.79)
    interval = gain(better, worse)
    assert interval.low > 0
    assert interval.mean == pytest.approx(0.03, abs=0.01)
    unpaired = estimate(better)
    assert unpaired.high - unpaired.low > 1.5 * (interval.high - interval.low)


def test_equal_scores_have_no_gain() -> None:
    """Of forty comparisons without a true gain few exclude 0."""
    excluded = 0
    for seed in range(0, 80, 2):
        interval = gain(scores(seed, 0.8, seeds=5), scores(seed + 1, 0.8, seeds=5), draws=300)
        excluded += not interval.low <= 0 <= interval.high
    assert excluded <= 8


def test_structures_without_a_dice_are_left_out() -> None:
    dice = np.full((1, 2, 3), np.nan)
    dice[0, :, 0], dice[0, 0, 1] = (0.5, 0.7), 1.0
    assert mean_dice(dice) == pytest.approx((0.6 + 1.0) / 2)
    with pytest.raises(TrainingError, match="no structure"):
        mean_dice(np.full((1, 2, 3), np.nan))
    with pytest.raises(TrainingError, match="cannot be paired"):
        gain(dice, dice[:, :1])


def test_the_same_seed_gives_the_same_interval() -> None:
    dice = scores(5, 0.6)
    assert estimate(dice, seed=3) == estimate(dice, seed=3) != estimate(dice, seed=4)
    assert set(estimate(dice).to_dict()) == {"mean", "ci95"}
