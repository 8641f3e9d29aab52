# SPDX-License-Identifier: Apache-2.0
"""Parts around the rows of the timeline: legend, names of structures, ruler of times, swallows and events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QPoint, QRect, QSize, Qt
from qtpy.QtGui import QColor, QFont, QImage, QPainter, QPaintEvent, QPolygon
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_vfss.jobs.survey import ClipOverview
from napari_vfss.ui.timeline.picture import PALETTE, strip_picture
from napari_vfss.ui.timeline.scale import TimelineScale
from vfss.clips import TimesFrom
from vfss.events import SWALLOW, short_of
from vfss.masks import ByteArray, MaskState
from vfss.schema import Schema

if TYPE_CHECKING:
    from vfss.project.records import Mark

WIDE, HIGH, GAP = 18, 11, 9
SHOWN: tuple[tuple[str, MaskState, float, float], ...] = (  # name, state, confidence, inconsistency
    ("proposed", MaskState.PROPOSED, 0.95, 0.0),
    ("doubtful", MaskState.PROPOSED, 0.3, 0.0),
    ("jumps", MaskState.PROPOSED, 0.95, 1.0),
    ("edited", MaskState.EDITED, 0.9, 0.0),
    ("accepted", MaskState.ACCEPTED, 0.9, 0.0),
    ("empty", MaskState.EMPTY, 0.9, 0.0),
    ("not visible", MaskState.NOT_VISIBLE, 0.9, 0.0),
    ("no mask yet", MaskState.UNSEEN, 0.9, 0.0),
)
EXPLANATION = (
    "Proposed: a bar, higher with higher confidence. Doubtful: pink, as confidence is low or the mask jumps against "
    "neighbouring frames (white wedge). Edited: hatched. Accepted: solid. Empty: hollow. Not visible: dashed. No mask "
    'yet: a thin line. White line above the rows: viewed frames, which "Accept viewed" accepts.'
)


def piece(state: MaskState, confidence: float, inconsistency: float) -> ByteArray:
    """Draw a piece of the strip in one state: uint8 (HIGH, WIDE), indices into the strip's palette."""
    cell = (
        np.array([[state]], np.uint8),
        np.array([[confidence]], np.float32),
        np.array([[inconsistency]], np.float32),
    )
    scale = TimelineScale(1, WIDE)
    return strip_picture(ClipOverview(*cell), scale, HIGH, active=0)


class TimelineLegend(QWidget):
    """Legend that shows as many patterns as there is room for; its tooltip explains all of them."""

    def __init__(self) -> None:
        super().__init__()
        self.setToolTip(EXPLANATION)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self._font = QFont()
        self._font.setPixelSize(10)
        self._pieces = []
        for name, state, confidence, inconsistency in SHOWN:
            self._pieces.append((name, as_image(piece(state, confidence, inconsistency))))

    def sizeHint(self) -> QSize:  # noqa: N802
        """Return a size with room for a few patterns."""
        return QSize(200, HIGH + 4)

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """Return no width: the legend gives way to the buttons, and its tooltip explains everything."""
        return QSize(0, HIGH)

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802
        """Draw the patterns that fit completely."""
        painter = QPainter(self)
        painter.setFont(self._font)
        painter.setPen(self.palette().windowText().color())
        left, top = GAP, (self.height() - HIGH) // 2
        for name, image in self._pieces:
            text_width = painter.fontMetrics().horizontalAdvance(name)
            if left + WIDE + 4 + text_width > self.width():
                break
            painter.drawImage(QPoint(left, top), image)
            box = QRect(left + WIDE + 4, 0, text_width + 2, self.height())
            painter.drawText(box, int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft), name)
            left += WIDE + 4 + text_width + GAP
        painter.end()


GUTTER, RULER, LANE = 92, 13, 17
TEXT, FAINT, BRIGHT = QColor(214, 218, 224), QColor(152, 158, 168), QColor("white")
WARNING = QColor("#ffb454")
AXIS_NAMES: dict[TimesFrom, str] = {"file": "", "assumed": "⚠ assumed times", "person": "typed times"}
SWALLOW_COLOUR, RANGE_COLOUR = QColor(84, 96, 116), QColor(255, 255, 255, 46)
_STEPS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600)
_LABEL_EVERY = 70  # pixels
_LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter


def as_image(indices: ByteArray) -> QImage:
    """Convert palette indices, uint8 (H, W), to an image."""
    height, width = indices.shape
    image = QImage(np.ascontiguousarray(indices).tobytes(), width, height, width, QImage.Format.Format_Indexed8)
    image.setColorTable([QColor(*(int(c) for c in colour)).rgb() for colour in PALETTE])
    return image.copy()


def _font(pixels: int, *, bold: bool = False) -> QFont:
    font = QFont()
    font.setPixelSize(pixels)
    font.setBold(bold)
    return font


def draw_names(painter: QPainter, schema: Schema, active: int, top: int, row_height: int) -> None:
    """Draw the structures' names with their colours; the active one is bright, bold and has an arrow."""
    size = min(12, max(8, row_height))
    for structure in schema.structures:
        y = top + structure.index * row_height
        here = structure.index == active
        painter.fillRect(QRect(12, y + 1, 5, row_height - 3), QColor(structure.colour))
        painter.setFont(_font(size, bold=here))
        painter.setPen(BRIGHT if here else TEXT)
        if here:
            painter.drawText(QRect(1, y - 2, 12, row_height + 3), _LEFT, "▸")
        painter.drawText(QRect(20, y - 2, GUTTER - 22, row_height + 3), _LEFT, structure.name)


def draw_time_axis(painter: QPainter, times_from: TimesFrom) -> None:
    """Name the axis of times in the gutter, with a warning where nobody states them."""
    painter.setFont(_font(9))
    painter.setPen(WARNING if times_from == "assumed" else FAINT)
    painter.drawText(QRect(1, 0, GUTTER - 3, RULER), _LEFT, AXIS_NAMES[times_from])


def draw_ruler(painter: QPainter, scale: TimelineScale, times_s: Any) -> None:
    """Draw times along the top: float64 (T,), seconds."""
    first, last = scale.frame_at(0), scale.frame_at(scale.width - 1)
    shown_s = float(times_s[last] - times_s[first])
    most_labels = max(1, scale.width // _LABEL_EVERY)
    step = next((s for s in _STEPS_S if shown_s / s <= most_labels), 1200.0)
    painter.setFont(_font(9))
    painter.setPen(FAINT)
    ticks = np.floor(np.asarray(times_s[first : last + 1]) / step + 1e-6)
    for i in np.flatnonzero(np.diff(ticks, prepend=ticks[0] - (first == 0))):
        x = round(scale.x_of(first + int(i)))
        painter.drawLine(x, RULER - 3, x, RULER)
        painter.drawText(QRect(x + 2, 0, _LABEL_EVERY, RULER), _LEFT, _clock(float(ticks[i]) * step))


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds, 1), 60)
    text = f"{rest:.1f}".removesuffix(".0")
    return f"{minutes:.0f}:{rest:02.0f}" if minutes else f"{text} s"


def draw_lane(
    painter: QPainter, scale: TimelineScale, marks: Sequence[Mark], chosen: tuple[int, int] | None, rows_height: int
) -> None:
    """Draw swallows as bars with ends, events as wedges with a few letters, and the range that is played in a loop."""
    if chosen is not None:
        left, right = round(scale.x_of(chosen[0])), round(scale.x_of(chosen[1] + 1))
        painter.fillRect(QRect(left, RULER, max(2, right - left), LANE + rows_height), RANGE_COLOUR)
    swallows = [mark for mark in marks if mark.kind == SWALLOW]
    for number, swallow in enumerate(swallows, start=1):
        _draw_swallow(painter, scale, swallow, number)
    free_from = -1000
    for mark in marks:
        if mark.kind != SWALLOW:
            free_from = _draw_event(painter, scale, mark, free_from)


def draw_viewed(painter: QPainter, scale: TimelineScale, frames: Sequence[int]) -> None:
    """Draw a white line just above the rows over viewed frames, with an end mark on both sides of each run."""
    base = RULER + LANE
    painter.setClipRect(GUTTER, 0, scale.width, base + 2)
    breaks = np.flatnonzero(np.diff(frames) > 1) + 1
    for run in np.split(np.asarray(frames, np.int64), breaks):
        if run.size:
            left, right = (GUTTER + round(scale.x_of(int(t))) for t in (run[0], run[-1] + 1))
            painter.fillRect(QRect(left, base - 3, max(2, right - left), 2), BRIGHT)
            for x in (left, max(left, right - 2)):
                painter.fillRect(QRect(x, base - 6, 2, 6), BRIGHT)
    painter.setClipping(False)


def _draw_swallow(painter: QPainter, scale: TimelineScale, swallow: Mark, number: int) -> None:
    left = round(scale.x_of(swallow.first))
    last = swallow.first if swallow.last is None else swallow.last
    right = max(left + 3, round(scale.x_of(last + 1)))
    bar = QRect(left, RULER + 2, right - left, LANE - 5)
    if swallow.last is not None:
        painter.fillRect(bar, SWALLOW_COLOUR)
        painter.fillRect(QRect(right - 2, RULER + 1, 2, LANE - 3), TEXT)
    painter.fillRect(QRect(left, RULER + 1, 2, LANE - 3), TEXT)
    painter.setFont(_font(9))
    painter.setPen(BRIGHT)
    text = f"swallow {number}" if swallow.last is not None else "swallow begins..."
    painter.drawText(bar.adjusted(4, 0, 80 if swallow.last is None else -2, 0), _LEFT, text)


def _draw_event(painter: QPainter, scale: TimelineScale, mark: Mark, free_from: int) -> int:
    """Draw one event, with its letters unless they would cover the last ones; return where the next may begin."""
    x = round(scale.x_of(mark.first + 0.5))
    base = RULER + LANE
    wedge = QPolygon([QPoint(x - 4, base - 8), QPoint(x + 4, base - 8), QPoint(x, base - 1)])
    painter.setPen(QColor("black"))
    painter.setBrush(QColor(255, 232, 130))
    painter.drawPolygon(wedge)
    text = short_of(mark.kind, mark.text)
    if x < free_from:
        return free_from
    painter.setFont(_font(9, bold=True))
    width: int = painter.fontMetrics().horizontalAdvance(text)
    painter.fillRect(QRect(x + 5, RULER + 2, width + 3, LANE - 5), QColor(28, 30, 35, 200))
    painter.setPen(QColor(255, 232, 130))
    painter.drawText(QRect(x + 6, RULER + 1, width + 4, LANE - 4), _LEFT, text)
    return x + width + 12
