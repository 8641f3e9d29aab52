# SPDX-License-Identifier: Apache-2.0
"""Dialog with the patients of a project and their splits; a person assigns a patient whose split is still open."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from qtpy.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QDialog,
    QHeaderView,
    QMessageBox,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_vfss.ui.dialog_parts import ProblemLine, dialog_button, set_body, wrapped_label
from vfss.errors import VfssError
from vfss.project.patients import PatientRecord, assign_splits, list_patients
from vfss.project.records import Split
from vfss.wording import count

if TYPE_CHECKING:
    from vfss.project import Project

ABOUT = (
    "All clips of a patient belong to the same split. Students are trained on the training split only; validation and "
    "test patients are held out to evaluate them. An open split is chosen by the program when training, evaluation or "
    "an export first needs it."
)
FIXED = "A student may have been trained on this patient: a split cannot be changed once it is assigned"
READ_ONLY = "Splits cannot be assigned: the project is read-only."
NO_PATIENTS = "There are no patients yet: the project has no clips."
HEADINGS = ("Patient", "Clips", "Annotated frames", "Split")
OPEN = "open"
SPLIT = HEADINGS.index("Split")


class PatientsDialog(QDialog):
    """Lists patients with clips, annotated frames and split; assigns the chosen splits after a confirmation.

    Attributes:
        question: The confirmation, while it is open.
    """

    def __init__(self, project: Project, parent: QWidget | None = None) -> None:
        """Open the dialog on a project, which is closed with the dialog."""
        super().__init__(parent)
        self.setWindowTitle("Patients and splits")
        self.resize(560, 420)
        self._project = project
        self._patients: list[PatientRecord] = []
        self.question: QMessageBox | None = None
        self.table = QTableWidget(0, len(HEADINGS))
        self.table.setHorizontalHeaderLabels(HEADINGS)
        self.table.setAccessibleName("Patients")
        self.table.setToolTip("Patients of this project; choose a split in the last column")
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.table.setTabKeyNavigation(False)  # Tab goes on to the boxes, not from cell to cell
        side, head = self.table.verticalHeader(), self.table.horizontalHeader()
        if side is not None and head is not None:
            side.hide()
            head.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
            head.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.summary, self.problem = wrapped_label(), ProblemLine()
        content = QVBoxLayout()
        content.addWidget(wrapped_label(ABOUT))
        content.addWidget(self.table, 1)
        self.assign_button = dialog_button("Assign...", "Assign the patients to the chosen splits", self.ask_to_assign)
        close_button = dialog_button("Close", "Close this window; choices that are not assigned are lost", self.accept)
        set_body(self, content, self.problem, self.summary, close_button, self.assign_button)
        self.finished.connect(self._close)
        self.refresh()

    def refresh(self) -> None:
        """Read the patients again and show them."""
        try:
            self._patients = list_patients(self._project)
        except VfssError as error:
            self.problem.show_problem(str(error))
            return
        self.table.setRowCount(len(self._patients))
        for row, patient in enumerate(self._patients):
            for column, text in enumerate((patient.name, str(patient.clips), str(patient.annotated_frames))):
                self.table.setItem(row, column, QTableWidgetItem(text))
            self.table.setCellWidget(row, SPLIT, self._split_box(patient))
        self._on_chosen()
        self.summary.setText(READ_ONLY if self._project.read_only else _summary(self._patients))

    def box(self, row: int) -> QComboBox:
        """Return the box of splits in a row."""
        box = self.table.cellWidget(row, SPLIT)
        if not isinstance(box, QComboBox):
            raise IndexError(row)
        return box

    @property
    def chosen(self) -> dict[str, str]:
        """Split by patient, as chosen in the boxes and not assigned yet."""
        boxes = ((patient.name, self.box(row)) for row, patient in enumerate(self._patients))
        return {name: box.currentText() for name, box in boxes if box.isEnabled() and box.currentText() != OPEN}

    def ask_to_assign(self) -> None:
        """Ask for confirmation, as an assigned split cannot be changed."""
        listed = ", ".join(f"{patient} to {split}" for patient, split in self.chosen.items())
        question = self.question = QMessageBox(self)
        question.setWindowTitle("Assign splits")
        question.setText(f"Assign {listed}?")
        question.setInformativeText("This cannot be changed afterwards: a student may be trained on these patients.")
        question.addButton(QMessageBox.StandardButton.Cancel)
        assign_button = question.addButton("Assign", QMessageBox.ButtonRole.AcceptRole)
        assign_button.clicked.connect(self.assign)
        question.finished.connect(self._on_answered)
        question.open()

    def assign(self, *_: object) -> None:
        """Assign the chosen splits; show why if they cannot be assigned."""
        self.problem.show_problem("")
        try:
            assign_splits(self._project, self.chosen)
        except VfssError as error:
            self.problem.show_problem(str(error))
        self.refresh()

    def _split_box(self, patient: PatientRecord) -> QComboBox:
        box = QComboBox()
        box.addItems([OPEN, *get_args(Split)])
        box.setCurrentText(patient.split or OPEN)
        box.setAccessibleName(f"Split of {patient.name}")
        box.setEnabled(patient.split is None and not self._project.read_only)
        box.setToolTip(
            READ_ONLY if self._project.read_only else FIXED if patient.split is not None else "Split of this patient"
        )
        box.currentIndexChanged.connect(self._on_chosen)
        return box

    def _on_chosen(self, *_: object) -> None:
        self.assign_button.setEnabled(bool(self.chosen))

    def _on_answered(self, _result: int) -> None:
        self.question = None

    def _close(self, *_: object) -> None:
        if self.question is not None:
            self.question.close()
        self._project.close()


def _summary(patients: list[PatientRecord]) -> str:
    if not patients:
        return NO_PATIENTS
    parts = []
    for split in (*get_args(Split), None):
        members = [patient for patient in patients if patient.split == split]
        if members:
            frames = sum(patient.annotated_frames for patient in members)
            parts.append(f"{split or OPEN}: {count(len(members), 'patient')}, {count(frames, 'annotated frame')}")
    return "; ".join(parts) + "."
