# SPDX-License-Identifier: Apache-2.0
"""Parts that dialogs share: buttons with tooltips, wrapped text, and a line that shows a problem."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDialog, QHBoxLayout, QLabel, QLayout, QLineEdit, QPushButton, QVBoxLayout, QWidget

PROBLEM = "padding: 4px; border-radius: 3px; color: white; background: #8c3b3b;"


def dialog_button(text: str, tip: str, do: Callable[[], object]) -> QPushButton:
    """Create a push button of a dialog, as wide as its text; Enter in a field does not press it."""
    push_button = QPushButton(text)
    push_button.setToolTip(tip)
    push_button.setAccessibleName(text.rstrip("."))
    push_button.setAutoDefault(False)
    push_button.clicked.connect(lambda _checked=False: do())
    return push_button


def wrapped_label(text: str = "") -> QLabel:
    """Create a label whose text wraps and can be selected."""
    label = QLabel(text)
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label


def line_edit(text: str, hint: str, tip: str) -> QLineEdit:
    """Create a field for one line of text.

    Args:
        text: Initial text.
        hint: Shown while the field is empty.
        tip: Tooltip.
    """
    field = QLineEdit(text)
    field.setPlaceholderText(hint)
    field.setToolTip(tip)
    return field


def set_body(dialog: QDialog, content: QLayout, problem: QWidget, *foot: QWidget) -> None:
    """Lay out a dialog: content, problem line, and a last row whose first widget takes the remaining width."""
    row = QHBoxLayout()
    for place, part in enumerate(foot):
        row.addWidget(part, 0 if place else 1)
    body = QVBoxLayout(dialog)
    body.addLayout(content, 1)
    body.addWidget(problem)
    body.addLayout(row)


class ProblemLine(QLabel):
    """Label that shows a problem, and is hidden while there is none."""

    def __init__(self) -> None:
        super().__init__()
        self.setWordWrap(True)
        self.setStyleSheet(PROBLEM)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.hide()

    def show_problem(self, problem: str) -> None:
        """Show a problem; hide the line if it is empty."""
        self.setText(f"⚠ {problem}" if problem else "")
        self.setVisible(bool(problem))
