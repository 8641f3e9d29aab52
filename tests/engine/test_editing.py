# SPDX-License-Identifier: Apache-2.0
"""Morphology of a plane: exact sizes, correct borders, and no part lost that must stay."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from small_project import disc
from vfss.errors import MaskError
from vfss.masks import morphology as editing
from vfss.masks.metrics import dice

ALL = {
    "smooth": editing.smooth,
    "grow": lambda mask: editing.grow(mask, 2),
    "shrink": lambda mask: editing.shrink(mask, 2),
    "fill_holes": editing.fill_holes,
    "keep_largest": editing.keep_largest,
    "interpolate": lambda mask: editing.interpolate(mask, np.roll(mask, 1, axis=1), 0.5),
}

planes = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=14))
distances = st.sampled_from((0.0, 1.0, 1.5, 2.0, 3.0))


@st.composite
def two_planes(draw):
    shape = draw(array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=14))
    return draw(arrays(np.bool_, shape)), draw(arrays(np.bool_, shape))


@pytest.mark.parametrize("name", ALL)
@given(mask=planes)
@settings(max_examples=40, deadline=None)
def test_a_correction_gives_a_new_plane_of_the_same_kind_and_leaves_the_old_one(name, mask):
    before = mask.copy()
    made = ALL[name](mask)
    assert (made.shape, made.dtype) == (mask.shape, np.bool_)
    assert not np.shares_memory(made, mask)
    np.testing.assert_array_equal(mask, before)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("value", [False, True])
def test_an_empty_plane_stays_empty_and_a_full_one_full(name, value):
    mask = np.full((9, 12), value)
    np.testing.assert_array_equal(ALL[name](mask), mask)


@pytest.mark.parametrize("name", ["grow", "shrink"])
@given(mask=planes, pixels=distances)
@settings(max_examples=60, deadline=None)
def test_growing_and_shrinking_reach_exactly_the_given_distance(name, mask, pixels):
    """Compare with the definition, pixel by pixel."""
    source = mask if name == "grow" else ~mask
    rows, columns = np.nonzero(source)
    y, x = np.mgrid[: mask.shape[0], : mask.shape[1]]
    near = ((y[..., None] - rows) ** 2 + (x[..., None] - columns) ** 2 <= pixels**2).any(axis=-1)
    expected = near if name == "grow" else ~near
    np.testing.assert_array_equal(getattr(editing, name)(mask, pixels), expected)


@given(mask=planes, pixels=distances)
@settings(max_examples=60, deadline=None)
def test_closing_contains_the_mask_and_the_mask_contains_its_opening(mask, pixels):
    assert (editing.shrink(editing.grow(mask, pixels), pixels) | ~mask).all()
    assert (mask | ~editing.grow(editing.shrink(mask, pixels), pixels)).all()


def test_structures_at_the_border_do_not_shrink_away_from_it():
    mask = np.zeros((20, 30), np.bool_)
    mask[:, :10] = True
    assert (np.flatnonzero(editing.shrink(mask, 3).all(axis=0)) == np.arange(7)).all()
    np.testing.assert_array_equal(editing.smooth(mask), mask)
    assert (np.flatnonzero(editing.grow(mask, 3).all(axis=0)) == np.arange(13)).all()


def test_smoothing_removes_jags_and_keeps_shape_and_thin_parts():
    round_one = disc(80, 80, y=40, x=40, radius=20)
    jagged = round_one ^ (np.random.default_rng(0).random((80, 80)) < 0.04)
    smoothed = editing.smooth(jagged)
    assert dice(smoothed, round_one) > max(0.97, dice(jagged, round_one))
    assert dice(editing.smooth(round_one), round_one) > 0.985
    thin = np.zeros((40, 60), np.bool_)
    thin[20:23, 5:55] = True  # an epiglottis seen from the side
    assert dice(editing.smooth(thin), thin) > 0.95
    speck = np.zeros((40, 60), np.bool_)
    speck[20, 20] = True
    np.testing.assert_array_equal(editing.smooth(speck), speck)


@given(mask=planes)
@settings(max_examples=60, deadline=None)
def test_filling_adds_only_what_cannot_reach_the_border(mask):
    filled = editing.fill_holes(mask)
    assert (filled | ~mask).all()
    added = filled & ~mask
    border = np.zeros_like(mask)
    border[[0, -1]] = border[:, [0, -1]] = True
    assert not (added & border).any()
    np.testing.assert_array_equal(editing.fill_holes(filled), filled)


def test_a_ring_is_filled_and_a_bay_is_not():
    ring = disc(40, 40, y=20, x=20, radius=12) & ~disc(40, 40, y=20, x=20, radius=8)
    np.testing.assert_array_equal(editing.fill_holes(ring), disc(40, 40, y=20, x=20, radius=12))
    at_border = ring[20:]  # open at the picture's border
    np.testing.assert_array_equal(editing.fill_holes(at_border), at_border)


@given(mask=planes)
@settings(max_examples=60, deadline=None)
def test_the_largest_part_is_one_whole_part(mask):
    largest = editing.keep_largest(mask)
    assert largest.any() == mask.any()
    assert (mask | ~largest).all()
    np.testing.assert_array_equal(editing.keep_largest(largest), largest)
    rest = mask & ~largest
    assert not (editing.grow(largest, 1.5) & rest).any()  # nothing that touches it was left out
    assert editing.keep_largest(rest).sum() <= largest.sum()


@given(pair=two_planes())
@settings(max_examples=60, deadline=None)
def test_at_its_ends_an_interpolation_is_the_two_planes(pair):
    first, last = pair
    np.testing.assert_array_equal(editing.interpolate(first, last, 0.0), first)
    np.testing.assert_array_equal(editing.interpolate(first, last, 1.0), last)


@given(pair=two_planes(), at=st.floats(0.05, 0.95))
@settings(max_examples=60, deadline=None)
def test_an_interpolation_of_two_masks_has_pixels_and_is_symmetric(pair, at):
    first, last = pair
    between = editing.interpolate(first, last, at)
    if first.any() and last.any():
        assert between.any()
    if not first.any() and not last.any():
        assert not between.any()
    if abs(at - 0.5) > 0.01:
        assert (between != editing.interpolate(last, first, 1.0 - at)).mean() < 0.02


@given(mask=planes, at=st.floats(0.0, 1.0))
@settings(max_examples=60, deadline=None)
def test_an_interpolation_of_a_plane_with_itself_is_that_plane(mask, at):
    np.testing.assert_array_equal(editing.interpolate(mask, mask, at), mask)


def test_a_disc_that_moves_and_grows_is_interpolated_in_place_and_size():
    first, last = disc(120, 160, y=30, x=30, radius=8), disc(120, 160, y=80, x=120, radius=16)
    assert not (first & last).any()
    half = editing.interpolate(first, last, 0.5)
    assert dice(half, disc(120, 160, y=55, x=75, radius=12)) > 0.97
    third = editing.interpolate(first, last, 0.25)
    assert dice(third, disc(120, 160, y=42.5, x=52.5, radius=10)) > 0.96


def test_a_mask_that_appears_or_disappears_is_empty_half_way():
    mask, nothing = disc(60, 60, y=30, x=30, radius=12), np.zeros((60, 60), np.bool_)
    sizes = [int(editing.interpolate(mask, nothing, at).sum()) for at in (0.0, 0.1, 0.3, 0.4, 0.5, 0.8)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == mask.sum()
    assert sizes[3] > 0
    assert sizes[4:] == [0, 0]
    np.testing.assert_array_equal(editing.interpolate(nothing, mask, 0.7), editing.interpolate(mask, nothing, 0.3))


@pytest.mark.parametrize(
    "call",
    [
        lambda: editing.grow(np.zeros((3, 3), np.uint8), 1),
        lambda: editing.shrink(np.zeros((2, 3, 3), np.bool_), 1),
        lambda: editing.grow(np.zeros((3, 3), np.bool_), -1),
        lambda: editing.smooth(np.zeros((3, 3), np.bool_), float("nan")),
        lambda: editing.interpolate(np.zeros((3, 3), np.bool_), np.zeros((3, 4), np.bool_), 0.5),
        lambda: editing.interpolate(np.zeros((3, 3), np.bool_), np.zeros((3, 3), np.bool_), 1.5),
    ],
)
def test_invalid_planes_are_refused(call):
    with pytest.raises(MaskError):
        call()
