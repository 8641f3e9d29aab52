# SPDX-License-Identifier: Apache-2.0
"""Importing masks of other programs in the window: preview, label matching, writing as proposals."""

from __future__ import annotations

import numpy as np
import pytest

from foreign_masks import write_coco
from napari_vfss.jobs.importing import in_dialog_terms
from napari_vfss.ui.dialogs import import_masks as import_dialog
from small_project import annotate, disc
from vfss.deidentify import CaseKey
from vfss.importing import ForeignLabel, suggested
from vfss.masks import MaskState
from vfss.schema import Schema

WAIT_MS = 60_000
SIZE = 160
INNER, OUTER = (disc(SIZE, SIZE, y=80, x=80, radius=r) for r in (12, 30))


@pytest.fixture
def masks(tmp_path):
    """A file of another program with bolus and jaw on two frames, and an unknown label."""
    images = {f"f_{t}.png": {"Bolus": np.roll(INNER, t, 1), "jaw": OUTER, "blob": INNER} for t in (0, 5)}
    return write_coco(tmp_path / "foreign" / "labels.json", images)


@pytest.fixture
def dialog(window, qtbot):
    """The import dialog for the window's recording."""
    window.importing.import_button.click()
    made = window.importing.dialog
    yield made
    if window.importing.dialog is not None:
        made.reject()


def preview_file(dialog, qtbot, path):
    dialog.open_source(path)
    settle(dialog, qtbot)


def settle(dialog, qtbot):
    qtbot.waitUntil(lambda: not dialog.planning.running, timeout=WAIT_MS)


def test_the_preview_lists_what_would_be_written(window, dialog, masks, qtbot, monkeypatch):
    session = window.controller.session
    annotate(session.project, session.clip.id, 5, {"bolus": OUTER}, author="Ada")
    assert not dialog.write_button.isEnabled() and "Choose a file" in dialog.why_not.text()
    monkeypatch.setattr(import_dialog.QFileDialog, "getOpenFileName", lambda *_, **__: (str(masks), ""))
    dialog.file_button.click()
    settle(dialog, qtbot)
    assert dialog.labels.choices == {"Bolus": "bolus", "jaw": "mandible", "blob": None}
    text = dialog.lines.text()
    assert "To write: 3 masks on 2 frames" in text and "Kept, as annotated by a person: 1 mask" in text
    rows = [[dialog.counts.item(r, c).text() for c in range(5)] for r in range(dialog.counts.rowCount())]
    assert rows == [["Bolus", "1", "0", "0", "1"], ["Mandible", "2", "0", "0", "0"]]
    assert not dialog.picture.pixmap().isNull()
    assert session.project.newest(session.clip.id, 0) == {}
    dialog.reject()


def test_imported_masks_are_shown_as_proposals(window, dialog, masks, qtbot):
    session = window.controller.session
    preview_file(dialog, qtbot, masks)
    with qtbot.waitSignal(window.importing.importing.ended, timeout=WAIT_MS):
        dialog.write_button.click()
    revision = session.project.newest(session.clip.id, 5)["mandible"]
    assert (revision.origin, revision.state, revision.author) == ("import", MaskState.PROPOSED, session.author)
    assert np.array_equal(revision.mask, OUTER)
    mandible = session.schema["mandible"].index
    assert session.states[5, mandible] == MaskState.PROPOSED
    assert np.array_equal(session.project.masks(session.clip.id, 0).planes[session.schema["bolus"].index], INNER)
    assert "Wrote 4 proposed masks on 2 frames" in window.message.text()
    window.importing.ask_and_import()  # a second import: everything is present already
    again = window.importing.dialog
    preview_file(again, qtbot, masks)
    assert "Present already: 4" in again.lines.text() and not again.write_button.isEnabled()
    again.reject()


def test_labels_are_matched_to_structures_by_the_annotator(dialog, masks, qtbot):
    preview_file(dialog, qtbot, masks)
    box = dialog.labels.box(2)
    box.setCurrentIndex(box.findData("c2"))
    settle(dialog, qtbot)
    assert dialog.plan.counts == {"bolus": 2, "mandible": 2, "c2": 2}
    box.setCurrentIndex(box.findData("bolus"))
    settle(dialog, qtbot)
    assert "merged into: Bolus" in dialog.united.text() and dialog.united.isVisibleTo(dialog)
    for row in range(3):
        dialog.labels.box(row).setCurrentIndex(0)
    settle(dialog, qtbot)
    assert "none of the labels" in dialog.problem.text() and "--" not in dialog.problem.text()
    assert not dialog.write_button.isEnabled()


def test_missing_choices_are_asked_for(dialog, masks, tmp_path, qtbot):
    unclear = write_coco(tmp_path / "unclear.json", {f"f_{t}.png": {"bolus": INNER} for t in (3, 7)})
    preview_file(dialog, qtbot, unclear)
    assert "under First frame" in dialog.problem.text() and "Complete the choices" in dialog.why_not.text()
    dialog.first.setCurrentIndex(2)
    settle(dialog, qtbot)
    assert dialog.problem.isHidden() and [frame.frame for frame in dialog.plan.frames] == [2, 6]
    assert dialog.write_button.isEnabled()


def test_files_of_several_recordings_show_where_they_go_and_are_never_put_on_one(window, dialog, tmp_path, qtbot):
    session = window.controller.session
    name = CaseKey(session.project.folder / "case-key.json").recording(session.clip.id)
    path = write_coco(
        tmp_path / "a.json",
        {
            f"{name}_000003.png": {"bolus": INNER},
            "f_0.png": {"bolus": INNER},
            "clip-bcdfghjk_000001.png": {"bolus": INNER},
        },
    )
    preview_file(dialog, qtbot, path)
    rows = range(dialog.recordings.rowCount())
    texts = [(dialog.recordings.item(row, 0).text(), dialog.recordings.box(row).currentText()) for row in rows]
    assert texts == [(name, "swallow.mp4"), ("f", "choose..."), ("clip-bcdfghjk", "not in this project")]
    assert "1 image names no clip" in dialog.problem.text() and "under Recordings" in dialog.problem.text()
    box = dialog.recordings.box(1)
    box.setCurrentIndex(box.findData(session.clip.id))
    settle(dialog, qtbot)
    assert "would go to one clip, swallow.mp4" in dialog.problem.text() and not dialog.write_button.isEnabled()
    box.setCurrentIndex(box.findData(None))
    settle(dialog, qtbot)
    assert [frame.frame for frame in dialog.plan.frames] == [3] and dialog.write_button.isEnabled()


def test_an_unreadable_source_is_reported(dialog, tmp_path, qtbot):
    preview_file(dialog, qtbot, tmp_path)
    assert "no masks that can be imported" in dialog.problem.text()
    assert not dialog.write_button.isEnabled() and dialog.plan is None
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    preview_file(dialog, qtbot, broken)
    assert dialog.problem.isVisibleTo(dialog)


def test_closing_during_the_preview_stops_it(window, dialog, masks, qtbot):
    planning = dialog.planning
    dialog.open_source(masks)
    dialog.first.setCurrentIndex(1)
    dialog.reject()
    qtbot.waitUntil(lambda: not planning.running, timeout=WAIT_MS)
    assert window.importing.dialog is None


def test_without_a_recording_a_message_asks_to_open_one(window):
    window.controller.close_session()
    window.importing.ask_and_import()
    assert window.importing.dialog is None and "Open the recording first" in window.message.text()


def test_the_dialog_fits_a_small_screen_and_every_button_has_a_tooltip(dialog):
    hint = dialog.minimumSizeHint()
    assert hint.width() <= 1366 and hint.height() <= 730
    buttons = dialog.findChildren(type(dialog.write_button))
    assert [button.text() for button in buttons if button.text() and not button.toolTip()] == []


def test_only_unambiguous_labels_are_suggested():
    labels = [ForeignLabel(name) for name in ("jaw", "mandible", "barium", "blob")]
    assert suggested(labels, Schema.load()) == {"jaw": None, "mandible": None, "barium": "bolus", "blob": None}


def test_command_line_options_are_replaced_by_names_of_dialog_fields():
    text = in_dialog_terms("Name the clip (--clip ID or FILE). Say --first-frame 0 or 1; leave it out (--skip 'x').")
    assert text == "Name the clip under Recordings. Say under First frame; leave it out."
