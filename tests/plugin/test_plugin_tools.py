# SPDX-License-Identifier: Apache-2.0
"""Tools that correct whole planes: what they change, what they leave unchanged, and their messages."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_vfss.demo.canvas_mouse import CanvasMouse
from napari_vfss.session.corrections import Corrections
from small_project import disc
from vfss.masks import Masks, MaskState, morphology
from vfss.masks.metrics import dice
from vfss.student import Proposal

SIZE = 160
DISC = disc(SIZE, SIZE, y=60, x=70, radius=12)
RING = DISC & ~disc(SIZE, SIZE, y=60, x=70, radius=4)


@pytest.fixture
def messages(session):
    texts = []
    session.problem.connect(texts.append)
    return texts


@pytest.fixture
def tools(session, messages):
    return Corrections(session, messages.append)


def stored(session, frame=None):
    return session.project.masks(session.clip.id, session.frame if frame is None else frame)


def accept(session, frame, mask, structure="bolus"):
    session.go_to(frame)
    session.choose(structure)
    session.stroke(mask)
    assert session.accept_structure()


def propose(session, frame):
    planes = np.zeros((len(session.schema), SIZE, SIZE), np.bool_)
    planes[:, 40:60, 40:70] = True
    state = np.full(len(planes), MaskState.PROPOSED, np.uint8)
    proposal = Proposal(
        session.schema.keys, Masks(planes, state), np.ones(len(planes), np.float32), "student-a", session.clip.id, frame
    )
    session.project.write_proposals(session.clip.id, [proposal])
    session.reload([frame])


@pytest.mark.parametrize(
    ("tool", "mask", "expected"),
    [
        ("smooth", DISC, morphology.smooth(DISC)),
        ("grow", DISC, morphology.grow(DISC, 3)),
        ("shrink", DISC, morphology.shrink(DISC, 3)),
        ("fill_holes", RING, DISC),
        ("keep_largest", RING | np.roll(DISC, 60, axis=1), np.roll(DISC, 60, axis=1)),
    ],
)
def test_a_tool_corrects_the_active_structure_as_one_undo_step(session, tools, tool, mask, expected):
    tools.pixels = 3
    session.stroke(mask)
    session.choose("airway")
    session.stroke(mask)
    assert getattr(tools, tool)()
    masks = stored(session)
    np.testing.assert_array_equal(masks.planes[4], expected)
    np.testing.assert_array_equal(masks.planes[0], mask)
    assert masks.state[4] == MaskState.EDITED
    assert session.undo()
    np.testing.assert_array_equal(stored(session).planes[4], mask)


def test_a_tool_without_anything_to_do_shows_a_message(session, tools, messages):
    assert not tools.grow()
    assert "no mask" in messages.pop()
    session.stroke(DISC)
    assert not tools.fill_holes()
    assert "no holes" in messages.pop()
    tools.pixels = 30
    before = session.project.last_revision()
    assert not tools.shrink()
    assert "Nothing of Bolus would be left" in messages.pop()
    assert session.project.last_revision() == before
    assert not tools.copy(-1)
    assert "no frame before" in messages.pop()


def test_a_mask_is_copied_from_the_frame_before_or_after(session, tools, messages):
    accept(session, 4, DISC)
    session.go_to(5)
    assert tools.copy(-1)
    session.go_to(3)
    assert tools.copy(1)
    for frame in (3, 5):
        np.testing.assert_array_equal(stored(session, frame).planes[0], DISC)
        assert stored(session, frame).state[0] == MaskState.EDITED
    session.go_to(7)
    assert not tools.copy(-1)
    assert "unseen on frame 7" in messages.pop()
    session.go_to(6)
    session.mark(MaskState.EMPTY)
    session.go_to(7)
    assert not tools.copy(-1)
    assert "empty on frame 7" in messages.pop()


def test_all_structures_but_the_annotated_ones_are_copied(session, tools, messages):
    propose(session, 4)
    propose(session, 5)
    session.go_to(5)
    session.stroke(DISC)
    session.choose("c1")
    session.mark(MaskState.NOT_VISIBLE)
    session.go_to(4)
    session.choose("pharynx")
    session.stroke(RING)
    session.choose("c2")
    session.mark(MaskState.EMPTY)
    session.go_to(5)
    assert tools.copy_all(-1)
    assert "Copied 9 structures from frame 5" in messages.pop()
    masks, keys = stored(session), session.schema.keys
    np.testing.assert_array_equal(masks.planes[0], DISC)
    np.testing.assert_array_equal(masks.planes[1], RING)
    assert masks.state[keys.index("c1")] == MaskState.NOT_VISIBLE
    assert masks.state[keys.index("c2")] == MaskState.PROPOSED
    assert (masks.state == MaskState.EDITED).sum() == 10
    assert not tools.copy_all(-1)
    assert "Nothing was copied" in messages.pop()


def test_frames_between_two_accepted_ones_are_filled_unless_annotated(session, tools, messages):
    moved = np.roll(DISC, 40, axis=1)
    accept(session, 3, DISC)
    accept(session, 11, moved)
    propose(session, 6)
    session.go_to(7)
    session.stroke(RING)
    session.go_to(9)
    session.mark(MaskState.NOT_VISIBLE)
    session.go_to(5)
    assert tools.interpolate()
    assert "Filled 5 frames of Bolus between frames 4 and 12" in messages.pop()
    for frame in (4, 5, 6, 8, 10):
        masks = stored(session, frame)
        assert masks.state[0] == MaskState.EDITED
        expected = np.roll(DISC, round(40 * (frame - 3) / 8), axis=1)
        assert dice(masks.planes[0], expected) > 0.9
    np.testing.assert_array_equal(stored(session, 7).planes[0], RING)
    assert stored(session, 9).state[0] == MaskState.NOT_VISIBLE
    assert [stored(session, t).state[0] for t in (3, 11)] == [MaskState.ACCEPTED] * 2
    assert stored(session, 6).state[1] == MaskState.PROPOSED  # other structures are unchanged
    assert not tools.interpolate()
    assert "must be accepted on a frame before and on a frame after" in messages.pop()


def test_on_an_accepted_frame_the_gap_before_is_filled_then_the_one_after(session, tools):
    for frame in (2, 5, 8):
        accept(session, frame, DISC)
    session.go_to(5)
    assert tools.gap().free == (3, 4)
    assert tools.interpolate()
    assert tools.gap().free == (6, 7)
    assert tools.interpolate()
    assert tools.gap() is None


def test_frames_next_to_an_empty_mask_are_not_filled(session, tools, messages):
    accept(session, 3, DISC)
    session.go_to(8)
    session.mark(MaskState.EMPTY)
    session.go_to(5)
    before = session.project.last_revision()
    assert not tools.interpolate()
    assert "empty on frame 9" in messages.pop()
    assert session.project.last_revision() == before


def test_interpolation_follows_the_recorded_times(session, tools):
    session.clip.times_s = np.concatenate([np.arange(6) * 0.03, 0.15 + np.arange(1, 19) * 0.06])
    accept(session, 4, DISC)
    accept(session, 7, np.roll(DISC, 50, axis=1))
    session.go_to(5)
    assert tools.interpolate()
    expected = np.roll(DISC, 10, axis=1)  # 0.03 s of the 0.15 s between the two
    assert dice(stored(session, 5).planes[0], expected) > 0.95


def test_keys_and_buttons_correct_the_displayed_mask(window, qtbot):
    session, layers, tools = window.controller.session, window.controller.layers, window.correct.more
    canvas = CanvasMouse(window.viewer, window.window()).canvas
    session.stroke(RING)
    qtbot.keyClick(canvas, Qt.Key.Key_F, Qt.KeyboardModifier.ShiftModifier)
    np.testing.assert_array_equal(layers.editor.mask, DISC)
    tools.pixels.setValue(2)
    qtbot.keyClick(canvas, Qt.Key.Key_Period)
    np.testing.assert_array_equal(layers.editor.mask, morphology.grow(DISC, 2))
    layers.editor.data[:10, :10] = 1  # an unfinished stroke
    tools.smooth.click()
    assert stored(session).planes[0, 5, 5]
    session.undo()
    session.go_to(1)
    qtbot.keyClick(canvas, Qt.Key.Key_V)
    assert layers.editor.mask[60, 70]
    menu = tools.copy.menu()
    session.choose("pharynx")
    session.go_to(0)
    session.stroke(DISC)
    session.go_to(1)
    next(action for action in menu.actions() if action.text().startswith("From the previous")).trigger()
    np.testing.assert_array_equal(layers.editor.mask, DISC)
    session.go_to(0)
    qtbot.keyClick(canvas, Qt.Key.Key_I)
    assert "must be accepted" in window.message.text()
