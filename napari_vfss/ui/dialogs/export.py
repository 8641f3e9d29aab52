# SPDX-License-Identifier: Apache-2.0
"""Dialog before an export: the format, what will be written, and whether the pixels have been reviewed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QDialog,
    QFileDialog,
    QGroupBox,
    QHBoxLayout,
    QProgressBar,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from napari_vfss.connections import Connections
from napari_vfss.jobs.files import ExportOrder, Previewing
from napari_vfss.ui.dialog_parts import ProblemLine, dialog_button, set_body, wrapped_label
from napari_vfss.ui.dialogs.case_notice import CaseNotice
from napari_vfss.ui.dialogs.export_options import ExportChoice, RecordingList
from napari_vfss.ui.redaction.dialog import ReviewDialog
from vfss.datasets import ExportOptions
from vfss.datasets.preview import ExportPreview
from vfss.errors import VfssError
from vfss.wording import count

if TYPE_CHECKING:
    from vfss.project import Project

UNREVIEWED = "Also export recordings whose pixels have not been reviewed"
ABOUT = "Patient names may be burned into the picture. Review each recording once, and mark what must be hidden."
LEFT = 396


class ExportDialog(QDialog):
    """Lets a person choose a format, preview the export and review pixels; accepted once a folder was chosen.

    Attributes:
        order: What to write, once the dialog is accepted.
        previewing: Background job that counts what would be written.
        review: Dialog for the pixels of one recording, while it is open.
    """

    def __init__(self, project: Project, author: str, chosen: Mapping[str, Any], parent: QWidget | None = None) -> None:
        """Open the dialog on a project, which is closed with the dialog.

        Args:
            project: The project.
            author: The annotator, suggested as reviewer of pixels.
            chosen: Choices of the last time, as `ExportChoice.chosen` returns them.
            parent: Window that the dialog belongs to.
        """
        super().__init__(parent)
        self.setWindowTitle("Export a dataset")
        self.order: ExportOrder | None = None
        self.review: ReviewDialog | None = None
        self.previewing = Previewing()
        self._project, self._author = project, author
        self._preview: ExportPreview | None = None
        self._connections = Connections()
        self.choice = ExportChoice(project.schema, chosen)
        self._lay_out()
        self._connections.add(self.previewing.ended, self._on_previewed)
        self._connections.add(self.choice.changed, self.count)
        self._connections.add(self.recordings.itemDoubleClicked, self.review_pixels)
        self._connections.add(self.recordings.itemSelectionChanged, self._refresh)
        self._connections.add(self.unreviewed.toggled, self._refresh)
        self._connections.add(self.cases.confirmed, self.count)
        self.finished.connect(self._close)
        self.resize(1260, 640)
        self.count()

    def count(self, *_: object) -> None:
        """Start to count what would be written."""
        self._preview = None
        self.previewing.ask(self._order(self._project.folder))
        self._refresh()

    def review_pixels(self, *_: object) -> None:
        """Review the pixels of the chosen recording, in a dialog over this one."""
        record = self.recordings.record
        if record is None or self.review is not None:
            return
        self.problem.show_problem("")
        try:
            self.review = ReviewDialog(self._project, record, self._author, self)
        except (VfssError, OSError) as error:
            self.problem.show_problem(str(error))
            return
        self.review.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.review.finished.connect(self._on_reviewed)
        self.review.open()

    def ask_and_write(self) -> None:
        """Let a person choose a folder, and accept the dialog with the order."""
        name = QFileDialog.getExistingDirectory(self, "Folder for the dataset")
        if name:
            self.order = self._order(Path(name))
            self.accept()

    def _order(self, folder: Path) -> ExportOrder:
        return ExportOrder(self._project.folder, self.choice.format_name, folder, self._options())

    def _options(self) -> ExportOptions:
        return replace(self.choice.options, unreviewed=self.unreviewed.isChecked())

    def _lay_out(self) -> None:
        left = QScrollArea()
        left.setWidget(self.choice)
        left.setWidgetResizable(True)
        left.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        left.setFixedWidth(LEFT)
        left.setFrameShape(QScrollArea.Shape.NoFrame)
        self.cases = CaseNotice(self._project.folder)
        right = QVBoxLayout()
        right.addWidget(self.cases)
        right.addWidget(self._summary_group())
        right.addWidget(self._review_group(), 1)
        columns = QHBoxLayout()
        columns.addWidget(left)
        columns.addLayout(right, 1)
        self.problem = ProblemLine()
        self.why_not = wrapped_label()
        self.cancel_button = dialog_button("Cancel", "Write nothing", self.reject)
        self.write_button = dialog_button(
            "Choose a folder and write...",
            "Choose a folder and export the dataset into it, in the background",
            self.ask_and_write,
        )
        set_body(self, columns, self.problem, self.why_not, self.cancel_button, self.write_button)

    def _summary_group(self) -> QGroupBox:
        group = QGroupBox("What will be written")
        body = QVBoxLayout(group)
        self.bar = QProgressBar()
        self.bar.setRange(0, 0)
        self.bar.setFixedHeight(16)
        self.bar.setFormat("counting...")
        self.summary = wrapped_label()
        self.summary.setTextFormat(Qt.TextFormat.RichText)
        body.addWidget(self.bar)
        body.addWidget(self.summary)
        return group

    def _review_group(self) -> QGroupBox:
        group = QGroupBox("Recordings, and the review of their pixels")
        body = QVBoxLayout(group)
        self.recordings = RecordingList()
        self.review_button = dialog_button(
            "Review pixels...",
            "View all frames of the chosen recording, and mark what must be hidden",
            self.review_pixels,
        )
        self.unreviewed = QCheckBox(UNREVIEWED)
        self.unreviewed.setToolTip("The dataset will say so and must not be shared: the frames may show names")
        row = QHBoxLayout()
        row.addWidget(self.review_button)
        row.addWidget(self.unreviewed)
        row.addStretch(1)
        body.addWidget(wrapped_label(ABOUT))
        body.addWidget(self.recordings, 1)
        body.addLayout(row)
        return group

    def _on_previewed(self, problem: str, counted: ExportPreview | None) -> None:
        self._preview = counted
        self.problem.show_problem(problem if counted is None else "")
        if counted is not None:
            lines = [*counted.lines(self._project.schema), "", "In the folder:"]
            holds = "".join(f"<br>&nbsp;&nbsp;{escape(name)}" for name in counted.contents)
            self.summary.setText("<br>".join(map(escape, lines)) + holds)
            self.recordings.show_recordings(counted.recordings)
        self._refresh()

    def _on_reviewed(self, *_: object) -> None:
        self.review = None
        self.count()

    def _refresh(self, *_: object) -> None:
        counted = self._preview
        self.bar.setVisible(self.previewing.running)
        self.review_button.setEnabled(self.recordings.record is not None)
        reason = "Counting..." if counted is None else counted.obstacle(self._options())
        unreviewed = len(counted.unreviewed) if counted is not None else 0
        warning = f"⚠ The dataset will say that the pixels of {count(unreviewed, 'recording')} were not reviewed."
        self.why_not.setText(reason or (warning if unreviewed else ""))
        self.write_button.setEnabled(counted is not None and not reason)

    def _close(self, *_: object) -> None:
        if self.review is not None:
            self.review.reject()
        self.cases.close_dialog()
        self._connections.undo()
        self.previewing.abandon()
        self._project.close()
