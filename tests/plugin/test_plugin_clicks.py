# SPDX-License-Identifier: Apache-2.0
"""The Click tool in a real window: what a click makes, where it lands, how it is taken back, what it waits for."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_vfss.demo.canvas_mouse import CanvasMouse
from napari_vfss.prompting import encoder_cache as encoding
from napari_vfss.prompting.encoder_cache import EncodedFrames
from napari_vfss.prompting.marks import canvas_near
from napari_vfss.prompting.queue import ENCODING
from napari_vfss.prompting.thread import StudentThread
from napari_vfss.session.corrections import remove_last_click
from small_project import disc
from vfss.errors import StudentError
from vfss.masks import MaskState
from vfss.student.prompts import Box, Click, Prompts

SIZE = 160
RIGHT, MIDDLE = Qt.MouseButton.RightButton, Qt.MouseButton.MiddleButton


class FakeStudent:
    """Answers a click with a disc around it, added or taken away, and a box with the box."""

    def __init__(self, name="fake", *, can_refine=True):
        self.id, self.can_refine, self.device = name, can_refine, "cpu (test)"
        self.looked, self.asked = [], []
        self.may_look, self.may_answer = threading.Event(), threading.Event()
        self.may_look.set()
        self.may_answer.set()
        self.trouble = None

    def encode(self, frame):
        self.looked.append(frame)
        self.may_look.wait(20)
        return ("encoded", self.id, len(self.looked))

    def refine(self, encoded, structure, prompts, current):
        assert encoded[:2] == ("encoded", self.id)
        self.asked.append((structure, prompts, current.copy()))
        self.may_answer.wait(20)
        if self.trouble is not None:
            raise self.trouble
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
    made.may_look.set()
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


def test_left_adds_right_removes_and_each_click_is_one_step(window, tool, mouse, qtbot):
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


def test_two_quick_clicks_are_two(window, tool, mouse, qtbot):
    session = window.controller.session
    zoom = window.viewer.scene.camera.zoom
    mouse.click((60, 70))
    mouse.click_again((61, 90))
    qtbot.waitUntil(lambda: len(session.work.prompts.get("bolus", ())) == 2)
    assert stored(session).planes[0, 61, 90]
    assert window.viewer.scene.camera.zoom == zoom


def test_a_drag_is_a_box_and_a_click_goes_on_from_it(window, tool, mouse, student, qtbot):
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
    assert student.asked[-1][1].box == box
    assert len(student.asked[-1][1]) == 2
    mouse.stroke([(-400, -400), (-300, -300)])  # beside the picture
    mouse.click((-300, 50))
    assert len(student.asked) == 2


def test_a_click_goes_on_from_what_is_shown(window, tool, mouse, student, qtbot):
    session, layers = window.controller.session, window.controller.layers
    layers.editor.data[10:20, 10:20] = 1  # under the pen
    mouse.click((60, 70))
    qtbot.waitUntil(lambda: stored(session).planes[0, 60, 70])
    assert student.asked[0][2].sum() == 100
    assert stored(session).planes[0, 15, 15]
    session.stroke(disc(SIZE, SIZE, y=100, x=100, radius=10))
    assert "bolus" not in session.work.prompts  # what was painted does not answer to clicks
    mouse.click((60, 70))
    qtbot.waitUntil(lambda: stored(session).planes[0, 60, 70])
    assert len(session.work.prompts["bolus"]) == 1
    assert stored(session).planes[0, 100, 100]


def test_in_a_turned_view_clicks_and_marks_stand_where_the_mouse_is(window, tool, mouse, qtbot):
    session, layers = window.controller.session, window.controller.layers
    turn, shift = np.deg2rad(12.0), (7.0, -5.0)
    matrix = np.array([[np.cos(turn), -np.sin(turn), shift[0]], [np.sin(turn), np.cos(turn), shift[1]], [0, 0, 1]])
    whole = np.eye(4)
    whole[1:, 1:] = matrix
    layers.image.affine = whole
    layers.overlay.affine = layers.editor.affine = matrix
    mouse.click((80, 60))  # on the canvas, as the picture lies there now
    qtbot.waitUntil(lambda: len(tool.marks.answered) == 1)
    y, x, _ = np.linalg.inv(matrix) @ (80, 60, 1)
    (click,) = session.work.prompts["bolus"].clicks
    assert close_to(click, y, x, True)
    assert stored(session).planes[0, round(y), round(x)]
    seen, meant = tool.marks.position(click.y, click.x), mouse.on_canvas((80, 60))
    assert abs(seen.x() - meant.x()) < 1.5 and abs(seen.y() - meant.y()) < 1.5
    layers.image.affine, layers.overlay.affine, layers.editor.affine = np.eye(4), np.eye(3), np.eye(3)


def test_a_click_waits_for_the_frame_and_lands_where_it_was_made(window, tool, mouse, student, qtbot):
    session = window.controller.session
    student.may_look.clear()
    session.go_to(5)
    mouse.click((60, 70))
    qtbot.waitUntil(lambda: window.correct.summary.text() == ENCODING)
    assert tool.marks.note == ENCODING
    assert len(tool.marks.waiting) == 1
    assert not tool.marks.answered
    session.go_to(9)  # the window is alive
    session.choose("airway")
    assert not tool.marks.isVisible()
    student.may_look.set()
    qtbot.waitUntil(lambda: not tool.queue.busy)
    assert stored(session, 5).planes[0, 60, 70]
    assert stored(session, 5).planes[4].sum() == 0
    assert not stored(session, 9).planes.any()
    assert window.correct.summary.text() == ""


def test_clicks_made_meanwhile_are_answered_in_their_order(window, tool, mouse, student, qtbot):
    session = window.controller.session
    student.may_answer.clear()
    mouse.click((60, 70))
    qtbot.waitUntil(lambda: len(student.asked) == 1)
    mouse.click((60, 76), button=RIGHT)
    session.choose("pharynx")
    mouse.click((90, 90))
    session.choose("bolus")
    assert len(tool.marks.waiting) == 2
    student.may_answer.set()
    qtbot.waitUntil(lambda: not tool.queue.busy)
    assert [(structure, len(prompts)) for structure, prompts, _ in student.asked] == [
        ("bolus", 1),
        ("bolus", 2),
        ("pharynx", 1),
    ]
    np.testing.assert_array_equal(
        student.asked[1][2],
        disc(SIZE, SIZE, y=student.asked[0][1].clicks[0].y, x=student.asked[0][1].clicks[0].x, radius=8),
    )
    assert stored(session).planes[1, 90, 90]


def test_who_paints_while_the_student_thinks_loses_nothing(window, tool, mouse, student, qtbot):
    session = window.controller.session
    student.may_answer.clear()
    mouse.click((60, 70))
    qtbot.waitUntil(lambda: len(student.asked) == 1)
    painted = disc(SIZE, SIZE, y=120, x=40, radius=10)
    session.stroke(painted)
    student.may_answer.set()
    qtbot.waitUntil(lambda: not tool.queue.busy)
    assert len(student.asked) == 2  # again, from what was painted
    plane = stored(session).planes[0]
    assert plane[60, 70]
    assert plane[painted].all()


def test_backspace_takes_back_clicks_with_and_without_an_answer(window, mouse, student, press, qtbot):
    session, tool = window.controller.session, window.controller.click_tool
    mouse.click((60, 70))
    qtbot.waitUntil(lambda: stored(session).planes[0, 60, 70])
    first = stored(session).planes[0]
    student.may_answer.clear()
    for x in (80, 90, 100):
        mouse.click((60, x))
    qtbot.waitUntil(lambda: len(student.asked) == 2)
    press(Qt.Key.Key_Backspace)  # the third one waits
    press(Qt.Key.Key_Backspace)  # so does the second one
    press(Qt.Key.Key_Backspace)  # the first one is being answered
    assert not tool.marks.waiting
    student.may_answer.set()
    qtbot.waitUntil(lambda: not tool.queue.busy)
    np.testing.assert_array_equal(stored(session).planes[0], first)
    assert len(student.asked) == 2
    press(Qt.Key.Key_Backspace)
    assert not stored(session).planes.any()
    assert stored(session).state[0] == MaskState.UNSEEN
    press(Qt.Key.Key_Backspace)
    assert "no click" in window.message.text()


def test_a_click_can_be_taken_back_after_acceptance_and_on_another_day(make_session):
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


def test_taking_back_goes_to_what_was_before_the_click_not_to_what_was_undone(session):
    session.stroke(disc(SIZE, SIZE, y=30, x=30, radius=5))
    prompts = Prompts()
    for x in (70, 80):
        prompts = prompts.with_click(Click(60, x, True))
        session.answer(disc(SIZE, SIZE, y=60, x=x, radius=5), prompts, frame=0, structure="bolus", student="fake")
    session.undo()
    assert remove_last_click(session)
    np.testing.assert_array_equal(stored(session).planes[0], disc(SIZE, SIZE, y=30, x=30, radius=5))


def test_prompts_follow_each_other_by_one_step():
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


def test_a_student_that_takes_no_clicks_turns_the_tool_off_and_says_why(window, tool, press):
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


def test_an_error_of_the_student_is_told_and_the_next_click_is_answered(window, tool, mouse, student, qtbot):
    session = window.controller.session
    student.trouble = StudentError("it has lost its graph", remedy="Choose another.")
    mouse.click((60, 70))
    qtbot.waitUntil(lambda: "lost its graph" in window.message.text())
    assert not stored(session).planes.any()
    student.trouble = None
    mouse.click((60, 90))
    qtbot.waitUntil(lambda: stored(session).planes[0, 60, 90])


def test_the_picture_can_be_moved_with_the_tool_in_the_hand(window, tool, mouse, student, qtbot):
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
    assert student.asked == []


def test_marks_are_shown_with_the_tool_in_the_hand_and_the_masks(window, tool, mouse, qtbot):
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


def test_closing_while_the_student_thinks_writes_nothing_more(window, tool, mouse, student, qtbot):
    session, controller = window.controller.session, window.controller
    student.may_answer.clear()
    mouse.click((60, 70))
    mouse.click((60, 90))
    qtbot.waitUntil(lambda: len(student.asked) == 1)
    threads = [thread for thread in threading.enumerate() if thread.name == "vfss-student"]
    assert threads
    folder, clip = session.project.folder, session.clip.id
    controller.close_session()
    assert controller.session is None
    student.may_answer.set()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    qtbot.wait(20)  # what was sent before would arrive now
    assert len(student.asked) == 1
    from vfss.project import Project

    with Project.open(folder) as project:
        assert project.history(clip, 0, "bolus") == []


@pytest.fixture
def frames(session, qapp):
    thread = StudentThread()
    made = EncodedFrames(thread, session.clip)
    yield made
    made.close()


def numbers(session, student):
    """Which frames of the clip a student has looked at, in order."""
    known = {session.clip.as_uint8(t).tobytes(): t for t in range(session.clip.n_frames)}
    return [known[frame.tobytes()] for frame in student.looked]


def test_frames_ahead_are_looked_at_in_the_direction_of_travel(session, frames, qtbot):
    student = FakeStudent()
    frames.set_student(student)
    frames.follow(10)
    qtbot.waitUntil(lambda: len(student.looked) == 4)
    frames.follow(9)
    qtbot.waitUntil(lambda: len(student.looked) == 6)
    assert numbers(session, student) == [10, 11, 12, 9, 8, 7]
    qtbot.waitUntil(lambda: frames.get(7) is not None)
    frames.follow(0)
    qtbot.waitUntil(lambda: frames.get(1) is not None)
    assert frames.get(0) is not None
    assert len([t for t in range(24) if frames.get(t) is not None]) == encoding.CAPACITY
    assert frames.get(12) is None  # the farthest one went


def test_frames_that_go_by_are_not_looked_at(session, frames, qtbot):
    student = FakeStudent()
    frames.set_student(student)
    with qtbot.waitSignal(frames.ready):
        for frame in range(20):
            frames.follow(frame)
    assert numbers(session, student)[0] == 19


def test_a_frame_that_a_click_waits_for_comes_next(session, frames, qtbot):
    student = FakeStudent()
    student.may_look.clear()
    frames.set_student(student)
    frames.follow(10)
    qtbot.waitUntil(lambda: len(student.looked) == 1)
    frames.prioritise(20)
    student.may_look.set()
    qtbot.waitUntil(lambda: frames.get(20) is not None)
    qtbot.waitUntil(lambda: len(student.looked) == 5)
    assert numbers(session, student)[:2] == [10, 20]
    assert sorted(numbers(session, student)) == [9, 10, 11, 12, 20]


def test_what_another_student_knew_is_dropped(session, frames, qtbot):
    one, two = FakeStudent("one"), FakeStudent("two")
    one.may_look.clear()
    frames.set_student(one)
    frames.prioritise(3)
    qtbot.waitUntil(lambda: len(one.looked) == 1)
    frames.set_student(two)
    frames.prioritise(3)
    one.may_look.set()
    qtbot.waitUntil(lambda: frames.get(3) is not None)
    assert frames.get(3)[1] == "two"
    frames.set_student(None)
    assert frames.get(3) is None


def test_a_frame_that_cannot_be_read_is_told_when_a_click_waits_for_it(window, tool, mouse, monkeypatch, qtbot):
    session = window.controller.session

    def broken(*_):
        raise StudentError("the frame cannot be looked at")

    monkeypatch.setattr(session.student, "encode", broken)
    session.go_to(7)
    mouse.click((60, 70))
    qtbot.waitUntil(lambda: "cannot be looked at" in window.message.text())
    assert not tool.queue.busy
    assert not stored(session, 7).planes.any()
