# SPDX-License-Identifier: Apache-2.0
"""Parts that dialogs share: buttons that explain themselves, words that wrap, a line for what went wrong."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDialog, QHBoxLayout, QLabel, QLayout, QLineEdit, QPushButton, QVBoxLayout, QWidget

PROBLEM = "padding: 4px; border-radius: 3px; color: white; background: #8c3b3b;"


def dialog_button(text: str, tip: str, do: Callable[[], object]) -> QPushButton:
    """A push button of a dialog, as wide as its words; Enter in a field does not press it."""
    made = QPushButton(text)
    made.setToolTip(tip)
    made.setAccessibleName(text.rstrip("."))
    made.setAutoDefault(False)
    made.clicked.connect(lambda _checked=False: do())
    return made


def words(text: str = "") -> QLabel:
    """A text that wraps, and can be copied."""
    made = QLabel(text)
    made.setWordWrap(True)
    made.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return made


def line(text: str, hint: str, tip: str) -> QLineEdit:
    """A line to type in."""
    made = QLineEdit(text)
    made.setPlaceholderText(hint)
    made.setToolTip(tip)
    return made


def set_body(dialog: QDialog, content: QLayout, problem: QWidget, *foot: QWidget) -> None:
    """Lay a dialog out: its content, what went wrong, and a last row whose first part takes the room that is left."""
    row = QHBoxLayout()
    for place, part in enumerate(foot):
        row.addWidget(part, 0 if place else 1)
    body = QVBoxLayout(dialog)
    body.addLayout(content, 1)
    body.addWidget(problem)
    body.addLayout(row)


class ProblemLine(QLabel):
    """Says what went wrong; out of sight while nothing did."""

    def __init__(self) -> None:
        super().__init__()
        self.setWordWrap(True)
        self.setStyleSheet(PROBLEM)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.hide()

    def tell(self, problem: str) -> None:
        """Show a problem; "" for none."""
        self.setText(f"⚠ {problem}" if problem else "")
        self.setVisible(bool(problem))
