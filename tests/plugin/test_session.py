# SPDX-License-Identifier: Apache-2.0
"""A session: strokes, marks, acceptance, undo and redo, other annotators, and the remembered view."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_vfss.session.opening import open_session, recall_view, remember_view
from small_session import disc, propose, stored
from vfss.errors import SchemaError
from vfss.masks import MaskState


def test_a_stroke_is_stored_in_the_project_at_once(session):
    session.go_to(7)
    mask = disc(session, 50, 60)
    assert session.stroke(mask)
    masks = stored(session)
    assert np.array_equal(masks.planes[0], mask)
    assert masks.state[0] == MaskState.EDITED
    revision = session.project.newest(session.clip.id, 7)["bolus"]
    assert (revision.author, revision.origin) == ("Ada", "hand")


def test_an_unchanged_plane_writes_no_revision(session):
    session.stroke(disc(session, 50, 60))
    before = session.project.last_revision()
    assert not session.stroke(disc(session, 50, 60))
    assert session.project.last_revision() == before


def test_undo_and_redo_write_revisions(session):
    first, second = disc(session, 50, 60), disc(session, 50, 60, 20)
    session.stroke(first)
    session.stroke(second)
    assert session.undo()
    assert np.array_equal(stored(session).planes[0], first)
    assert session.undo()
    assert not stored(session).planes[0].any()
    assert stored(session).state[0] == MaskState.UNSEEN
    assert not session.undo()
    assert session.redo()
    assert session.redo()
    assert np.array_equal(stored(session).planes[0], second)
    origins = [r.origin for r in session.project.history(session.clip.id, 0, "bolus")]
    assert origins == ["hand", "hand", "undo", "undo", "redo", "redo"]


def test_undo_reverts_the_newest_change_and_goes_to_its_frame(session):
    session.go_to(10)
    session.stroke(disc(session, 30, 30))
    session.go_to(20)
    session.choose("mandible")
    session.stroke(disc(session, 90, 90))
    session.go_to(3)
    session.choose("c1")
    messages = []
    session.message.connect(messages.append)
    assert session.undo()
    assert (session.frame, session.structure) == (20, "mandible")
    assert not stored(session, 20).planes.any()
    assert stored(session, 10).planes[0].any()
    assert messages == ["Undone: change of Mandible on frame 21."]
    assert session.undo()
    assert (session.frame, session.structure) == (10, "bolus")
    assert not stored(session, 10).planes.any()
    assert not session.can_undo
    session.go_to(0)
    assert session.redo()
    assert session.frame == 10
    assert stored(session, 10).planes[0].any()
    assert not stored(session, 20).planes.any()


def test_undo_on_the_current_frame_shows_no_message(session):
    messages = []
    session.message.connect(messages.append)
    session.stroke(disc(session, 30, 30))
    session.undo()
    session.redo()
    assert messages == []


def test_a_new_change_clears_the_redo_steps(session):
    session.stroke(disc(session, 30, 30))
    session.undo()
    session.go_to(5)
    session.stroke(disc(session, 50, 50))
    assert not session.can_redo
    assert not session.redo()


def test_accepting_a_frame_leaves_unseen_structures_unseen(session):
    session.stroke(disc(session, 50, 60))
    assert session.accept_frame()
    state = stored(session).state
    assert state[0] == MaskState.ACCEPTED
    assert (state[1:] == MaskState.UNSEEN).all()
    assert session.project.annotated_frames(session.clip.id) == [0]


def test_accepting_a_proposal_without_pixels_marks_it_empty(session):
    propose(session, 0, mask=np.zeros((session.clip.height, session.clip.width), np.bool_))
    session.reload([0])
    session.accept_frame()
    state = stored(session).state
    assert state[0] == MaskState.EMPTY
    assert (state[1:] == MaskState.ACCEPTED).all()


def test_accepting_without_a_mask_reports_a_problem(session):
    messages = []
    session.problem.connect(messages.append)
    assert not session.accept_structure()
    assert not session.accept_frame()
    assert len(messages) == 2
    assert "Bolus" in messages[0]


@pytest.mark.parametrize("state", [MaskState.EMPTY, MaskState.NOT_VISIBLE])
def test_empty_and_not_visible_are_annotations_and_can_be_undone(session, state):
    propose(session, 0)
    session.reload([0])
    before = stored(session).planes[0].copy()
    session.mark(state)
    assert stored(session).state[0] == state
    assert not stored(session).planes[0].any()
    assert propose(session, 0) == len(session.schema) - 1
    session.undo()
    assert stored(session).state[0] == MaskState.PROPOSED
    assert np.array_equal(stored(session).planes[0], before)


def test_a_proposal_never_overwrites_an_annotation(session):
    mask = disc(session, 50, 60)
    session.stroke(mask)
    propose(session, 0)
    session.reload([0])
    assert np.array_equal(session.work.planes[0], mask)
    assert session.work.state[0] == MaskState.EDITED
    assert session.work.state[1] == MaskState.PROPOSED


def test_a_stroke_replaces_a_proposal_written_while_the_pen_was_down(session):
    session.work_at(0)
    propose(session, 0)
    assert session.stroke(disc(session, 20, 20))
    assert stored(session).state[0] == MaskState.EDITED


def test_the_proposal_is_restored(session):
    propose(session, 0)
    session.reload([0])
    proposed = session.work.planes[0].copy()
    session.stroke(disc(session, 20, 20))
    assert session.restore_proposal()
    assert np.array_equal(stored(session).planes[0], proposed)
    assert stored(session).state[0] == MaskState.PROPOSED
    session.undo()
    assert np.array_equal(stored(session).planes[0], disc(session, 20, 20))


def test_two_annotators_on_one_frame_lose_no_mask(make_session):
    ada, bob = make_session("Ada"), make_session("Bob")
    ada.work_at(0), bob.work_at(0)
    messages = []
    bob.problem.connect(messages.append)
    theirs, mine = disc(ada, 40, 40), disc(bob, 90, 90)
    assert ada.stroke(theirs)
    assert not bob.stroke(mine)
    assert "Ada" in messages[0]
    assert np.array_equal(bob.work.planes[0], theirs)
    assert bob.redo()
    assert np.array_equal(stored(ada).planes[0], mine)
    assert bob.undo()
    assert np.array_equal(stored(ada).planes[0], theirs)


def test_changes_of_other_annotators_are_loaded(make_session):
    ada, bob = make_session("Ada"), make_session("Bob")
    seen = []
    bob.masks_changed.connect(seen.append)
    bob.work_at(0)
    assert bob.poll() == 0
    ada.stroke(disc(ada, 40, 40))
    ada.go_to(5)
    ada.stroke(disc(ada, 40, 40))
    assert bob.poll() == 2
    assert bob.work.planes[0].any()
    assert bob.states[5, 0] == MaskState.EDITED
    assert seen == [0]
    assert ada.poll() == 0


def test_view_and_masks_are_restored(clip_file, make_session):
    session = make_session()
    session.go_to(13)
    session.choose("c4")
    session.stroke(disc(session, 70, 70))
    remember_view(session, center=[10.0, 20.0], zoom=3.5)
    masks = stored(session)
    again = make_session()
    assert (again.frame, again.structure) == (13, "c4")
    assert recall_view(again)["zoom"] == 3.5
    assert np.array_equal(again.work.planes, masks.planes)
    by_project = open_session(session.project.folder, "Ada")
    assert by_project.clip.id == session.clip.id
    assert by_project.frame == 13
    by_project.close()
    other_person = make_session("Bob")
    assert other_person.frame == 0


def test_a_remembered_view_that_does_not_fit_is_ignored(session):
    session.project.remember("Ada", f"view/{session.clip.id}", {"frame": 10_000, "structure": "hyoid"})
    recall_view(session)
    assert session.frame == session.clip.n_frames - 1
    assert session.structure == "bolus"
    with pytest.raises(SchemaError):
        session.choose("hyoid")


def test_flags_are_stored_in_the_project(session, make_session):
    changed = []
    session.flags_changed.connect(lambda: changed.append(True))
    session.set_flags(facing="left", inverted=True, patient="case 7")
    again = make_session()
    assert (again.clip.facing, again.clip.inverted, again.record.patient) == ("left", True, "case 7")
    assert changed == [True]


def test_only_a_few_frames_stay_in_memory(session):
    for frame in range(session.clip.n_frames):
        session.work_at(frame)
    assert session.clip.n_frames - 1 in session.frames_in_memory
    assert len(session.frames_in_memory) <= 6


STEPS = st.lists(
    st.tuples(st.sampled_from(["stroke", "undo", "redo"]), st.integers(0, 2), st.sampled_from(["bolus", "c1"])),
    max_size=14,
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_any_sequence_of_strokes_undos_and_redos_matches_a_simple_model(phantom_file, tmp_path_factory, steps):
    session = open_session(phantom_file, "Ada", project_folder=tmp_path_factory.mktemp("walk"))
    blank = np.zeros((session.clip.height, session.clip.width), np.bool_)
    places = [(t, key) for t in range(3) for key in ("bolus", "c1")]
    past, future = [dict.fromkeys(places, blank)], []  # every earlier content, as plain dictionaries
    for number, (step, frame, key) in enumerate(steps):
        session.go_to(frame)
        session.choose(key)
        if step == "stroke":
            mask = disc(session, 20 + 7 * number, 30, 4)
            session.stroke(mask)
            past.append(past[-1] | {(frame, key): mask})
            future.clear()
        elif step == "undo":
            assert session.undo() == (len(past) > 1)
            if len(past) > 1:
                future.append(past.pop())
        else:
            assert session.redo() == bool(future)
            if future:
                past.append(future.pop())
        for (t, name), expected in past[-1].items():
            plane = session.project.masks(session.clip.id, t).planes[session.schema[name].index]
            assert np.array_equal(plane, expected)
            assert np.array_equal(session.work_at(t).planes[session.schema[name].index], expected)
    session.close()
