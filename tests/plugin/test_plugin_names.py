# SPDX-License-Identifier: Apache-2.0
"""Correcting names and pieces in the window: keys, menu, forms, one undo step, what the message says."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_vfss.demo.canvas_mouse import CanvasMouse
from napari_vfss.session.opening import open_session
from small_session import disc, propose, stored
from vfss.masks import MaskState

WAIT_MS = 60_000


@pytest.fixture
def spine(window):
    """A window in which C3, C4 and C7 are accepted on frames 2 to 5, and all structures are proposed on frame 6."""
    session = window.controller.session
    for frame in range(2, 6):
        for i, key in enumerate(("c3", "c4", "c7")):
            session.change({(frame, key): (disc(session, 30 + 30 * i, 80), MaskState.ACCEPTED)})
    propose(session, 6)
    session.reload([6])
    session.go_to(3)
    session.choose("c3")
    return window


def wait(qtbot, window):
    qtbot.waitUntil(lambda: not window.controller.student_jobs.renaming.running, timeout=WAIT_MS)


def state(session, frame, key):
    return MaskState(stored(session, frame).state[session.schema[key].index])


def plane(session, frame, key):
    return stored(session, frame).planes[session.schema[key].index]


def test_a_key_renames_the_levels_of_this_frame_and_one_undo_takes_it_back(spine, qtbot):
    session = spine.controller.session
    both = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier
    qtbot.keyClick(CanvasMouse(spine.viewer, spine.window()).canvas, Qt.Key.Key_Down, both)
    wait(qtbot, spine)
    assert np.array_equal(plane(session, 3, "c4"), disc(session, 30, 80))
    assert state(session, 3, "c3") == MaskState.UNSEEN
    assert state(session, 3, "c4") == MaskState.ACCEPTED
    assert state(session, 4, "c3") == MaskState.ACCEPTED
    message = spine.message.text()
    assert "C3 to C7 renamed one level down on frame 4." in message
    assert "kept in the history of C7" in message
    assert "Ctrl+Z undoes all of it." in message
    assert session.undo()
    assert np.array_equal(plane(session, 3, "c7"), disc(session, 90, 80))
    assert state(session, 3, "c3") == MaskState.ACCEPTED


def test_the_chosen_range_and_the_whole_clip_are_one_undo_step_each(spine, qtbot):
    controller = spine.controller
    session = controller.session
    controller.timeline.choose_range((3, 4))
    controller.names.shift(1)
    wait(qtbot, spine)
    assert [state(session, t, "c3") for t in (2, 3, 4, 5)] == [
        MaskState.ACCEPTED, MaskState.UNSEEN, MaskState.UNSEEN, MaskState.ACCEPTED,
    ]  # fmt: skip
    session.undo()
    session.choose("c7")
    controller.names.shift(-1, "clip")
    wait(qtbot, spine)
    assert "on 5 frames" in spine.message.text()
    assert state(session, 6, "c5") == MaskState.EDITED  # it was proposed
    assert np.array_equal(plane(session, 2, "c6"), disc(session, 90, 80))
    session.undo()
    assert state(session, 6, "c5") == MaskState.PROPOSED
    assert all(state(session, t, "c7") == MaskState.ACCEPTED for t in range(2, 6))
    controller.timeline.choose_range(None)


def test_the_form_exchanges_two_names(spine, qtbot):
    session = spine.controller.session
    spine.controller.action_requested.emit("names.exchange")
    form = spine.correct.more.names.form
    assert form.one.currentData() == "c3"
    assert form.other.currentData() == "c4"
    form.other.setCurrentIndex(form.other.findData("c3"))
    assert not form.do_button.isEnabled()
    form.other.setCurrentIndex(form.other.findData("bolus"))
    form.frames.setCurrentIndex(form.frames.findData("clip"))
    qtbot.mouseClick(form.do_button, Qt.MouseButton.LeftButton)
    wait(qtbot, spine)
    assert np.array_equal(plane(session, 5, "bolus"), disc(session, 30, 80))
    assert state(session, 5, "c3") == MaskState.UNSEEN
    assert "Bolus exchanged on 5 frames." in spine.message.text()


def test_the_form_removes_specks_of_the_active_structure(spine, qtbot):
    session = spine.controller.session
    mask = disc(session, 30, 80) | disc(session, 120, 40, radius=1)
    session.stroke(mask)
    spine.controller.action_requested.emit("names.specks")
    form = spine.correct.more.names.form
    form.unit.setCurrentIndex(form.unit.findData("px"))
    form.size.setValue(20)
    qtbot.mouseClick(form.do_button, Qt.MouseButton.LeftButton)
    wait(qtbot, spine)
    assert np.array_equal(plane(session, 3, "c3"), disc(session, 30, 80))
    session.undo()
    assert np.array_equal(plane(session, 3, "c3"), mask)


def test_what_another_author_wrote_before_is_renamed_and_a_cancelled_run_says_where_it_stopped(spine, qtbot):
    session = spine.controller.session
    other = open_session(session.clip.source, "Grace")
    other.change({(8, "c5"): (disc(session, 60, 60), MaskState.ACCEPTED)})
    other.close()
    session.choose("c5")
    spine.controller.names.shift(1, "clip")
    wait(qtbot, spine)
    assert np.array_equal(plane(session, 8, "c6"), disc(session, 60, 60))
    spine.controller.names.shift(-1, "clip")
    spine.controller.student_jobs.cancel()
    wait(qtbot, spine)
    assert "nothing to change" in spine.message.text() or "Stopped after" in spine.message.text()


def test_a_second_order_waits_for_the_first(spine, qtbot):
    spine.controller.names.shift(1, "clip")
    spine.controller.names.shift(1, "clip")
    assert "still being renamed" in spine.message.text()
    wait(qtbot, spine)
    assert state(spine.controller.session, 2, "c5") == MaskState.ACCEPTED
