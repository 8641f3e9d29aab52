# SPDX-License-Identifier: Apache-2.0
"""Mouse events on napari's canvas at positions given in pixels of the recording, for the tour."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import QEvent, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtOpenGLWidgets import QOpenGLWidget
from qtpy.QtWidgets import QApplication, QWidget

MOVE_S = 0.012  # vispy drops moves that come faster than a hundred a second


LEFT = Qt.MouseButton.LeftButton


class CanvasMouse:
    """Presses, moves and releases a mouse button over the picture, by default the left one."""

    def __init__(self, viewer: Any, window: QWidget) -> None:
        self._viewer = viewer
        self._canvas = window.findChild(QOpenGLWidget)

    @property
    def canvas(self) -> QWidget:
        """The canvas widget."""
        return self._canvas

    def stroke(self, points: Sequence[tuple[float, float]], *, button: Qt.MouseButton = LEFT) -> None:
        """Drag the mouse through points (y, x) in pixels of the recording."""
        first, last = points[0], points[-1]
        self.send(QEvent.Type.MouseMove, first, pressed=False, button=button)
        self.send(QEvent.Type.MouseButtonPress, first, pressed=True, button=button)
        for point in points[1:]:
            time.sleep(MOVE_S)
            self.send(QEvent.Type.MouseMove, point, pressed=True, button=button)
        self.send(QEvent.Type.MouseButtonRelease, last, pressed=False, button=button)

    def click(self, point: tuple[float, float], *, button: Qt.MouseButton = LEFT) -> None:
        """Click at (y, x)."""
        self.stroke([point], button=button)

    def click_again(self, point: tuple[float, float]) -> None:
        """Click at (y, x) as the second of two quick clicks, which Qt calls a double click."""
        self.send(QEvent.Type.MouseButtonDblClick, point, pressed=True, button=LEFT)
        self.send(QEvent.Type.MouseButtonRelease, point, pressed=False, button=LEFT)

    def send(self, kind: QEvent.Type, point: tuple[float, float], *, pressed: bool, button: Qt.MouseButton) -> None:
        """Send one event at (y, x) to the canvas and process what it caused."""
        none = Qt.MouseButton.NoButton
        position = self.on_canvas(point)
        event = QMouseEvent(
            kind,
            position,
            QPointF(self._canvas.mapToGlobal(position.toPoint())),
            none if kind == QEvent.Type.MouseMove else button,
            button if pressed else none,
            Qt.KeyboardModifier.NoModifier,
        )
        QApplication.sendEvent(self._canvas, event)
        QApplication.processEvents()

    def on_canvas(self, point: tuple[float, float]) -> QPointF:
        """Return the position on the canvas of a point (y, x)."""
        camera = self._viewer.scene.camera
        recording = next((layer for layer in self._viewer.layers if "vfss_frames" in layer.metadata), None)
        scale = (1.0, 1.0) if recording is None else recording.scale[-2:]
        y, x = (
            side / 2 + (value * size - centre) * camera.zoom
            for side, value, size, centre in zip(
                (self._canvas.height(), self._canvas.width()), point, scale, camera.center[-2:], strict=True
            )
        )
        return QPointF(x, y)
