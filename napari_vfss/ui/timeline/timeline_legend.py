# SPDX-License-Identifier: Apache-2.0
"""What the strip's patterns mean: a small piece of each, and a word."""

from __future__ import annotations

import numpy as np
from qtpy.QtCore import QPoint, QRect, QSize, Qt
from qtpy.QtGui import QFont, QPainter, QPaintEvent
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_vfss.ui.timeline.axes import TEXT, as_image
from napari_vfss.ui.timeline.picture import Strip, strip_picture
from napari_vfss.ui.timeline.scale import TimelineScale
from vfss.masks import ByteArray, MaskState

WIDE, HIGH, GAP = 18, 11, 9
SHOWN: tuple[tuple[str, MaskState, float, float], ...] = (  # word, state, confidence, inconsistency
    ("proposed", MaskState.PROPOSED, 0.95, 0.0),
    ("doubtful", MaskState.PROPOSED, 0.3, 0.0),
    ("jumps", MaskState.PROPOSED, 0.95, 1.0),
    ("edited", MaskState.EDITED, 0.9, 0.0),
    ("accepted", MaskState.ACCEPTED, 0.9, 0.0),
    ("empty", MaskState.EMPTY, 0.9, 0.0),
    ("not visible", MaskState.NOT_VISIBLE, 0.9, 0.0),
    ("nothing yet", MaskState.UNSEEN, 0.9, 0.0),
)
WORDS = (
    "The higher a bar, the surer the student; doubtful masks are pink: not sure, or far from their neighbours (a white "
    "wedge). Edited is hatched, accepted solid, empty hollow, not visible dashed, nothing yet a thin line. "
    'A white line above the rows: frames that you have looked at, which "Looked at" accepts.'
)


def piece(state: MaskState, confidence: float, inconsistency: float) -> ByteArray:
    """A piece of the strip in one state, uint8 (HIGH, WIDE), indices into the strip's palette."""
    cell = (
        np.array([[state]], np.uint8),
        np.array([[confidence]], np.float32),
        np.array([[inconsistency]], np.float32),
    )
    scale = TimelineScale(1, WIDE)
    return strip_picture(Strip(*cell), scale, HIGH, active=0)


class TimelineLegend(QWidget):
    """Shows as many patterns as there is room for; pointing at it tells them all."""

    def __init__(self) -> None:
        super().__init__()
        self.setToolTip(WORDS)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self._font = QFont()
        self._font.setPixelSize(10)
        self._pieces = []
        for word, state, confidence, inconsistency in SHOWN:
            self._pieces.append((word, as_image(piece(state, confidence, inconsistency))))

    def sizeHint(self) -> QSize:  # noqa: N802
        """Room for a few."""
        return QSize(200, HIGH + 4)

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """None is needed: the tooltip of the strip says it too."""
        return QSize(0, HIGH)

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802
        """Draw those that fit as a whole."""
        painter = QPainter(self)
        painter.setFont(self._font)
        painter.setPen(TEXT)
        left, top = GAP, (self.height() - HIGH) // 2
        for word, image in self._pieces:
            room = painter.fontMetrics().horizontalAdvance(word)
            if left + WIDE + 4 + room > self.width():
                break
            painter.drawImage(QPoint(left, top), image)
            words = QRect(left + WIDE + 4, 0, room + 2, self.height())
            painter.drawText(words, int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft), word)
            left += WIDE + 4 + room + GAP
        painter.end()
