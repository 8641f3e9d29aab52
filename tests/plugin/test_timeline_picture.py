# SPDX-License-Identifier: Apache-2.0
"""The strip's picture and scale: every frame has its place, states differ without colour, nothing urgent is lost."""

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
    word = unknown if confidence is None else np.full(states.shape, confidence, np.float32)
    return ClipOverview(states, word, unknown if jumps is None else np.array(jumps, np.float32))


def drawn(made, scale, row_height, active):
    """Red, green, blue of a strip, uint8 (H, W, 3)."""
    return PALETTE[strip_picture(made, scale, row_height, active)]


def ink(state, confidence=0.9):
    """Where a stretch of one state has ink, bool (ROW, 40)."""
    made = strip(np.full((10, 2), state), confidence)
    picture = drawn(made, TimelineScale(10, 40), ROW, active=1)[:ROW]
    return (picture != BACKGROUND).any(axis=2)


def test_states_differ_without_colour():
    shapes = {state: ink(state) for state in MaskState}
    for one, a in shapes.items():
        assert a.any()
        for other, b in shapes.items():
            assert one == other or (a != b).mean() > 0.05


def test_a_surer_proposal_has_a_higher_bar():
    heights = [ink(MaskState.PROPOSED, c).any(axis=1).sum() for c in (0.0, 0.4, 0.8, 1.0)]
    assert heights == sorted(heights)
    assert heights[0] < heights[1] < heights[3] < ROW - 1


def test_a_doubtful_proposal_has_a_colour_of_its_own_and_is_seen_among_many_frames():
    states = np.full((9000, 1), MaskState.ACCEPTED)
    states[4321] = MaskState.PROPOSED
    picture = drawn(strip(states, 0.3), TimelineScale(9000, 300), ROW, active=0)
    columns = np.flatnonzero((picture == COLOURS["doubtful"]).all(axis=2).any(axis=0))
    assert list(columns) == [4321 * 300 // 9000]


def test_a_jump_has_a_wedge_that_is_no_colour_alone():
    jumps = np.zeros((20, 2))
    jumps[10, 1] = 0.9
    picture = drawn(strip(np.full((20, 2), MaskState.ACCEPTED), 0.9, jumps), TimelineScale(20, 200), ROW, 0)
    white = np.argwhere((picture == 255).all(axis=2))
    assert len(white) == 9
    assert (white[:, 0] >= ROW).all()
    assert white[:, 1].mean() == pytest.approx(105, abs=1)


@pytest.mark.parametrize("ratio", [1.0, 1.5, 2.0, 3.0])
def test_a_wedge_is_as_large_on_a_fine_screen(ratio):
    made = strip([[MaskState.PROPOSED], [MaskState.PROPOSED]], jumps=[[0.0], [1.0]])
    without = strip([[MaskState.PROPOSED], [MaskState.PROPOSED]])
    scale, row = TimelineScale(2, round(60 * ratio)), round(12 * ratio)
    changed = strip_picture(made, scale, row, 0, ratio=ratio) != strip_picture(without, scale, row, 0, ratio=ratio)
    once = strip_picture(made, TimelineScale(2, 60), 12, 0) != strip_picture(without, TimelineScale(2, 60), 12, 0)
    assert changed.sum() / ratio**2 == pytest.approx(once.sum(), rel=0.35)


def test_what_is_not_surveyed_yet_is_not_called_doubtful():
    states = np.full((5, 1), MaskState.PROPOSED, np.uint8)
    unknown = np.full((5, 1), np.nan, np.float32)
    assert not (ClipOverview(states, unknown, unknown, surveyed=False).ranks == list(COLOURS).index("doubtful")).any()
    assert (ClipOverview(states, unknown, unknown).ranks == list(COLOURS).index("doubtful")).all()


@settings(deadline=None)
@given(n=st.integers(1, 12_000), width=st.integers(1, 3000), x=st.floats(0, 1), zooms=st.lists(st.floats(0.2, 5)))
def test_the_scale_never_leaves_the_clip_and_finds_frames_where_it_put_them(n, width, x, zooms):
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
def test_any_clip_is_drawn_at_any_zoom(n, width, first, factor):
    scale = TimelineScale(n, width)
    scale.zoom(factor, first * width)
    states = np.arange(n * 3).reshape(n, 3) % 6
    picture = drawn(strip(states, 0.5, states % 2), scale, ROW, active=2)
    assert picture.shape == (3 * ROW, width, 3)


def test_cells_are_walked_frame_by_frame_in_both_directions():
    wanted = np.zeros((4, 3), np.bool_)
    for cell in ((0, 1), (1, 0), (1, 2), (3, 1)):
        wanted[cell] = True
    assert list(cells_after(wanted, 1, 0, 1)) == [(1, 2), (3, 1)]
    assert list(cells_after(wanted, 1, 2, -1)) == [(1, 0), (0, 1)]
    assert list(cells_after(wanted, 3, 1, 1)) == []


def test_every_piece_of_the_legend_looks_different():
    pieces = [piece(*cell) for _, *cell in SHOWN]
    for i, a in enumerate(pieces):
        for b in pieces[:i]:
            assert (a != b).any()
