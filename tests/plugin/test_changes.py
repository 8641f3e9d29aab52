# SPDX-License-Identifier: Apache-2.0
"""Changes of many masks at once: one undo step, without losing another annotator's changes."""

from __future__ import annotations

import numpy as np
import pytest

from small_session import disc, propose, stored
from vfss.errors import ProjectError
from vfss.masks import MaskState
from vfss.project import Edit, Provenance


def write_run(session, frames, keys=("bolus", "c1"), *, step=None, y=80):
    """Write masks as a propagation run does, one batch per frame, and return the run's undo step."""
    mask, made = disc(session, y, 80), Provenance.propagated(0, None)
    step = step or session.changes.begin_run("2 structures propagated from frame 1")
    for frame in frames:
        written = session.project.write(
            [Edit(session.clip.id, frame, key, mask, MaskState.PROPOSED, 0.8, provenance=made) for key in keys],
            author="propagation",
            origin="proposal",
            leave=True,
        )
        session.changes.add_to_run(step, [(r.frame, r.structure, r.id) for r in written])
    return step


def states_and_masks(session):
    """Return the state and mask of every structure on the first twenty frames."""
    out = {}
    for frame in range(20):
        for key, revision in session.project.newest(session.clip.id, frame).items():
            mask = revision.mask
            out[frame, key] = (revision.state, None if mask is None else mask.tobytes())
    return out


def test_a_background_run_is_one_undo_step_and_one_redo_step(session):
    propose(session, 3)  # one of the frames has proposals of the student already
    proposed = stored(session, 3).planes.copy()
    session.changes.end_run(write_run(session, range(1, 19)))
    after = states_and_masks(session)
    messages = []
    session.message.connect(messages.append)
    assert session.undo()
    assert messages == ["Undone: 2 structures propagated from frame 1."]
    assert session.frame == 1
    assert not session.can_undo
    for frame in (1, 2, 18):
        assert (stored(session, frame).state == MaskState.UNSEEN).all()
    assert np.array_equal(stored(session, 3).planes, proposed)
    assert session.work_at(3).confidence[0] == pytest.approx(0.9)
    assert np.isnan(session.work_at(2).confidence[0])
    assert np.array_equal(session.states, session.project.states(session.clip.id))
    assert session.redo()
    assert states_and_masks(session) == after
    assert session.work_at(2).confidence[0] == pytest.approx(0.8)


def test_undoing_a_run_keeps_later_changes_of_another_annotator(make_session):
    ada, bob = make_session("Ada"), make_session("Bob")
    ada.changes.end_run(write_run(ada, range(1, 15)))
    bob.go_to(4)
    bob.choose("c1")
    bob.stroke(disc(bob, 20, 20))
    messages = []
    ada.message.connect(messages.append)
    assert ada.undo()
    assert messages == [
        "Undone: 2 structures propagated from frame 1. 1 place was left: changed since by someone else."
    ]
    newest = ada.project.newest(ada.clip.id, 4)
    assert newest["c1"].author == "Bob"
    assert newest["bolus"].state == MaskState.UNSEEN
    assert np.array_equal(ada.work_at(4).planes[ada.schema["c1"].index], disc(bob, 20, 20))


def test_changes_made_after_a_run_are_undone_before_the_run(session):
    session.changes.end_run(write_run(session, range(1, 5)))
    propagated = stored(session, 2).planes.copy()
    session.go_to(2)
    session.accept_frame()
    assert session.undo()
    assert np.array_equal(stored(session, 2).planes, propagated)
    assert (stored(session, 2).state[[0, session.schema["c1"].index]] == MaskState.PROPOSED).all()
    assert session.undo()
    assert not stored(session, 2).planes.any()
    assert not stored(session, 4).planes.any()
    assert session.redo()
    assert session.redo()
    assert stored(session, 2).state[0] == MaskState.ACCEPTED


def test_a_run_in_progress_is_not_undone(session):
    step, messages = write_run(session, [1, 2]), []
    session.problem.connect(messages.append)
    assert not session.undo()
    assert "still being written" in messages[0]
    write_run(session, [3], step=step)
    session.changes.end_run(step)
    assert session.undo()
    assert not stored(session, 3).planes.any()


def test_a_run_that_wrote_nothing_adds_no_undo_step(session):
    session.stroke(disc(session, 40, 40))
    session.changes.end_run(session.changes.begin_run("nothing"))
    assert session.undo()
    assert not stored(session).planes.any()


def test_accepting_a_frame_is_one_undo_step(session):
    propose(session, 0)
    session.reload([0])
    session.accept_frame()
    session.go_to(7)
    assert session.undo()
    assert session.frame == 0
    assert (stored(session, 0).state == MaskState.PROPOSED).all()
    assert not session.can_undo


def test_a_change_of_several_frames_is_one_undo_step_and_atomic(make_session):
    ada, bob = make_session("Ada"), make_session("Bob")
    both = {(2, "bolus"): (disc(ada, 40, 40), MaskState.EDITED), (9, "c4"): (disc(ada, 60, 60), MaskState.EDITED)}
    assert ada.change(both, what="copied")
    messages = []
    ada.message.connect(messages.append)
    assert ada.undo()
    assert messages == ["Undone: copied."]
    assert not stored(ada, 2).planes.any()
    assert not stored(ada, 9).planes.any()
    for frame in (2, 9):
        ada.work_at(frame)
    bob.go_to(9)
    bob.choose("c4")
    bob.stroke(disc(bob, 20, 20))
    assert not ada.change(both, what="copied")
    assert not stored(ada, 2).planes.any()
    assert ada.redo()  # overwrites his mask: her session has loaded it by now
    assert stored(ada, 2).planes[0].any()
    assert np.array_equal(stored(ada, 9).planes[ada.schema["c4"].index], disc(ada, 60, 60))
    assert ada.undo()
    assert np.array_equal(stored(ada, 9).planes[ada.schema["c4"].index], disc(bob, 20, 20))


def test_an_older_change_is_not_undone_over_another_annotators_change(make_session):
    ada, bob = make_session("Ada"), make_session("Bob")
    ada.stroke(disc(ada, 30, 30))
    bob.stroke(disc(bob, 60, 60))
    ada.poll()
    ada.stroke(disc(ada, 90, 90))
    assert ada.undo()
    assert np.array_equal(stored(ada).planes[0], disc(bob, 60, 60))
    messages = []
    ada.problem.connect(messages.append)
    assert not ada.undo()  # would restore a mask from before his stroke
    assert "Not undone" in messages[0]
    assert np.array_equal(stored(ada).planes[0], disc(bob, 60, 60))
    assert not ada.can_undo


def test_a_change_that_cannot_be_written_stays_shown_as_unsaved(session, monkeypatch):
    mask, messages = disc(session, 40, 40), []
    session.problem.connect(messages.append)
    write = session.project.write

    def full(*_, **__):
        raise ProjectError("the disk is full, the last change was not written", remedy="Make room.")

    monkeypatch.setattr(session.project, "write", full)
    assert session.stroke(mask)
    assert "disk is full" in messages[0]
    assert "Save again" in messages[0]
    assert np.array_equal(session.work.planes[0], mask) and not stored(session).planes.any()
    assert session.undo()
    assert not session.work.planes.any()
    assert session.redo()
    assert np.array_equal(session.work.planes[0], mask) and len(session.unsaved) == 1
    monkeypatch.setattr(session.project, "write", write)
    assert session.unsaved_changes.save_again()
    assert np.array_equal(stored(session).planes[0], mask)
    assert session.undo()
    assert not stored(session).planes.any()


def test_an_undo_that_cannot_be_written_can_be_retried(session, monkeypatch):
    session.stroke(disc(session, 40, 40))
    with monkeypatch.context() as patch:

        def full(*_, **__):
            raise ProjectError("the disk is full")

        patch.setattr(session.project, "write", full)
        with pytest.raises(ProjectError):
            session.undo()
    assert session.undo()
    assert not stored(session).planes.any()
