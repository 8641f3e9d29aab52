# SPDX-License-Identifier: Apache-2.0
"""What stands around the table of the worklist: search and filters above, changes of the chosen clips below."""

from __future__ import annotations

from functools import partial

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_vfss.connections import Connections
from napari_vfss.controller.open_many import OpenMany
from napari_vfss.controller.worklist import WorklistController
from napari_vfss.ui.section import BUTTON_STYLE
from napari_vfss.ui.worklist.model import WorklistFilter
from napari_vfss.ui.worklist.table import WorklistTable
from vfss.wording import count

FILTERS = (
    ("unfinished", "Unfinished", "Only clips that are not finished"),
    ("doubtful", "Doubtful", "Only clips with masks in which the student has little confidence"),
    ("mine", "Mine", "Only clips that are given to you"),
)
FACINGS = (("left", "Facing left"), ("right", "Facing right"), ("unknown", "Facing: ?"))


class FilterBar(QWidget):
    """Search box and filters; the bars of page and dock follow each other."""

    def __init__(self, rows: WorklistFilter, *, narrow: bool) -> None:
        super().__init__()
        self._rows = rows
        self._connections = Connections()
        self.search = QLineEdit()
        self.search.setPlaceholderText("Search name, case id, annotator")
        self.search.setClearButtonEnabled(True)
        self.search.setAccessibleName("Search the worklist")
        self.search.setToolTip("Only clips whose name, case id or annotator contains this")
        self._connections.add(self.search.textChanged, partial(rows.set, "search"))
        self.boxes: dict[str, QCheckBox] = {}
        boxes = QHBoxLayout()
        for name, text, tip in FILTERS:
            box = self.boxes[name] = QCheckBox(text)
            box.setToolTip(tip)
            self._connections.add(box.toggled, partial(rows.set, name))
            boxes.addWidget(box)
        outer = QVBoxLayout(self) if narrow else QHBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(self.search)
        outer.addLayout(boxes)
        self._connections.add(rows.filter_changed, self._show)
        self._show()

    def close_connections(self) -> None:
        """Disconnect from the list."""
        self._connections.undo()

    def _show(self) -> None:
        if self.search.text() != self._rows.search:
            self.search.setText(self._rows.search)
        for name, box in self.boxes.items():
            box.setChecked(bool(getattr(self._rows, name)))


class EditBar(QWidget):
    """Changes all chosen clips at once: annotator, case id, facing, finished."""

    def __init__(self, worklist: WorklistController, table: WorklistTable) -> None:
        super().__init__()
        self._worklist, self._table = worklist, table
        self._connections = Connections()
        self.about = QLabel()
        self.annotator = QComboBox()
        self.annotator.setEditable(True)
        self.annotator.setMinimumWidth(120)
        self.annotator.setAccessibleName("Annotator of the chosen clips")
        self.annotator.setToolTip("Name of the annotator; empty for nobody")
        self.give = self._button("Give to", "Give the chosen clips to this annotator", self._on_give)
        self.case = QLineEdit()
        self.case.setPlaceholderText("case id")
        self.case.setMaximumWidth(120)
        self.case.setAccessibleName("Case id of the chosen clips")
        self.case.setToolTip("Pseudonym of the patient, the same for all chosen clips; never the real name")
        self.set_case = self._button("Set case id", "Give all chosen clips this case id", self._on_case)
        self.facing = QComboBox()
        self.facing.setAccessibleName("Facing of the chosen clips")
        for value, text in FACINGS:
            self.facing.addItem(text, value)
        self.set_facing = self._button("Set", "Set this facing for all chosen clips", self._on_facing)
        self.finished = self._button(
            "Finished", "Declare the chosen clips finished in your name", partial(self._declare, True)
        )
        self.unfinished = self._button("Not finished", "Withdraw that they are finished", partial(self._declare, False))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        for widgets in self._lines:  # two lines: beside the panel of a small screen one would be too long
            line = QHBoxLayout()
            for widget in widgets:
                line.addWidget(widget)
            line.addStretch(1)
            column.addLayout(line)
        selection = table.selectionModel()
        if selection is not None:
            self._connections.add(selection.selectionChanged, self._show)
        self._connections.add(worklist.rows_changed, self._show)
        self._show()

    def close_connections(self) -> None:
        """Disconnect from table and controller."""
        self._connections.undo()

    @property
    def _lines(self) -> tuple[tuple[QWidget, ...], ...]:
        names = (self.about, self.annotator, self.give, self.case, self.set_case)
        return names, (self.facing, self.set_facing, self.finished, self.unfinished)

    def _button(self, text: str, tip: str, do: object) -> QPushButton:
        button = QPushButton(text)
        button.setToolTip(tip)
        button.setAccessibleName(f"{text}, for the chosen clips")
        button.setStyleSheet(BUTTON_STYLE)
        self._connections.add(button.clicked, lambda _checked=False: do())  # type: ignore[operator]
        return button

    def _show(self, *_: object) -> None:
        ids = self._table.chosen()
        self.about.setText(f"{count(len(ids), 'clip')} chosen:" if ids else "Choose clips to change them:")
        for widget in (widget for line in self._lines for widget in line if widget is not self.about):
            widget.setEnabled(bool(ids))
        names = {row.assigned_to for row in self._worklist.rows if row.assigned_to} | {self._worklist.annotator}
        if names != {self.annotator.itemText(i) for i in range(self.annotator.count())}:
            typed = self.annotator.currentText()
            self.annotator.clear()
            self.annotator.addItems(sorted(names))
            self.annotator.setCurrentText(typed or self._worklist.annotator)

    def _on_give(self) -> None:
        self._worklist.assign(self._table.chosen(), self.annotator.currentText())

    def _on_case(self) -> None:
        if self.case.text().strip():
            self._worklist.set_flags(self._table.chosen(), case=self.case.text().strip())

    def _on_facing(self) -> None:
        self._worklist.set_flags(self._table.chosen(), facing=self.facing.currentData())

    def _declare(self, finished: bool) -> None:
        self._worklist.declare_finished(self._table.chosen(), finished)


class AddingBar(QWidget):
    """Progress of adding recordings, with a button that stops it; hidden otherwise."""

    def __init__(self, opening: OpenMany) -> None:
        super().__init__()
        self._opening = opening
        self._connections = Connections()
        self.bar = QProgressBar()
        self.bar.setFormat("Adding %v of %m")
        self.bar.setAccessibleName("Recordings added")
        self.cancel = QPushButton("Cancel")
        self.cancel.setToolTip("Stop adding recordings; those that were added stay")
        self.cancel.setAccessibleName("Cancel adding recordings")
        self.cancel.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.bar, 1)
        row.addWidget(self.cancel)
        self._connections.add(self.cancel.clicked, lambda _checked=False: opening.cancel())
        for signal in (opening.started, opening.ended):
            self._connections.add(signal, self._show)
        self._connections.add(opening.progressed, self._on_progress)
        self._show()

    def close_connections(self) -> None:
        """Disconnect from the controller."""
        self._connections.undo()

    def _show(self) -> None:
        self.setVisible(self._opening.running)

    def _on_progress(self, done: int, total: int) -> None:
        self.bar.setRange(0, total)
        self.bar.setValue(done)
