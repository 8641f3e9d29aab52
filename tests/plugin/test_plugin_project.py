# SPDX-License-Identifier: Apache-2.0
"""Projects in the window: creating one with a shipped schema or one from a file, and the splits of its patients."""

from __future__ import annotations

import pytest
import yaml
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QMessageBox

from napari_vfss.controller.actions import WORK_ACTIONS
from napari_vfss.ui.dialogs.new_project import FROM_FILE, NewProjectDialog
from napari_vfss.ui.dialogs.patients import PatientsDialog
from small_project import annotate
from vfss.project import Project

OWN_SCHEMA = {
    "id": "own3",
    "version": "1",
    "title": "Three structures",
    "structures": [
        {"key": "tongue", "name": "Tongue", "colour": "#ff0000"},
        {"key": "bolus", "name": "Bolus", "colour": "#00ff00"},
        {"key": "larynx", "name": "Larynx", "colour": "#0000ff"},
    ],
}


@pytest.fixture
def schema_file(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump(OWN_SCHEMA), "utf-8")
    return path


@pytest.fixture
def new_project(qtbot):
    dialog = NewProjectDialog("swallow.mp4")
    qtbot.addWidget(dialog)
    dialog.show()
    return dialog


def choose_file(dialog, path):
    dialog.schema.setCurrentIndex(dialog.schema.findText(FROM_FILE))
    dialog.file.setText(str(path))


def test_a_project_is_created_with_the_shipped_schema(new_project, tmp_path):
    assert "12 structures: " in new_project.structures.text() and "Bolus" in new_project.structures.text()
    assert not new_project.file.isVisibleTo(new_project)
    assert "Choose a folder" in new_project.why_not.text() and not new_project.create_button.isEnabled()
    new_project.folder.setText(str(tmp_path / "study"))
    new_project.create_button.click()
    assert new_project.created == tmp_path / "study"
    with Project.open(tmp_path / "study") as project:
        assert project.schema.id == "vfss12"


def test_a_project_is_created_with_the_users_own_schema(new_project, schema_file, tmp_path):
    new_project.folder.setText(str(tmp_path / "study"))
    choose_file(new_project, schema_file)
    assert new_project.file.isVisibleTo(new_project)
    assert new_project.structures.text() == "3 structures: Tongue, Bolus, Larynx"
    new_project.create_button.click()
    with Project.open(tmp_path / "study") as project:
        assert project.schema.keys == ("tongue", "bolus", "larynx")


def test_invalid_choices_are_explained(new_project, schema_file, tmp_path):
    new_project.folder.setText(str(tmp_path / "study"))
    choose_file(new_project, "")
    assert "Choose a schema file" in new_project.why_not.text()
    new_project.file.setText(str(tmp_path / "missing.yaml"))
    assert "no such schema" in new_project.problem.text() and not new_project.create_button.isEnabled()
    schema_file.write_text("id: own\nstructures: [{key: Tongue, name: x, colour: red}]\nversion: 1\n", "utf-8")
    new_project.file.setText(str(schema_file))
    assert "malformed" in new_project.problem.text() and new_project.problem.isVisibleTo(new_project)
    new_project.schema.setCurrentIndex(0)
    assert not new_project.problem.isVisibleTo(new_project)
    Project.create(tmp_path / "study").close()
    new_project.create_button.click()
    assert new_project.created is None and "study" in new_project.problem.text()


def test_the_open_recording_is_added_to_the_new_project(window, schema_file, tmp_path):
    window.clip.ask_for_new_project()
    dialog = window.clip.dialog
    assert dialog.add_recording.isChecked() and "swallow.mp4" in dialog.add_recording.text()
    dialog.folder.setText(str(tmp_path / "study"))
    choose_file(dialog, schema_file)
    dialog.create_button.click()
    session = window.controller.session
    assert session.project.folder == tmp_path / "study" and session.schema.keys == ("tongue", "bolus", "larynx")
    assert window.structures.table.rows.rowCount() == 3
    assert window.clip.summary.text() == "project: study"
    assert window.clip.dialog is None


def test_otherwise_the_next_opened_recording_is_added(window, clip_file, schema_file, tmp_path):
    window.clip.ask_for_new_project()
    dialog = window.clip.dialog
    dialog.folder.setText(str(tmp_path / "study"))
    choose_file(dialog, schema_file)
    dialog.add_recording.setChecked(False)
    dialog.create_button.click()
    assert window.controller.session is None and "open a recording" in window.message.text()
    assert window.controller.open(clip_file)
    assert window.controller.session.project.folder == tmp_path / "study"


def test_a_key_opens_the_new_project_dialog(window):
    (action,) = (action for action in WORK_ACTIONS if "Ctrl+Alt+Shift+J" in action.keys)
    window.controller.act(action)
    assert window.clip.dialog is not None
    window.clip.dialog.reject()


@pytest.fixture
def study(clip_file, disc_mask, tmp_path):
    """Folder of a project with two patients, one of them assigned."""
    with Project.create(tmp_path / "patients") as project:
        first = project.add_clip(clip_file, patient="P1")
        other = clip_file.with_name("other.mp4")
        other.write_bytes(clip_file.read_bytes() + b"\0")
        project.add_clip(other, patient="P2")
        annotate(project, first.id, 0, {"bolus": disc_mask}, author="Ada")
        annotate(project, first.id, 1, {"bolus": disc_mask}, author="Ada")
        project.assign_split("P2", "test")
    return tmp_path / "patients"


@pytest.fixture
def disc_mask(clip_file):
    import numpy as np

    from vfss.clips import open_clip

    with open_clip(clip_file) as clip:
        plane = np.zeros((clip.height, clip.width), np.bool_)
    plane[10:20, 10:20] = True
    return plane


@pytest.fixture
def patients(study, qtbot):
    dialog = PatientsDialog(Project.open(study))
    qtbot.addWidget(dialog)
    dialog.show()
    yield dialog
    dialog.reject()


def cells(dialog):
    return [
        [*(dialog.table.item(row, column).text() for column in range(3)), dialog.box(row).currentText()]
        for row in range(dialog.table.rowCount())
    ]


def answer(dialog, text):
    next(button for button in dialog.question.buttons() if text in button.text()).click()


def test_patients_are_listed_with_their_splits(patients):
    assert cells(patients) == [["P1", "1", "2", "open"], ["P2", "1", "0", "test"]]
    assert "test: 1 patient, 0 annotated frames" in patients.summary.text()
    assert patients.box(0).isEnabled() and patients.box(0).accessibleName() == "Split of P1"
    assert not patients.box(1).isEnabled() and "cannot be changed" in patients.box(1).toolTip()


def test_a_split_is_assigned_by_keyboard_after_confirmation(patients, study):
    assert not patients.assign_button.isEnabled()
    for _ in range(2):
        QTest.keyClick(patients.box(0), Qt.Key.Key_Down)
    assert patients.chosen == {"P1": "validation"}
    QTest.keyClick(patients.assign_button, Qt.Key.Key_Space)
    assert patients.question.text() == "Assign P1 to validation?"
    assert "cannot be changed" in patients.question.informativeText()
    answer(patients, "Cancel")
    with Project.open(study) as project:
        assert project.assigned_splits() == {"P2": "test"}
    QTest.keyClick(patients.box(0), Qt.Key.Key_Up)
    patients.ask_to_assign()
    answer(patients, "Assign")
    assert cells(patients)[0][-1] == "train" and not patients.box(0).isEnabled()
    assert not patients.assign_button.isEnabled() and patients.question is None
    with Project.open(study) as project:
        assert project.assigned_splits() == {"P1": "train", "P2": "test"}


def test_a_split_assigned_by_someone_else_meanwhile_is_reported(patients, study):
    with Project.open(study) as project:
        project.assign_split("P1", "validation")
    patients.box(0).setCurrentText("train")
    patients.assign()
    assert "P1" in patients.problem.text() and patients.problem.isVisibleTo(patients)
    assert cells(patients)[0][-1] == "validation"


def test_a_read_only_project_explains_why_splits_cannot_be_assigned(study, qtbot):
    project = Project.open(study)
    project.read_only = True
    dialog = PatientsDialog(project)
    qtbot.addWidget(dialog)
    assert "read-only" in dialog.summary.text()
    assert not dialog.box(0).isEnabled() and "read-only" in dialog.box(0).toolTip()
    dialog.reject()


def test_the_panel_shows_the_patients_of_its_project(window):
    window.student.unfold()
    window.student.patients_button.click()
    dialog = window.student.patients
    assert dialog.table.rowCount() == 1
    assert not isinstance(dialog, QMessageBox) and dialog.isVisible()
    dialog.reject()
    assert window.student.patients is None
    window.student.fold()
