# SPDX-License-Identifier: Apache-2.0
"""The worklist as a page over the picture, with all columns, and as a narrow dock beside it."""

from __future__ import annotations

from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from napari_vfss.connections import Connections
from napari_vfss.controller.controller import AnnotationController
from napari_vfss.controller.worklist import WorklistController
from napari_vfss.ui.pages import Page
from napari_vfss.ui.section import tipped_button
from napari_vfss.ui.worklist.model import WorklistFilter
from napari_vfss.ui.worklist.table import WorklistTable
from napari_vfss.ui.worklist.tools import AddingBar, EditBar, FilterBar
from vfss.wording import count

EMPTY = "No clips yet: open recordings, a folder or a project."
DOCK_WIDTH = 300


class WorklistSummary(QLabel):
    """One line: how many clips, how many finished, how many shown."""

    def __init__(self, worklist: WorklistController, rows: WorklistFilter) -> None:
        super().__init__()
        self._worklist, self._rows = worklist, rows
        self.setWordWrap(True)
        self._connections = Connections()
        self._connections.add(worklist.rows_changed, self._show)
        self._connections.add(rows.filter_changed, self._show)
        self._show()

    def close_connections(self) -> None:
        """Disconnect from the list."""
        self._connections.undo()

    def _show(self) -> None:
        rows = self._worklist.rows
        hidden = len(rows) - self._rows.rowCount()
        text = f"{count(len(rows), 'clip')}, {sum(row.finished for row in rows)} finished"
        self.setText((text + (f", {hidden} hidden by search or filter" if hidden else "")) if rows else EMPTY)


class WorklistPage(Page):
    """All clips of the project with all that is known of them; many can be changed at once."""

    title = "Worklist"

    def __init__(self, controller: AnnotationController, rows: WorklistFilter) -> None:
        super().__init__(controller)
        self.filters = FilterBar(rows, narrow=False)
        self.adding = AddingBar(controller.opening_many)
        self.table = WorklistTable(controller.worklist, rows, narrow=False)
        self.summary = WorklistSummary(controller.worklist, rows)
        self.edits = EditBar(controller.worklist, self.table)
        for widget in (self.filters, self.adding):
            self.body.addWidget(widget)
        self.body.addWidget(self.table, 1)
        for widget in (self.summary, self.edits):
            self.body.addWidget(widget)
        self.setFocusProxy(self.table)
        self._connections = Connections()
        self._connections.add(controller.session_changed, self._on_session)

    def close_connections(self) -> None:
        """Disconnect from the controller."""
        self._connections.undo()
        for part in (self.filters, self.adding, self.summary, self.edits):
            part.close_connections()

    def _on_session(self) -> None:
        if self.isVisible() and not self.controller.opening_many.running and self.controller.session is not None:
            self.left.emit()  # the clip that was opened is to be seen


class WorklistDock(QWidget):
    """The list beside the picture: thumbnail, name and progress, and three buttons to walk through it."""

    def __init__(self, controller: AnnotationController, rows: WorklistFilter) -> None:
        super().__init__()
        self.setObjectName("vfss_worklist_dock")
        worklist = controller.worklist
        self.filters = FilterBar(rows, narrow=True)
        self.adding = AddingBar(controller.opening_many)
        self.table = WorklistTable(worklist, rows, narrow=True)
        self.table.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # a click leaves the keys to the picture
        self.summary = WorklistSummary(worklist, rows)
        self.finish = tipped_button(
            "Finish and next",
            "Declare the open clip finished and open the next unfinished one",
            worklist.finish_and_go_on,
            key="Ctrl+Alt+Enter",
        )
        self.next = tipped_button(
            "Next unfinished",
            "Open the next unfinished clip that nobody else works on",
            worklist.go_to_next_unfinished,
            key="Ctrl+Alt+PageDown",
        )
        column = QVBoxLayout(self)
        column.setContentsMargins(2, 2, 2, 2)
        for widget in (self.filters, self.adding):
            column.addWidget(widget)
        column.addWidget(self.table, 1)
        for widget in (self.summary, self.next, self.finish):
            column.addWidget(widget)

    def sizeHint(self) -> QSize:  # noqa: N802
        """Wide enough for a thumbnail, a name and the bar."""
        return QSize(DOCK_WIDTH, 400)

    def close_connections(self) -> None:
        """Disconnect from the controller."""
        for part in (self.filters, self.adding, self.summary):
            part.close_connections()
