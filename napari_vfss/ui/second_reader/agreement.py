# SPDX-License-Identifier: Apache-2.0
"""Page with the agreement of two readers: a table, a plot, and the frames on which they differ most."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyqtgraph
from qtpy.QtCore import QObject, Qt, Signal
from qtpy.QtGui import QFont
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QLabel,
    QProgressBar,
    QTableWidget,
    QTableWidgetItem,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from napari_vfss.connections import Connections
from napari_vfss.controller.controller import AnnotationController
from napari_vfss.jobs.files import FileJob
from napari_vfss.ui.close_watcher import CloseWatcher
from napari_vfss.ui.second_reader.adjudication import Adjudication
from napari_vfss.ui.section import button
from vfss.evaluation.agreement import HEADINGS, Agreement, Comparison, agree, cells
from vfss.project import Project

if TYPE_CHECKING:
    from vfss.project.second_reading_record import Reading

TIPS = (
    "",
    "Mean overlap (Dice): 1 if both masks are equal, 0 if one reader drew a mask and the other marked it as empty",
    "95 % confidence interval of the mean Dice",
    "Frames that the mean Dice is over: at least one reader drew a mask, visible for both",
    "95th percentile of the distance between the contours, in pixels, on frames where both readers drew a mask",
    "95 % confidence interval of the mean distance",
    "Frames that the mean distance is over: both readers drew a mask",
    "Frames that both readers have finished",
    "Frames on which only the first reader drew a mask",
    "Frames on which only the second reader drew a mask",
    "Frames on which neither reader drew a mask: left out of both means",
    "Frames that the first and the second reader marked as not visible",
    "Agreement on presence, corrected for chance (kappa): 1 is perfect, 0 is chance",
)
WORST_HEADINGS = ("recording", "frame", "structure", "first reader", "second reader", "Dice", "HD95 (px)")


class Agreeing(FileJob):
    """Background job that compares two readers."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.agreement: Agreement | None = None

    def start(self, folder: Path, reading: Reading) -> None:
        """Start to compare a second reading with the project in a folder."""
        results: list[Agreement] = []

        def work() -> tuple[str, Path | None]:
            with Project.open(folder) as project:
                agreement = agree(project, reading, progress=self._on_progress)
            if agreement is None:
                return "Cancelled", None
            results.append(agreement)
            return "", None

        self._results = results
        self._begin(work)

    def _on_finished(self) -> None:
        self.agreement = self._results[0] if self._results else None
        super()._on_finished()


class AgreementPage(QWidget):
    """Agreement of one second reading, with a progress bar while it is computed."""

    left = Signal()  # the page was closed

    def __init__(self, controller: AnnotationController, folder: Path, reading: Reading) -> None:
        """Start to compare; if a reader has not finished, the page says so."""
        super().__init__()
        self._controller, self._folder, self.reading = controller, folder, reading
        self._connections = Connections()
        self._gone = False
        self._close_watcher = CloseWatcher(self)
        self._connections.add(self._close_watcher.closed, self._let_go)
        self.agreeing = Agreeing(self)
        self.adjudication = Adjudication(controller, folder, reading)
        self.message = QLabel("Comparing...")
        self.message.setWordWrap(True)
        self.bar = QProgressBar()
        self.bar.setFixedHeight(16)
        self.bar.setFormat("%v of %m frames")
        self.cancel_button = button("Cancel", "Stop comparing", self.agreeing.cancel)
        self.table = _table(HEADINGS, TIPS)
        self.plot = AgreementPlot()
        self.worst = _table(WORST_HEADINGS, ("",) * len(WORST_HEADINGS))
        self.worst.setToolTip("Click a row to go to the frame and see both outlines")
        self.tabs = QTabWidget()
        self.tabs.addTab(self.table, "Per structure")
        self.tabs.addTab(self.plot, "Plot")
        self.tabs.addTab(self._worst_tab(), "Where they differ")
        body = QVBoxLayout(self)
        body.setContentsMargins(4, 2, 4, 2)
        for widget in (self.message, self.bar, self.cancel_button, self.tabs):
            body.addWidget(widget)
        self._comparisons: tuple[Comparison, ...] = ()
        self._connections.add(self.agreeing.progressed, self._on_progress)
        self._connections.add(self.agreeing.ended, self._on_ended)
        self._connections.add(self.worst.cellClicked, self._on_worst)
        self._connections.add(controller.session_changed, self._on_session)
        self._set_running(True)
        self.agreeing.start(folder, reading)

    def leave(self) -> None:
        """Stop the comparison, disconnect from everything and remove the page from the window."""
        self._let_go()
        if self.parent() is not None:
            self._controller.viewer.window.remove_dock_widget(self)
        self.deleteLater()

    def show_agreement(self, agreement: Agreement) -> None:
        """Show the agreement in table, plot and list of differences."""
        self.message.setText(agreement.summary)
        self._comparisons = agreement.worst
        _fill(self.table, [cells(row) for row in (*agreement.structures, agreement.mean)])
        _fill(self.worst, [_worst_cells(comparison) for comparison in agreement.worst])
        self.plot.show_agreement(agreement)

    def _let_go(self) -> None:
        if not self._gone:
            self._gone = True
            self.agreeing.cancel()
            self._connections.undo()
            self.adjudication.clear()
            self.left.emit()

    def _worst_tab(self) -> QWidget:
        tab = QWidget()
        body = QVBoxLayout(tab)
        body.setContentsMargins(0, 0, 0, 0)
        body.addWidget(self.worst, 1)
        body.addWidget(self.adjudication)
        return tab

    def _on_worst(self, row: int, _column: int) -> None:
        if row < len(self._comparisons):
            self.adjudication.go_to(self._comparisons[row])

    def _on_session(self) -> None:
        self.adjudication.clear()

    def _on_progress(self, done: int, total: int) -> None:
        self.bar.setRange(0, total)
        self.bar.setValue(done)

    def _on_ended(self, message: str, _folder: object) -> None:
        self._set_running(False)
        if self.agreeing.agreement is not None:
            self.show_agreement(self.agreeing.agreement)
        else:
            self.message.setText(message)
            self.tabs.hide()

    def _set_running(self, running: bool) -> None:
        self.bar.setVisible(running)
        self.cancel_button.setVisible(running)
        self.tabs.setVisible(not running)


class AgreementPlot(pyqtgraph.PlotWidget):
    """Plot of the mean Dice of each structure with its confidence interval."""

    def __init__(self) -> None:
        super().__init__(background=None)
        self.setMouseEnabled(False, False)
        self.setMenuEnabled(False)
        self.hideButtons()
        self.setLabel("left", "Dice")
        self.setYRange(0, 1)
        self.showGrid(y=True, alpha=0.3)
        small = QFont(self.font())
        small.setPointSize(7)  # twelve names side by side
        self.getAxis("bottom").setStyle(tickFont=small)
        self.setToolTip("Mean Dice of each structure, with its 95 % confidence interval")
        self.bars = pyqtgraph.ErrorBarItem(pen=pyqtgraph.mkPen("#c8d3e0", width=2), beam=0.25)
        self.points = pyqtgraph.ScatterPlotItem(size=9, brush="#7fb4ff", pen=pyqtgraph.mkPen("white"))
        self.addItem(self.bars)
        self.addItem(self.points)

    def show_agreement(self, agreement: Agreement) -> None:
        """Plot another agreement."""
        import numpy as np

        rows = (*agreement.structures, agreement.mean)
        known = [(i, row) for i, row in enumerate(rows) if row.dice is not None and row.dice_interval is not None]
        x = np.array([i for i, _ in known], float)
        y = np.array([row.dice for _, row in known], float)
        ends = np.array([row.dice_interval for _, row in known], float).reshape(-1, 2)
        self.points.setData(x, y)
        self.bars.setData(x=x, y=y, top=ends[:, 1] - y, bottom=y - ends[:, 0])
        self.getAxis("bottom").setTicks([[(i, row.key) for i, row in enumerate(rows)]])
        self.setXRange(-0.5, len(rows) - 0.5)


def _table(headings: tuple[str, ...], tips: tuple[str, ...]) -> QTableWidget:
    table = QTableWidget(0, len(headings))
    table.setHorizontalHeaderLabels(list(headings))
    for column, tip in enumerate(tips):
        table.horizontalHeaderItem(column).setToolTip(tip)
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
    table.setShowGrid(False)
    table.verticalHeader().setVisible(False)
    table.verticalHeader().setDefaultSectionSize(19)
    table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
    table.horizontalHeader().setStretchLastSection(True)
    table.setStyleSheet("QTableView::item:selected { background: #3d5a80; color: white; }")
    return table


def _fill(table: QTableWidget, rows: list[tuple[str, ...]]) -> None:
    table.setRowCount(len(rows))
    for r, row in enumerate(rows):
        for c, text in enumerate(row):
            item: Any = QTableWidgetItem(text)
            if c:
                item.setTextAlignment(int(Qt.AlignmentFlag.AlignCenter))
            table.setItem(r, c, item)


def _worst_cells(comparison: Comparison) -> tuple[str, ...]:
    dice = "-" if comparison.dice != comparison.dice else f"{comparison.dice:.3f}"
    distance = "-" if comparison.hd95 != comparison.hd95 else f"{comparison.hd95:.1f}"
    states = (comparison.first.label, comparison.second.label)
    return (comparison.recording, str(comparison.frame + 1), comparison.structure, *states, dice, distance)
