# SPDX-License-Identifier: Apache-2.0
"""The export dialog: its summary, what prevents writing, and the dataset that is written."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_vfss.session.opening import open_session
from napari_vfss.ui.dialogs import export as export_dialog
from napari_vfss.ui.dialogs.export_options import ExportChoice, RecordingList
from napari_vfss.writer import write_annotations
from small_project import annotate
from vfss.datasets import FORMATS, ExportOptions, read_coco, run_export
from vfss.datasets.preview import preview
from vfss.errors import DatasetError
from vfss.project import Project
from vfss.schema import Schema

WAIT_MS = 60_000


@pytest.fixture
def accepted(window):
    """The window's session with two accepted frames, whose pixels nobody has reviewed."""
    session = window.controller.session
    mask = np.zeros((session.clip.height, session.clip.width), bool)
    mask[20:40, 20:40] = True
    annotate(session.project, session.clip.id, 0, {"bolus": mask}, author="Ada")
    annotate(session.project, session.clip.id, 3, {"bolus": mask, "pharynx": mask}, author="Ada")
    session.project.reviews.withdraw(session.clip.id, reviewer="Ada")
    session.reload([0, 3])
    window.export.choices.update(lambda _before: {})
    yield session
    window.export.choices.update(lambda _before: {})
    if window.export.dialog is not None:
        window.export.dialog.reject()


@pytest.fixture
def dialog(window, accepted, qtbot):
    """The export dialog after its preview has been computed."""
    window.export.export_button.click()
    made = window.export.dialog
    settle(qtbot, made)
    return made


def settle(qtbot, dialog):
    qtbot.waitUntil(lambda: not dialog.previewing.running, timeout=WAIT_MS)


def answer(monkeypatch, folder):
    monkeypatch.setattr(export_dialog.QFileDialog, "getExistingDirectory", lambda *_: str(folder))


def test_the_summary_lists_what_will_be_written_and_why_writing_is_disabled(dialog, accepted, qtbot):
    summary = dialog.summary.text()
    assert "2 frames of 1 recording, 1 patient" in summary and "3 masks: Bolus 2, Pharynx 1" in summary
    assert "annotations.json" in summary
    cells = [dialog.recordings.item(0, column).text() for column in range(dialog.recordings.columnCount())]
    assert cells[0] == "swallow.mp4" and cells[1].startswith("case-") and "not reviewed yet" in cells[-1]
    assert not dialog.write_button.isEnabled()
    assert "Nobody has reviewed the pixels of 1 recording" in dialog.why_not.text()
    dialog.unreviewed.click()
    assert dialog.write_button.isEnabled()
    assert "were not reviewed" in dialog.why_not.text()


def test_unreviewed_pixels_are_exported_only_after_confirmation_and_recorded(
    window, dialog, qtbot, tmp_path, monkeypatch
):
    dialog.unreviewed.click()
    dialog.choice.licence.setText("CC-BY-4.0")
    settle(qtbot, dialog)
    answer(monkeypatch, "")
    dialog.write_button.click()  # the folder dialog was cancelled: the export dialog stays
    assert window.export.dialog is dialog
    answer(monkeypatch, tmp_path / "set")
    with qtbot.waitSignal(window.controller.exporting.ended, timeout=WAIT_MS):
        dialog.write_button.click()
    dataset = read_coco(tmp_path / "set")
    assert [image.frame for image in dataset] == [0, 3]
    assert (dataset.manifest["pixels_reviewed"], dataset.manifest["licence"]) == (False, "CC-BY-4.0")
    assert "Wrote 2 frames" in window.message.text()
    assert window.export.open_button.isVisibleTo(window) and window.export.folder == tmp_path / "set"
    # The next dialog starts with the last choices, except that unreviewed pixels must be confirmed again.
    window.export.ask_and_export()
    again = window.export.dialog
    assert again.choice.licence.text() == "CC-BY-4.0" and not again.unreviewed.isChecked()


def test_the_report_lists_what_the_format_cannot_keep(window, dialog, qtbot, tmp_path, monkeypatch):
    dialog.unreviewed.click()
    dialog.choice.format.setCurrentIndex(dialog.choice.format.findData("nnunet"))
    settle(qtbot, dialog)
    answer(monkeypatch, tmp_path / "set")
    with qtbot.waitSignal(window.controller.exporting.ended, timeout=WAIT_MS):
        dialog.write_button.click()
    assert "The format cannot keep" in window.export.report.text()
    labels = json.loads((tmp_path / "set/Dataset501_VFSS/dataset.json").read_text("utf-8"))
    assert labels["overlaps"] == "priority"


def test_a_stopped_export_is_continued(window, dialog, qtbot, tmp_path, monkeypatch):
    options, project = ExportOptions(unreviewed=True), window.controller.session.project
    stopped = run_export(FORMATS["coco"], project, tmp_path / "set", options, progress=lambda done, _total: done < 1)
    assert stopped.cancelled
    messages = []
    window.controller.exporting.message.connect(messages.append)
    dialog.unreviewed.click()
    answer(monkeypatch, tmp_path)
    with qtbot.waitSignal(window.controller.exporting.ended, timeout=WAIT_MS):
        dialog.write_button.click()
    window.controller.exporting.message.disconnect(messages.append)
    assert "Going on" in messages[0] and "1 frames" in messages[0]
    assert "1 of them were written by an earlier" in window.export.report.text()
    assert len(read_coco(tmp_path / "set")) == 2


def test_options_are_those_of_the_chosen_format(qtbot):
    choice = ExportChoice(Schema.load(), {"format": "nonsense", "licence": "CC0-1.0"})
    qtbot.addWidget(choice)
    assert choice.format_name == "coco" and choice.options == ExportOptions(licence="CC0-1.0")
    assert "holes in masks are filled" in choice.loses.text()
    choice.polygons.click()
    choice.event_text.click()
    assert choice.options == ExportOptions(licence="CC0-1.0", polygons=True, event_text=True)
    choice.event_text.click()
    choice.format.setCurrentIndex(choice.format.findData("png"))
    assert "keeps everything" in choice.loses.text() and choice.polygons.isHidden() and not choice.options.polygons
    choice.format.setCurrentIndex(choice.format.findData("nnunet"))
    assert "This format loses" in choice.loses.text()
    first, second, *_ = choice.options.priority
    choice.down_button.click()
    assert choice.options.priority[:2] == (second, first)
    choice.up_button.click()
    choice.up_button.click()
    assert choice.options.priority[:2] == (first, second)
    choice.overlaps.setCurrentIndex(1)
    choice.name.setText("Swallow")
    choice.edited.click()
    choice.named.click()
    options = choice.options
    assert (options.overlaps, options.name, options.include_edited, options.name_authors) == (
        "regions", "Swallow", True, True,
    )  # fmt: skip
    again = ExportChoice(Schema.load(), choice.chosen)
    qtbot.addWidget(again)
    assert again.options.name == "Swallow" and again.options.overlaps == "regions"


def test_a_format_that_can_store_no_recording_is_explained(dialog, qtbot, monkeypatch):
    monkeypatch.setitem(FORMATS, "dicom-seg", replace(FORMATS["dicom-seg"], refuses=lambda _: "frames of this kind"))
    dialog.choice.format.setCurrentIndex(dialog.choice.format.findData("dicom-seg"))
    settle(qtbot, dialog)
    assert "store none" in dialog.why_not.text() and not dialog.write_button.isEnabled()
    assert "frames of this kind" in dialog.summary.text()


def test_export_without_accepted_frames_or_an_open_recording(window, qtbot):
    window.export.ask_and_export()
    dialog = window.export.dialog
    settle(qtbot, dialog)
    assert "nothing to write yet" in dialog.why_not.text() and not dialog.review_button.isEnabled()
    dialog.reject()
    assert window.export.dialog is None
    window.controller.close_session()
    window.export.ask_and_export()
    assert window.export.dialog is None
    assert "Open a recording" in window.message.text()


def test_closing_during_the_preview_stops_it(window, accepted, qtbot):
    window.export.ask_and_export()
    dialog = window.export.dialog
    previewing = dialog.previewing
    dialog.choice.edited.click()
    dialog.reject()
    qtbot.waitUntil(lambda: not previewing.running, timeout=WAIT_MS)
    assert window.export.dialog is None


def test_the_first_recording_is_selected(accepted, qtbot):
    counted = preview(accepted.project, FORMATS["coco"], ExportOptions())
    table = RecordingList()
    qtbot.addWidget(table)
    assert table.record is None
    table.show_recordings(counted.recordings)
    assert table.record.id == accepted.clip.id
    assert table.horizontalHeaderItem(0).text() == "Recording"


def test_file_save_refuses_unreviewed_pixels_and_names_the_remedy(accepted, tmp_path: Path):
    meta = {"metadata": {"vfss_project": accepted.project.folder}}
    with pytest.raises(DatasetError, match=r"press Export\.\.\., there Review pixels"):
        write_annotations(str(tmp_path / "set.json"), None, meta)
    assert not (tmp_path / "set").exists()


def test_sample_clips_are_reviewed_automatically(clip_file, tmp_path, monkeypatch):
    monkeypatch.setattr("platformdirs.user_cache_path", lambda _: clip_file.parent)
    sample = clip_file.parent / "samples" / "phantom_normal_0.mp4"
    sample.parent.mkdir()
    clip_file.rename(sample)
    session = open_session(sample, "Ada")
    clip = session.clip.id
    assert session.project.reviews.of(clip).reviewer == "phantom"
    session.project.reviews.withdraw(clip, reviewer="Ada")
    session.close()
    again = open_session(sample, "Ada")  # the withdrawal by a person is kept
    assert again.project.reviews.of(clip) is None
    again.close()
    other = sample.rename(sample.with_name("swallow.mp4"))
    with Project.create(tmp_path / "other"):
        pass
    session = open_session(other, "Ada", project_folder=tmp_path / "other")
    assert session.project.reviews.of(clip) is None
    session.close()
