# SPDX-License-Identifier: Apache-2.0
"""Bootstrap: the interval holds what it should as often as it should, and pairing is worth something."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vfss.errors import TrainingError
from vfss_training.experiments.bootstrap import estimate, gain, mean_dice


def scores(seed: int, mean: float, *, seeds: int = 3, patients: int = 40, structures: int = 4) -> np.ndarray:
    """Dice with hard and easy patients, seeds that differ a little, and noise."""
    shared = np.random.default_rng(99).normal(0, 0.08, (1, patients, 1))
    random = np.random.default_rng(seed)
    return (
        mean + shared + random.normal(0, 0.005, (seeds, 1, 1)) + random.normal(0, 0.02, (seeds, patients, structures))
    )


@given(st.integers(0, 10_000), st.floats(0.2, 0.9))
@settings(max_examples=20, deadline=None)
def test_the_mean_lies_in_its_interval(seed: int, mean: float) -> None:
    found = estimate(scores(seed, mean), draws=200)
    assert found.low < found.mean < found.high
    assert found.mean == pytest.approx(scores(seed, mean).mean())


def test_pairing_sees_a_gain_that_patients_hide() -> None:
    better, worse = scores(1, 0.82), scores(2, 0.79)
    found = gain(better, worse)
    assert found.low > 0
    assert found.mean == pytest.approx(0.03, abs=0.01)
    alone = estimate(better)
    assert alone.high - alone.low > 1.5 * (found.high - found.low)


def test_no_gain_is_no_gain() -> None:
    """Of forty comparisons of equals hardly any excludes 0."""
    excluded = 0
    for seed in range(0, 80, 2):
        found = gain(scores(seed, 0.8, seeds=5), scores(seed + 1, 0.8, seeds=5), draws=300)
        excluded += not found.low <= 0 <= found.high
    assert excluded <= 8


def test_structures_that_do_not_count_take_no_part() -> None:
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
