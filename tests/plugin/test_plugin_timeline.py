# SPDX-License-Identifier: Apache-2.0
"""The timeline in real windows: clicks, keys, marks, playback, contrast, the stabilised view."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QWidget

from napari_vfss.controller.viewed import hidden_structures
from napari_vfss.demo.canvas_mouse import CanvasMouse
from napari_vfss.ui.timeline.axes import GUTTER
from napari_vfss.ui.timeline.strip import TOP
from napari_vfss.ui.timeline.tooltips import describe_cell
from napari_vfss.viewer import playback
from vfss.clips import Swallow
from vfss.masks import Masks, MaskState
from vfss.project import Project
from vfss.project.records import Mark
from vfss.student import Proposal

WAIT = 60_000
SHIFT = Qt.KeyboardModifier.ShiftModifier


@pytest.fixture
def dock(window):
    window.timeline.show()
    return window.timeline.widget


@pytest.fixture
def press(window, qtbot):
    canvas = CanvasMouse(window.viewer, window.window()).canvas
    return lambda code, modifier=Qt.KeyboardModifier.NoModifier: qtbot.keyClick(canvas, code, modifier)


def propose(window, qtbot, confidence=0.9, odd=(), spine=lambda t: (0, 0)):
    """Propose squares that move with the spine on all frames; those of `odd` (frame, structure) are displaced."""
    session = window.controller.session
    n = len(session.schema)
    proposals = []
    for t in range(session.clip.n_frames):
        planes = np.zeros((n, session.clip.height, session.clip.width), np.bool_)
        down, right = spine(t)
        for s in range(n):
            away = 60 if (t, s) in odd else 0
            planes[s, 20 + 8 * s + down : 28 + 8 * s + down, 30 + right + away : 60 + right + away] = True
        confidences = np.full(n, confidence, np.float32)
        proposals.append(
            Proposal(
                session.schema.keys,
                Masks(planes, np.full(n, MaskState.PROPOSED, np.uint8)),
                confidences,
                "st",
                session.clip.id,
                t,
            )
        )
    session.project.write_proposals(session.clip.id, proposals)
    session.poll()
    wait_for_survey(window, qtbot)


def wait_for_survey(window, qtbot):
    trust, session = window.controller.timeline.survey, window.controller.session
    wanted = session.states == MaskState.PROPOSED
    qtbot.waitUntil(
        lambda: trust.findings.complete and bool(np.isfinite(trust.findings.confidence[wanted]).all()), timeout=WAIT
    )
    qtbot.waitUntil(lambda: not trust.running, timeout=WAIT)


def point(dock, frame, row):
    timeline = dock.timeline
    x = GUTTER + timeline.scale.x_of(frame + 0.5)
    return QPoint(round(x), TOP + row * timeline.row_height + timeline.row_height // 2)


def test_a_click_goes_to_the_frame_and_chooses_the_structure(window, dock, qtbot):
    session = window.controller.session
    qtbot.mouseClick(dock.timeline, Qt.MouseButton.LeftButton, pos=point(dock, 17, 6))
    assert (session.frame, session.structure) == (17, "c2")
    assert "Frame 18 of 24" in dock.place.text()
    assert f"{session.clip.times_s[17]:.3f} s" in dock.place.text()
    dock.timeline.zoom(2.0)
    qtbot.mousePress(dock.timeline, Qt.MouseButton.LeftButton, pos=point(dock, 15, 2))
    qtbot.mouseMove(dock.timeline, point(dock, 19, 2))
    qtbot.mouseRelease(dock.timeline, Qt.MouseButton.LeftButton, pos=point(dock, 19, 2))
    assert (session.frame, session.structure) == (19, "epiglottis")
    session.go_to(0)
    assert dock.timeline.scale.first == 0  # a zoomed strip scrolls to the current frame


def test_keys_find_doubtful_and_unaccepted_masks(window, dock, qtbot, press):
    session = window.controller.session
    propose(window, qtbot, odd={(9, 4)})
    press(Qt.Key.Key_U)
    assert (session.frame, session.structure) == (9, "airway")
    press(Qt.Key.Key_U)
    assert (session.frame, session.structure) == (9, "airway")
    assert "No doubtful mask after" in window.message.text()
    press(Qt.Key.Key_A)
    session.go_to(20)
    press(Qt.Key.Key_U, SHIFT)
    assert session.frame == 20  # the frame is accepted
    session.go_to(8)
    session.choose("c7")
    press(Qt.Key.Key_J)
    assert (session.frame, session.structure) == (10, "bolus")
    press(Qt.Key.Key_J, SHIFT)
    assert (session.frame, session.structure) == (8, "c7")


def test_keys_walk_the_doubtful_masks_worst_first(window, dock, qtbot, press):
    session = window.controller.session
    propose(window, qtbot, odd={(9, 4), (15, 2)})
    ctrl_alt = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier
    places = window.controller.timeline.survey.overview.doubt.worst_first
    assert len(places) == 2
    met = []
    for _ in range(2):
        press(Qt.Key.Key_End, ctrl_alt)
        met.append((session.frame, session.active.index))
    assert tuple(met) == places
    assert "Doubtful mask 2 of 2, worst first" in window.message.text()
    press(Qt.Key.Key_End, ctrl_alt)
    assert "No more doubtful mask" in window.message.text()
    press(Qt.Key.Key_Home, ctrl_alt)
    assert (session.frame, session.active.index) == places[0]


def test_low_confidence_is_doubtful_and_the_tooltip_explains_it(window, dock, qtbot):
    propose(window, qtbot, confidence=0.4)
    session, time = window.controller.session, window.controller.timeline
    text = describe_cell(session, time, 3, 0)
    assert "Bolus: Frame 4 of 24" in text
    assert "proposed, by the student" in text
    assert "confidence of the student: 40% (low)" in text
    assert "doubtful" in text
    session.go_to(3)
    session.accept_structure()
    assert f"accepted, by {session.author}" in describe_cell(session, time, 3, 0)
    assert "doubtful" not in describe_cell(session, time, 3, 0)


def test_swallows_and_events_are_set_by_keys_and_listed(window, dock, press):
    session, marks = window.controller.session, window.controller.timeline.marks
    session.go_to(4)
    press(Qt.Key.Key_D)
    assert session.clip.swallows == ()
    session.go_to(12)
    press(Qt.Key.Key_D, SHIFT)
    assert session.project.clip(session.clip.id).swallows == session.clip.swallows == (Swallow(4, 12),)
    session.go_to(7)
    dock.events.menu.actions()[1].trigger()
    assert [(m.kind, m.first, m.author) for m in marks.all if m.kind == "hyb"] == [("hyb", 7, session.author)]
    session.go_to(8)
    dock.events.menu.actions()[1].trigger()  # one such event per swallow: it moves
    assert [m.first for m in marks.all if m.kind == "hyb"] == [8]
    session.go_to(0)
    press(Qt.Key.Key_W)
    assert session.frame == 4
    assert window.marks.list.count() == 2
    assert "Swallow" in window.marks.list.item(0).text()
    window.marks.list.setCurrentRow(1)
    window.marks.remove.click()
    assert [m.kind for m in marks.all] == ["swallow"]
    window.marks.back.click()
    assert [m.kind for m in marks.all] == ["swallow", "hyb"]
    session.go_to(5)
    press(Qt.Key.Key_D)  # inside the swallow: its beginning moves
    assert session.clip.swallows == (Swallow(5, 12),)


def test_an_end_without_a_beginning_is_refused_with_a_message(window, press):
    press(Qt.Key.Key_D, SHIFT)
    assert "beginning of the swallow first" in window.message.text()
    assert window.controller.timeline.marks.all == []


def test_marks_of_another_window_are_loaded_and_not_overwritten(window):
    session, marks = window.controller.session, window.controller.timeline.marks
    marks.set_event("lvc", 6)
    with Project.open(session.project.folder) as other:
        seen = other.marks.of(session.clip.id)[0]
        other.marks.set(session.clip.id, Mark("lvc", 9, mark=seen.mark, id=seen.id), author="Bo")
    with window.controller.showing_errors():
        marks.remove(marks.all[0])
    assert "Bo changed this mark" in window.message.text()
    assert [(m.first, m.author) for m in marks.all] == [(9, "Bo")]
    with Project.open(session.project.folder) as other:
        other.marks.set(session.clip.id, Mark("note", 2, text="cough"), author="Bo")
    marks.poll()
    assert [m.kind for m in marks.all] == ["note", "lvc"]


def test_a_range_is_selected_with_shift_and_played_in_a_loop(window, dock, qtbot, press):
    session, playback = window.controller.session, window.controller.timeline.playback
    timeline = dock.timeline
    qtbot.mousePress(timeline, Qt.MouseButton.LeftButton, SHIFT, point(dock, 5, 0))
    qtbot.mouseMove(timeline, point(dock, 7, 0))
    qtbot.mouseRelease(timeline, Qt.MouseButton.LeftButton, SHIFT, point(dock, 7, 0))
    assert window.controller.timeline.chosen == (5, 7)
    press(Qt.Key.Key_L)
    assert playback.loop == (5, 7)
    playback.set_speed(2.0)
    seen = []
    session.frame_changed.connect(seen.append)
    press(Qt.Key.Key_K)
    qtbot.waitUntil(lambda: len(seen) >= 5, timeout=WAIT)
    press(Qt.Key.Key_K)
    assert not playback.playing
    assert seen[:5] == [5, 6, 7, 5, 6]
    playback.set_speed(1.0)


def test_frames_viewed_during_playback_are_accepted_with_one_key(window, dock, qtbot, press, monkeypatch):
    monkeypatch.setattr(playback, "HIDDEN_MS", WAIT)  # wait for the drawing of every frame on a slow computer
    propose(window, qtbot)
    session, frames = window.controller.session, window.controller.session.clip.n_frames
    session.go_to(frames - 1)
    qtbot.waitUntil(lambda: len(session.viewed.acceptable_frames()) == 1, timeout=WAIT)
    session.go_to(0)
    press(Qt.Key.Key_K)
    qtbot.waitUntil(lambda: not window.controller.timeline.playback.playing, timeout=WAIT)
    assert len(session.viewed.acceptable_frames()) == frames
    qtbot.waitUntil(lambda: window.accept.summary.text() == f"{frames} frames viewed", timeout=WAIT)
    qtbot.waitUntil(lambda: list(dock.timeline.viewed) == list(range(frames)), timeout=WAIT)
    press(Qt.Key.Key_A, SHIFT)
    assert (session.states == MaskState.ACCEPTED).all()
    assert f"{frames} frames (1 to {frames})" in window.message.text()
    press(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert (session.states == MaskState.PROPOSED).all()


def test_hidden_masks_do_not_count_as_viewed(window, dock, qtbot, press):
    propose(window, qtbot)
    session, layers = window.controller.session, window.controller.layers
    press(Qt.Key.Key_H)
    session.go_to(5)
    assert hidden_structures(layers) is None
    qtbot.wait(200)
    press(Qt.Key.Key_A, SHIFT)
    assert (session.states == MaskState.PROPOSED).all()
    assert "was viewed" in window.message.text()
    press(Qt.Key.Key_H)
    layers.set_hidden("mandible", True)
    qtbot.waitUntil(lambda: session.viewed.acceptable_frames() == [5], timeout=WAIT)
    press(Qt.Key.Key_A, SHIFT)
    here = session.states[5] == MaskState.ACCEPTED
    assert not here[session.schema["mandible"].index]
    assert here.sum() == len(session.schema) - 1


def test_a_bolus_outside_the_pharynx_is_not_accepted_with_the_viewed_range(window, dock, qtbot, press):
    propose(window, qtbot)
    session = window.controller.session
    session.go_to(4)
    plane = np.zeros((session.clip.height, session.clip.width), np.bool_)
    plane[100:120, 100:120] = True
    session.stroke(plane, structure="bolus")
    assert window.controller.nesting.undecided(4) == {"bolus", "pharynx"}
    session.go_to(5)
    session.go_to(4)
    qtbot.waitUntil(lambda: 4 in session.viewed.acceptable_frames(), timeout=WAIT)
    press(Qt.Key.Key_A, SHIFT)
    assert session.states[4, session.schema["bolus"].index] == MaskState.EDITED
    assert session.states[4, session.schema["mandible"].index] == MaskState.ACCEPTED


def test_the_playback_of_napari_is_replaced(window, qtbot):
    dims = next(w for w in window.window().findChildren(QWidget) if type(w).__name__ == "QtDims")
    playback = window.controller.timeline.playback
    dims.play(0)
    qtbot.waitUntil(lambda: playback.playing, timeout=WAIT)
    assert not dims.is_playing
    playback.stop()


def test_zoom_and_contrast_are_kept_across_frames_and_reopening(window, clip_file):
    layers, camera = window.controller.layers, window.viewer.scene.camera
    camera.zoom, camera.center = 7.0, (60.0, 90.0)
    layers.image.contrast_limits = (30, 180)
    layers.image.gamma = 1.4
    window.controller.session.go_to(9)
    assert tuple(layers.image.contrast_limits) == (30, 180)
    assert camera.zoom == 7.0
    window.controller.close_session()
    camera.zoom = 1.0
    assert window.controller.open(clip_file)
    image = window.controller.layers.image
    assert tuple(image.contrast_limits) == (30, 180)
    assert image.gamma == pytest.approx(1.4)
    assert camera.zoom == 7.0
    assert tuple(camera.center[-2:]) == (60.0, 90.0)
    assert window.controller.session.frame == 9


def test_the_stabilised_view_holds_the_spine_still_and_strokes_hit_their_pixels(window, dock, qtbot, press):
    session, layers = window.controller.session, window.controller.layers
    propose(window, qtbot, spine=lambda t: (t // 2, t))
    press(Qt.Key.Key_Y)
    assert dock.stabilise.isChecked()
    positions = []
    for t in (3, 12, 20):
        session.go_to(t)
        c3 = np.argwhere(session.work.planes[session.schema["c3"].index]).mean(axis=0)
        positions.append(layers.editor.data_to_world(c3))
        assert np.allclose(layers.image.data_to_world((t, *c3))[-2:], positions[-1])
        assert np.allclose(layers.overlay.data_to_world(c3), positions[-1])
    assert np.ptp(positions, axis=0).max() < 1.0
    assert np.ptp([layers.image.data_to_world((t, 0, 0))[0] for t in (3, 12, 20)]) == 17  # the time axis is unchanged
    assert not np.allclose(layers.editor.affine.affine_matrix, np.eye(3))
    session.choose("bolus")
    session.mark(MaskState.EMPTY)
    layers.set_tool("paint")
    layers.editor.brush_size = 1
    target = [(100.0, x) for x in (40.0, 50.0, 60.0)]
    qtbot.wait(0)
    CanvasMouse(window.viewer, window.window()).stroke([tuple(layers.editor.data_to_world(p)) for p in target])
    painted = np.argwhere(session.project.masks(session.clip.id, 20).planes[0])
    assert len(painted) >= 15
    assert np.abs(painted[:, 0] - 100).max() <= 1
    assert abs(painted[:, 1].min() - 40) <= 1
    assert abs(painted[:, 1].max() - 60) <= 1
    assert (session.frame, session.states[20, 0]) == (20, MaskState.EDITED)
    press(Qt.Key.Key_Y)
    assert np.allclose(layers.editor.affine.affine_matrix, np.eye(3))
    assert np.allclose(layers.image.affine.affine_matrix, np.eye(4))


def test_without_a_spine_stabilising_is_refused_with_a_message(window, press):
    press(Qt.Key.Key_Y)
    assert "C2 axis, C3 and C4 have no masks" in window.message.text()
    assert not window.controller.timeline.stabilised.on


def test_a_closed_timeline_can_be_reopened(window, dock):
    window.viewer.window.remove_dock_widget(dock)
    window.marks.timeline.click()
    assert dock.isVisibleTo(window.window())
    window.controller.session.go_to(5)
    assert "Frame 6 of 24" in dock.place.text()
