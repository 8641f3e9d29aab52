# SPDX-License-Identifier: Apache-2.0
"""Dialog before an import: which masks, of which recording and structure, and what would be written."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtGui import QImage, QPixmap
from qtpy.QtWidgets import (
    QComboBox,
    QDialog,
    QDoubleSpinBox,
    QFileDialog,
    QGroupBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QProgressBar,
    QScrollArea,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_vfss.connections import Connections
from napari_vfss.jobs.importing import ImportOrder, ImportOutlook, ImportPlanning, in_dialog_terms
from napari_vfss.ui.dialog_parts import ProblemLine, dialog_button, set_body, wrapped_label
from napari_vfss.ui.dialogs.label_mapping import LabelChoice
from napari_vfss.ui.dialogs.recording_choice import RecordingChoice
from vfss.importing import SOURCES, ImportChoices, ImportPlan, SourceOptions
from vfss.importing.report import STRUCTURE_HEADINGS, plan_lines, structure_rows

if TYPE_CHECKING:
    from vfss.project import Project

ABOUT = "Masks are imported as proposals: accept them as you would any proposal. Annotated masks are never changed."
LEFT = 420
_RECORDINGS = 132  # px: four rows
HEADINGS = ("Structure", "To write", "Replace proposals", "Present already", "Protected")


class ImportDialog(QDialog):
    """Lets a person choose masks of another program; accepted with a plan.

    Attributes:
        planning: Background job that reads the source.
        outlook: Result of the last reading; None before and while a source is read.
    """

    def __init__(self, project: Project, clip_id: str, parent: QWidget | None = None) -> None:
        """Open the dialog on a project, which is closed with the dialog; clip_id is the open recording."""
        super().__init__(parent)
        self.setWindowTitle("Import masks of another program")
        self.planning = ImportPlanning()
        self.outlook: ImportOutlook | None = None
        self.path: Path | None = None
        self._project = project
        self._clip_id = clip_id
        self._table: Path | None = None
        self._key: Path | None = None
        self._connections = Connections()
        self._lay_out()
        add = self._connections.add
        add(self.planning.progressed, self._on_progress)
        add(self.planning.ended, self._on_planned)
        add(self.labels.changed, self.plan_again)
        add(self.recordings.changed, self.plan_again)
        add(self.first.currentIndexChanged, self.plan_again)
        add(self.threshold.valueChanged, self._reopen)
        self.finished.connect(self._close)
        self.resize(1260, 660)
        self._refresh()

    @property
    def plan(self) -> ImportPlan | None:
        """The plan of what would be written."""
        return None if self.outlook is None else self.outlook.plan

    def ask_for_file(self) -> None:
        """Let a person choose a file of masks."""
        name, _ = QFileDialog.getOpenFileName(self, "File of masks")
        if name:
            self.open_source(Path(name))

    def ask_for_folder(self) -> None:
        """Let a person choose a folder of masks."""
        name = QFileDialog.getExistingDirectory(self, "Folder of masks")
        if name:
            self.open_source(Path(name))

    def ask_for_table(self) -> None:
        """Let a person choose a file with the names of label values."""
        name, _ = QFileDialog.getOpenFileName(self, "Label names", filter="Names (*.json *.yaml *.yml *.txt *.names)")
        if name:
            self._table = Path(name)
            self.table_button.setText(f"Label names: {self._table.name}")
            self._reopen()

    def ask_for_key(self) -> None:
        """Let a person choose the case key of the project that exported the masks."""
        name, _ = QFileDialog.getOpenFileName(self, "Case key", filter="Case key (*.json)")
        if name:
            self._key = Path(name)
            self.key_button.setText(f"Case key: {self._key.name}")
            self._reopen()

    def open_source(self, path: Path) -> None:
        """Open a source and read its masks."""
        self.path = path
        self.source.setText(str(path))
        self._reopen()

    def plan_again(self, *_: object) -> None:
        """Plan again for the open source, with the present choices."""
        if self.outlook is None or self.path is None:
            self._reopen()
            return
        choices = ImportChoices(
            labels=self.labels.choices,
            first_frame=self.first.currentData(),
            key=self._key,
            recordings=self.recordings.choices,
        )
        self._ask(ImportOrder(self._project.folder, self.path, self._options(), choices, self.outlook.source))

    def _reopen(self, *_: object) -> None:
        if self.path is not None:
            choices = ImportChoices(self._clip_id, {}, self.first.currentData(), self._key)
            self.outlook = None
            self.labels.show_labels((), {})
            self.recordings.show_recordings((), {})
            self._ask(ImportOrder(self._project.folder, self.path, self._options(), choices))

    def _ask(self, order: ImportOrder) -> None:
        self.bar.setRange(0, 0)
        self.planning.ask(order)
        self._refresh()

    def _options(self) -> SourceOptions:
        return SourceOptions(self._table, self.threshold.value() or None)

    def _lay_out(self) -> None:
        left, right = QWidget(), QVBoxLayout()
        left.setFixedWidth(LEFT)
        column = QVBoxLayout(left)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(wrapped_label(ABOUT))
        column.addWidget(self._source_group())
        column.addWidget(self._target_group())
        column.addWidget(self._labels_group(), 1)
        right.addWidget(self._outcome_group(), 1)
        columns = QHBoxLayout()
        columns.addWidget(left)
        columns.addLayout(right, 1)
        self.problem, self.why_not = ProblemLine(), wrapped_label()
        self.cancel_button = dialog_button("Cancel", "Write nothing", self.reject)
        self.write_button = dialog_button(
            "Import as proposals", "Write the masks into the project as proposals, in the background", self.accept
        )
        set_body(self, columns, self.problem, self.why_not, self.cancel_button, self.write_button)

    def _source_group(self) -> QGroupBox:
        group = QGroupBox("Masks")
        body = QVBoxLayout(group)
        kinds = ", ".join(kind.title for kind in SOURCES.values())
        self.source = wrapped_label(f"Choose a file or a folder. Known formats: {kinds}.")
        self.file_button = dialog_button("File...", "Choose a file of masks", self.ask_for_file)
        self.folder_button = dialog_button("Folder...", "Choose a folder of masks", self.ask_for_folder)
        self.table_button = dialog_button(
            "Label names...",
            'File with the names of the values in label images, e.g. {"bolus": 1}, or data.yaml of YOLO',
            self.ask_for_table,
        )
        self.threshold = QDoubleSpinBox()
        self.threshold.setRange(0, 1)
        self.threshold.setSingleStep(0.1)
        self.threshold.setSpecialValueText("not set")
        self.threshold.setToolTip("A pixel belongs to a mask from this probability on; for fractional DICOM SEG only")
        self.threshold.setAccessibleName("Probability threshold")
        row, below = QHBoxLayout(), QHBoxLayout()
        for button in (self.file_button, self.folder_button, self.table_button):
            row.addWidget(button)
        below.addWidget(QLabel("Probability threshold"))
        below.addWidget(self.threshold, 1)
        body.addWidget(self.source)
        body.addLayout(row)
        body.addLayout(below)
        return group

    def _target_group(self) -> QGroupBox:
        group = QGroupBox("Recordings")
        body = QVBoxLayout(group)
        self.recordings = RecordingChoice(self._project.clips())
        self.recordings.setFixedHeight(_RECORDINGS)
        self.first = QComboBox()
        self.first.setToolTip("The number of the first frame in names of files that this program did not export")
        for text, number in (("detect from the numbers", None), ("has number 0", 0), ("has number 1", 1)):
            self.first.addItem(text, number)
        self.key_button = dialog_button(
            "Case key...", "Case key of another project, if that project exported the masks", self.ask_for_key
        )
        row = QHBoxLayout()
        row.addWidget(QLabel("First frame"))
        row.addWidget(self.first, 1)
        row.addWidget(self.key_button)
        body.addWidget(self.recordings, 1)
        body.addLayout(row)
        return group

    def _labels_group(self) -> QGroupBox:
        group = QGroupBox("Labels and structures")
        body = QVBoxLayout(group)
        self.labels = LabelChoice(self._project.schema)
        self.united = wrapped_label()
        body.addWidget(self.labels, 1)
        body.addWidget(self.united)
        return group

    def _outcome_group(self) -> QGroupBox:
        group = QGroupBox("What would be written")
        body = QVBoxLayout(group)
        self.bar = QProgressBar()
        self.bar.setFixedHeight(16)
        self.bar.setFormat("reading the masks... %v of %m")
        self.lines = wrapped_label()
        self.lines.setTextFormat(Qt.TextFormat.PlainText)
        self.counts = QTableWidget(0, len(STRUCTURE_HEADINGS))
        self.counts.setHorizontalHeaderLabels(HEADINGS)
        self.counts.setToolTip("Masks by structure; annotated masks are protected and stay as they are")
        self.counts.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.counts.setMaximumHeight(132)
        side, head = self.counts.verticalHeader(), self.counts.horizontalHeader()
        if side is not None and head is not None:
            side.hide()
            head.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        self.picture = QLabel()
        self.picture.setAccessibleName("Frames with the outlines that would be written")
        scroll = QScrollArea()
        scroll.setWidget(self.picture)
        scroll.setWidgetResizable(True)
        for widget in (self.bar, self.lines, self.counts):
            body.addWidget(widget)
        body.addWidget(scroll, 1)
        return group

    def _on_progress(self, done: int, total: int) -> None:
        self.bar.setRange(0, total)
        self.bar.setValue(done)

    def _on_planned(self, problem: str, outlook: ImportOutlook | None) -> None:
        if outlook is None:
            self.outlook = None
            self.problem.show_problem(problem)
        else:
            if self.outlook is None or self.outlook.source is not outlook.source:
                self.labels.show_labels(outlook.source.labels, outlook.choices.labels)
                self.recordings.show_recordings(outlook.recordings, dict(outlook.choices.recordings))
            self.outlook = outlook
            self.problem.show_problem(in_dialog_terms(outlook.problem))
        self._show_plan()
        self._refresh()

    def _show_plan(self) -> None:
        plan, outlook = self.plan, self.outlook
        self.lines.setText("\n".join(plan_lines(self._project, plan)) if plan is not None else "")
        rows = [] if plan is None else structure_rows(plan)
        self.counts.setRowCount(len(rows))
        for row, cells in enumerate(rows):
            for column, text in enumerate((self._project.schema[cells[0]].name, *cells[1:])):
                self.counts.setItem(row, column, QTableWidgetItem(text))
        self.labels.show_counts({} if plan is None else plan.mask_counts)
        picture = None if outlook is None else outlook.picture
        if picture is None:
            self.picture.clear()
            return
        height, width, _ = picture.shape
        image = QImage(picture.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888)
        self.picture.setPixmap(QPixmap.fromImage(image))

    def _refresh(self) -> None:
        running, plan = self.planning.running, self.plan
        self.bar.setVisible(running)
        united = self.labels.united
        self.united.setText(f"⚠ Several labels are merged into: {', '.join(united)}." if united else "")
        self.united.setVisible(bool(united))
        reason = "" if plan is not None and plan.counts else "There is nothing to write from these masks."
        reason = "Complete the choices on the left first." if plan is None else reason
        reason = "Choose a file or a folder of masks." if self.path is None else reason
        self.why_not.setText("Reading the masks..." if running else reason)
        self.write_button.setEnabled(not running and not reason)

    def _close(self, *_: object) -> None:
        self._connections.undo()
        self.planning.abandon()
        self._project.close()
