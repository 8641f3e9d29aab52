# SPDX-License-Identifier: Apache-2.0
"""Picture and scale of the timeline: every frame is drawn, states differ by shape, doubtful frames stay visible."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_vfss.controller.timeline import cells_after
from napari_vfss.jobs.survey import ClipOverview
from napari_vfss.ui.timeline.axes import SHOWN, piece
from napari_vfss.ui.timeline.picture import BACKGROUND, COLOURS, PALETTE, strip_picture
from napari_vfss.ui.timeline.scale import TimelineScale
from vfss.masks import MaskState

ROW = 11


def strip(states, confidence=None, jumps=None):
    states = np.array(states, np.uint8)
    unknown = np.full(states.shape, np.nan, np.float32)
    confidences = unknown if confidence is None else np.full(states.shape, confidence, np.float32)
    return ClipOverview(states, confidences, unknown if jumps is None else np.array(jumps, np.float32))


def rgb_picture(overview, scale, row_height, active):
    """Return the RGB picture of a strip, uint8 (H, W, 3)."""
    return PALETTE[strip_picture(overview, scale, row_height, active)]


def drawn_pixels(state, confidence=0.9):
    """Return which pixels of a strip of one state are drawn, bool (ROW, 40)."""
    overview = strip(np.full((10, 2), state), confidence)
    picture = rgb_picture(overview, TimelineScale(10, 40), ROW, active=1)[:ROW]
    return (picture != BACKGROUND).any(axis=2)


def test_states_differ_without_colour():
    shapes = {state: drawn_pixels(state) for state in MaskState}
    for one, a in shapes.items():
        assert a.any()
        for other, b in shapes.items():
            assert one == other or (a != b).mean() > 0.05


def test_a_more_confident_proposal_has_a_higher_bar():
    heights = [drawn_pixels(MaskState.PROPOSED, c).any(axis=1).sum() for c in (0.0, 0.4, 0.8, 1.0)]
    assert heights == sorted(heights)
    assert heights[0] < heights[1] < heights[3] < ROW - 1


def test_a_doubtful_proposal_has_its_own_colour_and_is_visible_among_many_frames():
    states = np.full((9000, 1), MaskState.ACCEPTED)
    states[4321] = MaskState.PROPOSED
    picture = rgb_picture(strip(states, 0.3), TimelineScale(9000, 300), ROW, active=0)
    columns = np.flatnonzero((picture == COLOURS["doubtful"]).all(axis=2).any(axis=0))
    assert list(columns) == [4321 * 300 // 9000]


def test_a_jump_is_marked_by_a_wedge_not_by_colour_alone():
    jumps = np.zeros((20, 2))
    jumps[10, 1] = 0.9
    picture = rgb_picture(strip(np.full((20, 2), MaskState.ACCEPTED), 0.9, jumps), TimelineScale(20, 200), ROW, 0)
    white = np.argwhere((picture == 255).all(axis=2))
    assert len(white) == 9
    assert (white[:, 0] >= ROW).all()
    assert white[:, 1].mean() == pytest.approx(105, abs=1)


@pytest.mark.parametrize("ratio", [1.0, 1.5, 2.0, 3.0])
def test_a_wedge_has_the_same_size_at_any_pixel_ratio(ratio):
    overview = strip([[MaskState.PROPOSED], [MaskState.PROPOSED]], jumps=[[0.0], [1.0]])
    without = strip([[MaskState.PROPOSED], [MaskState.PROPOSED]])
    scale, row = TimelineScale(2, round(60 * ratio)), round(12 * ratio)
    changed = strip_picture(overview, scale, row, 0, ratio=ratio) != strip_picture(without, scale, row, 0, ratio=ratio)
    once = strip_picture(overview, TimelineScale(2, 60), 12, 0) != strip_picture(without, TimelineScale(2, 60), 12, 0)
    assert changed.sum() / ratio**2 == pytest.approx(once.sum(), rel=0.35)


def test_frames_not_surveyed_yet_are_not_doubtful():
    states = np.full((5, 1), MaskState.PROPOSED, np.uint8)
    unknown = np.full((5, 1), np.nan, np.float32)
    assert not (ClipOverview(states, unknown, unknown, surveyed=False).ranks == list(COLOURS).index("doubtful")).any()
    assert (ClipOverview(states, unknown, unknown).ranks == list(COLOURS).index("doubtful")).all()


@settings(deadline=None)
@given(n=st.integers(1, 12_000), width=st.integers(1, 3000), x=st.floats(0, 1), zooms=st.lists(st.floats(0.2, 5)))
def test_the_scale_stays_within_the_clip_and_maps_frames_consistently(n, width, x, zooms):
    scale = TimelineScale(n, width)
    for factor in zooms:
        scale.zoom(factor, x * width)
    assert 0 <= scale.first <= scale.first + scale.span <= n + 1e-6
    frame = scale.frame_at(x * width)
    assert 0 <= frame < n
    assert scale.x_of(frame) - 1e-6 <= x * width <= scale.x_of(frame + 1) + 1e-6
    for t in (0, n - 1, n // 2):
        scale.follow(t)
        assert scale.x_of(t) >= -1e-6
        assert scale.x_of(t + 1) <= width + 1e-6


@settings(deadline=None, max_examples=40)
@given(n=st.integers(1, 400), width=st.integers(1, 500), first=st.floats(0, 1), factor=st.floats(1, 30))
def test_every_clip_length_is_drawn_at_every_zoom(n, width, first, factor):
    scale = TimelineScale(n, width)
    scale.zoom(factor, first * width)
    states = np.arange(n * 3).reshape(n, 3) % 6
    picture = rgb_picture(strip(states, 0.5, states % 2), scale, ROW, active=2)
    assert picture.shape == (3 * ROW, width, 3)


def test_cells_are_visited_frame_by_frame_in_both_directions():
    wanted = np.zeros((4, 3), np.bool_)
    for cell in ((0, 1), (1, 0), (1, 2), (3, 1)):
        wanted[cell] = True
    assert list(cells_after(wanted, 1, 0, 1)) == [(1, 2), (3, 1)]
    assert list(cells_after(wanted, 1, 2, -1)) == [(1, 0), (0, 1)]
    assert list(cells_after(wanted, 3, 1, 1)) == []


def test_every_sample_of_the_legend_looks_different():
    pieces = [piece(*cell) for _, *cell in SHOWN]
    for i, a in enumerate(pieces):
        for b in pieces[:i]:
            assert (a != b).any()
