# SPDX-License-Identifier: Apache-2.0
"""Page "Label check": accepted masks that look wrong, worst first, with the reasons in words."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractItemView, QCheckBox, QHBoxLayout, QHeaderView, QLabel, QProgressBar, QTreeWidget
from qtpy.QtWidgets import QTreeWidgetItem as Row

from napari_vfss.connections import Connections
from napari_vfss.controller.controller import AnnotationController
from napari_vfss.session.host import while_open
from napari_vfss.session.session import Session
from napari_vfss.ui.dialog_parts import dialog_button, wrapped_label
from napari_vfss.ui.pages import Page
from vfss.wording import count

MOST_ROWS = 500
"""Findings shown at once; the walk goes through all of them."""
_INTRODUCTION = (
    "Accepted masks that look wrong, the worst first. Go through them from the top, and stop when what you see is "
    "right. A finding is no error: it is worth a second look."
)


class LabelCheckPage(Page):
    """Starts the check, lists what it found, and goes to a mask."""

    title = "Label check"

    def __init__(self, controller: AnnotationController) -> None:
        super().__init__(controller)
        self.walk = controller.label_walk
        self.with_student = QCheckBox("Compare with the student (takes longer)")
        self.with_student.setToolTip("Let the present student draw each frame, and compare")
        self.with_student.setAccessibleName("Compare with the student")
        self.check_button = dialog_button("Check", "Check all accepted masks of the project", self._check)
        self.cancel_button = dialog_button("Cancel", "Stop the check", self.walk.checking.cancel)
        self.right_button = dialog_button(
            "Is right", "The mask is right: do not show it again (kept with your name)", self._is_right
        )
        self.bar = QProgressBar()
        self.bar.setAccessibleName("Progress of the check")
        self.note = wrapped_label()
        self.list = QTreeWidget()
        self._lay_out()
        self._connections = Connections()
        add = self._connections.add
        add(self.walk.changed, self.refresh)
        add(self.walk.checking.progressed, self._on_progress)
        add(self.walk.checking.ended, self._on_ended)
        add(self.list.itemActivated, self._open)
        self._set_running(False)

    @property
    def session(self) -> Session | None:
        """The open session."""
        return self.controller.session

    def close_connections(self) -> None:
        """Stop the check and disconnect."""
        self.walk.checking.cancel()
        self._connections.undo()

    @while_open
    def refresh(self, session: Session, *_: object) -> None:
        """Show the findings."""
        findings = self.walk.findings
        names = {record.id: record.path.name for record in session.project.clips()}
        self.list.clear()
        for number, finding in enumerate(findings[:MOST_ROWS]):
            structure = session.schema[finding.structure].name
            cells = [names.get(finding.clip, finding.clip), str(finding.frame + 1), structure, finding.words]
            row = Row(cells)
            row.setData(0, Qt.ItemDataRole.UserRole, number)
            row.setToolTip(3, finding.words)
            self.list.addTopLevelItem(row)
        if 0 <= self.walk.at < min(len(findings), MOST_ROWS):
            self.list.setCurrentItem(self.list.topLevelItem(self.walk.at))
        if self.walk.compared_with and not self.walk.checking.running:
            more = f" The first {MOST_ROWS} are listed." if len(findings) > MOST_ROWS else ""
            self.note.setText(f"{count(len(findings), 'mask')} to look at again.{more} {self.walk.compared_with}")

    def _lay_out(self) -> None:
        self.list.setColumnCount(4)
        self.list.setHeaderLabels(["Recording", "Frame", "Structure", "Why"])
        self.list.setRootIsDecorated(False)
        self.list.setUniformRowHeights(True)
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.list.setAccessibleName("Masks to look at again")
        self.list.setToolTip("Enter or a double click goes to the mask")
        header = self.list.header()
        if header is not None:
            header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        introduction = QLabel(_INTRODUCTION)
        introduction.setWordWrap(True)
        top = QHBoxLayout()
        for widget in (self.check_button, self.with_student):
            top.addWidget(widget)
        top.addWidget(self.bar, 1)
        top.addWidget(self.cancel_button)
        top.addStretch(0)
        top.addWidget(self.right_button)
        self.body.addWidget(introduction)
        self.body.addLayout(top)
        self.body.addWidget(self.note)
        self.body.addWidget(self.list, 1)

    def _check(self) -> None:
        self.controller.save()
        self.walk.check(with_student=self.with_student.isChecked())
        self._set_running(self.walk.checking.running)

    def _is_right(self) -> None:
        row = self.list.currentItem()
        if row is not None:
            self.walk.at = int(row.data(0, Qt.ItemDataRole.UserRole))
            self.walk.dismiss()

    def _open(self, row: Row, *_: object) -> None:
        self.walk.go_to(int(row.data(0, Qt.ItemDataRole.UserRole)))
        self.left.emit()

    def _on_progress(self, done: int, total: int, seconds: float) -> None:
        self.bar.setRange(0, max(1, total))
        self.bar.setValue(done)
        left = f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
        self.bar.setFormat(f"%p %, about {left} left")

    def _on_ended(self, problem: str) -> None:
        self._set_running(False)
        self.refresh()
        if problem:
            self.note.setText(problem)

    def _set_running(self, running: bool) -> None:
        if running:
            self.bar.setRange(0, 0)
            self.note.setText("Checking...")
        self.bar.setVisible(running)
        self.cancel_button.setVisible(running)
        self.check_button.setEnabled(not running)
