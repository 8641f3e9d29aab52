# SPDX-License-Identifier: Apache-2.0
"""The table of structures: colour (click to hide), name, key, state on this frame, confidence."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from qtpy.QtCore import QAbstractTableModel, QEvent, QModelIndex, QRect, Qt, Signal
from qtpy.QtGui import QColor, QKeyEvent, QPainter, QPixmap
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from napari_vfss.keys.action import shown
from napari_vfss.keys.book import KeyBook
from napari_vfss.session.host import while_open, while_open_or
from napari_vfss.session.session import Session
from napari_vfss.ui.colours import readable
from vfss.masks import MaskState
from vfss.schema import Structure

EYE, NAME, KEY, STATE, CONFIDENCE = range(5)
HEADINGS = ("", "Structure", "Key", "On this frame", "Confidence")
TIPS = (
    "Click to show or hide",
    "Click to correct this structure",
    "Key that selects it",
    "No mask yet, proposed by the student, or annotated by a person",
    "How well the student expects its mask to fit, as a Dice score",
)
MARGIN = 4  # around the text of a row, above and below together
STATES = {
    MaskState.UNSEEN: ("·", "no mask yet", "#8a8f98"),
    MaskState.PROPOSED: ("◌", "proposed", "#7fb4ff"),
    MaskState.EDITED: ("✎", "edited", "#ffb454"),
    MaskState.ACCEPTED: ("✓", "accepted", "#5fd38d"),
    MaskState.EMPTY: ("∅", "empty", "#5fd38d"),
    MaskState.NOT_VISIBLE: ("⊘", "not visible", "#c4a7ff"),
}


@cache
def swatch(colour: str, filled: bool) -> QPixmap:
    """Return a small square of a colour, hollow if the structure is hidden."""
    square = QPixmap(12, 12)
    square.fill(QColor(colour))
    if not filled:
        painter = QPainter(square)
        painter.fillRect(2, 2, 8, 8, QColor(38, 41, 48))
        painter.end()
    return square


class StructureModel(QAbstractTableModel):
    """Table model: one row per structure, on the current frame of a session."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session: Session | None = None
        self.hidden: set[str] = set()
        self.keys: KeyBook | None = None
        self.background = QColor(38, 41, 48)

    def show(self, session: Session | None, hidden: set[str]) -> None:
        """Show another session, with the keys of the structures that are hidden."""
        self.beginResetModel()
        self.session, self.hidden = session, hidden
        self.endResetModel()

    def refresh(self) -> None:
        """Announce that any cell may have changed."""
        if self.rowCount():
            self.dataChanged.emit(self.index(0, 0), self.index(self.rowCount() - 1, len(HEADINGS) - 1))

    @while_open_or(0)
    def rowCount(self, session: Session, parent: QModelIndex | None = None) -> int:  # noqa: N802
        """Return the number of structures."""
        return len(session.schema)

    def columnCount(self, parent: QModelIndex | None = None) -> int:  # noqa: N802
        """Return the number of columns."""
        return len(HEADINGS)

    def headerData(  # noqa: N802
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """Return the heading of a column, or its explanation."""
        if orientation == Qt.Orientation.Horizontal:
            if role == Qt.ItemDataRole.DisplayRole:
                return HEADINGS[section]
            if role == Qt.ItemDataRole.ToolTipRole:
                return TIPS[section]
        return None

    @while_open_or(None)
    def data(self, session: Session, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return text, colour or tooltip of a cell, or (user role) the confidence for the delegate."""
        cell = CELLS.get((index.column(), role)) or CELLS.get((ANY, role))
        return None if cell is None else cell(self, session.schema.structures[index.row()])

    @while_open_or(MaskState.UNSEEN)
    def state_of(self, session: Session, structure: Structure) -> MaskState:
        """Return the state on the current frame."""
        return MaskState(session.work.state[structure.index])

    @while_open_or("")
    def text_of(self, session: Session, structure: Structure) -> str:
        """Return the state on the current frame as text, or that the student in use has not learnt the structure."""
        state = self.state_of(structure)
        is_learnt = state != MaskState.UNSEEN or session.is_learnt(structure.key)
        return STATE_TEXTS[state] if is_learnt else NOT_LEARNT

    def tip_of(self, structure: Structure) -> str:
        """Return the tooltip of a row."""
        if self.text_of(structure) == NOT_LEARNT:
            return f"{structure.name}: the student in use has not learnt it and does not propose it; draw it by hand"
        return f"{structure.name}: {STATES[self.state_of(structure)][1]}"

    @while_open_or(float("nan"))
    def confidence_of(self, session: Session, structure: Structure) -> float:
        """Return the confidence on the current frame, NaN if unknown."""
        return float(session.work.confidence[structure.index])

    def key_of(self, structure: Structure) -> str:
        """Return the key that is bound to the structure now."""
        if self.keys is None:
            return structure.shortcut or ""
        return shown(self.keys.keys_of(f"structure.{structure.key}")[:1])

    def row_colour(self, structure: Structure) -> QColor:
        """Return the colour on which a row's text is read."""
        marked = self.background_of(structure)
        if marked is None:
            return self.background
        share = marked.alphaF()
        parts = zip(marked.getRgbF()[:3], self.background.getRgbF()[:3], strict=True)
        return QColor.fromRgbF(*(share * float(a) + (1 - share) * float(b) for a, b in parts))

    @while_open_or(None)
    def background_of(self, session: Session, structure: Structure) -> QColor | None:
        """Return the background of a row: a colour for the active structure only."""
        return ACTIVE if structure.key == session.structure else None


Role = Qt.ItemDataRole
ANY = -1
ACTIVE = QColor(128, 128, 128, 84)
STATE_TEXTS = {state: f"{sign}  {word}" for state, (sign, word, _) in STATES.items()}
NOT_LEARNT = "·  not learnt"
STATE_COLOURS = {state: QColor(colour) for state, (_, _, colour) in STATES.items()}
# Cell contents by column and role; Qt asks for some thirty of them at every change of frame.
CELLS: dict[tuple[int, int], Callable[[StructureModel, Structure], Any]] = {
    (EYE, Role.DecorationRole): lambda model, s: swatch(s.colour, s.key not in model.hidden),
    (NAME, Role.DisplayRole): lambda model, s: s.name,
    (KEY, Role.DisplayRole): lambda model, s: model.key_of(s),
    (KEY, Role.TextAlignmentRole): lambda model, s: Qt.AlignmentFlag.AlignCenter,
    (STATE, Role.DisplayRole): lambda model, s: model.text_of(s),
    (STATE, Role.ForegroundRole): lambda model, s: readable(STATE_COLOURS[model.state_of(s)], model.row_colour(s)),
    (CONFIDENCE, Role.UserRole): lambda model, s: model.confidence_of(s),
    (ANY, Role.BackgroundRole): lambda model, s: model.background_of(s),
    (ANY, Role.ToolTipRole): lambda model, s: model.tip_of(s),
}


class ConfidenceBar(QStyledItemDelegate):
    """Draws a confidence of 0..1 as a bar with a percentage."""

    def paint(self, painter: QPainter | None, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        """Draw one cell."""
        super().paint(painter, option, index)
        value = index.data(Qt.ItemDataRole.UserRole)
        if painter is None or value is None or np.isnan(value):
            return
        box: QRect = option.rect.adjusted(3, 4, -3, -4)
        painter.save()
        painter.fillRect(box, QColor(128, 128, 128, 60))
        filled = QRect(box)
        filled.setWidth(round(box.width() * min(1.0, max(0.0, value))))
        painter.fillRect(filled, QColor("#2f6cc0" if value >= 0.8 else "#8a5f14" if value >= 0.6 else "#b04a4a"))
        beyond = QRect(box)
        beyond.setLeft(filled.right() + 1)
        for part, colour in ((filled, QColor("white")), (beyond, option.palette.text().color())):
            painter.setClipRect(part)
            painter.setPen(colour)
            painter.drawText(box, int(Qt.AlignmentFlag.AlignCenter), f"{100 * value:.0f}%")
        painter.restore()


class StructureTable(QTableView):
    """Table of structures: a click selects a structure, a click on its colour hides or shows it."""

    STYLE = "QTableView::item { padding: 0px 2px; } QHeaderView::section { padding: 1px 3px; }"

    chosen = Signal(str)
    eye_clicked = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.rows = StructureModel(self)
        self.setModel(self.rows)
        self.setItemDelegateForColumn(CONFIDENCE, ConfidenceBar(self))
        self.setAccessibleName("Structures")
        self.setTabKeyNavigation(False)  # Tab leaves the table
        # The active row is marked by its background: a selection would cover the colours of the states.
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setShowGrid(False)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setStyleSheet(self.STYLE)
        self.setToolTip("Structures of this frame: click one to correct it, its colour to hide it")
        self._shape_columns()
        self.clicked.connect(self._on_clicked)

    def changeEvent(self, event: QEvent | None) -> None:  # noqa: N802
        """Choose the colours of the states for the theme."""
        super().changeEvent(event)
        if event is not None and event.type() in (QEvent.Type.PaletteChange, QEvent.Type.StyleChange):
            self.rows.background = self.palette().base().color()
            self.rows.refresh()

    def refresh(self) -> None:
        """Show the current frame and structure of the session."""
        self.rows.refresh()

    def show_session(self, session: Session | None, hidden: set[str]) -> None:
        """Show another session."""
        self.rows.show(session, hidden)
        self.fit_font()
        self.refresh()

    def fit_font(self) -> None:
        """Give rows and columns the size that the font needs, which is large on some screens."""
        metrics, rows, columns = self.fontMetrics(), self.verticalHeader(), self.horizontalHeader()
        height = metrics.height() + MARGIN
        rows.setMinimumSectionSize(height)
        rows.setDefaultSectionSize(height)
        columns.setFixedHeight(height + 1)
        longest = max(metrics.horizontalAdvance(text) for text in (*STATE_TEXTS.values(), HEADINGS[STATE]))
        for column, width in (
            (EYE, 22),
            (KEY, metrics.horizontalAdvance("Key") + 10),
            (STATE, longest + 12),
            (CONFIDENCE, metrics.horizontalAdvance(HEADINGS[CONFIDENCE]) + 10),
        ):
            self.setColumnWidth(column, width)
        self.setFixedHeight(self.rows.rowCount() * height + height + 3)

    def event(self, event: QEvent | None) -> bool:
        """Adapt to a changed font."""
        changes = (QEvent.Type.FontChange, QEvent.Type.StyleChange)
        if event is not None and event.type() in changes and self.model() is not None:
            self.fit_font()
        return bool(super().event(event))

    @property
    def session(self) -> Session | None:
        """The session that is shown."""
        return self.rows.session

    @while_open
    def keyPressEvent(self, session: Session, event: QKeyEvent | None) -> None:  # noqa: N802
        """Select with Up and Down; hide and show with Space."""
        if event is None:
            return
        row, last = session.active.index, len(session.schema) - 1
        if event.key() == Qt.Key.Key_Up:
            self.chosen.emit(session.schema.keys[max(0, row - 1)])
        elif event.key() == Qt.Key.Key_Down:
            self.chosen.emit(session.schema.keys[min(last, row + 1)])
        elif event.key() == Qt.Key.Key_Space:
            self.eye_clicked.emit(session.structure)
        else:
            event.ignore()  # the key belongs to the picture

    def _shape_columns(self) -> None:
        rows, columns = self.verticalHeader(), self.horizontalHeader()
        rows.setVisible(False)
        columns.setMinimumSectionSize(20)
        columns.setHighlightSections(False)
        columns.setToolTip("Point at a heading to see what it means")
        columns.setSectionsClickable(False)
        for column in (EYE, KEY, STATE, CONFIDENCE):
            columns.setSectionResizeMode(column, QHeaderView.ResizeMode.Fixed)
        self.fit_font()
        columns.setSectionResizeMode(NAME, QHeaderView.ResizeMode.Stretch)

    @while_open
    def _on_clicked(self, session: Session, index: QModelIndex) -> None:
        key = session.schema.structures[index.row()].key
        (self.eye_clicked if index.column() == EYE else self.chosen).emit(key)
