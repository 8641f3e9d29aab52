# SPDX-License-Identifier: Apache-2.0
"""View of a frame with boxes and crop over it, and the slider that chooses the frame."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QPointF, QRectF, Qt, QTimer, Signal
from qtpy.QtGui import (
    QBrush,
    QColor,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPainterPath,
    QPen,
    QPixmap,
    QTransform,
    QWheelEvent,
)
from qtpy.QtWidgets import (
    QGraphicsItem,
    QGraphicsPixmapItem,
    QGraphicsScene,
    QGraphicsSimpleTextItem,
    QGraphicsView,
    QHBoxLayout,
    QLabel,
    QSlider,
    QWidget,
)

from napari_vfss.ui.dialog_parts import dialog_button
from napari_vfss.ui.redaction.draft import RedactionDraft
from vfss.redaction import PixelBox

_BOX, _CROP, _CUT = QColor(255, 70, 70), QColor(70, 230, 120), QColor(0, 0, 0, 110)
_STEP, _MOST, _CLICK = 1.25, 40.0, 4.0  # zoom per step, largest zoom, movement that is still a click (px)


class PixelView(QGraphicsView):
    """Shows one picture with the draft over it: the wheel zooms, a drag draws a box, a click chooses one.

    Pixels are shown as wide as they are; all positions that go in and out are in pixels of the picture.
    """

    drawn = Signal(float, float, float, float)  # y, x, y, x of two corners, pixels of the picture
    clicked = Signal(float, float)  # y, x
    remove_asked = Signal()

    def __init__(self, pixel_aspect: float = 1.0) -> None:
        super().__init__()
        self._aspect = pixel_aspect
        self._scene = QGraphicsScene(self)
        self.setScene(self._scene)
        self._picture = QGraphicsPixmapItem()
        self._picture.setTransform(QTransform.fromScale(pixel_aspect, 1.0))
        self._scene.addItem(self._picture)
        self._over: list[QGraphicsItem] = []
        self._rubber: QGraphicsItem | None = None
        self._from: QPointF | None = None
        self._whole = True
        self.setBackgroundBrush(QColor(24, 24, 28))
        self.setTransformationAnchor(QGraphicsView.ViewportAnchor.AnchorUnderMouse)
        self.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        self.setToolTip("Drag: new box. Click: choose a box, Delete removes it. Wheel: zoom")
        self.setAccessibleName("Picture")

    def show_picture(self, picture: npt.NDArray[np.uint8]) -> None:
        """Show a picture.

        Args:
            picture: uint8 (H, W).
        """
        rows = np.ascontiguousarray(picture)
        height, width = rows.shape
        image = QImage(rows.tobytes(), width, height, width, QImage.Format.Format_Grayscale8)
        self._picture.setPixmap(QPixmap.fromImage(image))
        self._scene.setSceneRect(QRectF(0, 0, width * self._aspect, height))
        if self._whole:
            self.show_whole()

    def show_draft(self, draft: RedactionDraft, *, as_it_leaves: bool) -> None:
        """Draw boxes and crop.

        Args:
            draft: The draft.
            as_it_leaves: True to draw hidden parts black, as in an export, instead of outlines.
        """
        for item in self._over:
            self._scene.removeItem(item)
        self._over.clear()
        black = QColor(0, 0, 0)
        if draft.crop is not None:
            path = QPainterPath()
            path.addRect(self._rect(PixelBox(0, 0, draft.height, draft.width)))
            path.addRect(self._rect(draft.crop))
            self._add(self._scene.addPath(path, QPen(Qt.PenStyle.NoPen), QBrush(black if as_it_leaves else _CUT)))
            if not as_it_leaves:
                self._outline(draft.crop, _pen(_CROP, 2, dashed=True), "kept", _CROP)
        for number, draft_box in enumerate(draft.boxes):
            box = draft_box.box
            if as_it_leaves:
                self._add(self._scene.addRect(self._rect(box), QPen(Qt.PenStyle.NoPen), QBrush(black)))
                continue
            chosen = number == draft.chosen
            self._outline(box, _pen(_BOX, 4 if chosen else 2), f"{number + 1}{' chosen' if chosen else ''}", _BOX)

    def zoom(self, factor: float) -> None:
        """Zoom in (factor above 1) or out, never out beyond the whole picture."""
        scale = self.transform().m11() * factor
        if scale <= self._scale_of_whole():
            self.show_whole()
        elif scale < _MOST:
            self._whole = False
            self.scale(factor, factor)

    def show_whole(self) -> None:
        """Show the whole picture as large as fits."""
        self._whole = True
        self.fitInView(self._scene.sceneRect(), Qt.AspectRatioMode.KeepAspectRatio)

    def resizeEvent(self, event: object) -> None:  # noqa: N802
        """Keep showing the whole picture if it was shown before."""
        super().resizeEvent(event)
        if self._whole:
            self.show_whole()

    def wheelEvent(self, event: QWheelEvent | None) -> None:  # noqa: N802
        """Zoom around the pointer."""
        if event is not None and event.angleDelta().y():
            self.zoom(_STEP if event.angleDelta().y() > 0 else 1 / _STEP)

    def mousePressEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        """Begin a box or a click."""
        if event is not None and event.button() == Qt.MouseButton.LeftButton:
            self._from = self.mapToScene(event.position().toPoint())

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        """Show the box that is being drawn."""
        if event is None or self._from is None:
            return
        self._drop_rubber()
        to = self.mapToScene(event.position().toPoint())
        self._rubber = self._scene.addRect(QRectF(self._from, to).normalized(), _pen(_BOX, 2, dashed=True))

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        """End a box or a click."""
        if event is None or self._from is None:
            return
        begin, self._from = self._from, None
        self._drop_rubber()
        end = self.mapToScene(event.position().toPoint())
        moved = self.mapFromScene(end) - self.mapFromScene(begin)
        if max(abs(moved.x()), abs(moved.y())) < _CLICK:
            self.clicked.emit(end.y(), end.x() / self._aspect)
        else:
            self.drawn.emit(begin.y(), begin.x() / self._aspect, end.y(), end.x() / self._aspect)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802
        """Remove the chosen box with Delete; zoom with plus and minus."""
        if event is None:
            return
        if event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            self.remove_asked.emit()
        elif event.text() in ("+", "-"):
            self.zoom(_STEP if event.text() == "+" else 1 / _STEP)
        else:
            super().keyPressEvent(event)

    def _scale_of_whole(self) -> float:
        rect, view = self._scene.sceneRect(), self.viewport()
        if view is None or not rect.width():
            return 1.0
        return float(min(view.width() / rect.width(), view.height() / rect.height()))

    def _outline(self, box: PixelBox, pen: QPen, text: str, colour: QColor) -> None:
        self._add(self._scene.addRect(self._rect(box), pen))
        label = QGraphicsSimpleTextItem(text)
        label.setBrush(colour)
        label.setFlag(QGraphicsItem.GraphicsItemFlag.ItemIgnoresTransformations)
        # Below the box if there is no room above it.
        below = box.top < 16 / max(self.transform().m11(), 0.01)
        label.setPos(box.left * self._aspect, box.bottom if below else box.top)
        if label.pos().y() == box.top:
            label.setTransform(label.transform().translate(0, -16))
        self._scene.addItem(label)
        self._over.append(label)

    def _rect(self, box: PixelBox) -> QRectF:
        width = self._aspect * (box.right - box.left)
        return QRectF(self._aspect * box.left, box.top, width, box.bottom - box.top)

    def _add(self, item: QGraphicsItem | None) -> None:
        if item is not None:
            self._over.append(item)

    def _drop_rubber(self) -> None:
        if self._rubber is not None:
            self._scene.removeItem(self._rubber)
            self._rubber = None


def _pen(colour: QColor, width: int, *, dashed: bool = False) -> QPen:
    pen = QPen(colour, width, Qt.PenStyle.DashLine if dashed else Qt.PenStyle.SolidLine)
    pen.setCosmetic(True)
    return pen


_PLAY_MS = 40


class FrameSlider(QWidget):
    """Slider with a play button that asks for frames, and counts which have been shown.

    Not napari's playback: the dialog has no viewer. Every frame is asked for, at a fixed rate, for none may be skipped
    in a review.
    """

    frame_requested = Signal(int)

    def __init__(self, n_frames: int) -> None:
        super().__init__()
        self.seen: set[int] = set()
        self._n = n_frames
        self._timer = QTimer(self)
        self._timer.setInterval(_PLAY_MS)
        self._timer.timeout.connect(self._step)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, n_frames - 1)
        self.slider.setPageStep(max(1, n_frames // 20))
        self.slider.setToolTip("Steps through all frames; the arrow keys go frame by frame")
        self.slider.setAccessibleName("Frame")
        self.play_button = dialog_button("Play", "Play all frames from here, or stop", self.play)
        self.message = QLabel()
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.play_button)
        row.addWidget(self.slider, 1)
        row.addWidget(self.message)
        self.slider.valueChanged.connect(self._on_value)
        self._show_status()

    def play(self) -> None:
        """Play, or stop if it is playing."""
        if self._timer.isActive():
            self.stop()
            return
        if self.slider.value() == self._n - 1:
            self.slider.setValue(0)
        self.frame_requested.emit(self.slider.value())
        self._timer.start()
        self.play_button.setText("Stop")

    def stop(self) -> None:
        """Stop playing."""
        self._timer.stop()
        self.play_button.setText("Play")

    def note_seen(self, frame: int) -> None:
        """Record that a frame was shown."""
        self.seen.add(frame)
        self._show_status()

    def _step(self) -> None:
        if self.slider.value() == self._n - 1:
            self.stop()
        else:
            self.slider.setValue(self.slider.value() + 1)

    def _on_value(self, frame: int) -> None:
        self._show_status()
        self.frame_requested.emit(frame)

    def _show_status(self) -> None:
        self.message.setText(f"Frame {self.slider.value() + 1} of {self._n}, viewed: {len(self.seen)}")
