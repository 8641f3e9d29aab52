# SPDX-License-Identifier: Apache-2.0
"""Splash: shown while napari is imported, so that nobody starts the program twice.

Imports Qt alone, since everything else takes longer than a person waits without a sign.
"""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtGui import QColor, QFont, QPainter, QPixmap
from qtpy.QtWidgets import QApplication, QSplashScreen

from vfss.version import __version__

_WIDTH, _HEIGHT = 460, 200
_BACK, _FRONT, _QUIET = "#1f2733", "#ffffff", "#b9c6d6"


class Splash(QSplashScreen):
    """Name and version of the program, and what it is doing."""

    def __init__(self) -> None:
        super().__init__(_picture())
        self.setWindowTitle("napari-vfss")

    def say(self, message: str) -> None:
        """Show what is being done; drawn at once, as the event loop does not run yet."""
        self.showMessage(f"  {message}", Qt.AlignmentFlag.AlignBottom | Qt.AlignmentFlag.AlignLeft, QColor(_QUIET))
        QApplication.processEvents()


def _picture() -> QPixmap:
    screen = QApplication.primaryScreen()
    ratio = 1.0 if screen is None else screen.devicePixelRatio()
    pixmap = QPixmap(round(_WIDTH * ratio), round(_HEIGHT * ratio))
    pixmap.setDevicePixelRatio(ratio)
    pixmap.fill(QColor(_BACK))
    painter = QPainter(pixmap)
    font = QFont()
    for text, size, colour, y in (
        ("napari-vfss", 26, _FRONT, 80),
        (f"Annotation of videofluoroscopic swallowing studies   {__version__}", 10, _QUIET, 112),
        ("Research software, not a medical device", 10, _QUIET, 134),
    ):
        font.setPointSize(size)
        painter.setFont(font)
        painter.setPen(QColor(colour))
        painter.drawText(28, y, text)
    painter.end()
    return pixmap
