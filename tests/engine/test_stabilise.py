# SPDX-License-Identifier: Apache-2.0
"""Stabilisation: rotations and shifts are found; gaps and single wrong masks do no harm."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vfss.motion.stabilise import stabilising_path

SPINE = np.array([[100.0, 200.0], [140.0, 205.0], [180.0, 215.0]])
T = 60


def turned(points, angle, shift):
    c, s = np.cos(angle), np.sin(angle)
    return points @ np.array([[c, -s], [s, c]]).T + shift


def moving(turn=0.2, sway=12.0):
    """Centres (T, 3, 2) of a spine that nods and sways slowly."""
    t = np.arange(T)
    angles, shifts = turn * np.sin(t / 15), sway * np.stack([np.sin(t / 20), np.cos(t / 17)], axis=1)
    return np.stack([turned(SPINE, a, s) for a, s in zip(angles, shifts, strict=True)]).astype(np.float32)


def stabilised(path, centres):
    """Return centres as the matrices place them, (T, 3, 2)."""
    homogeneous = np.concatenate([centres, np.ones((*centres.shape[:2], 1))], axis=2)
    return np.einsum("tij,tkj->tki", path.matrices, homogeneous)[..., :2]


def largest_motion(points):
    return np.nanmax(np.linalg.norm(points - np.nanmedian(points, axis=0), axis=2))


@settings(deadline=None, max_examples=30)
@given(turn=st.floats(-0.5, 0.5), sway=st.floats(0, 40))
def test_a_spine_that_nods_and_sways_stands_still(turn, sway):
    centres = moving(turn, sway)
    path = stabilising_path(centres, (0, 1, 2))
    assert path.is_known.all()
    assert largest_motion(stabilised(path, centres)) <= 0.2 * largest_motion(centres) + 0.01


def test_every_transform_is_rigid():
    for matrix in stabilising_path(moving(), (0, 1, 2)).matrices:
        assert np.allclose(matrix[:2, :2] @ matrix[:2, :2].T, np.eye(2))
        assert np.linalg.det(matrix) == pytest.approx(1)


def test_without_masks_the_last_transform_is_kept_and_marked():
    centres = moving()
    centres[20:30] = np.nan
    centres[:5] = np.nan
    path = stabilising_path(centres, (0, 1, 2))
    assert list(np.flatnonzero(~path.is_known)) == [*range(5), *range(20, 30)]
    for t in range(20, 30):
        assert np.array_equal(path.matrices[t], path.matrices[19])
    assert np.array_equal(path.matrices[0], path.matrices[5])


def test_a_single_wrong_mask_does_not_shake_the_picture():
    centres = moving()
    wrong = centres.copy()
    wrong[30, 1] += 25
    calm = stabilised(stabilising_path(wrong, (0, 1, 2)), centres)
    assert largest_motion(calm) < 3


def test_two_of_three_are_enough_and_one_is_not():
    centres = moving()
    centres[10, 2] = np.nan
    centres[11, 1:] = np.nan
    path = stabilising_path(centres, (0, 1, 2))
    assert path.is_known[10]
    assert not path.is_known[11]
    assert largest_motion(stabilised(path, centres)[:11]) < 2


def test_a_clip_without_a_spine_is_left_as_it_is():
    path = stabilising_path(np.full((4, 5, 2), np.nan, np.float32), (1, 2, 3))
    assert not path.is_known.any()
    assert np.array_equal(path.matrices, np.tile(np.eye(3), (4, 1, 1)))
