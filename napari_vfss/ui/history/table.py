# SPDX-License-Identifier: Apache-2.0
"""Table of revisions, newest first: read page by page, masks only for the visible rows."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt, Signal
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableView, QWidget

from napari_vfss.ui.history.describe import Difference, describe, how, when, who
from napari_vfss.ui.structure_table import STATE_COLOURS, STATES
from vfss.errors import VfssError

if TYPE_CHECKING:
    from vfss.project import Project, Revision

WHO, WHAT, LAST = range(3)
PAGE = 100
ROW_HEIGHT = 33  # two lines: on one line the text would not fit into the panel
HEADINGS = ("Who and when", "What")
TIPS = ("Who made the change, and the local time; newest first", "State of the structure, and how the mask was made")
Role = Qt.ItemDataRole


class RevisionModel(QAbstractTableModel):
    """Table model of revisions; the last column shows how many pixels changed, or the frame and structure."""

    def __init__(self, parent: QWidget | None = None, *, with_place: bool) -> None:
        """Create an empty table.

        Args:
            parent: Owner.
            with_place: True to show frame and structure of each row, False to show how many pixels changed.
        """
        super().__init__(parent)
        self.revisions: list[Revision] = []
        self._with_place = with_place
        self._project: Project | None = None
        self._clip = ""
        self._place: tuple[int, str] | None = None
        self._complete = True
        self._changes: dict[int, Difference | None] = {}

    def show(self, project: Project | None, clip_id: str = "", place: tuple[int, str] | None = None) -> None:
        """Show the newest revisions of a place (frame, structure key), or of the whole clip if it is None.

        Raises:
            ProjectError: They cannot be read.
        """
        revisions = [] if project is None else project.past.page(clip_id, place, limit=PAGE)
        known = self.revisions[0].id if self.revisions else 0
        newer = [revision for revision in revisions if revision.id > known]
        if (project, clip_id, place) == (self._project, self._clip, self._place) and len(newer) < len(revisions):
            if newer:  # rows already shown stay: revisions are only ever added
                self.beginInsertRows(QModelIndex(), 0, len(newer) - 1)
                self.revisions[:0] = newer
                self.endInsertRows()
            return
        if project is not self._project:
            self._changes.clear()
        self.beginResetModel()
        self._project, self._clip, self._place = project, clip_id, place
        self.revisions, self._complete = revisions, len(revisions) < PAGE
        self.endResetModel()

    def rowCount(self, parent: QModelIndex | None = None) -> int:  # noqa: N802
        """Return the number of revisions read so far."""
        return 0 if parent is not None and parent.isValid() else len(self.revisions)

    def columnCount(self, parent: QModelIndex | None = None) -> int:  # noqa: N802
        """Return the number of columns."""
        return LAST + 1

    def canFetchMore(self, parent: QModelIndex) -> bool:  # noqa: N802
        """Return True if older revisions can be read."""
        return not parent.isValid() and not self._complete

    def fetchMore(self, parent: QModelIndex) -> None:  # noqa: N802
        """Read the next page of older revisions."""
        if self._project is None or self._complete:
            return
        older: list[Revision] = []
        # An error ends the list, so that it is not raised again at every movement of the mouse.
        with contextlib.suppress(VfssError):
            older = self._project.past.page(self._clip, self._place, before=self.revisions[-1].id, limit=PAGE)
        if older:
            first = len(self.revisions)
            self.beginInsertRows(QModelIndex(), first, first + len(older) - 1)
            self.revisions += older
            self.endInsertRows()
        self._complete = len(older) < PAGE

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Role.DisplayRole) -> Any:  # noqa: N802
        """Return the heading of a column, or its explanation."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Role.DisplayRole:
            return (*HEADINGS, "Where" if self._with_place else "Pixels")[section]
        if role == Role.ToolTipRole:
            last = "Frame and structure" if self._with_place else "Pixels added and removed since the row below"
            return (*TIPS, last)[section]
        return None

    def data(self, index: QModelIndex, role: int = Role.DisplayRole) -> Any:
        """Return text, colour or tooltip of a cell."""
        revision = self.revisions[index.row()]
        if role == Role.DisplayRole:
            return self._text(revision, index.column())
        if role == Role.ToolTipRole:
            return describe(revision)
        if role == Role.ForegroundRole and index.column() == WHAT:
            return STATE_COLOURS[revision.state]
        return None

    def _text(self, revision: Revision, column: int) -> str:
        if column == WHO:
            return f"{who(revision)}\n{when(revision.time)}"
        if column == WHAT:
            sign, state, _ = STATES[revision.state]
            return f"{sign} {state}\n{how(revision)}"
        if self._with_place:
            return f"frame {revision.frame + 1}\n{self._name(revision.structure)}"
        change = self._change(revision)
        return "unreadable" if change is None else change.short.replace(" ", "\n")

    def _name(self, structure: str) -> str:
        return structure if self._project is None else self._project.schema[structure].name

    def _change(self, revision: Revision) -> Difference | None:
        """Return the change of a row against the revision before it; cached, as revisions never change."""
        if revision.id not in self._changes and self._project is not None:
            try:
                before = self._project.past.before(revision)
                earlier = None if before is None else before.mask
                self._changes[revision.id] = Difference.between(earlier, revision.mask)
            except VfssError:  # one damaged mask must not hide the whole table
                self._changes[revision.id] = None
        return self._changes.get(revision.id)


class RevisionTable(QTableView):
    """Table of revisions; a click or the arrow keys choose a row."""

    chosen = Signal(object)  # Revision, or None if no row is chosen any more

    def __init__(self, *, with_place: bool, tip: str) -> None:
        super().__init__()
        self.rows = RevisionModel(self, with_place=with_place)
        self.setModel(self.rows)
        self.setToolTip(tip)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        # A click leaves the keyboard focus on the picture; Tab moves it here.
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setStyleSheet(
            "QTableView::item { padding: 0px 2px; } QHeaderView::section { padding: 1px 3px; }"
            "QTableView::item:selected { background: #3d5a80; color: white; }"
        )
        self._shape()
        self.selectionModel().selectionChanged.connect(self._on_selected)

    @property
    def revision(self) -> Revision | None:
        """The revision of the chosen row."""
        rows = self.selectionModel().selectedRows()
        return self.rows.revisions[rows[0].row()] if rows else None

    def renew(self, refresh: Callable[[], None]) -> None:
        """Refresh the rows; emit `chosen` with None if the chosen one is no longer among them."""
        chosen = self.revision
        refresh()
        if chosen is not None and self.revision is None:
            self.chosen.emit(None)

    def _shape(self) -> None:
        rows, columns = self.verticalHeader(), self.horizontalHeader()
        rows.setVisible(False)
        rows.setMinimumSectionSize(ROW_HEIGHT)
        rows.setDefaultSectionSize(ROW_HEIGHT)
        columns.setMinimumSectionSize(20)
        columns.setFixedHeight(20)
        columns.setHighlightSections(False)
        columns.setSectionsClickable(False)
        # Only visible rows are measured: measuring all would read all their masks.
        columns.setResizeContentsPrecision(0)
        columns.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        columns.setSectionResizeMode(WHAT, QHeaderView.ResizeMode.Stretch)

    def _on_selected(self, *_: object) -> None:
        self.chosen.emit(self.revision)
