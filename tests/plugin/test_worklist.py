# SPDX-License-Identifier: Apache-2.0
"""The worklist in a window: many recordings opened at once, rows, filters, changes of many, walking through, others."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt

from small_project import annotate, grey_frames, write_stack
from vfss.masks import MaskState
from vfss.project import Edit, Project
from vfss.project.provenance import Provenance

WAIT_MS = 30_000
FILES = ("P1_thin.tif", "P2_thin.tif", "P2_thick.tif")


@pytest.fixture
def recordings(tmp_path):
    folder = tmp_path / "archive"
    folder.mkdir()
    return [write_stack(folder / name, grey_frames(3, 40, 56, seed=i)) for i, name in enumerate(FILES)]


@pytest.fixture
def panel(shared_window):
    """A window in which nothing is open."""
    controller = shared_window.controller
    controller.project_folder = None
    controller.close_session()
    shared_window.worklist.rows.set("search", "")
    yield shared_window
    shared_window.pages.hide()
    if shared_window.worklist.dock is not None and shared_window.worklist.dock.isVisible():
        shared_window.worklist.toggle_dock()
    controller.close_session()
    shared_window.viewer.layers.clear()
    shared_window.message.clear()


@pytest.fixture
def messages(panel):
    seen = []
    panel.controller.message.connect(lambda text, problem: seen.append((text, problem)))
    return seen


def open_all(panel, paths, qtbot):
    controller = panel.controller
    assert controller.open_many(paths)
    qtbot.waitUntil(lambda: not controller.opening_many.running, timeout=WAIT_MS)


@pytest.fixture
def listed(panel, recordings, qtbot):
    """The worklist page with three clips, of which the first is open."""
    open_all(panel, recordings, qtbot)
    page = panel.pages.show("worklist")
    qtbot.waitUntil(lambda: panel.worklist.rows.rowCount() == 3, timeout=WAIT_MS)
    return page


def names(panel):
    rows = panel.worklist.rows
    return [rows.index(i, 0).data() for i in range(rows.rowCount())]


def cell(panel, name, heading):
    rows = panel.worklist.rows
    column = next(
        i
        for i in range(rows.columnCount())
        if rows.headerData(i, Qt.Orientation.Horizontal, Qt.ItemDataRole.DisplayRole) == heading
    )
    return rows.index(names(panel).index(name), column).data()


def choose(page, panel, *wanted):
    page.table.clearSelection()
    page.table.setSelectionMode(page.table.SelectionMode.MultiSelection)
    for name in wanted:
        page.table.selectRow(names(panel).index(name))


def test_a_folder_of_recordings_becomes_one_worklist(panel, recordings, messages, qtbot):
    open_all(panel, [recordings[0].parent], qtbot)
    session = panel.controller.session
    assert session.record.path.name == sorted(FILES)[0]
    assert session.project.folder == recordings[0].parent / "vfss_project"
    assert sorted(record.path.name for record in session.project.clips()) == sorted(FILES)
    assert ("3 of 3 recordings are in the project vfss_project.", False) in messages


def test_recordings_join_the_chosen_project_and_problems_are_one_message(panel, recordings, messages, tmp_path, qtbot):
    broken = recordings[0].with_name("broken.tif")
    broken.write_bytes(b"II*\0nothing")
    panel.controller.project_folder = tmp_path / "chosen"
    open_all(panel, [broken, *recordings[:2], recordings[0].with_name("missing.avi")], qtbot)
    assert panel.controller.session.record.path.name == FILES[0]
    assert panel.controller.session.project.folder == tmp_path / "chosen"
    (report,) = [text for text, problem in messages if problem]
    assert report.startswith("2 of 4 recordings are in the project chosen.")
    assert "broken.tif: " in report and "missing.avi: " in report


def test_recordings_join_a_project_that_comes_with_them(panel, recordings, tmp_path, qtbot):
    Project.create(tmp_path / "study").close()
    open_all(panel, [tmp_path / "study", *recordings], qtbot)
    assert panel.controller.session.project.folder == tmp_path / "study"
    assert len(panel.controller.session.project.clips()) == 3


def test_two_projects_at_once_are_refused(panel, recordings, messages, tmp_path, qtbot):
    for name in ("one", "other"):
        Project.create(tmp_path / name).close()
    open_all(panel, [tmp_path / "one", tmp_path / "other", *recordings], qtbot)
    assert panel.controller.session is None
    assert any("2 projects" in text and problem for text, problem in messages)


def test_cancelled_opening_keeps_what_was_added(panel, recordings, messages, qtbot):
    controller = panel.controller

    def stop(done, _total):
        if done == 1:
            controller.opening_many.cancel()

    controller.opening_many.progressed.connect(stop)
    open_all(panel, recordings, qtbot)
    controller.opening_many.progressed.disconnect(stop)
    assert 1 <= len(controller.session.project.clips()) < len(FILES)
    assert any("Cancelled" in text for text, _ in messages)


def test_rows_show_names_counts_and_pictures(panel, listed, qtbot):
    assert names(panel) == list(FILES)
    assert cell(panel, FILES[0], "Frames") == "3" and cell(panel, FILES[0], "Open") == "here"
    assert cell(panel, FILES[1], "Complete") == "0 / 3"
    rows = panel.worklist.rows

    def pictures():
        return [rows.index(i, 0).data(Qt.ItemDataRole.DecorationRole) for i in range(3)]

    qtbot.waitUntil(lambda: all(picture is not None for picture in pictures()), timeout=WAIT_MS)
    assert "0 / 3 frames complete" in rows.index(1, 0).data(Qt.ItemDataRole.ToolTipRole)
    thumbnails = panel.controller.worklist.thumbnails
    assert any(picture.std() > 5 for picture in thumbnails.values())
    project = panel.controller.session.project
    assert not list(project.folder.rglob("*.png"))


def test_work_on_the_open_clip_shows_in_its_row(panel, listed, qtbot):
    session = panel.controller.session
    session.stroke(np.ones((40, 56), np.bool_))
    qtbot.waitUntil(lambda: cell(panel, FILES[0], "Edited") == "1", timeout=WAIT_MS)
    assert session.author in cell(panel, FILES[0], "Last change")


def test_search_and_filters_hide_rows(panel, listed, qtbot):
    listed.filters.search.setText("p2")
    assert names(panel) == list(FILES[1:])
    listed.filters.search.clear()
    choose(listed, panel, FILES[2])
    listed.edits.finished.click()
    qtbot.waitUntil(lambda: cell(panel, FILES[2], "Finished") != "", timeout=WAIT_MS)
    listed.filters.boxes["unfinished"].setChecked(True)
    assert names(panel) == list(FILES[:2])
    assert "1 hidden" in listed.summary.text()
    listed.filters.boxes["mine"].setChecked(True)
    assert names(panel) == []
    for box in listed.filters.boxes.values():
        box.setChecked(False)
    assert len(names(panel)) == 3


def test_rows_sort_by_what_they_show(panel, listed):
    listed.table.sortByColumn(0, Qt.SortOrder.DescendingOrder)
    assert names(panel) == sorted(FILES, reverse=True, key=str.casefold)
    listed.table.sortByColumn(-1, Qt.SortOrder.AscendingOrder)


def test_many_clips_are_changed_at_once(panel, listed, qtbot):
    choose(listed, panel, FILES[0], FILES[2])
    listed.edits.annotator.setCurrentText("Ben")
    listed.edits.give.click()
    listed.edits.case.setText("P7")
    listed.edits.set_case.click()
    listed.edits.facing.setCurrentIndex(listed.edits.facing.findData("right"))
    listed.edits.set_facing.click()
    qtbot.waitUntil(lambda: cell(panel, FILES[2], "Facing") == "right", timeout=WAIT_MS)
    session = panel.controller.session
    assert session.record.patient == "P7" and session.clip.facing == "right"
    qtbot.waitUntil(lambda: cell(panel, FILES[0], "Annotator") == "Ben", timeout=WAIT_MS)
    facts = {record.path.name: (record.patient, record.facing) for record in session.project.clips()}
    assert facts[FILES[0]] == facts[FILES[2]] == ("P7", "right")
    assert facts[FILES[1]][0] != "P7" and cell(panel, FILES[1], "Annotator") == ""


def test_return_and_double_click_open_a_clip_and_show_the_picture(panel, listed, qtbot):
    table = listed.table
    table.setCurrentIndex(panel.worklist.rows.index(names(panel).index(FILES[1]), 0))
    qtbot.keyClick(table, Qt.Key.Key_Return)
    assert panel.controller.session.record.path.name == FILES[1]
    assert panel.pages.shown is None
    panel.pages.show("worklist")
    table.doubleClicked.emit(panel.worklist.rows.index(names(panel).index(FILES[2]), 0))
    assert panel.controller.session.record.path.name == FILES[2]


def test_finish_and_next_walks_through_what_is_left(panel, listed, messages, qtbot):
    controller = panel.controller

    def is_open(name):
        return controller.session is not None and controller.session.record.path.name == name

    assert is_open(FILES[0])
    choose(listed, panel, FILES[1])
    listed.edits.annotator.setCurrentText("somebody else")
    listed.edits.give.click()
    qtbot.waitUntil(lambda: cell(panel, FILES[1], "Annotator") != "", timeout=WAIT_MS)
    controller.worklist.finish_and_go_on()
    qtbot.waitUntil(lambda: is_open(FILES[2]), timeout=WAIT_MS)
    rows = {row.name: row for row in controller.session.project.worklist.rows()}
    assert rows[FILES[0]].finished_by == controller.session.author and not rows[FILES[2]].finished
    controller.worklist.go_to_previous()
    qtbot.waitUntil(lambda: is_open(FILES[1]), timeout=WAIT_MS)
    controller.worklist.go_to_next_unfinished()
    qtbot.waitUntil(lambda: is_open(FILES[2]), timeout=WAIT_MS)
    controller.worklist.finish_and_go_on()
    qtbot.waitUntil(lambda: any("given to others" in text for text, _ in messages), timeout=WAIT_MS)
    assert is_open(FILES[2])


def test_keys_show_and_hide_the_lists(panel, recordings, qtbot):
    open_all(panel, recordings, qtbot)
    controller = panel.controller
    actions = {action.id: action for action in controller.key_book.actions}
    controller.act(actions["window.worklist"])
    assert panel.pages.shown is not None and panel.pages.shown.title == "Worklist"
    qtbot.keyClick(panel.pages.shown, Qt.Key.Key_Escape)
    assert panel.pages.shown is None
    controller.act(actions["window.worklist_dock"])
    dock = panel.worklist.dock
    assert dock.isVisible()
    qtbot.waitUntil(lambda: dock.table.model().rowCount() == 3, timeout=WAIT_MS)
    controller.act(actions["window.worklist_dock"])
    assert not dock.isVisible()


def test_a_window_sees_what_another_has_open_and_is_told_of_the_same_clip(panel, listed, messages, qtbot):
    project, session = panel.controller.session.project, panel.controller.session
    worklist = panel.controller.worklist
    other = next(record.id for record in project.clips() if record.id != session.clip.id)
    project.open_windows.say("elsewhere", author="Ben", host="ward", clip_id=other)
    worklist.refresh()
    qtbot.waitUntil(lambda: [window.clip for window in worklist.windows] == [other], timeout=WAIT_MS)
    assert cell(panel, project.clip(other).path.name, "Open") == "Ben (ward)"
    with Project.open(project.folder) as elsewhere:
        seen = elsewhere.open_windows.others("elsewhere")
        assert [(window.author, window.clip) for window in seen] == [(session.author, session.clip.id)]
    project.open_windows.say("elsewhere", author="Ben", host="ward", clip_id=session.clip.id)
    worklist.refresh()
    qtbot.waitUntil(lambda: any("Ben has this clip open too" in text for text, _ in messages), timeout=WAIT_MS)
    folder = project.folder
    panel.controller.close_session()
    with Project.open(folder) as elsewhere:
        assert elsewhere.open_windows.others("elsewhere") == []


def test_the_menu_of_chosen_rows_changes_them(panel, listed, qtbot):
    choose(listed, panel, FILES[0], FILES[1])
    entries = {action.text(): action for action in listed.table.menu().actions()}
    entries["Mark as finished"].trigger()
    qtbot.waitUntil(lambda: cell(panel, FILES[1], "Finished") != "", timeout=WAIT_MS)
    assert cell(panel, FILES[2], "Finished") == ""
    entries = {action.text(): action for action in listed.table.menu().actions()}
    entries["Not finished"].trigger()
    qtbot.waitUntil(lambda: cell(panel, FILES[1], "Finished") == "", timeout=WAIT_MS)


def test_doubtful_masks_are_counted_in_the_background(panel, listed, qtbot):
    project = panel.controller.session.project
    clip = project.clips()[1].id
    mask = np.ones((40, 56), np.bool_)
    edits = [
        Edit(clip, 0, key, mask, MaskState.PROPOSED, confidence, provenance=Provenance("student", student="s"))
        for key, confidence in (("bolus", 0.3), ("c3", 0.95))
    ]
    project.write(edits, author="s", origin="proposal")
    panel.controller.worklist.refresh()
    qtbot.waitUntil(lambda: cell(panel, FILES[1], "Doubtful") == "1", timeout=WAIT_MS)
    listed.filters.boxes["doubtful"].setChecked(True)
    assert names(panel) == [FILES[1]]
    listed.filters.boxes["doubtful"].setChecked(False)


def test_a_lost_recording_keeps_its_row_and_cannot_be_opened(panel, listed, recordings, messages, qtbot):
    recordings[2].unlink()
    clip = next(record.id for record in panel.controller.session.project.clips() if record.path.name == FILES[2])
    assert not panel.controller.worklist.open_clip(clip)
    assert any("no longer there" in text and problem for text, problem in messages)
    assert FILES[2] in names(panel)


def test_accepting_everything_finishes_a_clip(panel, listed, qtbot):
    session = panel.controller.session
    for frame in range(3):
        annotate(session.project, session.clip.id, frame, dict.fromkeys(session.schema.keys, MaskState.NOT_VISIBLE))
    panel.controller.worklist.refresh()
    qtbot.waitUntil(lambda: cell(panel, FILES[0], "Finished") == "all accepted", timeout=WAIT_MS)
    assert cell(panel, FILES[0], "Complete") == "3 / 3"
