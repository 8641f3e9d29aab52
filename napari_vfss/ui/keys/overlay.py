# SPDX-License-Identifier: Apache-2.0
"""Overlay that lists all keys over the picture."""

from __future__ import annotations

from html import escape
from itertools import product

from qtpy.QtCore import QEvent, QObject, Qt, Signal
from qtpy.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent
from qtpy.QtWidgets import (
    QApplication,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from napari_vfss.keys.action import PAGE_GROUPS
from napari_vfss.keys.bindings import help_rows
from napari_vfss.keys.book import LAYOUTS, KeyBook

COLUMN_EMS = 20
SIZES = (14, 13, 12, 11, 10)
"""Font sizes, px: the largest is used in which all keys fit, if there is one."""
AROUND = 140  # px of the window for title, buttons and margins above and below
BEHIND = QColor(14, 16, 20, 238)
STYLE = """
QLabel { color: #f2f4f7; background: transparent; }
QLabel#vfss_keys_title { font-size: 17px; font-weight: bold; }
QScrollArea, QWidget#vfss_keys_inside { background: transparent; border: none; }
QPushButton { padding: 4px 12px; }
QPushButton:focus { border: 2px solid #ffe08a; }
"""


Group = tuple[str, list[tuple[str, str]]]


class KeyOverlay(QWidget):
    """Covers the window; closed by Escape, a click, or the key that opened it. Other keys work as listed."""

    change_asked = Signal()

    def __init__(self, window: QWidget, book: KeyBook) -> None:
        super().__init__(window)
        self._window, self._book = window, book
        self._focus: QWidget | None = None
        self.setObjectName("vfss_key_overlay")
        self.setAccessibleName("Keys")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setStyleSheet(STYLE)
        self._title = QLabel()
        self._title.setObjectName("vfss_keys_title")
        self._scroll = QScrollArea()
        self._scroll.setWidgetResizable(True)
        self._scroll.setFrameShape(QFrame.Shape.NoFrame)
        change = QPushButton("Change keys...")
        change.setToolTip("Change keys of actions, or choose the layout for the mouse in the left hand")
        change.clicked.connect(self.change_asked)
        close = QPushButton("Close (Escape)")
        close.setToolTip("Back to the picture")
        close.clicked.connect(self.dismiss)
        foot = QHBoxLayout()
        foot.addStretch(1)
        foot.addWidget(change)
        foot.addWidget(close)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(28, 18, 28, 14)
        outer.addWidget(self._title)
        outer.addWidget(self._scroll, 1)
        outer.addLayout(foot)
        book.changed.connect(self._on_book)
        window.installEventFilter(self)
        self.hide()

    def show_keys(self) -> None:
        """Show the overlay with the bound keys."""
        self._focus = QApplication.focusWidget()
        self.setGeometry(self._window.rect())
        self._fill()
        self.show()
        self.raise_()
        self.setFocus()

    def dismiss(self) -> None:
        """Hide the overlay, and give the focus back to the widget that had it."""
        if self.isVisible():
            self.hide()
            if self._focus is not None and self._focus.isVisible():
                self._focus.setFocus()

    def close_for_good(self) -> None:
        """Disconnect from the window and delete the overlay."""
        self._window.removeEventFilter(self)
        self._book.changed.disconnect(self._on_book)
        self.setParent(None)
        self.deleteLater()

    @property
    def fits(self) -> bool:
        """True if all keys are visible without scrolling."""
        inside, port = self._scroll.widget(), self._scroll.viewport()
        hint = inside.minimumSizeHint()
        return bool(hint.height() <= port.height() and hint.width() <= port.width())

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """Keep the size of the window."""
        if event is not None and event.type() == QEvent.Type.Resize and self.isVisible():
            self.setGeometry(self._window.rect())
            self._fill()
        return False

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802
        """Close on Escape."""
        if event is not None and event.key() == Qt.Key.Key_Escape:
            self.dismiss()
        elif event is not None:
            super().keyPressEvent(event)

    def mousePressEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        """Close on a click outside the buttons."""
        self.dismiss()

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802
        """Darken the window below."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), BEHIND)
        painter.end()

    def _on_book(self) -> None:
        if self.isVisible():
            self._fill()

    def _fill(self) -> None:
        self._title.setText(f"Keys: {LAYOUTS[self._book.layout].lower()}")
        groups = [group for group in help_rows(self._book) if group[0] not in PAGE_GROUPS]
        widest = max(1, min(len(groups), (self.width() - 56) // (COLUMN_EMS * SIZES[-1])))
        for size, count in product(SIZES, range(widest, 0, -1)):
            inside = _columns(in_columns(groups, count), size)
            self._scroll.setWidget(inside)
            for label in inside.findChildren(QLabel):
                label.ensurePolished()  # otherwise its size hint is for another font size
            wanted = inside.layout().minimumSize()
            if wanted.height() <= self.height() - AROUND and wanted.width() <= self.width() - AROUND // 2:
                break


def _columns(columns: list[list[Group]], size: int) -> QWidget:
    """Return columns of tables side by side, in a font size in px."""
    inside = QWidget()
    inside.setObjectName("vfss_keys_inside")
    inside.setStyleSheet(f"QLabel {{ font-size: {size}px; }}")
    row = QHBoxLayout(inside)
    row.setContentsMargins(0, 4, 0, 4)
    row.setSpacing(size)
    for column in columns:
        box = QVBoxLayout()
        box.setSpacing(size // 2)
        for name, rows in column:
            box.addWidget(QLabel(_table(name, rows)))
        box.addStretch(1)
        row.addLayout(box)
    row.addStretch(1)
    return inside


def in_columns(groups: list[Group], count: int) -> list[list[Group]]:
    """Distribute groups, in order, over at most `count` columns, the longest of which is as short as possible."""
    heights = [len(rows) + 2 for _, rows in groups]
    limit = max(heights, default=0)
    while True:
        columns: list[list[Group]] = [[]]
        used = 0
        for group, height in zip(groups, heights, strict=True):
            if used + height > limit and columns[-1]:
                columns.append([])
                used = 0
            columns[-1].append(group)
            used += height
        if len(columns) <= count:
            return columns
        limit += 1


def _table(name: str, rows: list[tuple[str, str]]) -> str:
    cells = "".join(
        f"<tr><td style='color:#ffe08a; padding-right:10px' align='right'><b>{escape(key).replace(' ', '&nbsp;')}</b>"
        f"</td><td style='padding-bottom:1px'>{escape(title).replace(' ', '&nbsp;')}</td></tr>"
        for key, title in rows
    )
    return f"<table cellspacing='0'><tr><td></td><td><b><u>{escape(name)}</u></b></td></tr>{cells}</table>"
