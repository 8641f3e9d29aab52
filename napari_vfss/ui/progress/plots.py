# SPDX-License-Identifier: Apache-2.0
"""Plots of a project's progress: frames a day, seconds a frame by structure and by student, proposals untouched."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyqtgraph
from qtpy.QtCore import QPoint, QRect, QRectF, QSize
from qtpy.QtGui import QColor, QFont, QImage, QPaintDevice, QPainter
from qtpy.QtSvg import QSvgGenerator
from qtpy.QtWidgets import QWidget

from vfss.project.work_times import WorkTimes
from vfss.schema import Schema

# Distinguishable with colour vision deficiencies (Okabe and Ito).
COLOURS = ("#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#f0e442", "#d55e00", "#0072b2")
MOST_DAYS = 60
SAVED_WIDTH = 1800  # px of a saved picture
SMALL = 8  # points: twelve names below each other
NO_STUDENT = "drawn by hand"


class ProgressPlots(pyqtgraph.GraphicsLayoutWidget):
    """Four plots in one picture, which can be saved."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        # Black on white in every theme: the saved picture is what was seen, and prints.
        self._paper, self._ink = QColor("white"), QColor("black")
        self.setBackground(self._paper)
        self.setAccessibleName("Plots of the progress of the project")
        # Made once: pyqtgraph asks plots that were removed for their size while they are being deleted.
        self._days = self._plot("Frames worked on, by day and person", 0, 0, columns=2)
        self._days.addLegend(offset=(-8, 4), labelTextColor=self._ink)
        self._structures = self._plot("Seconds a frame, by structure", 1, 0, rows=2)
        self._students = self._plot("Seconds a frame, by student", 1, 1)
        self._untouched = self._plot("Accepted as proposed", 2, 1)
        for plot in (self._structures, self._students, self._untouched):
            plot.invertY(True)

    def show_times(self, times: WorkTimes, schema: Schema) -> None:
        """Draw the figures of a project.

        Args:
            times: The figures.
            schema: Structures of the project, in whose order they are drawn.
        """
        self._draw_days(times.frames_a_day)
        keys = [key for key in schema.keys if key in times.by_structure]
        names = [schema[key].name for key in keys]
        self._draw_bars(
            self._structures, names, [times.by_structure[key].seconds_a_frame for key in keys], ["s"] * len(keys)
        )
        students = sorted(times.by_student, key=lambda student: student or "")
        seconds = [times.by_student[student].seconds_a_frame for student in students]
        self._draw_bars(self._students, [_student(one) for one in students], seconds, ["s"] * len(students))
        students = sorted(times.untouched, key=lambda student: student or "")
        shares = [100 * times.untouched[student].share for student in students]
        units = [f"% of {times.untouched[one].accepted}" for one in students]
        self._draw_bars(self._untouched, [_student(one, "propagation") for one in students], shares, units)

    def save(self, path: Path) -> None:
        """Save the picture as PNG, or as SVG if the name ends so.

        Raises:
            OSError: The file cannot be written.
        """
        source = self.ci.sceneBoundingRect()
        scale = SAVED_WIDTH / max(1.0, source.width())
        size = QSize(SAVED_WIDTH, round(source.height() * scale))
        if path.suffix.lower() == ".svg":
            vector = QSvgGenerator()
            vector.setFileName(str(path))
            vector.setSize(size)
            vector.setViewBox(QRect(QPoint(0, 0), size))
            vector.setTitle("Progress")
            self._paint(vector, size)
        else:
            picture = QImage(size, QImage.Format.Format_RGB32)
            self._paint(picture, size)
            picture.save(str(path))
        if not path.is_file() or not path.stat().st_size:
            raise OSError(f"{path} cannot be written: check the folder, and the room on its disk")

    def _paint(self, device: QPaintDevice, size: QSize) -> None:
        """Paint the plots over the whole of a picture; nothing happens where it cannot be written."""
        painter = QPainter()
        if painter.begin(device):
            target = QRectF(0, 0, size.width(), size.height())
            painter.fillRect(target, self._paper)
            self.scene().render(painter, target, self.ci.sceneBoundingRect())
            painter.end()

    def _draw_days(self, frames: Mapping[tuple[date, str], int]) -> None:
        plot = self._days
        plot.clear()
        if not frames:
            return
        last = max(day for day, _ in frames)
        first = max(min(day for day, _ in frames), last - timedelta(days=MOST_DAYS - 1))
        n = (last - first).days + 1
        below = np.zeros(n)
        counts = defaultdict[str, np.ndarray](lambda: np.zeros(n))
        for (day, author), number in frames.items():
            if day >= first:
                counts[author][(day - first).days] += number
        for i, author in enumerate(sorted(counts)):
            bars = pyqtgraph.BarGraphItem(
                x=np.arange(n), y0=below, height=counts[author], width=0.8, brush=_colour(i), pen=None, name=author
            )
            plot.addItem(bars)
            below = below + counts[author]
        step = max(1, n // 10)
        ticks = [(i, f"{first + timedelta(days=i):%d %b}") for i in range(0, n, step)]
        plot.getAxis("bottom").setTicks([ticks])
        plot.setXRange(-0.6, max(n - 0.4, 6))
        plot.setYRange(0, float(below.max()) * 1.15 or 1)

    def _draw_bars(
        self, plot: pyqtgraph.PlotItem, names: Sequence[str], values: Sequence[float], units: Sequence[str]
    ) -> None:
        """Draw one horizontal bar per name, the first on top, with its value."""
        plot.clear()
        plot.getAxis("left").setTicks([list(enumerate(names))])
        if not names:
            return
        heights = np.array(values, float)
        rows = np.arange(len(names))
        plot.addItem(pyqtgraph.BarGraphItem(x0=0, y=rows, height=0.7, width=heights, brush=_colour(0), pen=None))
        for row, value, unit in zip(rows, heights, units, strict=True):
            label = pyqtgraph.TextItem(f"{value:.1f} {unit}", color=self._ink, anchor=(0, 0.5))
            label.setPos(float(value), float(row))
            plot.addItem(label)
        plot.setXRange(0, max(1.0, float(np.nanmax(heights)) * 1.6))
        plot.setYRange(-0.6, max(len(names), 3) - 0.4)

    def _plot(self, title: str, row: int, column: int, *, rows: int = 1, columns: int = 1) -> pyqtgraph.PlotItem:
        plot = self.addPlot(row=row, col=column, rowspan=rows, colspan=columns)
        plot.setTitle(title, color=self._ink, size="11pt")
        plot.hideButtons()
        small = QFont(self.font())
        small.setPointSize(SMALL)
        plot.setMenuEnabled(False)
        plot.setMouseEnabled(False, False)
        for name in ("left", "bottom"):
            axis = plot.getAxis(name)
            axis.setPen(self._ink)
            axis.setTextPen(self._ink)
            axis.setStyle(tickFont=small)
        return plot


def _student(student: str | None, otherwise: str = NO_STUDENT) -> str:
    return otherwise if student is None else f"student {student[:8]}"


def _colour(i: int) -> QColor:
    return QColor(COLOURS[i % len(COLOURS)])
