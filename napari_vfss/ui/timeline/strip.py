# SPDX-License-Identifier: Apache-2.0
"""The strip of the timeline: structures by frames with marks above them; a click goes to the frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QPointF, QRect, QSize, Qt, Signal
from qtpy.QtGui import QColor, QHelpEvent, QImage, QMouseEvent, QPainter, QPaintEvent, QResizeEvent, QWheelEvent
from qtpy.QtWidgets import QToolTip, QWidget

from napari_vfss.jobs.survey import ClipOverview
from napari_vfss.ui.timeline.axes import (
    GUTTER,
    LANE,
    RULER,
    as_image,
    draw_lane,
    draw_names,
    draw_ruler,
    draw_time_axis,
    draw_viewed,
)
from napari_vfss.ui.timeline.picture import strip_picture
from napari_vfss.ui.timeline.scale import TimelineScale
from vfss.clips import Clip
from vfss.schema import Schema

if TYPE_CHECKING:
    from vfss.project.records import Mark

TOP = RULER + LANE
LEAST_ROW, MOST_ROW = 10, 20
SNAP = 5  # pixels from which a click in the lane of marks means the mark


class Timeline(QWidget):
    """Draws the strip once per change and the current frame over it; emits where a person clicks.

    Attributes:
        scale: Which frames are shown.
        viewed: Frames that can be accepted at once, in ascending order.
        describe: Returns the tooltip for a frame and a row (None: above the rows).
    """

    frame_chosen = Signal(int)
    structure_chosen = Signal(int)
    range_chosen = Signal(int, int)
    view_changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setMouseTracking(True)
        self.describe: Callable[[int, int | None], str] = lambda frame, row: ""
        self.scale = TimelineScale()
        self._schema: Schema | None = None
        self._clip: Clip | None = None
        self._strip: ClipOverview | None = None
        self._marks: Sequence[Mark] = ()
        self._frame, self._active = 0, 0
        self._range: tuple[int, int] | None = None
        self.viewed: Sequence[int] = ()
        self._from: int | None = None
        self._picture: QImage | None = None

    def sizeHint(self) -> QSize:  # noqa: N802
        """Return a size at which rows can be told apart."""
        return QSize(600, TOP + 10 * self._rows + 2)

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """Return the height of the lowest rows that are still legible."""
        return QSize(240, TOP + LEAST_ROW * self._rows + 2)

    def show_clip(self, schema: Schema | None, clip: Clip | None, strip: ClipOverview | None) -> None:
        """Show another clip from end to end.

        Args:
            schema: Its structures; None for no clip.
            clip: The clip, whose times are drawn; None for no clip.
            strip: States and confidences of all its masks.
        """
        self._schema, self._clip = schema, clip
        self.scale = TimelineScale(1 if strip is None else len(strip.states), self._strip_width)
        self._marks, self._range, self.viewed, self._from = (), None, (), None
        self.updateGeometry()
        self.show_strip(strip)
        self.view_changed.emit()

    def show_times(self, clip: Clip) -> None:
        """Show new times of the same clip."""
        self._clip = clip
        self._redraw()

    def show_strip(self, strip: ClipOverview | None) -> None:
        """Show new states of the same clip."""
        self._strip = strip
        self._redraw()

    def show_place(self, frame: int, structure: int) -> None:
        """Show the current frame and the active structure."""
        moved = self.scale.follow(frame)
        if moved or structure != self._active:
            self._picture = None
        self._frame, self._active = frame, structure
        self.update()
        if moved:
            self.view_changed.emit()

    def show_marks(self, marks: Sequence[Mark]) -> None:
        """Show swallows and events."""
        self._marks = marks
        self._redraw()

    def show_range(self, chosen: tuple[int, int] | None) -> None:
        """Show the range of frames that is chosen or played in a loop."""
        self._range = chosen
        self._redraw()

    def show_viewed(self, frames: Sequence[int]) -> None:
        """Show which frames can be accepted at once: those that were viewed, in ascending order."""
        if self.viewed != frames:
            self.viewed = frames
            self.update()

    def zoom(self, factor: float) -> None:
        """Show fewer frames (factor above 1) or more, around the current one."""
        self._zoomed(factor, self.scale.x_of(self._frame + 0.5))

    def show_all(self) -> None:
        """Show the whole clip."""
        self.scale.show_all()
        self._redraw()
        self.view_changed.emit()

    def pan_to(self, first: float) -> None:
        """Show the clip from a frame on."""
        self.scale.pan(first - self.scale.first)
        self._redraw()

    @property
    def _rows(self) -> int:
        return 12 if self._schema is None else len(self._schema)

    @property
    def row_height(self) -> int:
        """Height of the row of one structure, in pixels."""
        height = int(self.height())
        return min(MOST_ROW, max(LEAST_ROW, (height - TOP - 2) // max(1, self._rows)))

    @property
    def _strip_width(self) -> int:
        width = int(self.width())
        return max(1, width - GUTTER - 4)

    def _redraw(self) -> None:
        self._picture = None
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802
        """Draw the strip again if it changed, else copy it; draw the current frame over it."""
        ratio = self.devicePixelRatioF()
        if self._picture is None or self._picture.devicePixelRatio() != ratio:
            self._picture = self._drawn(ratio)
        painter = QPainter(self)
        painter.drawImage(0, 0, self._picture)
        if self._strip is not None:
            draw_viewed(painter, self.scale, self.viewed)
            self._draw_place(painter)
        painter.end()

    def _drawn(self, ratio: float) -> QImage:
        size = self.size() * ratio
        picture = QImage(size, QImage.Format.Format_RGB32)
        picture.setDevicePixelRatio(ratio)
        picture.fill(QColor(28, 30, 35))
        if self._strip is None or self._schema is None or self._clip is None:
            return picture
        painter = QPainter(picture)
        rows = self._rows_image(self._strip, ratio)
        painter.drawImage(QPointF(GUTTER, TOP), rows)
        draw_time_axis(painter, self._clip.times_from)
        draw_names(painter, self._schema, self._active, TOP, self.row_height)
        painter.setClipRect(GUTTER, 0, self._strip_width, self.height())
        painter.translate(GUTTER, 0)
        draw_ruler(painter, self.scale, self._clip.times_s)
        draw_lane(painter, self.scale, self._marks, self._range, self.row_height * self._rows)
        painter.end()
        return picture

    def _rows_image(self, strip: ClipOverview, ratio: float) -> QImage:
        fine = TimelineScale(self.scale.n_frames, round(self._strip_width * ratio))
        fine.first, fine.span = self.scale.first, self.scale.span
        image = as_image(strip_picture(strip, fine, round(self.row_height * ratio), self._active, ratio=ratio))
        image.setDevicePixelRatio(ratio)
        return image

    def _draw_place(self, painter: QPainter) -> None:
        x = GUTTER + round(self.scale.x_of(self._frame + 0.5))
        if GUTTER <= x <= self.width():
            height = self.row_height * self._rows
            painter.fillRect(QRect(x - 2, RULER - 4, 4, LANE + height + 6), QColor("black"))
            painter.fillRect(QRect(x - 1, RULER - 4, 2, LANE + height + 6), QColor("white"))
            top = TOP + self._active * self.row_height
            painter.setPen(QColor("white"))
            painter.drawRect(QRect(x - 4, top - 1, 8, self.row_height))

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802
        """Adapt the scale to another width."""
        self.scale.width = self._strip_width
        self._redraw()

    def event(self, event: QEvent | None) -> bool:
        """Show a tooltip for the cell under the mouse."""
        if event is not None and event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            x, y = event.pos().x(), event.pos().y()
            text = "" if self._strip is None else self.describe(self._frame_at(x), self._row_at(y))
            QToolTip.showText(event.globalPos(), text, self)
            return True
        return bool(super().event(event))

    def mousePressEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        """Go to the frame and the structure under the mouse; with Shift, begin a range."""
        if event is None or self._strip is None or event.button() != Qt.MouseButton.LeftButton:
            return
        x, y = event.position().x(), event.position().y()
        row = self._row_at(y)
        if event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            self._from = self._frame_at(x)
            return
        if row is not None:
            self.structure_chosen.emit(row)
        if x >= GUTTER:
            self.frame_chosen.emit(self._snapped(x) if row is None else self._frame_at(x))

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        """Follow the mouse while the button is down; with Shift, extend the range."""
        if event is None or self._strip is None or not event.buttons() & Qt.MouseButton.LeftButton:
            return
        frame = self._frame_at(event.position().x())
        if self._from is not None:
            self.range_chosen.emit(*sorted((self._from, frame)))
        elif event.position().x() >= GUTTER:
            self.frame_chosen.emit(frame)

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        """End a range."""
        self._from = None

    def wheelEvent(self, event: QWheelEvent | None) -> None:  # noqa: N802
        """Zoom around the mouse; with Shift, or sideways, move along the clip."""
        if event is None or self._strip is None:
            return
        turn = event.angleDelta()
        if event.modifiers() & Qt.KeyboardModifier.ShiftModifier or turn.x():
            self.scale.pan(-(turn.x() or turn.y()) / 120 * self.scale.span / 10)
            self._redraw()
            self.view_changed.emit()
        else:
            self._zoomed(1.25 ** (turn.y() / 120), event.position().x() - GUTTER)
        event.accept()

    def _zoomed(self, factor: float, x: float) -> None:
        self.scale.zoom(factor, min(max(0.0, x), float(self._strip_width)))
        self._redraw()
        self.view_changed.emit()

    def _frame_at(self, x: float) -> int:
        return self.scale.frame_at(x - GUTTER)

    def _row_at(self, y: float) -> int | None:
        row = int((y - TOP) // self.row_height)
        return row if y >= TOP and row < self._rows else None

    def _snapped(self, x: float) -> int:
        """Return the frame of the mark next to a pixel, else the frame under it."""
        ends = [frame for mark in self._marks for frame in (mark.first, mark.last) if frame is not None]
        nearest = min(ends, key=lambda t: abs(self.scale.x_of(t + 0.5) + GUTTER - x), default=None)
        if nearest is not None and abs(self.scale.x_of(nearest + 0.5) + GUTTER - x) <= SNAP:
            return nearest
        return self._frame_at(x)
