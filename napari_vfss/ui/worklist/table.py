# SPDX-License-Identifier: Apache-2.0
"""Table of the worklist: a thumbnail and a bar per clip, a menu for the chosen rows; opens a clip."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from qtpy.QtCore import QModelIndex, QPoint, QRect, QSize, Qt
from qtpy.QtGui import QColor, QHideEvent, QKeyEvent, QPainter, QPalette, QShowEvent
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QMenu,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
)

from napari_vfss.controller.worklist import WorklistController
from napari_vfss.ui.worklist.columns import COLUMNS, progress_text
from napari_vfss.ui.worklist.model import ROW, WorklistFilter
from vfss.clips.thumbnail import HEIGHT, WIDTH
from vfss.project.worklist_row import WorklistRow

PROGRESS = next(i for i, column in enumerate(COLUMNS) if column.key == "progress")
ROW_HEIGHT = HEIGHT + 6
DONE = QColor("#2f9e64")
BAR = 10  # px
NARROW_PROGRESS = 86  # px
RETURN = (Qt.Key.Key_Return, Qt.Key.Key_Enter)


class ProgressDelegate(QStyledItemDelegate):
    """Draws how many frames are complete as a bar over its figures."""

    def paint(self, painter: QPainter | None, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        """Draw a cell."""
        row = index.data(ROW)
        if painter is None or not isinstance(row, WorklistRow):
            return
        chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        painter.save()
        if chosen:
            painter.fillRect(option.rect, option.palette.color(QPalette.ColorRole.Highlight))
        role = QPalette.ColorRole.HighlightedText if chosen else QPalette.ColorRole.Text
        inside = option.rect.adjusted(6, 4, -6, -4)
        bar = QRect(inside.left(), inside.center().y() + 2, inside.width(), BAR)
        text = option.palette.color(role)
        painter.setPen(text)
        flags = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignBottom
        figures = progress_text(row) + ("  ✓" if row.finished else "")
        painter.drawText(QRect(inside.left(), inside.top(), inside.width(), inside.height() // 2), flags, figures)
        done = QRect(bar.left(), bar.top(), round(bar.width() * row.progress), BAR)
        painter.fillRect(done, DONE)
        painter.drawRect(bar.adjusted(0, 0, -1, -1))
        painter.restore()


class WorklistTable(QTableView):
    """Shows the worklist, all columns or the narrow ones, and keeps it up to date while it is seen."""

    def __init__(self, worklist: WorklistController, rows: WorklistFilter, *, narrow: bool) -> None:
        super().__init__()
        self._worklist = worklist
        self._watching = False
        self.setModel(rows)
        self.setAccessibleName("Worklist")
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setIconSize(QSize(WIDTH, HEIGHT))
        self.setTabKeyNavigation(False)
        self.setWordWrap(False)
        self.setShowGrid(False)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)  # names of one patient differ at their ends
        self._bar = ProgressDelegate(self)
        self.setItemDelegateForColumn(PROGRESS, self._bar)
        self._set_up_headers(narrow)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.customContextMenuRequested.connect(self._on_menu)
        self.doubleClicked.connect(self._on_double_click)

    def chosen(self) -> list[str]:
        """Return the ids of the chosen clips."""
        selection = self.selectionModel()
        return [] if selection is None else [index.data(ROW).id for index in selection.selectedRows()]

    def menu(self) -> QMenu:
        """Return the menu for the chosen clips."""
        ids, worklist, menu = self.chosen(), self._worklist, QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)

        def add(to: QMenu, text: str, do: Callable[[], object]) -> None:
            action = to.addAction(text)
            if action is not None:
                action.setEnabled(bool(ids))
                action.triggered.connect(lambda _checked=False: do())

        add(menu, "Open", partial(self._open, ids[0] if ids else ""))
        menu.addSeparator()
        give = menu.addMenu("Give to")
        face = menu.addMenu("Facing")
        if give is not None and face is not None:
            known = {row.assigned_to for row in worklist.rows if row.assigned_to} | {worklist.annotator}
            for name in sorted(known):
                add(give, name, partial(worklist.assign, ids, name))
            add(give, "Nobody", partial(worklist.assign, ids, None))
            add(face, "Left", partial(worklist.set_flags, ids, facing="left"))
            add(face, "Right", partial(worklist.set_flags, ids, facing="right"))
            add(face, "Not known", partial(worklist.set_flags, ids, facing="unknown"))
        menu.addSeparator()
        add(menu, "Mark as finished", partial(worklist.declare_finished, ids, True))
        add(menu, "Not finished", partial(worklist.declare_finished, ids, False))
        return menu

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802
        """Open the current clip on Return."""
        if event is not None and event.key() in RETURN and self.currentIndex().isValid():
            self._open(self.currentIndex().data(ROW).id)
            return
        super().keyPressEvent(event)

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802
        """Read the list from now on."""
        super().showEvent(event)
        self._watch(True)

    def hideEvent(self, event: QHideEvent | None) -> None:  # noqa: N802
        """Read the list no longer."""
        super().hideEvent(event)
        self._watch(False)

    def _watch(self, seen: bool) -> None:
        if seen != self._watching:
            self._watching = seen
            self._worklist.watch(seen)

    def _set_up_headers(self, narrow: bool) -> None:
        side, head = self.verticalHeader(), self.horizontalHeader()
        if side is not None:
            side.hide()
            side.setDefaultSectionSize(ROW_HEIGHT)
        for i, column in enumerate(COLUMNS):
            self.setColumnHidden(i, narrow and not column.narrow)
            self.setColumnWidth(i, column.width)
        if head is not None:
            head.setHighlightSections(False)
            head.setSectionsMovable(not narrow)
            if narrow:
                self.setColumnWidth(PROGRESS, NARROW_PROGRESS)
                head.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.setSortingEnabled(True)
        rows = self.model()
        if isinstance(rows, WorklistFilter) and head is not None:
            head.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)  # as they were added, until a heading is clicked
            rows.sort(-1)

    def _open(self, clip_id: str) -> None:
        self._worklist.open_clip(clip_id)

    def _on_double_click(self, index: QModelIndex) -> None:
        self._open(index.data(ROW).id)

    def _on_menu(self, place: QPoint) -> None:
        view = self.viewport()
        if view is not None and self.chosen():
            self.menu().popup(view.mapToGlobal(place))
