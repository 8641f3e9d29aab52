# SPDX-License-Identifier: Apache-2.0
"""The strip of all frames: how far the work is, and a click to go there."""

from __future__ import annotations

import numpy as np
from qtpy.QtCore import QRect, Qt, Signal
from qtpy.QtGui import QColor, QImage, QMouseEvent, QPainter, QPaintEvent
from qtpy.QtWidgets import QWidget

from vfss.masks import ByteArray, MaskState

# Of a frame the least finished word counts: one structure still proposed leaves the frame proposed.
COLOURS = {
    "nothing": (70, 74, 82),
    "proposed": (74, 127, 196),
    "edited": (224, 150, 62),
    "some accepted": (60, 138, 92),
    "finished": (95, 211, 141),
}


def frame_colours(states: ByteArray) -> ByteArray:
    """Colour of every frame, uint8 (T, 3), from the states of its structures, uint8 (T, S)."""
    colours = np.empty((len(states), 3), np.uint8)
    colours[:] = COLOURS["nothing"]
    person = states >= MaskState.ACCEPTED
    colours[(states == MaskState.PROPOSED).any(axis=1)] = COLOURS["proposed"]
    colours[person.any(axis=1)] = COLOURS["some accepted"]
    colours[(states == MaskState.EDITED).any(axis=1)] = COLOURS["edited"]
    colours[person.all(axis=1)] = COLOURS["finished"]
    return colours


class Timeline(QWidget):
    """Draws one coloured column per frame and a mark at the current one."""

    clicked = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self.setFixedHeight(16)
        self.setToolTip(
            "All frames: grey nothing, blue proposed, orange edited, dark green some accepted, green finished. "
            "Click to go there"
        )
        self._image: QImage | None = None
        self._frame = 0
        self._n = 0

    def show_states(self, states: ByteArray | None, frame: int) -> None:
        """Show states, uint8 (T, S), and the current frame; None shows nothing."""
        self._frame = frame
        if states is None:
            self._image, self._n = None, 0
        else:
            row = np.ascontiguousarray(frame_colours(states)[None])
            self._n = len(states)
            self._image = QImage(row.tobytes(), self._n, 1, 3 * self._n, QImage.Format.Format_RGB888).copy()
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802
        """Draw."""
        painter = QPainter(self)
        if self._image is None:
            painter.fillRect(self.rect(), QColor(*COLOURS["nothing"]))
        else:
            painter.drawImage(self.rect(), self._image)
            x = round((self._frame + 0.5) * self.width() / self._n)
            painter.fillRect(QRect(x - 2, 0, 4, self.height()), QColor("black"))
            painter.fillRect(QRect(x - 1, 0, 2, self.height()), QColor("white"))
        painter.end()

    def mousePressEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        """Go to the frame under the mouse."""
        self._go(event)

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        """Go along while the button is down."""
        self._go(event)

    def _go(self, event: QMouseEvent | None) -> None:
        if event is not None and self._n and event.buttons() & Qt.MouseButton.LeftButton:
            frame = int(event.position().x() * self._n / max(1, self.width()))
            self.clicked.emit(min(max(0, frame), self._n - 1))
