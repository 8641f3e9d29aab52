# SPDX-License-Identifier: Apache-2.0
"""Dice of a student by structure, beside the one in use: figures with intervals, and a bar for each structure."""

from __future__ import annotations

from collections.abc import Mapping

from qtpy.QtCore import QModelIndex, QRect, Qt
from qtpy.QtGui import QColor, QPainter, QPalette
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableWidget,
    QTableWidgetItem,
)

from vfss.comparison.cards import StudentCard
from vfss.evaluation.paired import Figure
from vfss.schema import Schema

HEADINGS = ("Structure", "", "Dice", "In use", "Difference (95 %)", "Dice, 95 %")
TIPS = (
    "",
    "Bar: this student, from 0 to 1; line: the student in use",
    "Mean Dice of this student on the frozen hold-out",
    "The same of the student in use",
    "This student less the one in use, in points (hundredths) of Dice, and the 95 % interval of that",
    "95 % interval of this student's Dice, by drawing patients anew",
)
_VALUES = Qt.ItemDataRole.UserRole
_NAME, _BAR, _DICE, _OLD, _DIFFERENCE, _INTERVAL = range(len(HEADINGS))


class DiceBars(QStyledItemDelegate):
    """Draws a bar from 0 to 1 for one student, and a line where the other one is."""

    def paint(self, painter: QPainter | None, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        """Draw bar and line."""
        values = index.data(_VALUES)
        if painter is None or values is None:
            return
        mine, other = values
        full = option.rect.adjusted(3, 6, -3, -6)
        painter.fillRect(full, QColor(128, 128, 128, 60))
        if mine is not None:
            filled = QRect(full.left(), full.top(), round(full.width() * mine), full.height())
            painter.fillRect(filled, QColor("#4f86c6"))
        if other is not None:
            x = full.left() + round(full.width() * other)
            line = QRect(x - 1, full.top() - 3, 2, full.height() + 6)
            painter.fillRect(line, option.palette.color(QPalette.ColorRole.WindowText))


class FiguresTable(QTableWidget):
    """Shows the figures of one student."""

    def __init__(self) -> None:
        super().__init__(0, len(HEADINGS))
        self.setAccessibleName("Dice by structure")
        self.setHorizontalHeaderLabels(HEADINGS)
        for column, tip in enumerate(TIPS):
            heading = self.horizontalHeaderItem(column)
            if heading is not None:
                heading.setToolTip(tip)
        self._bars = DiceBars(self)
        self.setItemDelegateForColumn(_BAR, self._bars)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        rows, columns = self.verticalHeader(), self.horizontalHeader()
        if rows is not None and columns is not None:
            rows.setVisible(False)
            rows.setDefaultSectionSize(21)
            columns.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
            columns.setSectionResizeMode(_BAR, QHeaderView.ResizeMode.Fixed)
            columns.resizeSection(_BAR, 70)

    def show_card(self, card: StudentCard, in_use: StudentCard | None, schema: Schema) -> None:
        """Show a card's figures beside those of the student in use."""
        paired = None if card.comparison is None else card.comparison.shown
        mine = paired.new if paired is not None else card.figures or {}
        other: Mapping[str, Figure] = {}
        if paired is not None:
            other = paired.old
        elif in_use is not None and not card.in_use:
            other = in_use.figures or {}
        known = {key for side in (mine, other) for key, figure in side.items() if figure.value is not None}
        keys = [key for key in ("", *schema.keys) if key in known]
        self.setRowCount(len(keys))
        for row, key in enumerate(keys):
            name = schema[key].name if key else "Mean of structures"
            one, two = mine.get(key), other.get(key)
            difference = None if paired is None else paired.difference.get(key)
            texts = (name, "", dice_text(one), dice_text(two), points(difference), interval_text(one))
            for column, text in enumerate(texts):
                item = QTableWidgetItem(text)
                if column >= _DICE:
                    item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                if not key:
                    font = item.font()
                    font.setBold(True)
                    item.setFont(font)
                self.setItem(row, column, item)
            bar = QTableWidgetItem()
            bar.setData(_VALUES, (_value(one), _value(two)))
            self.setItem(row, _BAR, bar)
        self.setVisible(bool(keys))
        columns = self.horizontalHeader()
        heading = 24 if columns is None else columns.sizeHint().height()
        self.setFixedHeight(heading + 21 * len(keys) + 22)  # all rows, and the scroll bar of a narrow window


def _value(figure: Figure | None) -> float | None:
    return None if figure is None else figure.value


def dice_text(figure: Figure | None) -> str:
    """Return a Dice, "-" where there is none."""
    return "-" if figure is None or figure.value is None else f"{figure.value:.3f}"


def interval_text(figure: Figure | None) -> str:
    """Return the interval of a Dice, "-" where there is none."""
    if figure is None or figure.value is None or figure.interval is None:
        return "-"
    return f"{figure.interval[0]:.3f} to {figure.interval[1]:.3f}"


def points(figure: Figure | None) -> str:
    """Return a difference of Dice in points with its interval, with a sign that does not depend on colour."""
    if figure is None or figure.value is None:
        return "-"
    value = 100 * figure.value
    sign = "▲" if value >= 0.05 else "▼" if value <= -0.05 else "="
    interval = (
        "" if figure.interval is None else f"  ({100 * figure.interval[0]:+.1f} to {100 * figure.interval[1]:+.1f})"
    )
    return f"{sign} {value:+.1f}{interval}"
