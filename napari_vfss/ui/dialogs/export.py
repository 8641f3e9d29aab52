# SPDX-License-Identifier: Apache-2.0
"""The question before an export: in which form, what will be written, and who has looked at the pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

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
from napari_vfss.ui.dialog_parts import ProblemLine, dialog_button, set_body, words
from napari_vfss.ui.dialogs.export_options import ExportChoice, RecordingList
from napari_vfss.ui.redaction.dialog import ReviewDialog
from vfss.datasets import ExportOptions
from vfss.datasets.preview import ExportPreview
from vfss.errors import VfssError
from vfss.project import Project

UNSEEN = "Write recordings, too, at whose pixels nobody has looked"
ABOUT = "Names may stand in the picture itself. A person looks at each recording once, and says what must be hidden."
LEFT = 396


class ExportDialog(QDialog):
    """Lets a person choose, see and look; accepted with an order when a folder was named.

    Attributes:
        order: What to write, once the dialog is accepted.
        previewing: Counts what would be written.
        review: Dialog for the pixels of one recording, while it is open.
    """

    def __init__(self, project: Project, author: str, chosen: Mapping[str, Any], parent: QWidget | None = None) -> None:
        """Ask about one project, which is closed with the dialog.

        Args:
            project: The project.
            author: Who works here, the likely reviewer of pixels.
            chosen: What was chosen the last time.
            parent: Window that it belongs to.
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
        self._connections.add(self.recordings.itemDoubleClicked, self.look)
        self._connections.add(self.recordings.itemSelectionChanged, self._refresh)
        self._connections.add(self.unseen.toggled, self._refresh)
        self.finished.connect(self._close)
        self.resize(1260, 640)
        self.count()

    def count(self, *_: object) -> None:
        """Count anew what would be written."""
        self._preview = None
        self.previewing.ask(self._order(self._project.folder))
        self._refresh()

    def look(self, *_: object) -> None:
        """Look at the pixels of the chosen recording, in a dialog over this one."""
        record = self.recordings.record
        if record is None or self.review is not None:
            return
        self.problem.tell("")
        try:
            self.review = ReviewDialog(self._project, record, self._author, self)
        except (VfssError, OSError) as error:
            self.problem.tell(str(error))
            return
        self.review.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.review.finished.connect(self._on_looked)
        self.review.open()

    def ask_and_write(self) -> None:
        """Let a person choose a folder, and leave with the order."""
        name = QFileDialog.getExistingDirectory(self, "Folder for the dataset")
        if name:
            self.order = self._order(Path(name))
            self.accept()

    def _order(self, folder: Path) -> ExportOrder:
        return ExportOrder(self._project.folder, self.choice.format_name, folder, self._options())

    def _options(self) -> ExportOptions:
        return replace(self.choice.options, unreviewed=self.unseen.isChecked())

    def _lay_out(self) -> None:
        left = QScrollArea()
        left.setWidget(self.choice)
        left.setWidgetResizable(True)
        left.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        left.setFixedWidth(LEFT)
        left.setFrameShape(QScrollArea.Shape.NoFrame)
        right = QVBoxLayout()
        right.addWidget(self._what())
        right.addWidget(self._who(), 1)
        columns = QHBoxLayout()
        columns.addWidget(left)
        columns.addLayout(right, 1)
        self.problem = ProblemLine()
        self.why_not = words()
        self.cancel_button = dialog_button("Cancel", "Write nothing", self.reject)
        self.write_button = dialog_button(
            "Choose a folder and write...", "Write the dataset into a folder, beside this window", self.ask_and_write
        )
        set_body(self, columns, self.problem, self.why_not, self.cancel_button, self.write_button)

    def _what(self) -> QGroupBox:
        group = QGroupBox("What will be written")
        body = QVBoxLayout(group)
        self.bar = QProgressBar()
        self.bar.setRange(0, 0)
        self.bar.setFixedHeight(16)
        self.bar.setFormat("counting...")
        self.summary = words()
        self.summary.setTextFormat(Qt.TextFormat.RichText)
        body.addWidget(self.bar)
        body.addWidget(self.summary)
        return group

    def _who(self) -> QGroupBox:
        group = QGroupBox("Recordings, and who has looked at their pixels")
        body = QVBoxLayout(group)
        self.recordings = RecordingList()
        self.look_button = dialog_button(
            "Look at the pixels...", "See all frames of the chosen recording, and say what must be hidden", self.look
        )
        self.unseen = QCheckBox(UNSEEN)
        self.unseen.setToolTip("The dataset says so, and must not be passed on: names may stand in the pictures")
        row = QHBoxLayout()
        row.addWidget(self.look_button)
        row.addWidget(self.unseen)
        row.addStretch(1)
        body.addWidget(words(ABOUT))
        body.addWidget(self.recordings, 1)
        body.addLayout(row)
        return group

    def _on_previewed(self, problem: str, counted: ExportPreview | None) -> None:
        self._preview = counted
        self.problem.tell(problem if counted is None else "")
        if counted is not None:
            lines = [*counted.lines(self._project.schema), "", "In the folder:"]
            holds = "".join(f"<br>&nbsp;&nbsp;{escape(one)}" for one in counted.holds)
            self.summary.setText("<br>".join(map(escape, lines)) + holds)
            self.recordings.show_recordings(counted.recordings)
        self._refresh()

    def _on_looked(self, *_: object) -> None:
        self.review = None
        self.count()

    def _refresh(self, *_: object) -> None:
        counted = self._preview
        self.bar.setVisible(self.previewing.running)
        self.look_button.setEnabled(self.recordings.record is not None)
        reason = "Counting..." if counted is None else counted.obstacle(self._options())
        unseen = len(counted.unreviewed) if counted is not None else 0
        warned = f"⚠ The dataset will say that nobody looked at the pixels of {unseen} of its recordings."
        self.why_not.setText(reason or (warned if unseen else ""))
        self.write_button.setEnabled(counted is not None and not reason)

    def _close(self, *_: object) -> None:
        if self.review is not None:
            self.review.reject()
        self._connections.undo()
        self.previewing.abandon()
        self._project.close()
