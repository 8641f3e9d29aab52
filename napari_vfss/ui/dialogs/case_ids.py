# SPDX-License-Identifier: Apache-2.0
"""Dialog in which a person confirms whose each recording is: a rule on top, and what it gives for each recording."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QDialog,
    QFormLayout,
    QHeaderView,
    QLineEdit,
    QProgressBar,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_vfss.connections import Connections
from napari_vfss.jobs.cases import FilmHashing, NameReading
from napari_vfss.ui.dialog_parts import ProblemLine, dialog_button, line_edit, set_body, wrapped_label
from vfss.errors import VfssError
from vfss.project import Project
from vfss.project.case_rule import FIRST_PART, WHOLE, WORD_AND_NUMBER, CaseRule, RecordingNames, Source, guess_rule
from vfss.project.case_table import CaseRow, case_table, confirm_cases, remarks, summary

ABOUT = (
    "Recordings of one patient must have one case id, so that no patient is in training and in evaluation. Choose "
    "where the id stands, correct single rows if needed, then confirm."
)
PRIVACY = (
    "Case ids stay in this project. Exports and de-identified copies replace them with neutral names, so a patient "
    "number may stand here; whoever can open the project sees it."
)
READ_ONLY = "Case ids cannot be confirmed: the project is read-only."
HEADINGS = ("Recording", "Case id", "From")
RECORDING, CASE, FROM = range(3)
SOURCES = {"dicom": "DICOM Patient ID", "folder": "folder name", "file": "file name"}
PARTS = {
    FIRST_PART: "part before the first _ or -",
    WORD_AND_NUMBER: "first word with its number",
    WHOLE: "whole name",
}
OWN = "own pattern"
FROM_TEXTS = {"confirmed": "confirmed", "rule": "the rule", "same film": "same film", "content": "no id found"}


class CaseIdsDialog(QDialog):
    """Shows the case id of each recording by the rule on top, lets a person correct them, and confirms them.

    Attributes:
        reading: Background job that reads the names of the recordings.
        hashing: Background job that looks for the same film twice.
    """

    confirmed = Signal()

    def __init__(self, folder: Path, parent: QWidget | None = None) -> None:
        """Open the dialog on a project.

        Raises:
            ProjectError: The project cannot be opened.
        """
        super().__init__(parent)
        self.setWindowTitle("Whose recordings are these?")
        self.resize(720, 560)
        self._project = Project.open(folder)
        self._records = self._project.clips()
        self._names: dict[str, RecordingNames] = {}
        self._rows: list[CaseRow] = []
        self._typed: dict[str, str] = {}
        self._connections = Connections()
        self.reading, self.hashing = NameReading(), FilmHashing()  # no parent: they may outlive the dialog
        self._lay_out()
        self._connections.add(self.source.currentIndexChanged, self._on_rule)
        self._connections.add(self.part.currentIndexChanged, self._on_part)
        self._connections.add(self.pattern.textEdited, self._on_rule)
        self._connections.add(self.table.itemChanged, self._on_edited)
        self._connections.add(self.reading.ended, self._on_names)
        self._connections.add(self.hashing.progressed, self._on_progress)
        self._connections.add(self.hashing.ended, self._on_hashed)
        self.finished.connect(self._close)
        self._show_rule(self._project.case_rule() or CaseRule("file", FIRST_PART))
        self.reading.start(folder)
        self.preview()

    @property
    def rule(self) -> CaseRule:
        """The rule as it is chosen now.

        Raises:
            ProjectError: The pattern is no regular expression.
        """
        return CaseRule(cast("Source", self.source.currentData()), self.pattern.text() or WHOLE)

    @property
    def cases(self) -> dict[str, str]:
        """Case id by the id of the clip, as it stands in the table."""
        return {row.record.id: self._typed.get(row.record.id, row.case) for row in self._rows}

    def preview(self) -> None:
        """Show what the rule gives for each recording; rows that a person typed stay."""
        try:
            rule = self.rule
            self._rows = case_table(self._records, self._names, rule, self._project.cases().films)
        except VfssError as error:
            self.problem.show_problem(str(error))
            self.confirm_button.setEnabled(False)
            return
        self.problem.show_problem("")
        self.table.blockSignals(True)
        self.table.setRowCount(len(self._rows))
        for i, row in enumerate(self._rows):
            self._show_row(i, row)
        self.table.blockSignals(False)
        self._show_remarks()

    def confirm(self) -> None:
        """Confirm the cases as they stand in the table; those that cannot be are named, and the dialog stays."""
        try:
            refused = confirm_cases(self._project, self.rule, self.cases)
            self._records = self._project.clips()
        except VfssError as error:
            self.problem.show_problem(str(error))
            return
        self.confirmed.emit()
        if not refused:
            self.accept()
            return
        self._typed.clear()
        self.preview()
        self.problem.show_problem("\n".join(refused))

    def _lay_out(self) -> None:
        self.source, self.part = QComboBox(), QComboBox()
        for key, text in SOURCES.items():
            self.source.addItem(text, key)
        for pattern, text in PARTS.items():
            self.part.addItem(text, pattern)
        self.part.addItem(OWN, None)
        self.pattern: QLineEdit = line_edit("", r"P\d+", "Regular expression that finds the case id in the name")
        for widget, name in ((self.source, "Case id from"), (self.part, "Part of it"), (self.pattern, "Pattern")):
            widget.setAccessibleName(name)
        self.source.setToolTip("Where the case id of a recording stands")
        self.part.setToolTip("Which part of it is the case id")
        form = QFormLayout()
        form.addRow("Case id from", self.source)
        form.addRow("Part of it", self.part)
        form.addRow("Pattern", self.pattern)
        self._make_table()
        self.bar = QProgressBar()
        self.bar.setFixedHeight(16)
        self.bar.setFormat("looking for the same film twice, %v of %m")
        self.bar.hide()
        self.remarks, self.summary, self.problem = wrapped_label(), wrapped_label(), ProblemLine()
        content = QVBoxLayout()
        content.addWidget(wrapped_label(ABOUT))
        content.addLayout(form)
        content.addWidget(self.table, 1)
        content.addWidget(self.bar)
        content.addWidget(self.remarks)
        content.addWidget(wrapped_label(PRIVACY))
        cancel = dialog_button("Cancel", "Close this window; nothing is confirmed or changed", self.reject)
        tip = "Keep these case ids as confirmed by you, and the rule for recordings that are added later"
        self.confirm_button = dialog_button("Confirm", tip, self.confirm)
        set_body(self, content, self.problem, self.summary, cancel, self.confirm_button)

    def _make_table(self) -> None:
        self.table = QTableWidget(0, len(HEADINGS))
        self.table.setHorizontalHeaderLabels(HEADINGS)
        self.table.setAccessibleName("Recordings and case ids")
        self.table.setToolTip("Double click a case id to correct it")
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setTabKeyNavigation(False)
        side, head = self.table.verticalHeader(), self.table.horizontalHeader()
        if side is not None and head is not None:
            side.hide()
            head.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)

    def _show_rule(self, rule: CaseRule) -> None:
        """Show a rule in the boxes, which then announce it as if a person had chosen it."""
        for box in (self.source, self.part):
            box.blockSignals(True)
        self.source.setCurrentIndex(self.source.findData(rule.source))
        known = self.part.findData(rule.pattern)
        self.part.setCurrentIndex(known if known >= 0 else self.part.count() - 1)
        self.pattern.setText(rule.pattern)
        self.pattern.setEnabled(known < 0)
        for box in (self.source, self.part):
            box.blockSignals(False)

    def _show_row(self, i: int, row: CaseRow) -> None:
        typed = self._typed.get(row.record.id)
        source = "typed" if typed is not None else FROM_TEXTS[row.case_from]
        if row.copies:
            source = f"{source}; same film as {', '.join(row.copies)}"
        for column, text in ((RECORDING, row.record.path.name), (CASE, typed or row.case), (FROM, source)):
            item = QTableWidgetItem(text)
            item.setToolTip(str(row.record.path) if column == RECORDING else text)
            if column != CASE:
                item.setFlags(item.flags() & ~Qt.ItemFlag.ItemIsEditable)
            self.table.setItem(i, column, item)

    def _show_remarks(self) -> None:
        cases = list(self.cases.values())
        found = remarks(self._rows, cases, self._project.assigned_splits())
        self.remarks.setText("\n".join(f"⚠ {remark}" for remark in found))
        self.remarks.setVisible(bool(found))
        self.summary.setText(READ_ONLY if self._project.read_only else summary(self._rows, cases))
        self.confirm_button.setEnabled(bool(self._rows) and not self._project.read_only and not self.reading.running)

    def _on_rule(self, *_: object) -> None:
        self.preview()

    def _on_part(self, *_: object) -> None:
        pattern = self.part.currentData()
        self.pattern.setEnabled(pattern is None)
        if pattern is not None:
            self.pattern.setText(pattern)
        self.preview()

    def _on_edited(self, item: QTableWidgetItem) -> None:
        if item.column() != CASE:
            return
        row, text = self._rows[item.row()], item.text().strip()
        if text and text != row.case:
            self._typed[row.record.id] = text
        else:
            self._typed.pop(row.record.id, None)
        self.preview()

    def _on_names(self, problem: str, names: dict[str, RecordingNames] | None) -> None:
        self._names = names or {}
        if self._project.case_rule() is None:
            self._show_rule(guess_rule(list(self._names.values())))
        self.preview()
        if problem:
            self.problem.show_problem(problem)
        self.hashing.start(self._project.folder)

    def _on_progress(self, done: int, total: int) -> None:
        self.bar.setRange(0, total)
        self.bar.setValue(done)
        self.bar.setVisible(done < total)

    def _on_hashed(self, problem: str, _hashed: object) -> None:
        self.bar.hide()
        self._records = self._project.clips()
        self.preview()
        if problem:
            self.problem.show_problem(problem)

    def _close(self, *_: object) -> None:
        self._connections.undo()
        self.reading.cancel()
        self.hashing.cancel()
        self._project.close()
