# SPDX-License-Identifier: Apache-2.0
"""The Click tool in a real window: masks from clicks, their place, removal, and waiting for the encoder."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_vfss.demo.canvas_mouse import CanvasMouse
from napari_vfss.prompting import encoder_cache
from napari_vfss.prompting.encoder_cache import EncodedFrames
from napari_vfss.prompting.marks import canvas_near
from napari_vfss.prompting.queue import ENCODING
from napari_vfss.prompting.thread import StudentThread
from napari_vfss.session.corrections import remove_last_click
from small_project import disc
from vfss.errors import StudentError
from vfss.masks import MaskState
from vfss.schema import Schema
from vfss.student.prompts import Box, Click, Prompts

SIZE = 160
RIGHT, MIDDLE = Qt.MouseButton.RightButton, Qt.MouseButton.MiddleButton


class FakeStudent:
    """Adds or removes a disc around each click, and fills a box."""

    def __init__(self, name="fake", *, can_refine=True):
        self.id, self.can_refine, self.device = name, can_refine, "cpu (test)"
        self.keys = Schema.load().keys
        self.encoded_frames, self.requests = [], []
        self.may_encode, self.may_answer = threading.Event(), threading.Event()
        self.may_encode.set()
        self.may_answer.set()
        self.error = None

    def encode(self, frame, **settings):
        self.encoded_frames.append(frame)
        self.may_encode.wait(20)
        return ("encoded", self.id, len(self.encoded_frames))

    def refine(self, encoded, structure, prompts, current):
        assert encoded[:2] == ("encoded", self.id)
        self.requests.append((structure, prompts, current.copy()))
        self.may_answer.wait(20)
        if self.error is not None:
            raise self.error
        mask = current.copy()
        if prompts.box is not None and not prompts.clicks:
            box = prompts.box
            mask[round(box.top) : round(box.bottom) + 1, round(box.left) : round(box.right) + 1] = True
        for click in prompts.clicks[-1:]:
            around = disc(SIZE, SIZE, y=click.y, x=click.x, radius=8)
            mask = mask | around if click.adds else mask & ~around
        return SimpleNamespace(mask=mask, confidence=0.9)


@pytest.fixture
def student(window):
    made = FakeStudent()
    window.controller.session.set_student(made)
    yield made
    made.may_encode.set()
    made.may_answer.set()


@pytest.fixture
def tool(window, student):
    window.controller.click_tool.select()
    return window.controller.click_tool


@pytest.fixture
def mouse(window, tool):
    return CanvasMouse(window.viewer, window.window())


@pytest.fixture
def press(window, qtbot):
    canvas = canvas_near(window)
    return lambda code, modifier=Qt.KeyboardModifier.NoModifier: qtbot.keyClick(canvas, code, modifier)


def stored(session, frame=None):
    return session.project.masks(session.clip.id, session.frame if frame is None else frame)


def close_to(click, y, x, adds):
    return abs(click.y - y) < 0.6 and abs(click.x - x) < 0.6 and click.adds is adds


def test_left_adds_right_removes_and_each_click_is_one_undo_step(window, tool, mouse, qtbot):
    session = window.controller.session
    view = window.controller.layers.camera()
    mouse.click((60, 70))
    qtbot.waitUntil(lambda: stored(session).planes[0, 60, 70])
    mouse.click((60, 78))
    mouse.click((60, 84), button=RIGHT)
    qtbot.waitUntil(lambda: not tool.queue.busy)
    plane = stored(session).planes[0]
    assert plane[60, 70]
    assert not plane[60, 84]
    assert np.array_equal(window.controller.layers.editor.mask, plane)
    newest = session.project.newest(session.clip.id, 0)["bolus"]
    assert (newest.state, newest.origin, newest.student) == (MaskState.EDITED, "hand", "fake")
    one, two, three = newest.prompts.clicks
    assert close_to(one, 60, 70, True)
    assert close_to(two, 60, 78, True)
    assert close_to(three, 60, 84, False)
    assert tool.marks.isVisible()
    assert tool.marks.answered == newest.prompts
    assert not tool.marks.waiting
    assert window.controller.layers.camera() == view  # a right button drag zooms, a right click must not
    for left in (2, 1):
        session.undo()
        assert len(session.work.prompts["bolus"]) == left
        assert tool.marks.answered == session.work.prompts["bolus"]
    session.undo()
    assert not stored(session).planes.any()
    assert not tool.marks.isVisible()
    session.redo()
    assert len(session.work.prompts["bolus"]) == 1
    assert stored(session).planes[0, 60, 70]


def test_two_quick_clicks_are_not_a_double_click(window, tool, mouse, qtbot):
    session = window.controller.session
    zoom = window.viewer.scene.camera.zoom
    mouse.click((60, 70))
    mouse.click_again((61, 90))
    qtbot.waitUntil(lambda: len(session.work.prompts.get("bolus", ())) == 2)
    assert stored(session).planes[0, 61, 90]
    assert window.viewer.scene.camera.zoom == zoom


def test_a_drag_is_a_box_and_a_click_refines_its_mask(window, tool, mouse, student, qtbot):
    session = window.controller.session
    drawn = []
    window.controller.layers.editor.box_moved.connect(lambda one, other: drawn.append(tool.marks.waiting.box))
    mouse.stroke([(100, 40), (90, 60), (80, 75), (60, 90)])
    qtbot.waitUntil(lambda: stored(session).planes[0, 80, 60])
    assert [box is not None for box in drawn] == [True] * 3
    box = session.work.prompts["bolus"].box
    np.testing.assert_allclose([box.top, box.left, box.bottom, box.right], [60, 40, 100, 90], atol=0.6)
    mouse.click((60, 40), button=RIGHT)
    qtbot.waitUntil(lambda: not stored(session).planes[0, 62, 42])
    assert stored(session).planes[0, 80, 60]
    assert student.requests[-1][1].box == box
    assert len(student.requests[-1][1]) == 2
    mouse.stroke([(-400, -400), (-300, -300)])  # outside the picture
    mouse.click((-300, 50))
    assert len(student.requests) == 2


def test_a_click_refines_the_mask_that_is_shown(window, tool, mouse, student, qtbot):
    session, layers = window.controller.session, window.controller.layers
    layers.editor.data[10:20, 10:20] = 1  # an unfinished stroke
    mouse.click((60, 70))
    qtbot.waitUntil(lambda: stored(session).planes[0, 60, 70])
    assert student.requests[0][2].sum() == 100
    assert stored(session).planes[0, 15, 15]
    session.stroke(disc(SIZE, SIZE, y=100, x=100, radius=10))
    assert "bolus" not in session.work.prompts  # a painted mask has no prompts
    mouse.click((60, 70))
    qtbot.waitUntil(lambda: stored(session).planes[0, 60, 70])
    assert len(session.work.prompts["bolus"]) == 1
    assert stored(session).planes[0, 100, 100]


def test_in_a_rotated_view_clicks_and_marks_are_at_the_mouse_position(window, tool, mouse, qtbot):
    session, layers = window.controller.session, window.controller.layers
    turn, shift = np.deg2rad(12.0), (7.0, -5.0)
    matrix = np.array([[np.cos(turn), -np.sin(turn), shift[0]], [np.sin(turn), np.cos(turn), shift[1]], [0, 0, 1]])
    affine = np.eye(4)
    affine[1:, 1:] = matrix
    layers.image.affine = affine
    layers.overlay.affine = layers.editor.affine = matrix
    mouse.click((80, 60))  # in canvas coordinates of the rotated picture
    qtbot.waitUntil(lambda: len(tool.marks.answered) == 1)
    y, x, _ = np.linalg.inv(matrix) @ (80, 60, 1)
    (click,) = session.work.prompts["bolus"].clicks
    assert close_to(click, y, x, True)
    assert stored(session).planes[0, round(y), round(x)]
    mark_position, mouse_position = tool.marks.position(click.y, click.x), mouse.on_canvas((80, 60))
    assert abs(mark_position.x() - mouse_position.x()) < 1.5 and abs(mark_position.y() - mouse_position.y()) < 1.5
    layers.image.affine, layers.overlay.affine, layers.editor.affine = np.eye(4), np.eye(3), np.eye(3)


def test_a_click_waits_for_encoding_and_changes_the_frame_it_was_made_on(window, tool, mouse, student, qtbot):
    session = window.controller.session
    student.may_encode.clear()
    session.go_to(5)
    mouse.click((60, 70))
    qtbot.waitUntil(lambda: window.correct.summary.text() == ENCODING)
    assert tool.marks.note == ENCODING
    assert len(tool.marks.waiting) == 1
    assert not tool.marks.answered
    session.go_to(9)  # the window still responds
    session.choose("airway")
    assert not tool.marks.isVisible()
    student.may_encode.set()
    qtbot.waitUntil(lambda: not tool.queue.busy)
    assert stored(session, 5).planes[0, 60, 70]
    assert stored(session, 5).planes[4].sum() == 0
    assert not stored(session, 9).planes.any()
    assert window.correct.summary.text() == ""


def test_clicks_made_meanwhile_are_answered_in_order(window, tool, mouse, student, qtbot):
    session = window.controller.session
    student.may_answer.clear()
    mouse.click((60, 70))
    qtbot.waitUntil(lambda: len(student.requests) == 1)
    mouse.click((60, 76), button=RIGHT)
    session.choose("pharynx")
    mouse.click((90, 90))
    session.choose("bolus")
    assert len(tool.marks.waiting) == 2
    student.may_answer.set()
    qtbot.waitUntil(lambda: not tool.queue.busy)
    assert [(structure, len(prompts)) for structure, prompts, _ in student.requests] == [
        ("bolus", 1),
        ("bolus", 2),
        ("pharynx", 1),
    ]
    np.testing.assert_array_equal(
        student.requests[1][2],
        disc(SIZE, SIZE, y=student.requests[0][1].clicks[0].y, x=student.requests[0][1].clicks[0].x, radius=8),
    )
    assert stored(session).planes[1, 90, 90]


def test_painting_while_a_click_is_answered_is_kept(window, tool, mouse, student, qtbot):
    session = window.controller.session
    student.may_answer.clear()
    mouse.click((60, 70))
    qtbot.waitUntil(lambda: len(student.requests) == 1)
    painted = disc(SIZE, SIZE, y=120, x=40, radius=10)
    session.stroke(painted)
    student.may_answer.set()
    qtbot.waitUntil(lambda: not tool.queue.busy)
    assert len(student.requests) == 2  # once more, starting from the painted mask
    plane = stored(session).planes[0]
    assert plane[60, 70]
    assert plane[painted].all()


def test_backspace_removes_answered_and_queued_clicks(window, mouse, student, press, qtbot):
    session, tool = window.controller.session, window.controller.click_tool
    mouse.click((60, 70))
    qtbot.waitUntil(lambda: stored(session).planes[0, 60, 70])
    first = stored(session).planes[0]
    student.may_answer.clear()
    for x in (80, 90, 100):
        mouse.click((60, x))
    qtbot.waitUntil(lambda: len(student.requests) == 2)
    press(Qt.Key.Key_Backspace)  # the third click is still queued
    press(Qt.Key.Key_Backspace)  # so is the second
    press(Qt.Key.Key_Backspace)  # the first is being answered
    assert not tool.marks.waiting
    student.may_answer.set()
    qtbot.waitUntil(lambda: not tool.queue.busy)
    np.testing.assert_array_equal(stored(session).planes[0], first)
    assert len(student.requests) == 2
    press(Qt.Key.Key_Backspace)
    assert not stored(session).planes.any()
    assert stored(session).state[0] == MaskState.UNSEEN
    press(Qt.Key.Key_Backspace)
    assert "no click" in window.message.text()


def test_a_click_can_be_removed_after_acceptance_and_in_a_later_session(make_session):
    session = make_session()
    one = Prompts((Click(60, 70, True),))
    two = one.with_click(Click(60, 80, False))
    masks = [disc(SIZE, SIZE, y=60, x=70, radius=radius) for radius in (10, 8)]
    for mask, prompts in zip(masks, (one, two), strict=True):
        session.answer(mask, prompts, frame=0, structure="bolus", student="fake")
    session.accept_frame()
    assert session.project.newest(session.clip.id, 0)["bolus"].prompts == two
    later = make_session()
    assert later.work.prompts == {"bolus": two}
    assert remove_last_click(later)
    np.testing.assert_array_equal(stored(later).planes[0], masks[0])
    assert later.work.state[0] == MaskState.EDITED
    assert later.work.prompts == {"bolus": one}
    assert remove_last_click(later)
    assert later.work.state[0] == MaskState.UNSEEN
    assert not remove_last_click(later)
    later.undo()
    assert later.work.prompts == {"bolus": one}
    later.undo()
    assert (later.work.prompts, later.work.state[0]) == ({"bolus": two}, MaskState.ACCEPTED)


def test_removing_a_click_restores_the_mask_before_it_not_the_undone_one(session):
    session.stroke(disc(SIZE, SIZE, y=30, x=30, radius=5))
    prompts = Prompts()
    for x in (70, 80):
        prompts = prompts.with_click(Click(60, x, True))
        session.answer(disc(SIZE, SIZE, y=60, x=x, radius=5), prompts, frame=0, structure="bolus", student="fake")
    session.undo()
    assert remove_last_click(session)
    np.testing.assert_array_equal(stored(session).planes[0], disc(SIZE, SIZE, y=30, x=30, radius=5))


def test_prompts_follow_each_other_by_one_click_or_box():
    none, box, other = Prompts(), Box(0, 0, 5, 5), Box(1, 1, 6, 6)
    click = none.with_click(Click(1, 2, True))
    assert click.follows(None)
    assert click.follows(none)
    assert none.with_box(box).follows(None)
    assert none.with_box(other).follows(none.with_box(box))
    assert click.with_box(box).follows(click)
    assert click.with_box(box).with_click(Click(3, 3, False)).follows(click.with_box(box))
    for earlier in (click, click.with_click(Click(1, 2, True)), none.with_click(Click(9, 9, True)), none.with_box(box)):
        assert not click.follows(earlier)
    assert not none.follows(click)
    assert not click.follows(click.with_box(box))


def test_a_student_without_click_support_disables_the_tool_with_a_reason(window, tool, press):
    session = window.controller.session
    button = window.correct.tools["pick"]
    assert button.isEnabled()
    session.set_student(FakeStudent("older", can_refine=False))
    assert not button.isEnabled()
    assert "does not support clicks" in button.toolTip()
    assert not tool.active
    press(Qt.Key.Key_C)
    assert not tool.active
    assert "does not support clicks" in window.message.text()
    session.set_student(FakeStudent("newer"))
    press(Qt.Key.Key_C)
    assert tool.active
    assert button.isEnabled()
    assert "left click adds" in button.toolTip()


def test_an_error_of_the_student_is_shown_and_the_next_click_is_answered(window, tool, mouse, student, qtbot):
    session = window.controller.session
    student.error = StudentError("it has lost its graph", remedy="Choose another.")
    mouse.click((60, 70))
    qtbot.waitUntil(lambda: "lost its graph" in window.message.text())
    assert not stored(session).planes.any()
    student.error = None
    mouse.click((60, 90))
    qtbot.waitUntil(lambda: stored(session).planes[0, 60, 90])


def test_the_picture_can_be_panned_while_the_tool_is_active(window, tool, mouse, student, qtbot):
    camera = window.viewer.scene.camera
    before, zoom = camera.center, camera.zoom
    mouse.stroke([(60, 70), (80, 90)], button=MIDDLE)
    np.testing.assert_allclose(np.subtract(before, camera.center)[-2:], [20, 20], atol=1.0)
    canvas = canvas_near(window)
    qtbot.keyPress(canvas, Qt.Key.Key_Space)
    middle = camera.center
    mouse.stroke([(60, 70), (65, 75), (70, 80)])
    qtbot.keyRelease(canvas, Qt.Key.Key_Space)
    assert camera.center != middle
    assert camera.zoom == zoom
    assert tool.active
    assert student.requests == []


def test_marks_are_shown_while_the_tool_is_active_and_masks_are_visible(window, tool, mouse, qtbot):
    session, layers = window.controller.session, window.controller.layers
    mouse.click((60, 70))
    qtbot.waitUntil(lambda: len(tool.marks.answered) == 1)
    layers.set_tool("paint")
    assert not tool.marks.isVisible()
    tool.select()
    assert tool.marks.isVisible()
    layers.toggle_masks()
    assert not tool.marks.isVisible()
    layers.toggle_masks()
    assert tool.marks.isVisible()
    session.go_to(1)
    assert not tool.marks.isVisible()
    session.go_to(0)
    assert tool.marks.isVisible()
    window.viewer.layers.remove(layers.editor)
    qtbot.waitUntil(lambda: layers.editor in window.viewer.layers)
    tool.select()
    mouse.click((90, 70))
    qtbot.waitUntil(lambda: stored(session).planes[0, 90, 70])


def test_closing_while_a_click_is_answered_writes_nothing_more(window, tool, mouse, student, qtbot):
    session, controller = window.controller.session, window.controller
    student.may_answer.clear()
    mouse.click((60, 70))
    mouse.click((60, 90))
    qtbot.waitUntil(lambda: len(student.requests) == 1)
    threads = [thread for thread in threading.enumerate() if thread.name == "vfss-student"]
    assert threads
    folder, clip = session.project.folder, session.clip.id
    controller.close_session()
    assert controller.session is None
    student.may_answer.set()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    qtbot.wait(20)  # signals emitted before would arrive now
    assert len(student.requests) == 1
    from vfss.project import Project

    with Project.open(folder) as project:
        assert project.history(clip, 0, "bolus") == []


@pytest.fixture
def frames(session, qapp):
    thread = StudentThread()
    made = EncodedFrames(thread, session.clip)
    yield made
    made.close()


def encoded_indices(session, student):
    """Return the frames of the clip that a student has encoded, in order."""
    index_of = {session.clip.as_uint8(t).tobytes(): t for t in range(session.clip.n_frames)}
    return [index_of[frame.tobytes()] for frame in student.encoded_frames]


def test_frames_ahead_are_encoded_in_the_direction_of_travel(session, frames, qtbot):
    student = FakeStudent()
    frames.set_student(student)
    frames.follow(10)
    qtbot.waitUntil(lambda: len(student.encoded_frames) == 4)
    frames.follow(9)
    qtbot.waitUntil(lambda: len(student.encoded_frames) == 6)
    assert encoded_indices(session, student) == [10, 11, 12, 9, 8, 7]
    qtbot.waitUntil(lambda: frames.get(7) is not None)
    frames.follow(0)
    qtbot.waitUntil(lambda: frames.get(1) is not None)
    assert frames.get(0) is not None
    assert len([t for t in range(24) if frames.get(t) is not None]) == encoder_cache.CAPACITY
    assert frames.get(12) is None  # the farthest frame was dropped


def test_frames_passed_quickly_are_not_encoded(session, frames, qtbot):
    student = FakeStudent()
    frames.set_student(student)
    with qtbot.waitSignal(frames.ready):
        for frame in range(20):
            frames.follow(frame)
    assert encoded_indices(session, student)[0] == 19


def test_a_frame_that_a_click_waits_for_is_encoded_next(session, frames, qtbot):
    student = FakeStudent()
    student.may_encode.clear()
    frames.set_student(student)
    frames.follow(10)
    qtbot.waitUntil(lambda: len(student.encoded_frames) == 1)
    frames.prioritise(20)
    student.may_encode.set()
    qtbot.waitUntil(lambda: frames.get(20) is not None)
    qtbot.waitUntil(lambda: len(student.encoded_frames) == 5)
    assert encoded_indices(session, student)[:2] == [10, 20]
    assert sorted(encoded_indices(session, student)) == [9, 10, 11, 12, 20]


def test_encodings_of_another_student_are_dropped(session, frames, qtbot):
    one, two = FakeStudent("one"), FakeStudent("two")
    one.may_encode.clear()
    frames.set_student(one)
    frames.prioritise(3)
    qtbot.waitUntil(lambda: len(one.encoded_frames) == 1)
    frames.set_student(two)
    frames.prioritise(3)
    one.may_encode.set()
    qtbot.waitUntil(lambda: frames.get(3) is not None)
    assert frames.get(3)[1] == "two"
    frames.set_student(None)
    assert frames.get(3) is None


def test_an_encoding_error_is_shown_when_a_click_waits_for_the_frame(window, tool, mouse, monkeypatch, qtbot):
    session = window.controller.session

    def broken(*_, **__):
        raise StudentError("the frame cannot be encoded")

    monkeypatch.setattr(session.student, "encode", broken)
    session.go_to(7)
    mouse.click((60, 70))
    qtbot.waitUntil(lambda: "cannot be encoded" in window.message.text())
    assert not tool.queue.busy
    assert not stored(session, 7).planes.any()
