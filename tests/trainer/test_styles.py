# SPDX-License-Identifier: Apache-2.0
"""Mean Dice on styles of the phantom: means, standard errors and gains on made-up scores, and on small phantoms."""

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from vfss_training.data.phantoms import draw_phantom

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def scoring(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("style_scores")


@pytest.fixture
def styles(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    bench = importlib.import_module("styles")
    monkeypatch.setattr(bench, "SIZE", 64)
    return bench


def test_hidden_structures_do_not_count_and_missed_ones_count_nothing(scoring):
    square = np.zeros((10, 10), np.bool_)
    square[:5] = True
    nothing = np.zeros_like(square)
    truth = np.stack([square, square, nothing, nothing, square])
    proposed = np.stack([square, nothing, square, nothing, square])
    scores = scoring.visible_dice(truth, np.array([True, True, True, True, False]), proposed)
    assert scores[:3].tolist() == [1, 0, 0]
    assert np.isnan(scores[3:]).all()


def test_the_mean_is_over_structures_of_means_over_patients(scoring):
    scores = np.array([[1.0, 0.5], [0.0, np.nan], [0.5, np.nan]])
    row = scoring.summary(scores, ("c3", "c4"))
    assert (row["mean"], row["patients"]) == (0.5, 3)
    assert row["structures"]["c3"] == {"patients": 3, "mean": 0.5, "se": round(0.5 / 3**0.5, 4)}
    assert row["structures"]["c4"] == {"patients": 1, "mean": 0.5, "se": None}
    blank = scoring.summary(np.array([[1.0, np.nan], [0.0, np.nan]]), ("c3", "c4"))
    assert (blank["mean"], blank["structures"]["c4"]["mean"]) == (0.5, None)


def test_the_standard_error_is_that_of_a_mean(scoring):
    scores = np.random.default_rng(1).normal(0.7, 0.2, (100, 1))
    assert scoring.summary(scores, ("c3",))["se"] == pytest.approx(scores.std() / 10, rel=0.1)


def test_gains_are_paired_by_patient(scoring):
    theirs = np.random.default_rng(2).uniform(0.2, 0.9, (40, 3))
    better = scoring.gain(theirs + 0.05, theirs)
    assert better == {"mean": 0.05, "se": 0.0}
    other = scoring.gain(theirs[::-1], theirs)
    assert other["mean"] == 0
    assert other["se"] > 0.01


def test_styles_weigh_alike_and_their_errors_add_up(scoring):
    assert scoring.over_styles([{"mean": 0.6, "se": 0.03}, {"mean": 0.8, "se": 0.04}]) == {"mean": 0.7, "se": 0.025}


def test_frames_are_measured_from_the_cache(styles, tmp_path):
    seed, truths = 100_700, {}
    for i in range(2):
        frame, truth, _ = draw_phantom(seed + i, 64, "harsh")
        truths[frame.tobytes()] = truth
    proposals = {"knows": lambda frame: truths[frame.tobytes()], "blank": lambda _: np.zeros((12, 64, 64), np.bool_)}
    found = styles.figures(proposals, ("harsh",), seed, 2, tmp_path)
    assert found["knows"]["styles"]["harsh"]["mean"] == found["knows"]["unlearnt"]["mean"] == 1
    assert found["blank"]["styles"]["harsh"]["mean"] == 0
    assert found["blank"]["unlearnt"]["gain"]["mean"] == -1
    assert not any(found["knows"]["styles"]["harsh"]["proposed_where_hidden"].values())
    assert any(tmp_path.rglob("frames"))


def test_patients_for_choosing_are_those_of_no_recipe(styles):
    recipes = importlib.import_module("vfss_training.config.recipe")
    folder = BENCHMARKS.parent / "training" / "vfss_training" / "recipes"
    for path in folder.glob("*.yaml"):
        for part in recipes.load_recipe(path).held_out.values():
            assert part.first_seed + part.frames <= styles.CHOOSING_SEED or part.first_seed >= 100_000
