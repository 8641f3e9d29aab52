# SPDX-License-Identifier: Apache-2.0
"""Adapting to the clip in the window: when it can begin, progress, one undo step, cancelling, and errors."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_vfss.demo.canvas_mouse import CanvasMouse
from napari_vfss.ui.history.describe import how
from small_student import small_checkpoint
from vfss.masks import MaskState
from vfss.project import Edit, Project, Provenance

WAIT_MS = 180_000


def annotate(session, frame, key="bolus", x=80, state=MaskState.ACCEPTED):
    """Annotate a structure on a frame."""
    plane = np.zeros((session.clip.height, session.clip.width), np.bool_)
    plane[70:90, x - 12 : x + 12] = True
    assert session.change({(frame, key): (plane if state == MaskState.ACCEPTED else None, state)})


def wait(qtbot, window):
    qtbot.waitUntil(lambda: not window.controller.student_jobs.adapting.running, timeout=WAIT_MS)


def proposed(session, key="bolus"):
    states = session.project.states(session.clip.id)[:, session.schema[key].index]
    return [int(t) for t in np.flatnonzero(states == MaskState.PROPOSED)]


@pytest.fixture
def corrected(window):
    """A window in which frames 4 and 16 are corrected."""
    session = window.controller.session
    annotate(session, 4)
    annotate(session, 16, x=90)
    window.propagate.refresh()
    return window


@pytest.fixture
def small(corrected, tmp_path):
    """The same window with a small student that adapts in seconds."""
    session = corrected.controller.session
    path = small_checkpoint().save(tmp_path / "small.safetensors").path
    record = session.project.add_student(path, scores={}, parent=None)
    session.choose_student(record.id)
    return corrected


def replace_trainer(monkeypatch, window, *events, code=0):
    """Replace the trainer by a program that prints these events."""
    lines = "".join(f"print({json.dumps(event)!r}, flush=True)\n" for event in events)
    start = window.controller.student_jobs.adapting.trainer.start
    program = [sys.executable, "-c", f"{lines}import sys\nsys.exit({code})"]
    monkeypatch.setattr(
        window.controller.student_jobs.adapting.trainer,
        "start",
        lambda project, arguments: start(project, arguments, program),
    )


def test_adapting_runs_in_the_background_and_is_one_undo_step(small, qtbot):
    session, stages = small.controller.session, []
    assert "2 corrected" in small.propagate.summary.text()
    annotate(session, 10, "pharynx", state=MaskState.NOT_VISIBLE)
    session.go_to(4)
    small.controller.student_jobs.adapting.progressed.connect(
        lambda what, done, total: stages.append((what, done <= total))
    )
    canvas = CanvasMouse(small.viewer, small.window()).canvas
    qtbot.keyClick(canvas, Qt.Key.Key_L, Qt.KeyboardModifier.ControlModifier)
    assert small.controller.student_jobs.adapting.running
    assert small.propagate.cancel_button.isVisibleTo(small)
    assert not small.propagate.adapt_button.isEnabled()
    small.controller.student_jobs.propagate("forward")
    assert "still being adapted to this clip" in small.message.text()
    wait(qtbot, small)
    assert set(stages) == {("adapting", True), ("proposing", True)}
    frames = [t for t in range(session.clip.n_frames) if t not in (4, 16)]
    assert proposed(session) == frames
    assert 10 not in proposed(session, "pharynx")
    assert proposed(session, "c3") == [], "bones are propagated, not adapted to"
    assert "adapted to 3 frames" not in small.message.text(), "frames marked not visible have no pixels to adapt to"
    assert "adapted to 2 frames of this clip" in small.message.text()
    assert how(session.project.newest(session.clip.id, 7)["bolus"]) == "student adapted to 2 frames"
    session.undo()
    assert proposed(session) == []
    assert "Undone: proposals of the clip-adapted student" in small.message.text()
    session.redo()
    assert proposed(session) == frames


def test_the_button_needs_two_corrected_frames_and_the_key_explains_why(window, qtbot):
    session = window.controller.session
    assert not window.propagate.adapt_button.isEnabled()
    annotate(session, 4)
    annotate(session, 5, "c3")
    window.controller.student_jobs.adapt()
    assert not window.controller.student_jobs.adapting.running
    assert "too little to adapt to" in window.message.text()
    annotate(session, 9)
    window.propagate.refresh()
    assert window.propagate.adapt_button.isEnabled()


def test_cancelling_reports_that_no_mask_was_changed(small, qtbot, trainer):
    small.controller.student_jobs.adapting.trainer.program = tuple(trainer)
    with qtbot.waitSignal(small.controller.student_jobs.adapting.progressed, timeout=WAIT_MS):
        small.controller.student_jobs.adapt()
    small.propagate.cancel_button.click()
    wait(qtbot, small)
    assert "Adapting was stopped. No mask was changed." in small.message.text()
    assert small.controller.session.undo()  # the annotator's last change, not the run
    qtbot.waitUntil(lambda: not small.propagate.adapt_button.isEnabled())


def test_proposals_written_before_a_failure_are_reported_and_can_be_undone(corrected, qtbot, monkeypatch):
    session = corrected.controller.session
    plane = np.zeros((session.clip.height, session.clip.width), np.bool_)
    plane[10:20, 10:20] = True
    made = Provenance.adapted((1, 3), "parent")
    edit = Edit(session.clip.id, 9, "bolus", plane, MaskState.PROPOSED, provenance=made)
    (revision,) = session.project.write([edit], author="clip-adapted student", origin="proposal")
    written = {"event": "spread", "done": 1, "total": 2, "written": [[9, "bolus", revision.id]]}
    replace_trainer(monkeypatch, corrected, written, {"event": "error", "message": "The disk is full."}, code=1)
    corrected.controller.student_jobs.adapt()
    wait(qtbot, corrected)
    assert "The disk is full." in corrected.message.text()
    assert "1 mask was proposed anew. Ctrl+Z undoes it." in corrected.message.text()
    session.undo()
    assert proposed(session) == []


def test_a_trainer_that_dies_is_reported(corrected, qtbot, monkeypatch):
    replace_trainer(monkeypatch, corrected, {"event": "learn", "done": 1, "total": 9}, code=9)
    corrected.controller.student_jobs.adapt()
    wait(qtbot, corrected)
    assert "stopped with code 9" in corrected.message.text()
    assert "No mask was changed." in corrected.message.text()
    assert corrected.propagate.adapt_button.isEnabled()


def test_closing_the_clip_ends_adapting_and_loses_nothing(small, qtbot, clip_file, trainer):
    small.controller.student_jobs.adapting.trainer.program = tuple(trainer)
    session = small.controller.session
    folder, clip_id = session.project.folder, session.clip.id
    with qtbot.waitSignal(small.controller.student_jobs.adapting.progressed, timeout=WAIT_MS):
        small.controller.student_jobs.adapt()
    small.controller.close_session()
    wait(qtbot, small)
    with Project.open(folder) as project:
        assert project.newest(clip_id, 4)["bolus"].state == MaskState.ACCEPTED
        project.check()
    assert small.controller.open(clip_file)
    assert small.controller.session.undo() is False


def test_a_read_only_project_is_refused(corrected, monkeypatch):
    monkeypatch.setattr(corrected.controller.session.project, "read_only", True)
    corrected.controller.student_jobs.adapt()
    assert not corrected.controller.student_jobs.adapting.running
    assert "open read-only" in corrected.message.text()


def test_soft_structures_are_those_that_are_adapted_to(window):
    assert set(window.controller.session.schema.soft) == {
        "bolus", "pharynx", "epiglottis", "airway",
    }  # fmt: skip
