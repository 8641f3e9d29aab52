# SPDX-License-Identifier: Apache-2.0
"""A click changes the mask around itself and nowhere else."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from small_project import disc
from vfss.student.prompts import Click
from vfss.student.refinement import changed_near_clicks

SIDE = 256


def blob(y: float, x: float, radius: float) -> np.ndarray:
    return disc(SIDE, SIDE, y=y, x=x, radius=radius)


def test_of_two_changes_only_the_clicked_one_is_made() -> None:
    current = blob(128, 128, 30)
    near, far = blob(128, 170, 15), blob(40, 40, 12)
    corrected = (current | near | far) & ~blob(128, 98, 8)
    mask = changed_near_clicks(current, corrected, (Click(128, 172, True),))
    np.testing.assert_array_equal(mask, current | near)


def test_all_earlier_clicks_count() -> None:
    current = blob(128, 128, 30)
    near, far = blob(128, 170, 15), blob(40, 40, 12)
    clicks = (Click(40, 40, True), Click(128, 172, True))
    np.testing.assert_array_equal(changed_near_clicks(current, current | near | far, clicks), current | near | far)


def test_a_click_that_adds_takes_nothing_away_and_the_reverse() -> None:
    current = blob(128, 128, 30)
    near, dent = blob(128, 160, 12), blob(128, 150, 6)
    corrected = (current | near) & ~dent
    added = changed_near_clicks(current, corrected, (Click(128, 164, True),))
    np.testing.assert_array_equal(added, current | (near & ~dent))
    taken = changed_near_clicks(current, corrected, (Click(128, 150, False),))
    np.testing.assert_array_equal(taken, current & ~dent)
    both = changed_near_clicks(current, corrected, (Click(128, 164, True), Click(128, 150, False)))
    np.testing.assert_array_equal(both, corrected)


def test_a_border_drawn_anew_all_around_is_no_correction() -> None:
    current = blob(128, 128, 40)
    hole = blob(128, 128, 10)
    corrected = blob(128, 128, 41) & ~hole  # one pixel wider everywhere, not only at the click
    np.testing.assert_array_equal(changed_near_clicks(current, corrected, (Click(128, 128, False),)), current & ~hole)


def test_a_thin_change_under_the_click_is_made_there_only() -> None:
    current, corrected = blob(128, 128, 40), blob(128, 128, 41)
    mask = changed_near_clicks(current, corrected, (Click(128, 168.5, True),))
    assert (mask & ~current).any()
    assert not (mask ^ current)[:, :140].any()


def test_where_the_correction_changes_nothing_near_the_click_the_mask_stays() -> None:
    current = blob(128, 128, 30)
    mask = changed_near_clicks(current, current | blob(40, 40, 12), (Click(220, 220, True),))
    np.testing.assert_array_equal(mask, current)


def test_without_clicks_or_without_a_mask_the_correction_is_taken_as_it_is() -> None:
    corrected, nothing = blob(100, 100, 20), np.zeros((SIDE, SIDE), np.bool_)
    np.testing.assert_array_equal(changed_near_clicks(blob(30, 30, 9), corrected, ()), corrected)
    np.testing.assert_array_equal(changed_near_clicks(nothing, corrected, (Click(100, 100, True),)), corrected)


@given(
    y=st.floats(0, SIDE - 1), x=st.floats(0, SIDE - 1), radius=st.floats(1, 60), seed=st.integers(0, 99),
    height=st.integers(20, SIDE), width=st.integers(20, SIDE),
)  # fmt: skip
def test_each_pixel_is_of_the_mask_or_of_the_correction(
    *, y: float, x: float, radius: float, seed: int, height: int, width: int
) -> None:
    random = np.random.default_rng(seed)
    current, corrected = blob(y, x, radius)[:height, :width], random.random((height, width)) > 0.5
    before = current.copy(), corrected.copy()
    click = Click(min(y, height - 1), min(x, width - 1), True)
    mask = changed_near_clicks(current, corrected, (click,))
    assert mask.dtype == np.bool_ and mask.shape == current.shape
    assert ((mask == current) | (mask == corrected)).all()
    np.testing.assert_array_equal(current, before[0])
    np.testing.assert_array_equal(corrected, before[1])
