# SPDX-License-Identifier: Apache-2.0
"""Keyboard help, and the statement that this is research software and no medical device."""

from __future__ import annotations

from html import escape

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QScrollArea, QVBoxLayout, QWidget

from napari_vfss.controller.actions import all_actions
from napari_vfss.keys.bindings import help_rows
from napari_vfss.keys.book import KeyBook
from vfss.version import __version__

SHORT_WORDING = "Research software, not a medical device, not for diagnosis or treatment."

WORDING = (
    "Research software for annotating recordings and preparing research datasets. Not a medical device; not cleared, "
    "approved or CE-marked; not for diagnosis, treatment decisions or patient management. Masks, events and "
    "measurements are unvalidated proposals to be checked by a qualified person. The user is responsible for ethics "
    "approval, consent, data protection and de-identification."
)


def help_text(book: KeyBook) -> str:
    """Return keys and intended use as rich text."""
    keys = "".join(
        f"<tr><td colspan='2'><br><b>{escape(group)}</b></td></tr>"
        + "".join(f"<tr><td>{escape(key)}&nbsp;&nbsp;</td><td>{escape(title)}</td></tr>" for key, title in rows)
        for group, rows in help_rows(book)
    )
    return (
        f"<h3>napari-vfss {__version__}</h3><p>{WORDING}</p>"
        f"<h4>Keys</h4><p>Press ? to see them over the picture. "
        f"They can be changed: Plugins, VFSS, Change keys...</p><table>{keys}</table>"
        "<h4>Colours</h4><p>Stripes are two structures in one place, such as bolus in the airway. "
        "A structure that belongs inside another (bolus in pharynx) is drawn on top of it.</p>"
        "<h4>Saving</h4><p>Every stroke is saved at once. A proposal never replaces what a person painted, accepted, "
        "or marked as empty or not visible.</p>"
    )


class AboutPanel(QScrollArea):
    """Dock widget with the keys and the intended use."""

    def __init__(self) -> None:
        super().__init__()
        self._book = KeyBook(all_actions, self)
        label = self._label = QLabel(help_text(self._book))
        label.setWordWrap(True)
        label.setTextFormat(Qt.TextFormat.RichText)
        label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        inside = QWidget()
        layout = QVBoxLayout(inside)
        layout.addWidget(label)
        layout.addStretch(1)
        self.setWidget(inside)
        self.setWidgetResizable(True)
        self.setMinimumWidth(320)
        self._book.changed.connect(self._show_keys)

    def _show_keys(self) -> None:
        self._label.setText(help_text(self._book))
