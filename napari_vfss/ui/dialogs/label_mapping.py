# SPDX-License-Identifier: Apache-2.0
"""Table in which a person maps each label of a source to a structure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QAbstractItemView, QComboBox, QHeaderView, QTableWidget, QTableWidgetItem

from vfss.importing import ForeignLabel
from vfss.schema import Schema

LEAVE_OUT = "do not import"
HEADS = ("Label", "Structure", "Masks")


class LabelChoice(QTableWidget):
    """Table with a row per label, and a box of structures in each."""

    changed = Signal()

    def __init__(self, schema: Schema) -> None:
        super().__init__(0, len(HEADS))
        self._schema = schema
        self._names: list[str] = []
        self.setHorizontalHeaderLabels(HEADS)
        self.setToolTip("The structure that each label of the other program stands for")
        self.setAccessibleName("Labels")
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setTabKeyNavigation(False)
        side, head = self.verticalHeader(), self.horizontalHeader()
        if side is not None and head is not None:
            side.hide()
            head.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
            head.setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)

    @property
    def choices(self) -> dict[str, str | None]:
        """Key of the structure for each label, None for those that are not imported."""
        return {name: self.box(row).currentData() for row, name in enumerate(self._names)}

    @property
    def united(self) -> list[str]:
        """Names of structures into which several labels are merged."""
        counts = Counter(key for key in self.choices.values() if key is not None)
        return [self._schema[key].name for key, count in counts.items() if count > 1]

    def box(self, row: int) -> QComboBox:
        """Return the box of structures in a row."""
        box = self.cellWidget(row, 1)
        if not isinstance(box, QComboBox):
            raise IndexError(row)
        return box

    def show_labels(self, labels: Sequence[ForeignLabel], choices: Mapping[str, str | None]) -> None:
        """Fill the table with the labels of a source."""
        self._names = [label.name for label in labels]
        self.setRowCount(len(labels))
        for row, label in enumerate(labels):
            title = f"{label.name} ({label.title})" if label.title else label.name
            self.setItem(row, 0, QTableWidgetItem(title))
            self.setItem(row, 2, QTableWidgetItem(""))
            box = QComboBox()
            box.setToolTip(f"Structure of this project for the label {label.name}")
            box.setAccessibleName(f"Structure for {label.name}")
            box.addItem(LEAVE_OUT, None)
            for structure in self._schema.structures:
                box.addItem(structure.name, structure.key)
            box.setCurrentIndex(max(0, box.findData(choices.get(label.name))))
            box.currentIndexChanged.connect(self._on_box)
            self.setCellWidget(row, 1, box)
        self.resizeRowsToContents()

    def show_counts(self, counts: Mapping[str, int]) -> None:
        """Show how many masks of each label were found."""
        for row, name in enumerate(self._names):
            item = self.item(row, 2)
            if item is not None:
                item.setText(str(counts.get(name, "")))

    def _on_box(self, _index: int) -> None:
        self.changed.emit()
