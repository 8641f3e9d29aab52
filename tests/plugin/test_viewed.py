# SPDX-License-Identifier: Apache-2.0
"""Accepting viewed masks: a range of frames at once, only masks that were shown as they are now."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from small_session import disc, propose, stored
from vfss.errors import ProjectError
from vfss.masks import MaskState

FRAMES = 24
ANNOTATED_STATES = [state for state in MaskState if state.is_annotated]


@pytest.fixture
def messages(session):
    """Messages and problems shown to the annotator."""
    received = []
    session.message.connect(received.append)
    session.problem.connect(received.append)
    return received


def propose_all(session, frames=range(FRAMES)):
    for frame in frames:
        propose(session, frame)
    session.poll()


def view(session, *frames, hidden=()):
    for frame in frames:
        session.go_to(frame)
        session.viewed.note(hidden)


def accepted(session):
    """Return the frames on which every structure is accepted."""
    states = session.project.states(session.clip.id)
    return [int(t) for t in np.flatnonzero((states == MaskState.ACCEPTED).all(axis=1))]


def test_only_viewed_frames_around_the_current_one_are_accepted(session, messages):
    propose_all(session)
    view(session, 2, 3, 10, 11, 12, 13, 20)
    session.go_to(12)
    assert session.viewed.accept()
    assert accepted(session) == [10, 11, 12, 13]
    assert messages == ["Accepted 48 masks on 4 frames (11 to 14); undo (Ctrl+Z) takes them back."]
    newest = session.project.newest(session.clip.id, 11)["bolus"]
    assert (newest.author, newest.origin, newest.student) == ("Ada", "hand", "student-a")


def test_accepting_viewed_masks_is_one_undo_step(session):
    propose_all(session)
    view(session, *range(5, 9))
    session.viewed.accept()
    assert session.undo()
    assert accepted(session) == []
    assert (session.states == MaskState.PROPOSED).all()
    assert stored(session, 6).planes[0].any()
    assert session.redo()
    assert accepted(session) == [5, 6, 7, 8]


def test_a_mask_changed_since_it_was_viewed_is_not_accepted(session, make_session, messages):
    propose_all(session)
    view(session, *range(5, 9))
    other = make_session("Ben")
    other.go_to(6)
    other.choose("mandible")
    assert other.stroke(disc(other, 80, 80))
    # Ada's window has not loaded the changes of others yet.
    assert session.viewed.accept()
    assert accepted(session) == [5, 7, 8]
    assert stored(session, 6).state[session.schema["mandible"].index] == MaskState.EDITED
    assert "1 mask there left open" in messages[-1]


def test_a_new_proposal_must_be_viewed_again(session):
    propose_all(session)
    view(session, *range(5, 9))
    propose(session, 7)
    session.poll()
    session.go_to(8)
    assert session.viewed.acceptable_frames() == [8]
    session.go_to(5)
    assert session.viewed.acceptable_frames() == [5, 6]


def test_hidden_structures_are_not_accepted(session):
    propose_all(session)
    view(session, 4, 5, hidden={"mandible"})
    session.viewed.accept()
    states = session.project.states(session.clip.id)
    mandible = session.schema["mandible"].index
    assert (states[4:6, mandible] == MaskState.PROPOSED).all()
    assert (np.delete(states[4:6], mandible, axis=1) == MaskState.ACCEPTED).all()


def test_frames_without_proposals_do_not_end_the_viewed_range(session):
    propose_all(session, [3, 4, 8, 9])
    view(session, 3, 4, 8, 9)
    session.go_to(6)
    assert session.viewed.acceptable_frames() == [3, 4, 8, 9]


def test_frames_of_a_chosen_range_that_were_not_viewed_are_counted_in_the_message(session, messages):
    propose_all(session)
    view(session, 2, 3, 8)
    session.go_to(20)
    assert session.viewed.accept((2, 9))
    assert accepted(session) == [2, 3, 8]
    assert "5 frames of the chosen range were not viewed" in messages[-1]


def test_without_viewed_frames_nothing_is_accepted_and_a_message_explains_why(session, messages):
    propose_all(session)
    before = session.project.last_revision()
    assert not session.viewed.accept()
    assert "was viewed" in messages[-1]
    assert session.project.last_revision() == before


def test_an_empty_plane_is_accepted_as_empty(session):
    session.go_to(3)
    session.stroke(disc(session, 40, 40))
    session.stroke(np.zeros((session.clip.height, session.clip.width), np.bool_))
    session.viewed.note(())
    session.viewed.accept()
    assert stored(session, 3).state[0] == MaskState.EMPTY


def test_undecided_structures_are_not_accepted(session, messages):
    propose_all(session)
    session.viewed.undecided = lambda frame: {"bolus", "pharynx"} if frame == 4 else ()
    view(session, 4, 5)
    session.viewed.accept()
    states = session.project.states(session.clip.id)
    assert [session.schema.structures[i].key for i in np.flatnonzero(states[4] == MaskState.PROPOSED)] == [
        "bolus",
        "pharynx",
    ]
    assert (states[5] == MaskState.ACCEPTED).all()
    assert "2 masks there left open" in messages[-1]


def test_on_a_full_disk_nothing_is_accepted_and_nothing_is_lost(session, monkeypatch):
    propose_all(session)
    view(session, 4, 5)

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
def test_only_masks_viewed_in_their_present_version_are_accepted(make_session, seen, changed, here, within):
    session = make_session()
    propose_all(session)
    before = session.project.states(session.clip.id)
    view(session, *seen)
    for frame in changed:
        propose(session, frame)
    session.go_to(here)
    session.viewed.accept(within)
    now = session.project.states(session.clip.id)
    touched = {int(t) for t in np.flatnonzero((now != before).any(axis=1))}
    assert touched <= seen - changed
    if within is not None:
        assert touched <= set(range(within[0], within[1] + 1))
    # No annotated mask changes its state.
    annotated = np.isin(before, ANNOTATED_STATES)
    assert (now[annotated] == before[annotated]).all()
