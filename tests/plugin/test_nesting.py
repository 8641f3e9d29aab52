# SPDX-License-Identifier: Apache-2.0
"""Nesting: a child structure outside its parent is reported once and changed only by a person."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays

from napari_vfss.session.nesting import NestingWatch
from small_project import THREE, disc
from vfss.masks import Masks, MaskState, nesting
from vfss.masks.morphology import grow
from vfss.student import Proposal

SIZE = 160
PHARYNX = disc(SIZE, SIZE, y=80, x=80, radius=30)
INSIDE = disc(SIZE, SIZE, y=80, x=80, radius=10)
LEAVING = disc(SIZE, SIZE, y=80, x=108, radius=10)
MOUTH = disc(SIZE, SIZE, y=30, x=30, radius=8)
AIRWAY = np.zeros((SIZE, SIZE), np.bool_)
AIRWAY[:, 105:130] = True


def edited(n):
    return np.full(n, MaskState.EDITED, np.uint8)


@given(planes=arrays(np.bool_, (3, 9, 11)), before=arrays(np.bool_, (9, 11)))
@settings(max_examples=80, deadline=None)
def test_a_break_is_new_outside_the_parent_and_beyond_the_brush_tolerance(planes, before):
    bolus, pharynx, _ = planes
    broken = nesting.breaks(THREE, planes, edited(3), {"bolus": before})
    new = bolus & ~pharynx & ~before
    far = new & ~grow(pharynx, nesting.tolerance(9))
    assert len(broken) == int(far.any())
    for one in broken:
        assert (one.child, one.parent, one.pixels) == ("bolus", "pharynx", new.sum())
        np.testing.assert_array_equal(one.outside, new)
    grown, cut = planes.copy(), planes.copy()
    grown[1] |= new
    cut[0] &= ~new
    for settled in (grown, cut):
        assert nesting.breaks(THREE, settled, edited(3), {"bolus": before}) == []
    assert nesting.breaks(THREE, planes, edited(3), {"bolus": before | new}) == []


def test_a_child_inside_or_within_the_brush_tolerance_is_no_break():
    empty = np.zeros_like(INSIDE)
    for bolus in (INSIDE, PHARYNX, grow(PHARYNX, 1.5), empty):
        assert nesting.breaks(THREE, np.stack([bolus, PHARYNX, empty]), edited(3), {}) == []
    assert nesting.breaks(THREE, np.stack([grow(PHARYNX, 4), PHARYNX, empty]), edited(3), {})


@pytest.mark.parametrize("absent", [MaskState.UNSEEN, MaskState.NOT_VISIBLE])
@pytest.mark.parametrize("index", [0, 1])
def test_unseen_and_not_visible_structures_have_no_breaks(absent, index):
    state = edited(3)
    state[index] = absent
    planes = np.stack([LEAVING, PHARYNX, np.zeros_like(PHARYNX)])
    assert nesting.outside(THREE, planes, state) == {}
    assert nesting.breaks(THREE, planes, state, {}) == []


def test_all_bolus_is_outside_an_empty_pharynx():
    state = np.array([MaskState.EDITED, MaskState.EMPTY, MaskState.UNSEEN], np.uint8)
    (found_break,) = nesting.breaks(THREE, np.stack([INSIDE, np.zeros_like(INSIDE), np.zeros_like(INSIDE)]), state, {})
    np.testing.assert_array_equal(found_break.outside, INSIDE)


def test_a_break_names_the_structure_that_holds_most_of_it():
    planes = np.stack([LEAVING, PHARYNX, AIRWAY])
    (found_break,) = nesting.breaks(THREE, planes, edited(3), {})
    assert found_break.lies_in == "mandible"
    planes[2, 80:] = False
    planes[2, :, :112] = False
    (found_break,) = nesting.breaks(THREE, planes, edited(3), {})
    assert found_break.lies_in is None


@pytest.fixture
def problems(session):
    texts = []
    session.problem.connect(texts.append)
    return texts


@pytest.fixture
def watch(session):
    propose(session, 0, bolus=INSIDE | MOUTH)
    propose(session, 1, bolus=INSIDE)
    session.reload([0, 1])
    made = NestingWatch(session)
    yield made
    made.close()


def propose(session, frame, *, bolus):
    planes = np.zeros((len(session.schema), SIZE, SIZE), np.bool_)
    planes[0], planes[1], planes[4] = bolus, PHARYNX, AIRWAY
    state = np.full(len(planes), MaskState.UNSEEN, np.uint8)
    state[[0, 1, 4]] = MaskState.PROPOSED
    proposal = Proposal(
        session.schema.keys, Masks(planes, state), np.ones(len(planes), np.float32), "student-a", session.clip.id, frame
    )
    session.project.write_proposals(session.clip.id, [proposal])


def test_proposed_bolus_in_the_mouth_is_accepted_without_a_question(session, watch, problems):
    assert watch.here() == []
    session.stroke(INSIDE | MOUTH | disc(SIZE, SIZE, y=85, x=85, radius=9))
    assert watch.here() == []
    assert session.accept_frame()
    assert problems == []


def test_a_correction_into_the_airway_is_reported_and_changes_no_mask(session, watch):
    bolus = INSIDE | MOUTH | LEAVING
    session.stroke(bolus)
    (found_break,) = watch.here()
    np.testing.assert_array_equal(found_break.outside, LEAVING & ~PHARYNX)
    assert found_break.lies_in == "airway"
    assert "of Bolus outside Pharynx, most of it in Airway" in watch.describe(found_break)
    np.testing.assert_array_equal(session.work.planes[0], bolus)
    np.testing.assert_array_equal(session.work.planes[1], PHARYNX)
    session.undo()
    assert watch.here() == []
    session.redo()
    assert len(watch.here()) == 1


def test_each_of_the_three_decisions_settles_the_break_and_can_be_undone(session, watch):
    bolus = INSIDE | MOUTH | LEAVING
    session.stroke(bolus)
    assert watch.grow_parent(watch.here()[0])
    # The part in the mouth, which was proposed, is not added.
    np.testing.assert_array_equal(session.work.planes[1], PHARYNX | LEAVING)
    assert session.work.state[1] == MaskState.EDITED
    assert watch.here() == []
    session.choose("pharynx")
    session.undo()
    assert watch.cut_child(watch.here()[0])
    np.testing.assert_array_equal(session.work.planes[0], bolus & ~(LEAVING & ~PHARYNX))
    assert watch.here() == []
    session.choose("bolus")
    session.undo()
    revision = session.project.last_revision()
    watch.leave(watch.here()[0])
    assert watch.here() == []
    assert session.project.last_revision() == revision
    session.stroke(bolus | disc(SIZE, SIZE, y=140, x=20, radius=6))
    assert watch.here()[0].lies_in is None


def test_shrinking_the_pharynx_below_its_bolus_is_reported(session, watch):
    session.choose("pharynx")
    session.stroke(disc(SIZE, SIZE, y=80, x=60, radius=10))
    (found_break,) = watch.here()
    assert found_break.child == "bolus"
    np.testing.assert_array_equal(found_break.outside, INSIDE & ~session.work.planes[1])


@pytest.mark.parametrize("whole_frame", [True, False])
def test_acceptance_asks_once_and_then_accepts_the_masks_as_they_are(session, watch, problems, whole_frame):
    bolus = INSIDE | LEAVING
    messages = []
    watch.message.connect(messages.append)
    session.stroke(bolus)
    accept = session.accept_frame if whole_frame else session.accept_structure
    assert not accept()
    assert "Not accepted yet" in problems.pop()
    assert session.work.state[0] == MaskState.EDITED
    assert accept()
    assert problems == []
    assert messages == ["Kept as it is: part of Bolus outside Pharynx."]
    masks = session.project.masks(session.clip.id, 0)
    assert masks.state[0] == MaskState.ACCEPTED
    np.testing.assert_array_equal(masks.planes[0], bolus)
    np.testing.assert_array_equal(masks.planes[1], PHARYNX)
    assert watch.here() == []


def test_a_changed_break_is_asked_about_again(session, watch, problems):
    session.stroke(INSIDE | LEAVING)
    assert not session.accept_frame()
    session.stroke(INSIDE | LEAVING | disc(SIZE, SIZE, y=140, x=20, radius=6))
    assert not session.accept_frame()
    assert len(problems) == 2
    session.choose("mandible")
    session.stroke(MOUTH)
    assert session.accept_structure()  # another structure: no question


def test_breaks_stay_marked_across_frames_and_sessions(session, watch, make_session):
    session.stroke(INSIDE | LEAVING)
    session.go_to(1)
    assert watch.here() == []
    assert list(watch.breaks) == [0]
    propose(session, 1, bolus=INSIDE | LEAVING)
    session.reload([1])
    assert watch.here() == []  # a proposal is not a correction
    later = NestingWatch(make_session())
    assert len(later.here()) == 1
    later.leave(later.here()[0])
    later.close()
    last = NestingWatch(make_session())
    assert last.here() == []
    last.close()


def test_the_panel_shows_the_break_and_offers_three_decisions(window):
    session, notice = window.controller.session, window.nesting
    propose(session, 0, bolus=INSIDE)
    session.reload([0])
    assert not notice.isVisible()
    session.stroke(INSIDE | LEAVING)
    assert notice.isVisible()
    assert "outside Pharynx, most of it in Airway" in notice.text.text()
    assert [b.text() for b in (notice.grow, notice.cut, notice.leave)] == [
        "Grow Pharynx",
        "Cut Bolus",
        "Leave: in Airway",
    ]
    window.accept.frame_button.click()
    assert "Not accepted yet" in window.message.text()
    assert session.work.state[0] == MaskState.EDITED
    session.go_to(1)
    assert not notice.isVisible()
    session.go_to(0)
    notice.cut.click()
    assert not notice.isVisible()
    np.testing.assert_array_equal(session.work.planes[0], (INSIDE | LEAVING) & PHARYNX | INSIDE)
    session.undo()
    notice.leave.click()
    assert not notice.isVisible()
    assert "Kept as it is" in window.message.text()
    window.accept.frame_button.click()
    assert session.work.state[0] == MaskState.ACCEPTED
    window.controller.close_session()
    assert not notice.isVisible()
