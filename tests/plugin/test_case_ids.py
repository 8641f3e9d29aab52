# SPDX-License-Identifier: Apache-2.0
"""The dialog of case ids: a rule with a preview, rows that are typed, films twice; what training and export say."""

from __future__ import annotations

import shutil

import pytest

from napari_vfss.ui.dialogs.case_ids import CASE, FROM, CaseIdsDialog
from napari_vfss.ui.dialogs.case_notice import CaseNotice
from napari_vfss.ui.dialogs.export import ExportDialog
from napari_vfss.ui.dialogs.retrain import RetrainChoice
from small_project import THREE, grey_frames, write_video
from vfss.project import Project
from vfss.project.case_rule import FIRST_PART, CaseRule

WAIT_MS = 30_000


@pytest.fixture
def study(tmp_path, phantom_file):
    """A project with four recordings of two people, of which one film is there twice."""
    folder = tmp_path / "study"
    folder.mkdir()
    with Project.create(tmp_path / "project", THREE) as project:
        for seed, name in enumerate(("P01_thin", "P01_thick", "P02_thin")):
            project.add_clip(write_video(folder / f"{name}.mkv", grey_frames(9, 32, 32, seed=seed)))
        shutil.copy(folder / "P02_thin.mkv", folder / "copy.mkv")
        with (folder / "copy.mkv").open("ab") as stream:
            stream.write(b"\0")  # another file, so another clip, of the same film
        project.add_clip(folder / "copy.mkv")
        return project.folder


@pytest.fixture
def dialog(qtbot, study):
    opened = CaseIdsDialog(study)
    qtbot.addWidget(opened)
    with qtbot.waitSignal(opened.hashing.ended, timeout=WAIT_MS):
        opened.show()
    yield opened
    opened.close()


def cases(dialog):
    return [dialog.table.item(row, CASE).text() for row in range(dialog.table.rowCount())]


def choose(box, data):
    box.setCurrentIndex(box.findData(data))


def test_the_rule_that_fits_is_guessed_and_the_same_film_is_one_case(dialog):
    choose(dialog.source, "file")
    choose(dialog.part, FIRST_PART)
    assert cases(dialog) == ["P01", "P01", "P02", "P02"]
    assert "same film as P02_thin.mkv" in dialog.table.item(3, FROM).text()
    assert dialog.summary.text() == "4 recordings, 2 of them the same film as another; 2 cases; 0 confirmed."


def test_the_preview_follows_the_rule_and_a_wrong_pattern_is_said(dialog, qtbot):
    choose(dialog.source, "folder")
    assert set(cases(dialog)) == {"study"}
    assert "none can be held out" in dialog.remarks.text()
    choose(dialog.source, "file")
    choose(dialog.part, None)
    dialog.pattern.setFocus()
    dialog.pattern.selectAll()
    qtbot.keyClicks(dialog.pattern, r"_(\w+)")
    assert cases(dialog)[:3] == ["thin", "thick", "thin"]
    dialog.pattern.selectAll()
    qtbot.keyClicks(dialog.pattern, "(")
    assert "no regular expression" in dialog.problem.text()
    assert not dialog.confirm_button.isEnabled()


def test_confirming_keeps_cases_and_rule(dialog, study, qtbot):
    choose(dialog.source, "file")
    choose(dialog.part, FIRST_PART)
    dialog.table.item(1, CASE).setText("P09")
    assert dialog.table.item(1, FROM).text() == "typed"
    with qtbot.waitSignal(dialog.confirmed):
        dialog.confirm_button.click()
    with Project.open(study) as project:
        assert [(r.patient, r.case_confirmed) for r in project.clips()] == [
            ("P01", True),
            ("P09", True),
            ("P02", True),
            ("P02", True),
        ]
        assert project.case_rule() == CaseRule("file", FIRST_PART)


def test_cancelling_changes_nothing(dialog, study):
    dialog.reject()
    with Project.open(study) as project:
        assert not any(record.case_confirmed for record in project.clips())
        assert project.case_rule() is None


def test_two_cases_of_one_film_in_two_splits_are_pointed_out(dialog, study):
    choose(dialog.source, "file")
    with Project.open(study) as project:
        project.assign_split("P02", "train")
        project.assign_split("P03", "test")
    dialog.table.item(3, CASE).setText("P03")
    assert "same film but two cases, in test and train" in dialog.remarks.text()


def test_training_says_how_many_are_not_confirmed_until_they_are(qtbot, study):
    choice = RetrainChoice(study, command=["true"])
    qtbot.addWidget(choice)
    choice.show()
    assert "not confirmed for 4 of 4 clips" in choice.cases.text.text()
    choice.cases.button.click()
    opened = choice.cases.dialog
    qtbot.waitUntil(opened.confirm_button.isEnabled, timeout=WAIT_MS)
    with qtbot.waitSignal(choice.planning.started, timeout=WAIT_MS):
        opened.confirm_button.click()
    assert not choice.cases.isVisible()
    choice.close()


def test_export_says_it_too_and_counts_again(qtbot, study):
    dialog = ExportDialog(Project.open(study), "Ada", {})
    qtbot.addWidget(dialog)
    dialog.show()
    assert "not confirmed for 4 of 4 clips" in dialog.cases.text.text()
    dialog.cases.button.click()
    opened = dialog.cases.dialog
    qtbot.waitUntil(opened.confirm_button.isEnabled, timeout=WAIT_MS)
    with qtbot.waitSignal(dialog.previewing.ended, timeout=WAIT_MS):
        opened.confirm_button.click()
    assert not dialog.cases.isVisible()
    dialog.reject()


def test_a_project_that_cannot_be_opened_has_no_notice(qtbot, tmp_path):
    notice = CaseNotice(tmp_path)
    qtbot.addWidget(notice)
    assert notice.isHidden()


def test_the_key_opens_it_and_the_open_clip_shows_its_new_case(window, qtbot):
    window.controller.action_requested.emit("window.cases")
    opened = window.student.cases
    assert opened is not None
    qtbot.waitUntil(opened.confirm_button.isEnabled, timeout=WAIT_MS)
    opened.table.item(0, CASE).setText("P77")
    opened.confirm_button.click()
    assert window.controller.session.record.patient == "P77"
    assert window.clip.case.text() == "P77"
    assert window.student.cases is None
