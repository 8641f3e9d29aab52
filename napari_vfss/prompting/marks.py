# SPDX-License-Identifier: Apache-2.0
"""Markers of clicks and boxes over the picture, of the same size at every zoom."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QEvent, QObject, QPointF, QRectF, Qt
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from qtpy.QtOpenGLWidgets import QOpenGLWidget
from qtpy.QtWidgets import QWidget

from napari_vfss.connections import Connections
from napari_vfss.viewer.layers import ClipLayers
from vfss.student.prompts import Box, Click, Prompts

RADIUS = 8.0  # pixels of the screen
ADDS, REMOVES, WAITS = QColor(24, 96, 56, 230), QColor(140, 40, 40, 230), QColor(70, 74, 84, 230)
NONE = Prompts()


class ClickMarks(QWidget):
    """A round + where a click adds, a square - where it removes, a dashed frame for a box; grey while unanswered.

    The widget covers napari's canvas and is transparent to the mouse.

    Attributes:
        answered: Prompts that the displayed mask answers.
        waiting: Prompts without an answer.
        note: What they wait for.
    """

    def __init__(self, canvas: QOpenGLWidget, viewer: Any, layers: ClipLayers) -> None:
        super().__init__(canvas)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setAttribute(Qt.WidgetAttribute.WA_NoSystemBackground)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._canvas, self._camera, self._layers = canvas, viewer.scene.camera, layers
        self.answered, self.waiting = NONE, NONE
        self.note = ""
        self._connections = Connections()
        self._connections.add(self._camera.events.zoom, self._on_camera)
        self._connections.add(self._camera.events.center, self._on_camera)
        self._connections.add(layers.image.events.affine, self._on_camera)  # the stabilised view rotates the picture
        canvas.installEventFilter(self)
        self.setGeometry(canvas.rect())
        self.hide()

    def close_marks(self) -> None:
        """Detach from the canvas and delete the widget."""
        self._connections.undo()
        self._canvas.removeEventFilter(self)
        self.hide()
        self.setParent(None)
        self.deleteLater()

    def show_prompts(self, answered: Prompts, waiting: Prompts = NONE, note: str = "") -> None:
        """Show prompts.

        Args:
            answered: Prompts that the displayed mask answers.
            waiting: Prompts without an answer, and the box that is being dragged.
            note: What they wait for.
        """
        self.answered, self.waiting, self.note = answered, waiting, note
        self.setVisible(bool(answered) or bool(waiting))
        self.update()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """Keep the size of the canvas."""
        if event is not None and event.type() == QEvent.Type.Resize:
            self.setGeometry(self._canvas.rect())
        return False

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802
        """Draw the markers."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for box in (self.answered.box, self.waiting.box):
            if box is not None:
                self._draw_box(painter, box)
        for click in self.answered.clicks:
            _draw_click(painter, self.position(click.y, click.x), click, ADDS if click.adds else REMOVES)
        for click in self.waiting.clicks:
            _draw_click(painter, self.position(click.y, click.x), click, WAITS)
        if self.note:
            self._draw_note(painter)
        painter.end()

    def _draw_box(self, painter: QPainter, box: Box) -> None:
        # The sides of a box are pixels that belong to it: the frame is drawn around them.
        top, left, bottom, right = box.top - 0.5, box.left - 0.5, box.bottom + 0.5, box.right + 0.5
        corners = ((top, left), (top, right), (bottom, right), (bottom, left))
        frame = QPolygonF([self.position(y, x) for y, x in corners])
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(QColor(0, 0, 0, 200), 3.0))
        painter.drawPolygon(frame)
        painter.setPen(QPen(QColor("white"), 1.5, Qt.PenStyle.DashLine))
        painter.drawPolygon(frame)

    def _draw_note(self, painter: QPainter) -> None:
        clicks, box = self.waiting.clicks, self.waiting.box
        if clicks:
            at = self.position(clicks[-1].y, clicks[-1].x)
        elif box is not None:
            at = self.position(box.top, box.left)
        else:
            return
        size = painter.fontMetrics().boundingRect(self.note)
        label = QRectF(at.x() + 2 * RADIUS, at.y() - RADIUS - 2, size.width() + 12, size.height() + 4)
        label.moveRight(min(label.right(), self.width() - 4.0))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(20, 22, 28, 220))
        painter.drawRoundedRect(label, 3, 3)
        painter.setPen(QColor("white"))
        painter.drawText(label, int(Qt.AlignmentFlag.AlignCenter), self.note)

    def position(self, y: float, x: float) -> QPointF:
        """Return the position on the widget of a position in pixels of the recording."""
        y, x = (float(value) for value in self._layers.editor.data_to_world((y, x))[-2:])
        middle_y, middle_x = (float(value) for value in self._camera.center[-2:])
        zoom = float(self._camera.zoom)
        return QPointF(self.width() / 2 + (x - middle_x) * zoom, self.height() / 2 + (y - middle_y) * zoom)

    def _on_camera(self, event: Any = None) -> None:
        if self.isVisible():
            self.update()


def _draw_click(painter: QPainter, at: QPointF, click: Click, colour: QColor) -> None:
    around = QRectF(at.x() - RADIUS, at.y() - RADIUS, 2 * RADIUS, 2 * RADIUS)
    painter.setPen(QPen(QColor("white"), 1.2))
    painter.setBrush(colour)
    if click.adds:
        painter.drawEllipse(around)
    else:
        painter.drawRect(around)
    arm = RADIUS * 0.55
    painter.setPen(QPen(QColor("white"), 2.2))
    painter.drawLine(QPointF(at.x() - arm, at.y()), QPointF(at.x() + arm, at.y()))
    if click.adds:
        painter.drawLine(QPointF(at.x(), at.y() - arm), QPointF(at.x(), at.y() + arm))


def canvas_near(widget: QWidget | None) -> QOpenGLWidget | None:
    """Return the canvas in the window of a widget, even if its dock floats; None if there is none."""
    while widget is not None:
        canvas = widget.window().findChild(QOpenGLWidget)
        if isinstance(canvas, QOpenGLWidget):
            return canvas
        widget = widget.window().parentWidget()
    return None
