# SPDX-License-Identifier: Apache-2.0
"""Keyboard help and the wording that the tool carries."""

from __future__ import annotations

from html import escape

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QScrollArea, QVBoxLayout, QWidget

from napari_vfss.keys import HELP
from vfss.version import __version__

SHORT_WORDING = "Research software, not a medical device, not for diagnosis or treatment."

WORDING = (
    "Research software for annotating recordings and preparing research datasets. Not a medical device; not cleared, "
    "approved or CE-marked; not for diagnosis, treatment decisions or patient management. Masks, events and "
    "measurements are unvalidated proposals to be checked by a qualified person. The user is responsible for ethics "
    "approval, consent, data protection and de-identification."
)


def help_text() -> str:
    """Keys and wording as rich text."""
    rows = "".join(f"<tr><td><b>{escape(key)}</b>&nbsp;&nbsp;</td><td>{escape(does)}</td></tr>" for key, does in HELP)
    return (
        f"<h3>napari-vfss {__version__}</h3><p>{WORDING}</p><h4>Keys, with the mouse over the picture</h4>"
        f"<table>{rows}</table>"
        "<h4>Colours</h4><p>Stripes are two structures in one place, such as bolus in the airway. "
        "A structure that belongs inside another (bolus in pharynx) is drawn on top of it.</p>"
        "<h4>Saving</h4><p>Every stroke is saved at once. What the student proposes never replaces what a person "
        "painted, accepted, or marked as empty or not visible.</p>"
    )


class AboutPanel(QScrollArea):
    """Keys and wording in a dock of their own."""

    def __init__(self) -> None:
        super().__init__()
        label = QLabel(help_text())
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
