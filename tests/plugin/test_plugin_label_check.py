# SPDX-License-Identifier: Apache-2.0
"""The page "Label check": it lists what looks wrong, goes there by key, and forgets what was found right."""

from __future__ import annotations

import numpy as np
import pytest

from small_session import disc
from vfss.masks import MaskState

WAIT_MS = 120_000
CHAIN = ("c3", "c4", "c5")


@pytest.fixture
def page(window, qtbot):
    """The page on a clip with three levels accepted on all frames, two of them exchanged on frame 9."""
    session = window.controller.session
    changes = {
        (t, key): (disc(session, 40 + 30 * i, 80), MaskState.ACCEPTED)
        for t in range(session.clip.n_frames)
        for i, key in enumerate(CHAIN)
    }
    wrong = {(9, "c3"): changes[9, "c4"], (9, "c4"): changes[9, "c3"]}
    assert session.change({**changes, **wrong})
    window.controller.action_requested.emit("window.label_check")
    page = window.pages.shown
    page.with_student.setChecked(False)
    with qtbot.waitSignal(page.walk.checking.ended, timeout=WAIT_MS):
        page.check_button.click()
        assert page.cancel_button.isVisibleTo(page)
    yield page
    window.pages.hide()


def rows(page):
    items = [page.list.topLevelItem(i) for i in range(page.list.topLevelItemCount())]
    return [tuple(item.text(column) for column in range(4)) for item in items]


def test_exchanged_levels_are_listed_first_with_their_reasons(page):
    listed = rows(page)
    assert {(frame, structure) for _, frame, structure, _ in listed[:2]} == {("10", "C3"), ("10", "C4")}
    assert all("order or distance of the levels" in why for *_, why in listed[:2])
    assert "Compared among each other only." in page.note.text()
    assert not page.cancel_button.isVisibleTo(page)


def test_a_row_opens_its_frame_with_the_structure_active(page, window):
    session = window.controller.session
    page.list.itemActivated.emit(page.list.topLevelItem(1), 0)
    assert window.pages.shown is None
    assert session.frame == 9
    assert session.active.name == rows(page)[1][2]
    assert "2 of" in window.message.text()


def test_keys_walk_and_what_is_right_is_not_shown_again(page, window, qtbot):
    controller = window.controller
    walk, session = controller.label_walk, controller.session
    walk.step(1)
    first = (walk.findings[0].frame, walk.findings[0].structure)
    assert (session.frame, session.structure) == first
    before = len(walk.findings)
    walk.dismiss()
    assert len(walk.findings) == before - 1
    ((place, (author, _)),) = session.project.label_dismissals.places().items()
    assert place == (session.clip.id, *first)
    assert author == session.author
    with qtbot.waitSignal(page.walk.checking.ended, timeout=WAIT_MS):
        page.check_button.click()
    assert first not in {(finding.frame, finding.structure) for finding in walk.findings}
    walk.step(-1)
    assert "no further finding" in window.message.text()


def test_a_cancelled_check_leaves_the_list(page, qtbot):
    before = rows(page)
    with qtbot.waitSignal(page.walk.checking.ended, timeout=WAIT_MS):
        page.with_student.setChecked(True)
        page.check_button.click()
        page.cancel_button.click()
    assert rows(page) == before
    assert np.array_equal(page.check_button.isEnabled(), True)
