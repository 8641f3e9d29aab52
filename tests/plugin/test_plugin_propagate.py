# SPDX-License-Identifier: Apache-2.0
"""Propagating masks in the window: buttons, keys, progress, one undo step, and errors during a run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_vfss.demo.canvas_mouse import CanvasMouse
from napari_vfss.jobs.propagating import key_structures, propagation_summary
from vfss.errors import ProjectError
from vfss.masks import MaskState
from vfss.project import Edit, Project
from vfss.propagation.propagation import Ending, PropagationRequest
from vfss.proposals.propagation import ProjectPropagation

WAIT_MS = 120_000


def bone(session, y=80, x=80):
    plane = np.zeros((session.clip.height, session.clip.width), np.bool_)
    plane[y - 10 : y + 10, x - 12 : x + 12] = True
    return plane


def annotate(session, frame, key="c3", state=MaskState.ACCEPTED, **where):
    """Annotate a structure on a frame."""
    mask = bone(session, **where) if state in (MaskState.ACCEPTED, MaskState.EDITED) else None
    assert session.change({(frame, key): (mask, state)})


def wait(qtbot, window):
    qtbot.waitUntil(lambda: not window.controller.student_jobs.propagating.running, timeout=WAIT_MS)


def frames_of(session, key="c3", state=MaskState.PROPOSED):
    states = session.project.states(session.clip.id)[:, session.schema[key].index]
    return [int(t) for t in np.flatnonzero(states == state)]


@pytest.fixture
def start(window):
    """A window on frame 5, where C3 is accepted, as it is on frame 9."""
    session = window.controller.session
    annotate(session, 5)
    annotate(session, 9)
    session.go_to(5)
    session.choose("c3")
    window.propagate.refresh()
    return window


def test_masks_are_propagated_to_the_next_annotated_frame_and_undone_at_once(start, qtbot):
    session, shown = start.controller.session, []
    assert "1 structure" in start.propagate.summary.text()
    session.masks_changed.connect(shown.append)
    start.propagate.forward_button.click()
    assert start.propagate.cancel_button.isVisibleTo(start)
    assert not start.propagate.forward_button.isEnabled()
    wait(qtbot, start)
    assert frames_of(session) == [6, 7, 8]
    assert len(set(shown)) > 1  # masks were shown during the run
    revision = session.project.newest(session.clip.id, 7)["c3"]
    assert (revision.author, revision.origin) == ("propagation", "proposal")
    assert (revision.provenance.method, revision.provenance.source_frame) == ("propagation", 5)
    assert revision.confidence == pytest.approx(session.work_at(7).confidence[session.schema["c3"].index])
    message = start.message.text()
    assert "Propagated from frame 6. Forward: C3 to frame 9 (the next frame is annotated)." in message
    assert "Ctrl+Z undoes all of it." in message
    assert not start.propagate.cancel_button.isVisibleTo(start)
    session.go_to(20)
    session.undo()
    assert session.frame == 8
    assert frames_of(session) == []
    assert frames_of(session, state=MaskState.ACCEPTED) == [5, 9]
    assert "Undone: C3 propagated from frame 6" in start.message.text()
    session.redo()
    assert frames_of(session) == [6, 7, 8]
    again = session.project.newest(session.clip.id, 7)["c3"]
    assert (again.origin, again.provenance) == ("redo", revision.provenance)


def test_keys_propagate_backward_and_in_both_directions(start, qtbot):
    session = start.controller.session
    canvas = CanvasMouse(start.viewer, start.window()).canvas
    qtbot.keyClick(canvas, Qt.Key.Key_Left, Qt.KeyboardModifier.ControlModifier)
    wait(qtbot, start)
    assert frames_of(session) == [0, 1, 2, 3, 4]
    assert session.frame == 5
    session.undo()
    session.go_to(5)
    qtbot.keyClick(canvas, Qt.Key.Key_B, Qt.KeyboardModifier.ControlModifier)
    wait(qtbot, start)
    assert frames_of(session) == [0, 1, 2, 3, 4, 6, 7, 8]


def test_only_annotated_structures_or_only_the_active_one_are_propagated(start, qtbot):
    session = start.controller.session
    annotate(session, 5, "c4", y=110)
    session.project.write(
        [Edit(session.clip.id, 5, "c5", bone(session, 130), MaskState.PROPOSED)],
        author="s",
        origin="proposal",
        student="s",
    )
    session.reload([5])
    assert key_structures(start.controller.session, only_active=start.controller.student_jobs.only_active) == (
        "c3",
        "c4",
    )
    start.propagate.only_active.setChecked(True)
    assert key_structures(start.controller.session, only_active=start.controller.student_jobs.only_active) == ("c3",)
    start.propagate.forward_button.click()
    wait(qtbot, start)
    start.propagate.only_active.setChecked(False)
    assert frames_of(session) == [6, 7, 8]
    assert frames_of(session, "c4") == []
    assert "proposals only" not in start.message.text()
    assert "1 structure on frame 6 is a proposal only: accept it" in start.message.text()


def test_without_an_annotated_mask_a_message_names_the_remedy(window):
    window.controller.student_jobs.propagate("forward")
    assert not window.controller.student_jobs.propagating.running
    assert "accept" in window.message.text()


def test_cancelling_keeps_the_propagated_masks_as_one_undo_step(window, qtbot):
    session = window.controller.session
    annotate(session, 0)
    with qtbot.waitSignal(
        window.controller.student_jobs.propagating.progressed, timeout=WAIT_MS, check_params_cb=lambda done, _: done > 0
    ):
        window.controller.student_jobs.propagate("forward")
    window.propagate.cancel_button.click()
    wait(qtbot, window)
    assert 1 <= len(frames_of(session)) < session.clip.n_frames - 1
    assert "stopped" in window.message.text()
    session.undo()
    assert frames_of(session) == []


def test_closing_the_clip_ends_a_run_and_loses_nothing(start, qtbot, clip_file):
    session = start.controller.session
    folder, clip_id = session.project.folder, session.clip.id
    with qtbot.waitSignal(
        start.controller.student_jobs.propagating.progressed, timeout=WAIT_MS, check_params_cb=lambda done, _: done > 0
    ):
        start.controller.student_jobs.propagate("both")
    start.controller.close_session()
    wait(qtbot, start)
    assert start.controller.session is None
    with Project.open(folder) as project:
        assert project.newest(clip_id, 5)["c3"].state == MaskState.ACCEPTED
        project.check()
    assert start.controller.open(clip_file)
    assert start.controller.session.undo() is False
    start.controller.session.go_to(5)
    start.controller.student_jobs.propagate("forward")
    wait(qtbot, start)
    assert frames_of(start.controller.session)[-3:] == [6, 7, 8]


def test_a_layer_deleted_during_a_run_is_restored_and_the_run_continues(start, qtbot):
    start.controller.student_jobs.propagate("forward")
    start.viewer.layers.remove(start.controller.layers.editor)
    wait(qtbot, start)
    qtbot.waitUntil(lambda: start.controller.layers.editor in start.viewer.layers)
    assert frames_of(start.controller.session) == [6, 7, 8]


def test_an_annotation_by_someone_else_during_a_run_stops_propagation_there(window, make_session, qtbot):
    session, bob = window.controller.session, make_session("Bob")
    annotate(session, 0)
    with qtbot.waitSignal(
        window.controller.student_jobs.propagating.progressed, timeout=WAIT_MS, check_params_cb=lambda done, _: done > 0
    ):
        window.controller.student_jobs.propagate("forward")
    annotate(bob, 20, state=MaskState.NOT_VISIBLE)
    wait(qtbot, window)
    newest = session.project.newest(session.clip.id, 20)["c3"]
    assert (newest.author, newest.state) == ("Bob", MaskState.NOT_VISIBLE)
    assert frames_of(session)[-1] < 20
    assert "changed by someone else meanwhile" in window.message.text()


def test_a_read_only_project_is_refused(start, qtbot, monkeypatch):
    session = start.controller.session
    before = session.project.last_revision()
    monkeypatch.setattr(Project, "read_only", True, raising=False)
    monkeypatch.setattr(ProjectPropagation, "run", lambda self: pytest.fail("propagation was started"), raising=True)
    init = Project.__init__

    def read_only(self, *args, **settings):
        init(self, *args, **settings)
        self.read_only = True

    monkeypatch.setattr(Project, "__init__", read_only)
    start.controller.student_jobs.propagate("forward")
    wait(qtbot, start)
    assert "can only be read" in start.message.text()
    assert session.project.last_revision() == before
    assert start.propagate.forward_button.isEnabled()


def test_a_full_disk_during_a_run_is_reported_and_written_masks_can_be_undone(window, qtbot, monkeypatch):
    session = window.controller.session
    annotate(session, 0)
    write, calls = Project.write, []

    def filling(self, edits, **settings):
        calls.append(len(edits))
        if settings["origin"] == "proposal" and len(calls) == 3:
            # The database cannot grow: SQLite reports it as a full disk.
            pages = self._database.pragma("page_count")[0]
            self._database.pragma(f"max_page_count = {pages}")
            edits = [replace(edit, mask=noise(edit.mask.shape)) for edit in edits]
        return write(self, edits, **settings)

    monkeypatch.setattr(Project, "write", filling)
    window.controller.student_jobs.propagate("forward")
    wait(qtbot, window)
    monkeypatch.undo()
    assert " is full" in window.message.text()
    done = frames_of(session)
    assert done == list(range(1, len(done) + 1))
    assert 1 <= len(done) < session.clip.n_frames - 1
    assert session.project.newest(session.clip.id, 0)["c3"].state == MaskState.ACCEPTED
    session.project.check()
    session.undo()
    assert frames_of(session) == []
    session.go_to(0)
    window.controller.student_jobs.propagate("forward")
    wait(qtbot, window)
    assert len(frames_of(session)) > len(done)


def noise(shape):
    return np.random.default_rng(0).random(shape) < 0.5


def test_an_error_is_reported_and_propagation_can_be_repeated(start, qtbot, monkeypatch):
    def broken(self):
        raise ProjectError("the database is damaged", remedy="Restore it.")
        yield

    monkeypatch.setattr(ProjectPropagation, "run", broken)
    start.controller.student_jobs.propagate("forward")
    wait(qtbot, start)
    assert "the database is damaged" in start.message.text()
    monkeypatch.undo()
    start.controller.student_jobs.propagate("forward")
    wait(qtbot, start)
    assert frames_of(start.controller.session) == [6, 7, 8]


def test_soft_structures_are_propagated_with_the_student(window, qtbot):
    session = window.controller.session
    annotate(session, 3, "airway", y=90)
    annotate(session, 6, "airway", y=90)
    session.go_to(3)
    window.controller.student_jobs.propagate("forward")
    wait(qtbot, window)
    assert session.student is not None
    newest = session.project.newest(session.clip.id, 4).get("airway")
    assert newest is None or newest.student == session.student.id


def test_the_summary_states_how_far_and_why(session):
    session.go_to(12)
    order = PropagationRequest(12, "both", ("c1", "c2", "bolus", "airway"))
    forward = [
        Ending("c1", True, 20, 31, "annotated"),
        Ending("c2", True, 20, 31, "annotated"),
        Ending("bolus", True, 0, None, "confidence"),
        Ending("airway", True, 4, 20, "annotated", left_out=3),
    ]
    backward = [Ending(key, False, 12, 0, "end") for key in order.structures]
    assert propagation_summary(session, order, forward + backward, undoable=False) == (
        "Propagated from frame 13. Backward: all 4 structures to frame 1 (the clip ends). Forward: C1 atlas, C2 axis "
        "to frame 32 (the next frame is annotated); Bolus not propagated (low confidence); Airway with 3 frames left "
        "out (low confidence there)."
    )
