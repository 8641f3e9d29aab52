# SPDX-License-Identifier: Apache-2.0
"""Table model of the worklist, and what is filtered out of it; page and dock share both."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, QObject, QSortFilterProxyModel, Qt, Signal
from qtpy.QtGui import QFont, QImage, QPixmap

from napari_vfss.connections import Connections
from napari_vfss.controller.worklist import WorklistController
from napari_vfss.ui.worklist.columns import COLUMNS, Shown, open_text, progress_text
from vfss.project.worklist_row import WorklistRow

Role = Qt.ItemDataRole
VALUE, ROW = Role.UserRole, Role.UserRole + 1
"""Roles of what a cell is sorted by, and of the whole row (WorklistRow)."""
NAME = 0
PARENT = QModelIndex()


class WorklistModel(QAbstractTableModel):
    """A row per clip of the controller's worklist, a column per fact."""

    def __init__(self, worklist: WorklistController, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._worklist = worklist
        self._rows: list[WorklistRow] = list(worklist.rows)
        self._pictures: dict[str, QPixmap] = {}
        self._connections = Connections()
        self._connections.add(worklist.rows_changed, self._on_rows)
        self._connections.add(worklist.windows_changed, self._announce)
        self._connections.add(worklist.details_changed, self._on_details)

    def close(self) -> None:
        """Disconnect from the controller."""
        self._connections.undo()

    def rowCount(self, parent: QModelIndex = PARENT) -> int:  # noqa: N802
        """Return the number of clips."""
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: QModelIndex = PARENT) -> int:  # noqa: N802
        """Return the number of columns."""
        return 0 if parent.isValid() else len(COLUMNS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Role.DisplayRole) -> Any:  # noqa: N802
        """Return heading or explanation of a column."""
        if orientation != Qt.Orientation.Horizontal or not 0 <= section < len(COLUMNS):
            return None
        texts = {Role.DisplayRole: COLUMNS[section].heading, Role.ToolTipRole: COLUMNS[section].tip}
        return texts.get(Role(role))

    def data(self, index: QModelIndex, role: int = Role.DisplayRole) -> Any:
        """Return what a cell shows, or is sorted by."""
        if not index.isValid() or index.row() >= len(self._rows):
            return None
        row, column = self._rows[index.row()], COLUMNS[index.column()]
        if role in {Role.DisplayRole, VALUE}:
            return column.text(self.shown(row)) if role == Role.DisplayRole else column.value(self.shown(row))
        if role in {Role.ToolTipRole, Role.AccessibleDescriptionRole}:
            return summary(self.shown(row))
        if role == Role.TextAlignmentRole:
            side = Qt.AlignmentFlag.AlignRight if column.number else Qt.AlignmentFlag.AlignLeft
            return side | Qt.AlignmentFlag.AlignVCenter
        if role == Role.DecorationRole:
            return self._picture(row.id) if index.column() == NAME else None
        return {ROW: row, Role.FontRole: self._font(row)}.get(role)

    def _font(self, row: WorklistRow) -> QFont | None:
        """Return the font of a row: bold for the clip that is open."""
        if row.id != self._worklist.open_clip_id:
            return None
        font = QFont()
        font.setBold(True)
        return font

    def shown(self, row: WorklistRow) -> Shown:
        """Return everything that is known of a clip."""
        worklist = self._worklist
        return Shown(row, worklist.doubtful.get(row.id), row.id == worklist.open_clip_id, worklist.others_at(row.id))

    def _picture(self, clip_id: str) -> QPixmap | None:
        if clip_id not in self._pictures and clip_id in self._worklist.thumbnails:
            grey = self._worklist.thumbnails[clip_id]
            height, width = grey.shape
            image = QImage(grey.tobytes(), width, height, width, QImage.Format.Format_Grayscale8)
            self._pictures[clip_id] = QPixmap.fromImage(image)
        return self._pictures.get(clip_id)

    def _on_rows(self) -> None:
        rows = list(self._worklist.rows)
        old, new = [row.id for row in self._rows], [row.id for row in rows]
        if new[: len(old)] == old:  # as when clips are added: selection and scroll position stay
            if len(new) > len(old):
                self.beginInsertRows(PARENT, len(old), len(new) - 1)
                self._rows = rows
                self.endInsertRows()
            self._rows = rows
            self._announce()
            return
        self.beginResetModel()
        self._rows = rows
        self._pictures.clear()
        self.endResetModel()

    def _announce(self) -> None:
        if self._rows:
            self.dataChanged.emit(self.index(0, 0), self.index(len(self._rows) - 1, len(COLUMNS) - 1))

    def _on_details(self, clip_id: str) -> None:
        for i, row in enumerate(self._rows):
            if row.id == clip_id:
                self.dataChanged.emit(self.index(i, 0), self.index(i, len(COLUMNS) - 1))


class WorklistFilter(QSortFilterProxyModel):
    """Sorts the worklist, and hides what a person does not want to see now.

    Attributes:
        search: Text that name, case id or annotator must contain.
        unfinished: Only clips that are not finished.
        doubtful: Only clips with doubtful masks.
        mine: Only clips that are given to this annotator.
    """

    filter_changed = Signal()

    def __init__(self, worklist: WorklistController, model: WorklistModel, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._worklist = worklist
        self.search = ""
        self.unfinished = self.doubtful = self.mine = False
        self.setSourceModel(model)
        self.setSortRole(VALUE)
        self.setDynamicSortFilter(True)

    def set(self, name: str, value: object) -> None:
        """Change one of the filters by its name."""
        setattr(self, name, value)
        self.invalidate()
        self.filter_changed.emit()

    def ids(self) -> list[str]:
        """Return the ids of the clips that are shown, in the order shown."""
        return [self.index(i, NAME).data(ROW).id for i in range(self.rowCount())]

    def filterAcceptsRow(self, source_row: int, source_parent: QModelIndex) -> bool:  # noqa: N802
        """Return whether a clip is shown."""
        model = self.sourceModel()
        row = None if model is None else model.index(source_row, NAME, source_parent).data(ROW)
        if not isinstance(row, WorklistRow):
            return False
        text = " ".join((row.name, row.case, row.assigned_to or "")).casefold()
        return (
            self.search.strip().casefold() in text
            and not (self.unfinished and row.finished)
            and not (self.doubtful and not self._worklist.doubtful.get(row.id))
            and not (self.mine and row.assigned_to != self._worklist.annotator)
        )


def summary(shown: Shown) -> str:
    """Return a clip in a sentence or two: tooltip, and description for screen readers."""
    row = shown.row
    parts = [f"{row.name}, case {row.case}", f"{progress_text(row)} frames complete"]
    parts += [f"{row.proposed} masks proposed, {row.final} accepted"]
    parts += [f"finished, declared by {row.finished_by}"] if row.finished_by else []
    parts += [f"given to {row.assigned_to}"] if row.assigned_to else []
    parts += [f"open: {open_text(shown)}"] if open_text(shown) else []
    return ". ".join(parts) + "."
