# SPDX-License-Identifier: Apache-2.0
"""The question before an import: which masks, what their labels are, and what would be written where."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Qt
from qtpy.QtGui import QImage, QPixmap
from qtpy.QtWidgets import (
    QComboBox,
    QDialog,
    QDoubleSpinBox,
    QFileDialog,
    QFormLayout,
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
from napari_vfss.jobs.importing import ImportOrder, ImportOutlook, ImportPlanning, in_this_window
from napari_vfss.ui.dialog_parts import ProblemLine, dialog_button, set_body, words
from napari_vfss.ui.dialogs.label_mapping import LabelChoice
from vfss.importing import SOURCES, ImportChoices, ImportPlan, SourceOptions
from vfss.importing.report import STRUCTURE_HEADINGS, plan_lines, structure_rows
from vfss.project import Project

ABOUT = "Masks come in as proposals: none counts until you accept it, and nothing that a person has said is changed."
LEFT = 420
HEADINGS = ("Structure", "To write", "Over a proposal", "There already", "Protected")


class ImportDialog(QDialog):
    """Lets a person choose masks of another program; accepted with a plan.

    Attributes:
        planning: Looks at the source.
        outlook: What was found last; None before, and while it is looked at.
    """

    def __init__(self, project: Project, clip_id: str, parent: QWidget | None = None) -> None:
        """Ask about one project, which is closed with the dialog; clip_id is the recording that is open."""
        super().__init__(parent)
        self.setWindowTitle("Import masks of another program")
        self.planning = ImportPlanning()
        self.outlook: ImportOutlook | None = None
        self.path: Path | None = None
        self._project = project
        self._table: Path | None = None
        self._connections = Connections()
        self._lay_out(clip_id)
        add = self._connections.add
        add(self.planning.progressed, self._on_progress)
        add(self.planning.ended, self._on_looked)
        add(self.labels.changed, self.look_again)
        add(self.clips.currentIndexChanged, self.look_again)
        add(self.first.currentIndexChanged, self.look_again)
        add(self.threshold.valueChanged, self._open_anew)
        self.finished.connect(self._close)
        self.resize(1260, 660)
        self._refresh()

    @property
    def plan(self) -> ImportPlan | None:
        """What would be written."""
        return None if self.outlook is None else self.outlook.plan

    def ask_for_file(self) -> None:
        """Let a person choose a file of masks."""
        name, _ = QFileDialog.getOpenFileName(self, "File of masks")
        if name:
            self.look_at(Path(name))

    def ask_for_folder(self) -> None:
        """Let a person choose a folder of masks."""
        name = QFileDialog.getExistingDirectory(self, "Folder of masks")
        if name:
            self.look_at(Path(name))

    def ask_for_table(self) -> None:
        """Let a person choose a file with the names of label values."""
        name, _ = QFileDialog.getOpenFileName(self, "Names of label values", filter="JSON (*.json)")
        if name:
            self._table = Path(name)
            self.table_button.setText(f"Names: {self._table.name}")
            self._open_anew()

    def look_at(self, path: Path) -> None:
        """Open a source and look at its masks."""
        self.path = path
        self.source.setText(str(path))
        self._open_anew()

    def look_again(self, *_: object) -> None:
        """Look at the open source once more, with what is chosen now."""
        if self.outlook is None or self.path is None:
            self._open_anew()
            return
        choices = ImportChoices(self.clips.currentData(), self.labels.choices, self.first.currentData())
        self._ask(ImportOrder(self._project.folder, self.path, self._options(), choices, self.outlook.source))

    def _open_anew(self, *_: object) -> None:
        if self.path is not None:
            choices = ImportChoices(self.clips.currentData(), {}, self.first.currentData())
            self.outlook = None
            self.labels.show_labels((), {})
            self._ask(ImportOrder(self._project.folder, self.path, self._options(), choices))

    def _ask(self, order: ImportOrder) -> None:
        self.bar.setRange(0, 0)
        self.planning.ask(order)
        self._refresh()

    def _options(self) -> SourceOptions:
        return SourceOptions(self._table, self.threshold.value() or None)

    def _lay_out(self, clip_id: str) -> None:
        left, right = QWidget(), QVBoxLayout()
        left.setFixedWidth(LEFT)
        column = QVBoxLayout(left)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(words(ABOUT))
        column.addWidget(self._where_from())
        column.addWidget(self._where_to(clip_id))
        column.addWidget(self._what(), 1)
        right.addWidget(self._outcome(), 1)
        columns = QHBoxLayout()
        columns.addWidget(left)
        columns.addLayout(right, 1)
        self.problem, self.why_not = ProblemLine(), words()
        self.cancel_button = dialog_button("Cancel", "Write nothing", self.reject)
        self.write_button = dialog_button("Write as proposals", "Write the masks, beside this window", self.accept)
        set_body(self, columns, self.problem, self.why_not, self.cancel_button, self.write_button)

    def _where_from(self) -> QGroupBox:
        group = QGroupBox("Masks")
        body = QVBoxLayout(group)
        kinds = ", ".join(kind.title for kind in SOURCES.values())
        self.source = words(f"Choose a file or a folder. Known are: {kinds}.")
        self.file_button = dialog_button("File...", "Choose a file of masks", self.ask_for_file)
        self.folder_button = dialog_button("Folder...", "Choose a folder of masks", self.ask_for_folder)
        self.table_button = dialog_button(
            "Names of values...", 'JSON file that names the values of label images: {"bolus": 1}', self.ask_for_table
        )
        self.threshold = QDoubleSpinBox()
        self.threshold.setRange(0, 1)
        self.threshold.setSingleStep(0.1)
        self.threshold.setSpecialValueText("not taken")
        self.threshold.setToolTip("From which probability on a pixel counts, for DICOM segmentations with fractions")
        row, more = QHBoxLayout(), QHBoxLayout()
        for button in (self.file_button, self.folder_button, self.table_button):
            row.addWidget(button)
        more.addWidget(QLabel("Probabilities count from"))
        more.addWidget(self.threshold, 1)
        body.addWidget(self.source)
        body.addLayout(row)
        body.addLayout(more)
        return group

    def _where_to(self, clip_id: str) -> QGroupBox:
        group = QGroupBox("Where they do not say it themselves")
        body = QFormLayout(group)
        self.clips, self.first = QComboBox(), QComboBox()
        self.clips.setToolTip("The recording that the masks belong to")
        for record in self._project.clips():
            self.clips.addItem(f"{record.path.name}, {record.n_frames} frames", record.id)
        self.clips.setCurrentIndex(max(0, self.clips.findData(clip_id)))
        self.first.setToolTip("The number that the first frame has in the names of the files")
        for text, number in (("found out by the numbers", None), ("has number 0", 0), ("has number 1", 1)):
            self.first.addItem(text, number)
        body.addRow("Recording", self.clips)
        body.addRow("First frame", self.first)
        return group

    def _what(self) -> QGroupBox:
        group = QGroupBox("What is what")
        body = QVBoxLayout(group)
        self.labels = LabelChoice(self._project.schema)
        self.united = words()
        body.addWidget(self.labels, 1)
        body.addWidget(self.united)
        return group

    def _outcome(self) -> QGroupBox:
        group = QGroupBox("What would be written")
        body = QVBoxLayout(group)
        self.bar = QProgressBar()
        self.bar.setFixedHeight(16)
        self.bar.setFormat("looking at the masks... %v of %m")
        self.lines = words()
        self.lines.setTextFormat(Qt.TextFormat.PlainText)
        self.counts = QTableWidget(0, len(STRUCTURE_HEADINGS))
        self.counts.setHorizontalHeaderLabels(HEADINGS)
        self.counts.setToolTip("Masks by structure; protected are those on which a person has spoken")
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

    def _on_looked(self, problem: str, outlook: ImportOutlook | None) -> None:
        if outlook is None:
            self.outlook = None
            self.problem.tell(problem)
        else:
            if self.outlook is None or self.outlook.source is not outlook.source:
                self.labels.show_labels(outlook.source.labels, outlook.choices.labels)
            self.outlook = outlook
            self.problem.tell(in_this_window(outlook.problem))
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
        self.labels.show_found({} if plan is None else plan.found)
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
        self.united.setText(f"⚠ Several labels are united: {', '.join(united)}." if united else "")
        self.united.setVisible(bool(united))
        reason = "" if plan is not None and plan.counts else "There is nothing to write from these masks."
        reason = "Say first what is missing." if plan is None else reason
        reason = "Choose a file or a folder of masks." if self.path is None else reason
        self.why_not.setText("Looking at the masks..." if running else reason)
        self.write_button.setEnabled(not running and not reason)

    def _close(self, *_: object) -> None:
        self._connections.undo()
        self.planning.abandon()
        self._project.close()
