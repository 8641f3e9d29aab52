# SPDX-License-Identifier: Apache-2.0
"""Second readings of a project: how far they are, and beginning another one."""

from __future__ import annotations

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
from vfss.project import Project
from vfss.project.second_reading_record import Reading
from vfss.project.second_readings import create_reading, finish_first, readings
from vfss.wording import count

ABOUT = (
    "A second reader annotates the same clips without seeing the first reader's masks. Each finishes; "
    "then the two can be compared, as they were at that moment."
)
CHECKED, UNCHECKED = Qt.CheckState.Checked, Qt.CheckState.Unchecked


class ReadingDialog(QDialog):
    """Lists second readings, opens one, begins one, and takes the first reader's word of being finished."""

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
            "First reader has finished", "From now on later changes of the project do not count in the comparison"
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
        """Begin the second reading that was described."""
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
            self._tell(str(error))
            return
        self.reader.clear()
        self._tell("")
        self._fill()
        self.list.setCurrentRow(self.list.count() - 1)

    def finish_first(self) -> None:
        """Take the first reader's word that the project is finished, for the chosen reading."""
        reading = self.reading
        if reading is not None:
            try:
                finish_first(self._project, reading)
            except VfssError as error:
                self._tell(str(error))
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
        self.reader.setToolTip("The second reader's changes are written under this name")
        self.clips = QListWidget()
        self.clips.setFixedHeight(96)
        self.clips.setToolTip("Clips that are read a second time")
        for record in self._project.clips():
            item = QListWidgetItem(f"{record.path.name}   {record.patient}")
            item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
            item.setCheckState(CHECKED)
            item.setData(Qt.ItemDataRole.UserRole, record.id)
            self.clips.addItem(item)
        self.with_nothing = QRadioButton("From nothing: the reader draws all, the student is switched off")
        self.with_student = QRadioButton("From proposals of the student that ships, which knows nobody's masks")
        self.with_nothing.setChecked(True)
        self.with_nothing.setToolTip("The two readers are as independent as can be")
        self.with_student.setToolTip("Quicker; but both readers may follow the same proposals, and agree more for it")
        self.begin_button = _button("Begin", "Make the second reading; nothing of the first goes into it")
        self.begin_button.clicked.connect(self.begin)
        for widget in (self.reader, self.clips, self.with_nothing, self.with_student, self.begin_button):
            body.addWidget(widget)
        return group

    def _fill(self) -> None:
        self._readings = readings(self._project)
        self.list.clear()
        for reading in self._readings:
            self.list.addItem(told(reading))
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

    def _tell(self, problem: str) -> None:
        self.problem.setText(problem)
        self.problem.setVisible(bool(problem))

    def _close(self, *_: object) -> None:
        self._project.close()


def told(reading: Reading) -> str:
    """A reading in a line: whose it is, and who is still at work."""
    clips = count(len(reading.clips), "clip")
    first = "finished" if reading.first_until is not None else "at work"
    second = "finished" if reading.finished is not None else "at work"
    seen = "still blinded" if reading.blinded else "can be compared"
    return f"{reading.reader}, {clips}: second reader {second}, first reader {first}; {seen}"


def _button(text: str, tip: str) -> QPushButton:
    made = QPushButton(text)
    made.setToolTip(tip)
    made.setAutoDefault(False)
    return made
