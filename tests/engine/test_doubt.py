# SPDX-License-Identifier: Apache-2.0
"""Doubt: ranked within clip and structure, moved by corrections, walked worst first."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vfss.consistency.doubt import RANKED_FROM, SHARE, Doubt
from vfss.consistency.judge import Trust
from vfss.masks import MaskState

T, S = 60, 5
SEEDS = st.integers(0, 2**32 - 1)


def film(seed=0, high=0.79):
    """Return states, confidence and inconsistency of a clip on which every proposal is below the old threshold."""
    confidence = np.random.default_rng(seed).uniform(0.1, high, (T, S)).astype(np.float32)
    return np.full((T, S), MaskState.PROPOSED, np.uint8), confidence, np.zeros((T, S), np.float32)


def share(doubt):
    return float((doubt.trust == Trust.DOUBTFUL).mean())


@settings(deadline=None)
@given(seed=SEEDS)
def test_on_film_that_is_poor_throughout_the_worst_quarter_is_doubtful(seed):
    doubt = Doubt(*film(seed))
    assert share(doubt) == pytest.approx(SHARE, abs=0.03)
    scores = doubt.scores
    assert 0 <= scores.min() <= scores.max() == 1
    assert scores[doubt.trust == Trust.DOUBTFUL].min() > scores[doubt.trust == Trust.TRUSTED].max()


def test_good_film_has_hardly_a_doubtful_mask():
    states, confidence, jumps = film()
    confidence[:] = 0.95
    confidence[7, 2] = 0.5
    assert Doubt(states, confidence, jumps).worst_first == ((7, 2),)


@settings(deadline=None)
@given(seed=SEEDS, s=st.integers(0, S - 1))
def test_within_a_structure_lower_confidence_is_never_less_doubtful(seed, s):
    _, confidence, _ = arrays = film(seed)
    scores = Doubt(*arrays).scores[:, s]
    assert (np.diff(scores[np.argsort(confidence[:, s])]) <= 0).all()


def test_the_worst_masks_of_a_structure_that_is_usually_better_are_found_too():
    states, confidence, jumps = film()
    confidence[:, 0] = np.linspace(0.4, 0.79, T)
    trust = Doubt(states, confidence, jumps).trust
    assert (trust[:3, 0] == Trust.DOUBTFUL).all()
    assert (trust[confidence < 0.39] == Trust.TRUSTED).any()  # low for the clip, usual for its structure


def test_a_jump_comes_first():
    states, confidence, jumps = film()
    confidence[30, 3], jumps[30, 3] = 0.95, 1.0
    assert Doubt(states, confidence, jumps).worst_first[0] == (30, 3)


def test_masks_that_cannot_be_told_apart_are_judged_alike():
    states, confidence, jumps = film()
    confidence[:] = 0.4
    assert share(Doubt(states, confidence, jumps)) == 1


def test_few_proposals_are_not_ranked():
    n = RANKED_FROM - 1
    states, confidence, jumps = (a.ravel()[:n, None] for a in film())
    assert share(Doubt(states, confidence, jumps)) == 1


def test_a_proposal_without_confidence_is_doubtful_and_an_annotation_never():
    states, confidence, jumps = film()
    confidence[3] = np.nan
    states[4] = MaskState.ACCEPTED
    states[5] = MaskState.UNSEEN
    trust = Doubt(states, confidence, jumps).trust
    assert (trust[3] == Trust.DOUBTFUL).all()
    assert (trust[4] == Trust.ANNOTATED).all()
    assert (trust[5] == Trust.NOTHING).all()


def test_accepting_shortens_the_list():
    states, confidence, jumps = film()
    for _ in range(10):
        before = Doubt(states, confidence, jumps).worst_first
        states[before[0]] = MaskState.ACCEPTED
        assert Doubt(states, confidence, jumps).worst_first == before[1:]


@pytest.mark.parametrize(("value", "direction"), [(0.0, -1), (1.0, 1)])
def test_corrections_move_the_threshold(value, direction):
    states, confidence, jumps = film()
    plain = Doubt(states, confidence, jumps)
    corrected = np.full((T, S), np.nan, np.float32)
    near = np.argsort(np.abs(plain.scores - plain.threshold), axis=None)[:60]
    corrected.flat[near] = value
    moved = Doubt(states, confidence, jumps, corrected)
    assert (share(moved) - share(plain)) * direction > 0.02
    corrected[:] = value
    assert 0.04 < share(Doubt(states, confidence, jumps, corrected)) <= 0.51


def test_one_correction_changes_little():
    states, confidence, jumps = film()
    corrected = np.full((T, S), np.nan, np.float32)
    corrected[10, 1] = 1
    assert share(Doubt(states, confidence, jumps, corrected)) == pytest.approx(SHARE, abs=0.05)


def test_the_walk_meets_each_doubtful_mask_once_and_goes_on_after_an_acceptance():
    states, confidence, jumps = film()
    first = Doubt(states, confidence, jumps)
    trusted = tuple(int(i) for i in np.argwhere(first.trust == Trust.TRUSTED)[0])
    assert first.step(trusted, 1) == 0
    assert first.step(trusted, -1) is None
    assert first.step(first.worst_first[0], -1) is None
    assert first.step(first.worst_first[-1], 1) is None
    assert first.step(first.worst_first[3], 1) == 4
    place = first.worst_first[3]
    states[place] = MaskState.ACCEPTED
    now = Doubt(states, confidence, jumps)
    assert now.worst_first[now.step(place, 1)] == first.worst_first[4]
    assert now.worst_first[now.step(place, -1)] == first.worst_first[2]
