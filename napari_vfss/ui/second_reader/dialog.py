# SPDX-License-Identifier: Apache-2.0
"""Dialog with the second readings of a project: their progress, and how to begin another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QRadioButton,
    QVBoxLayout,
    QWidget,
)

from vfss.errors import VfssError
from vfss.project.second_readings import create_reading, finish_first, readings
from vfss.wording import count

if TYPE_CHECKING:
    from vfss.project import Project
    from vfss.project.second_reading_record import Reading

ABOUT = (
    "A second reader annotates the same clips without seeing the first reader's masks. When both have finished, "
    "their annotations can be compared, as they were at that moment."
)
CHECKED = Qt.CheckState.Checked


class ReadingDialog(QDialog):
    """Lists second readings, opens one, begins one, and records that the first reader has finished."""

    open_asked = Signal(object)  # folder of a reading
    agreement_asked = Signal(object, object)  # folder of the project, Reading

    def __init__(self, project: Project, parent: QWidget | None = None) -> None:
        """Show the readings of a project, which is closed with the dialog."""
        super().__init__(parent)
        self._project = project
        self.setWindowTitle("Second readings")
        self.setMinimumWidth(520)
        body = QVBoxLayout(self)
        about = QLabel(ABOUT)
        about.setWordWrap(True)
        body.addWidget(about)
        self.list = QListWidget()
        self.list.setFixedHeight(88)
        self.list.setToolTip("Second readings of this project")
        self.open_button = _button("Open for the second reader", "Close the project and open this reading")
        self.first_button = _button(
            "First reader has finished", "Later changes of the project are left out of the comparison"
        )
        self.agreement_button = _button("Show agreement", "Compare both readers, when both have finished")
        row = QHBoxLayout()
        for made in (self.open_button, self.first_button, self.agreement_button):
            row.addWidget(made)
        body.addWidget(self.list)
        body.addLayout(row)
        body.addWidget(self._new_reading())
        self.problem = QLabel()
        self.problem.setWordWrap(True)
        self.problem.setStyleSheet("padding: 4px; border-radius: 3px; color: white; background: #8c3b3b;")
        self.problem.hide()
        body.addWidget(self.problem)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        body.addWidget(buttons)
        self.list.currentRowChanged.connect(self._refresh)
        self.open_button.clicked.connect(self._open)
        self.first_button.clicked.connect(self.finish_first)
        self.agreement_button.clicked.connect(self._show_agreement)
        self.finished.connect(self._close)
        self._fill()

    def begin(self) -> None:
        """Begin a second reading with the present choices."""
        chosen = [
            str(item.data(Qt.ItemDataRole.UserRole))
            for item in map(self.clips.item, range(self.clips.count()))
            if item.checkState() == CHECKED
        ]
        try:
            create_reading(
                self._project,
                self.reader.text(),
                clip_ids=chosen,
                start="student" if self.with_student.isChecked() else "nothing",
            )
        except VfssError as error:
            self._show_problem(str(error))
            return
        self.reader.clear()
        self._show_problem("")
        self._fill()
        self.list.setCurrentRow(self.list.count() - 1)

    def finish_first(self) -> None:
        """Record that the first reader has finished, for the chosen reading."""
        reading = self.reading
        if reading is not None:
            try:
                finish_first(self._project, reading)
            except VfssError as error:
                self._show_problem(str(error))
            row = self.list.currentRow()
            self._fill()
            self.list.setCurrentRow(row)

    @property
    def reading(self) -> Reading | None:
        """The chosen reading."""
        row = self.list.currentRow()
        return self._readings[row] if 0 <= row < len(self._readings) else None

    def _new_reading(self) -> QGroupBox:
        group = QGroupBox("Begin a second reading")
        body = QVBoxLayout(group)
        self.reader = QLineEdit()
        self.reader.setPlaceholderText("name or initials of the second reader")
        self.reader.setToolTip("Stored with every change of the second reader")
        self.reader.setAccessibleName("Second reader")
        self.clips = QListWidget()
        self.clips.setFixedHeight(96)
        self.clips.setToolTip("Clips to annotate a second time")
        self.clips.setAccessibleName("Clips to annotate a second time")
        for record in self._project.clips():
            item = QListWidgetItem(f"{record.path.name}   {record.patient}")
            item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
            item.setCheckState(CHECKED)
            item.setData(Qt.ItemDataRole.UserRole, record.id)
            self.clips.addItem(item)
        self.with_nothing = QRadioButton("Without proposals: the reader draws every mask, the student is switched off")
        self.with_student = QRadioButton("With proposals of the shipped student, which was not trained on your masks")
        self.with_nothing.setChecked(True)
        self.with_nothing.setToolTip("The two readers are fully independent")
        self.with_student.setToolTip("Faster, but readers who correct the same proposals agree more than they would")
        self.begin_button = _button("Begin", "Create the second reading, without any mask of the first reader")
        self.begin_button.clicked.connect(self.begin)
        for widget in (self.reader, self.clips, self.with_nothing, self.with_student, self.begin_button):
            body.addWidget(widget)
        return group

    def _fill(self) -> None:
        self._readings = readings(self._project)
        self.list.clear()
        for reading in self._readings:
            self.list.addItem(describe_reading(reading))
        if self._readings:
            self.list.setCurrentRow(0)
        else:
            self.list.addItem("None yet.")
        self._refresh()

    def _refresh(self, *_: object) -> None:
        reading = self.reading
        self.open_button.setEnabled(reading is not None)
        self.first_button.setEnabled(reading is not None and reading.first_until is None)
        self.agreement_button.setEnabled(reading is not None and not reading.blinded)

    def _open(self) -> None:
        if self.reading is not None:
            folder = self.reading.folder
            self.accept()
            self.open_asked.emit(folder)

    def _show_agreement(self) -> None:
        reading, folder = self.reading, self._project.folder
        if reading is not None:
            self.accept()
            self.agreement_asked.emit(folder, reading)

    def _show_problem(self, problem: str) -> None:
        self.problem.setText(problem)
        self.problem.setVisible(bool(problem))

    def _close(self, *_: object) -> None:
        self._project.close()


def describe_reading(reading: Reading) -> str:
    """Describe a reading in a line: its reader, its clips, and who has finished."""
    clips = count(len(reading.clips), "clip")
    first = "finished" if reading.first_until is not None else "in progress"
    second = "finished" if reading.finished is not None else "in progress"
    access = "blinded" if reading.blinded else "can be compared"
    return f"{reading.reader}, {clips}: second reader {second}, first reader {first}; {access}"


def _button(text: str, tip: str) -> QPushButton:
    push_button = QPushButton(text)
    push_button.setToolTip(tip)
    push_button.setAutoDefault(False)
    return push_button
