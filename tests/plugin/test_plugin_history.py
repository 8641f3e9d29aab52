# SPDX-License-Identifier: Apache-2.0
"""The history: lists of revisions, outlines over the picture, restoring, other annotators, many revisions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_vfss.session.opening import open_session
from napari_vfss.ui.history.describe import Difference, compare, when
from napari_vfss.ui.history.table import LAST, PAGE, WHAT, WHO, RevisionModel
from napari_vfss.viewer.outlines import NAME, outline
from vfss.masks import Masks, MaskState
from vfss.project import Edit, Provenance
from vfss.student import Proposal


def disc(session, y, x, radius=12):
    rows, columns = np.ogrid[: session.clip.height, : session.clip.width]
    return (rows - y) ** 2 + (columns - x) ** 2 <= radius**2


def propose(session, frame, mask):
    planes = np.zeros((len(session.schema), session.clip.height, session.clip.width), np.bool_)
    planes[0] = mask
    planes[session.schema["pharynx"].index] = True  # contains the bolus, so that accepting asks no question
    state = np.full(len(planes), MaskState.PROPOSED, np.uint8)
    confidence = np.full(len(planes), 0.8, np.float32)
    session.project.write_proposals(
        session.clip.id,
        [Proposal(session.schema.keys, Masks(planes, state), confidence, "student-a", session.clip.id, frame)],
    )
    session.reload([frame])


def written_by(author, session, frame, mask, structure="bolus"):
    session.project.write(
        [Edit(session.clip.id, frame, structure, mask, MaskState.EDITED)], author=author, origin="hand"
    )


def texts(table, column):
    model = table.model()
    return [model.index(row, column).data() for row in range(model.rowCount())]


def authors(table):
    return [text.split("\n")[0] for text in texts(table, WHO)]


@pytest.fixture
def history(window):
    window.history.unfold()
    yield window.history
    window.history.heading.setChecked(False)


@pytest.fixture
def session(window):
    return window.controller.session


def test_the_list_shows_author_action_and_changed_pixels(history, session, qtbot):
    first, second = disc(session, 60, 60), disc(session, 60, 60, 14)
    propose(session, 0, first)
    session.author = "Ada"
    session.stroke(second)
    session.accept_structure()
    session.undo()
    qtbot.waitUntil(lambda: history.place.rows.rowCount() == 4)
    assert authors(history.place) == ["Ada", "Ada", "Ada", "student"]
    actions = texts(history.place, WHAT)
    assert [text.split(maxsplit=1)[1] for text in actions] == [
        "edited\nby undo",
        "accepted\ndrawn by hand",
        "edited\ndrawn by hand",
        "proposed\nstudent's proposal",
    ]
    grown = f"+{second.sum() - first.sum()}"
    assert texts(history.place, LAST) == ["same", "same", grown, f"+{first.sum()}"]


def test_a_propagated_mask_is_distinguished_from_a_proposal_of_the_student(history, session, qtbot):
    propose(session, 0, disc(session, 60, 60))
    made = Provenance.propagated(11, None)
    session.project.write(
        [Edit(session.clip.id, 0, "bolus", disc(session, 62, 60), MaskState.PROPOSED, provenance=made)],
        author="propagation",
        origin="proposal",
    )
    session.reload([0])
    qtbot.waitUntil(lambda: history.place.rows.rowCount() == 2)
    assert authors(history.place) == ["propagation", "student"]
    assert "propagated from frame 12" in texts(history.place, WHAT)[0]


def test_a_row_shows_its_outline_over_the_current_mask_until_the_frame_changes(history, session, window, qtbot):
    small, large = disc(session, 60, 60), disc(session, 60, 60, 20)
    session.stroke(small)
    session.stroke(large)
    qtbot.waitUntil(lambda: history.place.rows.rowCount() == 2)
    active = window.viewer.layers.selection.active
    history.place.selectRow(1)
    drawn = history.outline.picture
    assert set(np.unique(drawn)) == {0, 1, 2}
    assert (drawn == 1).sum() == outline(large, 1).sum()
    assert small[drawn == 2].all()
    assert not outline(large, 1)[drawn == 2].any()
    assert window.viewer.layers.selection.active.name == active.name
    assert active.name != NAME
    assert "Dice" in history.text.text()
    session.go_to(3)
    assert not history.outline.shown
    session.go_to(0)
    assert not history.outline.shown
    window.controller.close_session()
    assert NAME not in [layer.name for layer in window.viewer.layers]


def test_going_back_writes_a_new_revision_that_can_be_undone(history, session, qtbot):
    small, large = disc(session, 60, 60), disc(session, 60, 60, 20)
    session.stroke(small)
    session.accept_structure()
    session.stroke(large)
    qtbot.waitUntil(lambda: history.place.rows.rowCount() == 3)
    history.place.selectRow(0)
    assert not history.back_button.isEnabled()
    history.place.selectRow(1)
    history.back_button.click()
    past = session.project.history(session.clip.id, 0, "bolus")
    assert len(past) == 4
    assert np.array_equal(past[-1].mask, small)
    assert (past[-1].state, past[-1].origin) == (MaskState.ACCEPTED, "hand")
    assert session.undo()
    assert np.array_equal(session.project.masks(session.clip.id, 0).planes[0], large)
    assert len(session.project.history(session.clip.id, 0, "bolus")) == 5


def test_going_back_over_another_annotators_change_is_a_conflict_and_writes_nothing(session):
    session.stroke(disc(session, 60, 60))
    session.stroke(disc(session, 60, 60, 20))
    older = session.project.history(session.clip.id, 0, "bolus")[0]
    written_by("Bob", session, 0, disc(session, 90, 90))
    assert not session.go_back(older)
    assert session.project.newest(session.clip.id, 0)["bolus"].author == "Bob"


def test_the_proposal_is_compared_in_text_and_as_an_outline(history, session, window):
    history.proposal_button.click()
    assert "There is no proposal" in window.message.text()
    first, second = disc(session, 60, 60), disc(session, 60, 60) | disc(session, 60, 80)
    propose(session, 0, first)
    session.stroke(second)
    history.proposal_button.click()
    added = int((second & ~first).sum())
    dice = 2 * first.sum() / (first.sum() + second.sum())
    assert f"{added} pixels added. Dice {dice:.3f}" in history.text.text()
    assert history.outline.shown
    history.go_back()
    assert session.project.newest(session.clip.id, 0)["bolus"].state == MaskState.PROPOSED
    assert np.array_equal(session.work.planes[0], first)


def test_changes_of_others_appear_in_both_lists_and_a_click_goes_to_them(history, session, window, qtbot):
    session.author = "Ada"
    session.stroke(disc(session, 60, 60))
    written_by("Bob", session, 0, disc(session, 60, 60, 30))
    written_by("Cleo", session, 7, disc(session, 30, 30), "c3")
    window.controller.poll()
    qtbot.waitUntil(lambda: authors(history.place) == ["Bob", "Ada"])
    history.tabs.setCurrentWidget(history.clip)
    assert authors(history.clip) == ["Cleo", "Bob", "Ada"]
    assert texts(history.clip, LAST) == ["frame 8\nC3", "frame 1\nBolus", "frame 1\nBolus"]
    history.clip.selectRow(0)
    history.clip.clicked.emit(history.clip.rows.index(0, 0))
    assert (session.frame, session.structure) == (7, "c3")
    history.tabs.setCurrentWidget(history.place)


def test_a_selected_row_stays_selected_while_others_write(history, session, window, qtbot):
    session.stroke(disc(session, 60, 60))
    session.stroke(disc(session, 60, 60, 20))
    qtbot.waitUntil(lambda: history.place.rows.rowCount() == 2)
    history.place.selectRow(1)
    chosen = history.place.revision.id
    written_by("Bob", session, 0, disc(session, 60, 60, 30))
    window.controller.poll()
    qtbot.waitUntil(lambda: history.place.rows.rowCount() == 3)
    assert history.place.revision.id == chosen
    assert history.outline.shown
    assert (history.outline.picture == 1).sum() == outline(disc(session, 60, 60, 30), 1).sum()


def test_folding_removes_the_outline_and_a_removed_layer_is_recreated(history, session, window, qtbot):
    session.stroke(disc(session, 60, 60))
    session.stroke(disc(session, 60, 60, 20))
    qtbot.waitUntil(lambda: history.place.rows.rowCount() == 2)
    history.place.selectRow(1)
    window.viewer.layers.remove(NAME)
    assert not history.outline.shown
    history.place.selectRow(0)
    assert history.outline.shown
    history.heading.setChecked(False)
    assert not history.outline.shown
    history.unfold()


def test_ten_thousand_revisions_are_listed_in_pages_and_loaded_on_demand(make_session):
    session = make_session()
    mask = disc(session, 60, 60)
    edits = [Edit(session.clip.id, n % 5, "bolus" if n % 2 else "c3", mask, MaskState.EDITED) for n in range(10_000)]
    session.project.write(edits, author="Ada", origin="hand")
    for place, n in (((0, "bolus"), 1000), (None, 10_000)):
        model = RevisionModel(with_place=place is None)
        model.show(session.project, session.clip.id, place)
        assert model.rowCount() == PAGE
        while model.canFetchMore(model.index(-1, -1)):
            model.fetchMore(model.index(-1, -1))
        ids = [revision.id for revision in model.revisions]
        assert len(ids) == n
        assert ids == sorted(ids, reverse=True)
        assert all(callable(revision.packed) for revision in model.revisions)


def test_a_closed_project_ends_the_list_without_an_error(clip_file):
    session = open_session(clip_file, "Ada")
    mask = disc(session, 60, 60)
    session.project.write(
        [Edit(session.clip.id, 0, "bolus", mask, MaskState.EDITED)] * (PAGE + 5), author="Ada", origin="hand"
    )
    model = RevisionModel(with_place=False)
    model.show(session.project, session.clip.id, (0, "bolus"))
    session.close()
    model.fetchMore(model.index(-1, -1))
    assert not model.canFetchMore(model.index(-1, -1))
    assert model.index(0, LAST).data() == "unreadable"


PLANE = hnp.arrays(np.bool_, (9, 11))


@settings(deadline=None)
@given(before=st.none() | PLANE, after=st.none() | PLANE)
def test_a_difference_counts_added_and_removed_pixels(before, after):
    a = np.zeros((9, 11), np.bool_) if before is None else before
    b = np.zeros((9, 11), np.bool_) if after is None else after
    difference = Difference.between(before, after)
    assert (difference.added, difference.removed) == ((b & ~a).sum(), (a & ~b).sum())
    assert (difference.short == "same") == np.array_equal(a, b)
    assert str(difference.added) in difference.summary or not difference.added
    assert ("empty" in compare("the proposal", before, after)) == (not a.any() and not b.any())


@settings(deadline=None)
@given(mask=PLANE, thickness=st.integers(1, 3))
def test_an_outline_lies_inside_the_mask_and_is_closed(mask, thickness):
    edge = outline(mask, thickness)
    assert not (edge & ~mask).any()
    inner = np.pad(mask & ~edge, 1)
    for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)):
        assert not (np.roll(inner, (dy, dx), (0, 1))[1:-1, 1:-1] & ~mask).any()


def test_times_are_local_and_include_the_date_unless_it_is_today():
    now = datetime(2026, 3, 14, 15, 0, tzinfo=UTC)
    assert when(now - timedelta(seconds=5), now) == f"{(now - timedelta(seconds=5)).astimezone():%H:%M:%S}"
    assert "12 Mar" in when(now - timedelta(days=2), now)
    assert "2025" in when(now - timedelta(days=300), now)
