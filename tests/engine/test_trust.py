# SPDX-License-Identifier: Apache-2.0
"""Consistency: masks that jump are found, masks that move steadily are not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vfss.consistency.doubt import Doubt
from vfss.consistency.judge import INCONSISTENT, Movement, Trust, centre, mask_distance
from vfss.masks import MaskState, pack_mask, unpack_box
from vfss.masks.metrics import dice
from vfss.phantom import Phantom
from vfss.project.overview import FramePlanes

PLANES = hnp.arrays(np.bool_, (13, 17), elements=st.booleans())
N = 90


def boxed(mask):
    return unpack_box(pack_mask(mask))


def measured(planes, known=None):
    """Return the movement of planes, bool (T, S, H, W); `known`, bool (T, S): which planes are known."""
    movement = Movement(*planes.shape[:2])
    frames = (
        FramePlanes(t, tuple(boxed(p) if known is None or known[t, s] else None for s, p in enumerate(frame)))
        for t, frame in enumerate(planes)
    )
    assert list(movement.add(frames)) == list(range(len(planes)))
    return movement


@pytest.fixture(scope="module")
def truth():
    phantom = Phantom(11, n_frames=N, height=160, width=160, style="clinic")
    return np.stack([phantom.planes(t) for t in range(N)])


@settings(deadline=None)
@given(a=PLANES, b=PLANES)
def test_the_distance_is_one_minus_dice_of_the_planes(a, b):
    expected = 1 - dice(a, b)
    assert mask_distance(boxed(a), boxed(b)) == pytest.approx(0.0 if np.isnan(expected) else expected)
    assert np.isnan(mask_distance(boxed(a), None))


@given(mask=PLANES)
def test_the_centre_is_that_of_the_pixels(mask):
    computed = centre(boxed(mask))
    assert np.isnan(computed).all() if not mask.any() else np.allclose(computed, np.argwhere(mask).mean(axis=0))


def test_the_truth_of_a_swallow_hardly_jumps(truth):
    marked = np.nan_to_num(measured(truth).inconsistency()) >= INCONSISTENT
    assert marked.mean() < 0.02


@pytest.mark.parametrize("fault", ["gone", "moved", "other"])
def test_a_mask_that_is_wrong_for_one_frame_is_found(truth, fault):
    rng = np.random.default_rng(5)
    hits, false = 0, 0
    places = [(int(t), int(s)) for t, s in zip(rng.integers(3, N - 3, 12), rng.permutation(12), strict=True)]
    places = [(t, s) for t, s in places if truth[t - 1 : t + 2, s].any(axis=(1, 2)).all()]
    planes = truth.copy()
    for t, s in places:
        if fault == "gone":
            planes[t, s] = False
        elif fault == "moved":
            planes[t, s] = np.roll(truth[t, s], 40, axis=0)
        else:
            planes[t, s] = truth[t, (s + 1) % 12]
    marked = np.nan_to_num(measured(planes).inconsistency()) >= INCONSISTENT
    plain = np.nan_to_num(measured(truth).inconsistency()) >= INCONSISTENT
    hits = sum(marked[t, s] for t, s in places)
    wrong = {(t, s) for t, s in places}
    false = sum((int(t), int(s)) not in wrong for t, s in zip(*np.nonzero(marked & ~plain), strict=True))
    assert len(places) >= 8
    assert hits == len(places)
    assert false == 0


def test_a_jump_that_stays_is_marked_on_both_sides():
    planes = np.zeros((20, 1, 40, 40), np.bool_)
    planes[:10, :, 5:15, 5:15] = True
    planes[10:, :, 25:35, 5:15] = True
    marked = np.nonzero(measured(planes).inconsistency()[:, 0] >= INCONSISTENT)[0]
    assert list(marked) == [9, 10]


def test_steady_movement_is_no_jump_however_fast():
    planes = np.zeros((20, 1, 200, 20), np.bool_)
    for t in range(20):
        planes[t, 0, 5 * t + 10 : 5 * t + 22] = True
    assert not (measured(planes).inconsistency() >= INCONSISTENT).any()


def test_unknown_masks_are_neither_consistent_nor_inconsistent():
    planes = np.zeros((6, 1, 20, 20), np.bool_)
    planes[:, :, 5:9, 5:9] = True
    known = np.ones((6, 1), np.bool_)
    known[2:4] = False
    inconsistency = measured(planes, known).inconsistency()[:, 0]
    assert np.isnan(inconsistency[2:4]).all()
    assert (inconsistency[[0, 1, 4, 5]] == 0).all()


def test_after_a_change_five_frames_are_enough(truth):
    part = truth[:12, :3].copy()
    movement = measured(part)
    part[5, 1] = np.roll(part[5, 1], 30, axis=1)
    again = (FramePlanes(t, tuple(boxed(p) for p in part[t])) for t in range(3, 8))
    assert list(movement.add(again)) == [3, 4, 5, 6, 7]
    fresh = measured(part)
    assert np.array_equal(movement.inconsistency(), fresh.inconsistency(), equal_nan=True)
    assert np.array_equal(movement.centres, fresh.centres, equal_nan=True)


def test_annotation_is_never_doubtful_and_low_proposals_are():
    states = np.array([[MaskState.UNSEEN, MaskState.EDITED, MaskState.ACCEPTED, MaskState.EMPTY] + [1] * 4], np.uint8)
    confidence = np.array([[np.nan, 0.1, 0.1, np.nan, 0.95, 0.5, 0.95, np.nan]], np.float32)
    jumps = np.array([[np.nan, 0.9, 0.9, 0, 0.1, 0.1, 0.8, np.nan]], np.float32)
    annotated, doubtful = Trust.ANNOTATED, Trust.DOUBTFUL
    expected = [Trust.NOTHING, annotated, annotated, annotated, Trust.TRUSTED, doubtful, doubtful, doubtful]
    assert list(Doubt(states, confidence, jumps).trust[0]) == expected
