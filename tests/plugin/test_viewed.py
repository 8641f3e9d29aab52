# SPDX-License-Identifier: Apache-2.0
"""A stretch of frames is accepted at once, but only masks that were on the screen as they are now."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from small_session import disc, propose, stored
from vfss.errors import ProjectError
from vfss.masks import MaskState

FRAMES = 24
BY_PERSON = [state for state in MaskState if state.is_annotated]


@pytest.fixture
def told(session):
    """What a person was told: sentences, problems too."""
    said = []
    session.message.connect(said.append)
    session.problem.connect(said.append)
    return said


def propose_all(session, frames=range(FRAMES)):
    for frame in frames:
        propose(session, frame)
    session.poll()


def look(session, *frames, hidden=()):
    for frame in frames:
        session.go_to(frame)
        session.viewed.note(hidden)


def accepted(session):
    """Frames on which every structure has been accepted."""
    states = session.project.states(session.clip.id)
    return [int(t) for t in np.flatnonzero((states == MaskState.ACCEPTED).all(axis=1))]


def test_the_frames_around_the_current_one_that_were_looked_at_are_accepted_and_no_others(session, told):
    propose_all(session)
    look(session, 2, 3, 10, 11, 12, 13, 20)
    session.go_to(12)
    assert session.viewed.accept()
    assert accepted(session) == [10, 11, 12, 13]
    assert told == ["Accepted 48 masks on 4 frames (11 to 14); undo (Ctrl+Z) takes them back."]
    newest = session.project.newest(session.clip.id, 11)["bolus"]
    assert (newest.author, newest.origin, newest.student) == ("Ada", "hand", "student-a")


def test_one_undo_takes_it_back_and_redo_brings_it_again(session):
    propose_all(session)
    look(session, *range(5, 9))
    session.viewed.accept()
    assert session.undo()
    assert accepted(session) == []
    assert (session.states == MaskState.PROPOSED).all()
    assert stored(session, 6).planes[0].any()
    assert session.redo()
    assert accepted(session) == [5, 6, 7, 8]


def test_what_changed_since_it_was_shown_stays_open(session, make_session, told):
    propose_all(session)
    look(session, *range(5, 9))
    other = make_session("Ben")
    other.go_to(6)
    other.choose("mandible")
    assert other.stroke(disc(other, 80, 80))
    # Ada's window has not looked for the words of others yet.
    assert session.viewed.accept()
    assert accepted(session) == [5, 7, 8]
    assert stored(session, 6).state[session.schema["mandible"].index] == MaskState.EDITED
    assert "1 mask there left open" in told[-1]


def test_a_mask_that_was_proposed_anew_must_be_looked_at_again(session):
    propose_all(session)
    look(session, *range(5, 9))
    propose(session, 7)
    session.poll()
    session.go_to(8)
    assert session.viewed.stretch() == [8]
    session.go_to(5)
    assert session.viewed.stretch() == [5, 6]


def test_hidden_structures_stay_open(session):
    propose_all(session)
    look(session, 4, 5, hidden={"mandible"})
    session.viewed.accept()
    states = session.project.states(session.clip.id)
    mandible = session.schema["mandible"].index
    assert (states[4:6, mandible] == MaskState.PROPOSED).all()
    assert (np.delete(states[4:6], mandible, axis=1) == MaskState.ACCEPTED).all()


def test_frames_where_nothing_waits_do_not_end_the_stretch(session):
    propose_all(session, [3, 4, 8, 9])
    look(session, 3, 4, 8, 9)
    session.go_to(6)
    assert session.viewed.stretch() == [3, 4, 8, 9]


def test_a_chosen_range_says_what_in_it_was_not_looked_at(session, told):
    propose_all(session)
    look(session, 2, 3, 8)
    session.go_to(20)
    assert session.viewed.accept((2, 9))
    assert accepted(session) == [2, 3, 8]
    assert "5 frames of the chosen range were not viewed" in told[-1]


def test_nothing_looked_at_is_told_and_changes_nothing(session, told):
    propose_all(session)
    before = session.project.last_revision()
    assert not session.viewed.accept()
    assert "was viewed" in told[-1]
    assert session.project.last_revision() == before


def test_an_empty_plane_is_accepted_as_empty(session):
    session.go_to(3)
    session.stroke(disc(session, 40, 40))
    session.stroke(np.zeros((session.clip.height, session.clip.width), np.bool_))
    session.viewed.note(())
    session.viewed.accept()
    assert stored(session, 3).state[0] == MaskState.EMPTY


def test_what_a_person_must_decide_on_first_stays_open(session, told):
    propose_all(session)
    session.viewed.undecided = lambda frame: {"bolus", "pharynx"} if frame == 4 else ()
    look(session, 4, 5)
    session.viewed.accept()
    states = session.project.states(session.clip.id)
    assert [session.schema.structures[i].key for i in np.flatnonzero(states[4] == MaskState.PROPOSED)] == [
        "bolus",
        "pharynx",
    ]
    assert (states[5] == MaskState.ACCEPTED).all()
    assert "2 masks there left open" in told[-1]


def test_a_full_disk_accepts_nothing_and_loses_nothing(session, monkeypatch):
    propose_all(session)
    look(session, 4, 5)

    def full(*_arguments, **_options):
        raise ProjectError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(session.project, "write", full)
        with pytest.raises(ProjectError, match="the disk is full"):
            session.viewed.accept()
    assert not session.can_undo
    assert session.viewed.accept()
    assert accepted(session) == [4, 5]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seen=st.sets(st.integers(0, FRAMES - 1), max_size=12),
    changed=st.sets(st.integers(0, FRAMES - 1), max_size=4),
    here=st.integers(0, FRAMES - 1),
    within=st.none()
    | st.tuples(st.integers(0, FRAMES - 1), st.integers(0, FRAMES - 1)).map(lambda r: tuple(sorted(r))),
)
def test_only_what_was_seen_as_it_is_now_is_ever_accepted(make_session, seen, changed, here, within):
    session = make_session()
    propose_all(session)
    before = session.project.states(session.clip.id)
    look(session, *seen)
    for frame in changed:
        propose(session, frame)
    session.go_to(here)
    session.viewed.accept(within)
    now = session.project.states(session.clip.id)
    touched = {int(t) for t in np.flatnonzero((now != before).any(axis=1))}
    assert touched <= seen - changed
    if within is not None:
        assert touched <= set(range(within[0], within[1] + 1))
    # Nothing that a person has said before is said anew.
    said = np.isin(before, BY_PERSON)
    assert (now[said] == before[said]).all()
