# SPDX-License-Identifier: Apache-2.0
"""Colours of texts that can be read on whatever theme the window has."""

from __future__ import annotations

from functools import cache

from qtpy.QtGui import QColor
from qtpy.QtWidgets import QLabel

LEAST_CONTRAST = 4.5
"""Least ratio of contrast between a text and its background (WCAG 2.2, level AA)."""

WARNING_STYLE = "color: #2b1d00; background: #ffc46b; border-radius: 3px; padding: 0px 4px;"
"""Style of a short warning: both colours are set, so that it is the same on every theme."""


def contrast(a: QColor, b: QColor) -> float:
    """Return the ratio of contrast of two colours, 1..21, as WCAG 2.2 defines it."""
    lighter, darker = sorted((_luminance(a), _luminance(b)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def readable(colour: QColor, background: QColor) -> QColor:
    """Return a colour, made darker or lighter until it can be read on a background."""
    return QColor(_readable(colour.name(), background.name()))


def warn(label: QLabel, text: str) -> None:
    """Show a short warning on a label that has WARNING_STYLE; without a text it takes no room."""
    label.setText(text)
    label.setVisible(bool(text))


@cache
def _readable(name: str, background_name: str) -> str:
    colour, background = QColor(name), QColor(background_name)
    towards = QColor("black") if _luminance(background) > 0.18 else QColor("white")
    for percent in range(0, 101, 5):
        mixed = _mix(colour, towards, percent / 100)
        if contrast(mixed, background) >= LEAST_CONTRAST:
            return str(mixed.name())
    return str(towards.name())


def _mix(colour: QColor, towards: QColor, share: float) -> QColor:
    parts = zip(colour.getRgbF()[:3], towards.getRgbF()[:3], strict=True)
    return QColor.fromRgbF(*((1 - share) * float(a) + share * float(b) for a, b in parts))


def _luminance(colour: QColor) -> float:
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in map(float, colour.getRgbF()[:3])]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
