# SPDX-License-Identifier: Apache-2.0
"""Robustness of the window: errors are reported with a remedy, no mask is lost, and work can continue."""

from __future__ import annotations

import re
import shutil
import sqlite3
from contextlib import closing
from types import SimpleNamespace

import imageio.v3 as iio
import numpy as np
import pytest
from sqlalchemy import Pool, event

from napari_vfss.demo.canvas_mouse import CanvasMouse
from napari_vfss.session import opening
from napari_vfss.session.opening import remember_view
from napari_vfss.ui import notices
from vfss.errors import ProjectError
from vfss.masks import MaskState
from vfss.project import Edit, Project, database_files

WAIT_MS = 120_000
GRAIN = np.random.default_rng(0).random((160, 160)) > 0.5


def paint(window, mask=GRAIN):
    """Paint a plane that takes many bytes, as grain does not compress."""
    window.controller.layers.editor.data[...] = mask
    window.controller.layers.flush()


def stored(session, frame=None):
    return session.project.masks(session.clip.id, session.frame if frame is None else frame)


class Disk:
    """Simulates a full disk: until `make_room`, no connection may let the project's database grow."""

    def __init__(self, session):
        self._session = session
        self._file = session.project.folder / "vfss.sqlite"
        self._pages = 0
        event.listen(Pool, "checkout", self._limit)

    def remove(self):
        event.remove(Pool, "checkout", self._limit)

    def fill(self):
        """Allow no further page, and fill the free space of the present pages with masks on a frame no test uses."""
        with closing(sqlite3.connect(self._file)) as database:
            (self._pages,) = database.execute("PRAGMA page_count").fetchone()
        edit = Edit(self._session.clip.id, 23, "c7", GRAIN, MaskState.EDITED)
        with pytest.raises(ProjectError, match=r"the disk at .* is full"):
            for _ in range(20):
                self._session.project.write([edit], author="filler", origin="hand")

    def make_room(self):
        self._pages = 1_000_000

    def _limit(self, connection, _record, _proxy):
        """Limit a connection when it is taken from its pool, as the limit belongs to the connection."""
        _, _, file = connection.execute("PRAGMA database_list").fetchone()
        if file and self._file.samefile(file):
            connection.execute(f"PRAGMA max_page_count = {self._pages}")


@pytest.fixture
def full(window):
    disk = Disk(window.controller.session)
    disk.fill()
    yield disk
    window.controller.unsaved_guard.discard()
    disk.remove()


@pytest.fixture
def answers(window, monkeypatch):
    """Answers to the question before closing, given in order; the questions are recorded."""
    given: list[str] = []
    asked: list[bool] = []

    def ask(may_stay):
        asked.append(may_stay)
        return given.pop(0)

    monkeypatch.setattr(window.unsaved, "ask", ask)
    return SimpleNamespace(give=given.extend, asked=asked)


# Layers


def test_deleting_all_layers_closes_the_clip_and_saves_the_stroke(window, clip_file, qtbot):
    controller = window.controller
    controller.session.go_to(4)
    controller.layers.editor.data[...] = GRAIN  # an unfinished stroke
    window.viewer.layers.clear()
    qtbot.waitUntil(lambda: controller.session is None)
    assert len(window.viewer.layers) == 0
    assert controller.open(clip_file)
    assert np.array_equal(stored(controller.session, 4).planes[0], GRAIN)


def test_layers_deleted_during_a_stroke_are_restored_with_the_stroke(window, qtbot, monkeypatch):
    controller, viewer = window.controller, window.viewer
    controller.layers.set_tool("paint")
    mouse, send = CanvasMouse(viewer, window.window()), CanvasMouse.send
    moves = []

    def delete_on_the_way(self, kind, point, *, pressed, button):
        moves.append(point)
        if len(moves) == 5:
            viewer.layers.remove(controller.layers.overlay)
            viewer.layers.remove(controller.layers.editor)
        send(self, kind, point, pressed=pressed, button=button)

    monkeypatch.setattr(CanvasMouse, "send", delete_on_the_way)
    mouse.stroke([(60, 40 + 8 * i) for i in range(8)])
    monkeypatch.undo()
    qtbot.waitUntil(lambda: controller.layers.editor in viewer.layers and controller.layers.overlay in viewer.layers)
    assert stored(controller.session).planes[0, 60, 45]
    assert np.array_equal(controller.layers.editor.mask, stored(controller.session).planes[0])
    controller.layers.set_tool("paint")
    mouse.stroke([(100, 50), (100, 60)])
    assert stored(controller.session).planes[0, 100, 55]


# Proposing


def test_closing_a_clip_during_proposing_keeps_the_proposals_written_so_far(window, clip_file, qtbot):
    controller = window.controller
    with qtbot.waitSignal(controller.student_jobs.proposing.proposed, timeout=WAIT_MS):
        controller.student_jobs.propose(0, controller.session.clip.n_frames - 1)
    controller.close_session()
    assert controller.session is None
    qtbot.waitUntil(lambda: not controller.student_jobs.proposing.running, timeout=WAIT_MS)
    assert controller.open(clip_file)
    done = (controller.session.states == MaskState.PROPOSED).all(axis=1)
    assert 1 <= done.sum() < len(done)
    missing = int(np.flatnonzero(~done)[0])
    controller.student_jobs.propose(missing, missing)
    qtbot.waitUntil(lambda: not controller.student_jobs.proposing.running, timeout=WAIT_MS)
    assert (controller.session.states[missing] == MaskState.PROPOSED).all()


def test_after_a_graphics_card_failure_the_processor_takes_over(window, qtbot):
    controller, messages = window.controller, []

    def lost(frames, **settings):
        raise RuntimeError("CUDA error: unspecified launch failure")

    schema = controller.session.schema
    controller.session.student = SimpleNamespace(
        id="card", device="cuda (bf16)", propose=lost, schema=schema, keys=schema.keys
    )
    controller.message.connect(lambda message, problem: messages.append((message, problem)))
    controller.student_jobs.propose(0, 2)
    qtbot.waitUntil(lambda: not controller.student_jobs.proposing.running, timeout=WAIT_MS)
    assert (controller.session.states[:3] == MaskState.PROPOSED).all()
    ((message, problem),) = [one for one in messages if "graphics card" in one[0]]
    assert problem
    assert "processor" in message
    assert "start it again" in message
    assert controller.session.student.device.startswith("cpu")


def test_an_error_on_the_processor_is_reported_without_a_retry(window, qtbot):
    controller = window.controller

    def broken(frames, **settings):
        raise RuntimeError("out of memory")

    schema = controller.session.schema
    controller.session.student = SimpleNamespace(
        id="slow", device="cpu (f32)", propose=broken, schema=schema, keys=schema.keys
    )
    controller.student_jobs.propose(0, 2)
    qtbot.waitUntil(lambda: not controller.student_jobs.proposing.running, timeout=WAIT_MS)
    assert "out of memory" in window.message.text()
    assert window.propose.frame_button.isEnabled()


# A full disk


def test_a_stroke_on_a_full_disk_stays_visible_and_can_be_saved_again(window, full):
    session = window.controller.session
    paint(window)
    assert re.search(r"the disk at .* is full", window.message.text())
    assert "Save again" in window.message.text()
    assert np.array_equal(window.controller.layers.editor.mask, GRAIN)
    assert window.unsaved.isVisibleTo(window)
    assert "1 change not saved" in window.unsaved.text.text()
    assert not stored(session).planes[0].any()
    window.unsaved.again.click()
    assert re.search(r"the disk at .* is full", window.message.text())
    full.make_room()
    window.unsaved.again.click()
    assert np.array_equal(stored(session).planes[0], GRAIN)
    assert stored(session).state[0] == MaskState.EDITED
    assert not window.unsaved.isVisibleTo(window)
    assert "Everything is saved" in window.message.text()


def test_unsaved_changes_stay_visible_across_frames_and_can_be_undone(window, full):
    session = window.controller.session
    paint(window)
    session.choose("c1")
    paint(window, ~GRAIN)
    for frame in range(1, 12):  # more frames than stay in memory
        session.go_to(frame)
        assert not session.work.planes.any()
    session.go_to(0)
    session.reload([0])
    assert np.array_equal(window.controller.layers.editor.mask, ~GRAIN)
    assert session.states[0, 0] == MaskState.EDITED
    session.undo()
    assert not window.controller.layers.editor.mask.any()
    session.redo()
    full.make_room()
    session.choose("c2")
    paint(window, GRAIN.T)  # the next stroke that can be written also saves the earlier ones
    planes = stored(session).planes
    for key, mask in (("bolus", GRAIN), ("c1", ~GRAIN), ("c2", GRAIN.T)):
        assert np.array_equal(planes[session.schema[key].index], mask)
    assert window.controller.unsaved_guard.waiting == 0


def test_unsaved_changes_are_saved_once_there_is_room(window, full):
    paint(window)
    full.make_room()
    for _ in range(5):
        window.controller.poll()
    assert window.controller.unsaved_guard.waiting == 0
    assert np.array_equal(stored(window.controller.session).planes[0], GRAIN)


def test_saving_again_does_not_overwrite_someone_elses_change(window, full, make_session):
    session = window.controller.session
    paint(window)
    other = make_session("Bob")
    full.make_room()
    other.stroke(~GRAIN)  # before the window saves again
    window.controller.unsaved_guard.save_again()
    assert "Bob" in window.message.text()
    assert np.array_equal(stored(session).planes[0], ~GRAIN)
    assert session.redo()
    assert np.array_equal(stored(session).planes[0], GRAIN)


def test_the_window_can_stay_open_with_unsaved_changes(window, full, answers):
    paint(window)
    answers.give([notices.AGAIN, notices.STAY])
    window.window().close()
    assert window.window().isVisible()
    assert answers.asked == [True, True]
    assert window.controller.unsaved_guard.waiting == 1
    assert np.array_equal(window.controller.layers.editor.mask, GRAIN)


def test_another_clip_is_not_opened_over_unsaved_changes(window, full, answers, phantom_file):
    session = window.controller.session
    paint(window)
    answers.give([notices.STAY])
    assert not window.controller.open(phantom_file)
    assert window.controller.session is session


def test_deleting_the_recording_does_not_lose_unsaved_changes(window, full, answers, qtbot):
    paint(window)
    answers.give([notices.STAY])
    window.viewer.layers.clear()
    layers = window.controller.layers
    qtbot.waitUntil(lambda: len(window.viewer.layers) == 3)
    assert [window.viewer.layers.index(layer) for layer in (layers.image, layers.overlay, layers.editor)] == [0, 1, 2]
    assert np.array_equal(layers.editor.mask, GRAIN)
    full.make_room()
    window.unsaved.again.click()
    assert np.array_equal(stored(window.controller.session).planes[0], GRAIN)


def test_unsaved_changes_can_be_saved_to_a_new_project(window, full, answers, tmp_path, monkeypatch):
    session, folder = window.controller.session, tmp_path / "rescue"
    paint(window)
    monkeypatch.setattr(notices.QFileDialog, "getExistingDirectory", lambda *_: str(folder))
    answers.give([notices.ELSEWHERE])
    assert window.controller.unsaved_guard.may_close()
    with Project.open(folder) as project:
        assert np.array_equal(project.masks(session.clip.id, 0).planes[0], GRAIN)
        assert project.newest(session.clip.id, 0)["bolus"].author == session.author
    assert str(folder) in window.message.text()


def test_unsaved_changes_can_be_discarded(window, full, answers):
    paint(window)
    answers.give([notices.LOSE])
    assert window.controller.unsaved_guard.may_close()
    assert not window.controller.layers.editor.mask.any()


def test_the_question_offers_all_answers(window, full, qtbot):
    from qtpy.QtCore import QTimer
    from qtpy.QtWidgets import QApplication, QMessageBox

    paint(window)
    offered = []

    def answer():
        box = QApplication.activeModalWidget()
        if not isinstance(box, QMessageBox):
            QTimer.singleShot(50, answer)
            return
        offered.extend(button.text() for button in box.buttons())
        next(button for button in box.buttons() if button.text() == notices.STAY).click()

    QTimer.singleShot(50, answer)
    assert window.unsaved.ask(True) == notices.STAY
    assert set(offered) == {notices.AGAIN, notices.ELSEWHERE, notices.LOSE, notices.STAY}


# A read-only, moved or deleted project


def test_a_read_only_project_can_be_viewed_but_not_changed(window, clip_file, monkeypatch):
    controller = window.controller
    paint(window)
    remember_view(controller.session)
    folder = controller.session.project.folder
    controller.close_session()
    monkeypatch.setattr(database_files, "may_write", lambda path: False)
    assert controller.open(folder)
    session = controller.session
    assert "read-only" in window.message.text()
    assert np.array_equal(controller.layers.editor.mask, GRAIN)
    window.correct.tools["paint"].click()
    assert str(controller.layers.editor.mode) == "pan_zoom"
    session.go_to(3)
    session.choose("c1")
    controller.layers.set_tool("erase")
    assert str(controller.layers.editor.mode) == "pan_zoom"
    assert not controller.layers.editor.editable
    session.go_to(0)
    session.choose("bolus")
    paint(window, ~GRAIN)
    assert "can only be read" in window.message.text()
    assert "permission to write" in window.message.text()
    assert np.array_equal(controller.layers.editor.mask, GRAIN)
    assert controller.unsaved_guard.waiting == 0
    assert not session.accept_frame()
    controller.student_jobs.propose(5, 6)
    assert not controller.student_jobs.proposing.running
    window.message.clear()
    controller.remember()
    controller.poll()
    assert window.message.text() == ""


def test_a_project_folder_moved_away_and_back_loses_nothing(window):
    controller, folder = window.controller, window.controller.session.project.folder
    away = folder.with_name("away")
    folder.rename(away)
    paint(window)
    assert "moved, deleted or replaced" in window.message.text()
    assert controller.unsaved_guard.waiting == 1
    window.controller.session.go_to(2)
    paint(window, ~GRAIN)
    assert controller.unsaved_guard.waiting == 2
    away.rename(folder)
    window.unsaved.again.click()
    assert np.array_equal(stored(controller.session, 0).planes[0], GRAIN)
    assert np.array_equal(stored(controller.session, 2).planes[0], ~GRAIN)


def test_the_work_of_a_deleted_project_folder_can_be_saved_elsewhere(window, tmp_path):
    controller = window.controller
    shutil.rmtree(controller.session.project.folder)
    paint(window)
    assert np.array_equal(controller.layers.editor.mask, GRAIN)
    assert controller.unsaved_guard.save_elsewhere(tmp_path / "rescue")
    with Project.open(tmp_path / "rescue") as project:
        assert np.array_equal(project.masks(controller.session.clip.id, 0).planes[0], GRAIN)


def test_a_lasting_problem_is_reported_once(window, monkeypatch):
    messages = []
    window.controller.message.connect(lambda message, problem: messages.append(message))

    def gone(*_):
        raise ProjectError("the share is gone", remedy="Connect it.")

    monkeypatch.setattr(window.controller.session.project, "last_revision", gone)
    for _ in range(4):
        window.controller.poll()
    assert [message for message in messages if "share is gone" in message] == ["the share is gone. Connect it."]


def test_a_database_lock_of_another_program_blocks_only_briefly(window, clip_file, monkeypatch):
    monkeypatch.setattr(opening, "PATIENCE_S", 0.05)
    assert window.controller.open(clip_file)
    session = window.controller.session
    other = sqlite3.connect(session.project.folder / "vfss.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    paint(window)
    assert "another program" in window.message.text()
    assert np.array_equal(window.controller.layers.editor.mask, GRAIN)
    other.execute("ROLLBACK")
    other.close()
    window.unsaved.again.click()
    assert np.array_equal(stored(session).planes[0], GRAIN)


def test_a_vanished_recording_is_reported_once_and_strokes_are_saved(window, tmp_path, qtbot):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for t in range(8):
        iio.imwrite(folder / f"{t:03}.png", np.full((160, 160), 20 * t, np.uint8))
    controller = window.controller
    assert controller.open(folder)
    for path in folder.glob("*.png"):
        path.unlink()
    messages = []
    controller.message.connect(lambda message, problem: messages.append(message))
    for frame in range(3, 8):
        window.viewer.dims.set_current_step(0, frame)
    assert controller.session.frame == 7
    about = [message for message in messages if "pictures" in message or ".png" in message]
    assert len(about) == 1
    paint(window)
    assert np.array_equal(stored(controller.session, 7).planes[0], GRAIN)
    controller.student_jobs.propose(7, 7)
    qtbot.waitUntil(lambda: not controller.student_jobs.proposing.running, timeout=WAIT_MS)
    assert "Unexpected" not in window.message.text()
    assert "007.png" in window.message.text()
