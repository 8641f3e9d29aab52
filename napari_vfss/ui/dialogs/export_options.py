# SPDX-License-Identifier: Apache-2.0
"""The form of a dataset and what may be asked of it, as a person chooses them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QComboBox,
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QHeaderView,
    QListWidget,
    QListWidgetItem,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_vfss.ui.dialog_parts import dialog_button, line, words
from vfss.datasets import FORMATS, ExportOptions
from vfss.datasets.files import order_on_top
from vfss.datasets.preview import SPLIT_WORDS, PreviewedRecording, said_of
from vfss.project import ClipRecord
from vfss.schema import Schema

NAMED = ("nnunet", "cvat")  # forms that ask for the dataset's name
_OVERLAPS = {
    "priority": "The first in this order keeps the pixel",
    "regions": "A label for each combination, nothing lost",
}
_KEY = Qt.ItemDataRole.UserRole


class ExportChoice(QWidget):
    """Asks for a format and its options."""

    changed = Signal()

    def __init__(self, schema: Schema, chosen: Mapping[str, Any]) -> None:
        """Ask.

        Args:
            schema: Structures of the project.
            chosen: What was chosen last, as `chosen` gives it; what is missing or unknown is left at its default.
        """
        super().__init__()
        self._schema = schema
        body = QVBoxLayout(self)
        body.setContentsMargins(0, 0, 0, 0)
        body.addWidget(self._form())
        body.addWidget(self._of_nnunet())
        body.addWidget(self._of_all())
        body.addStretch(1)
        self._take(chosen)
        self._on_format()
        for signal in (self.format.currentIndexChanged, self.overlaps.currentIndexChanged):
            signal.connect(self._on_format)
        for box in (self.edited, self.named):
            box.toggled.connect(self._on_changed)
        for field in (self.licence, self.name):
            field.textChanged.connect(self._on_changed)

    @property
    def format_name(self) -> str:
        """The chosen format, as on the command line."""
        return str(self.format.currentData())

    @property
    def options(self) -> ExportOptions:
        """What was asked for."""
        rows = map(self.order.item, range(self.order.count()))
        regional = self.format_name == "nnunet"
        return ExportOptions(
            include_edited=self.edited.isChecked(),
            overlaps=str(self.overlaps.currentData()) if regional else "priority",
            priority=tuple(str(row.data(_KEY)) for row in rows) if regional else (),
            name_authors=self.named.isChecked(),
            licence=self.licence.text().strip(),
            name=(self.name.text().strip() or "VFSS") if self.format_name in NAMED else "VFSS",
        )

    @property
    def chosen(self) -> dict[str, Any]:
        """Plain data to begin with the next time."""
        return {
            "format": self.format_name,
            "overlaps": str(self.overlaps.currentData()),
            "edited": self.edited.isChecked(),
            "named": self.named.isChecked(),
            "licence": self.licence.text(),
            "name": self.name.text(),
        }

    def move(self, step: int) -> None:
        """Move the chosen structure up (-1) or down (1) in the order."""
        row = self.order.currentRow()
        if row >= 0 and 0 <= row + step < self.order.count():
            self.order.insertItem(row + step, self.order.takeItem(row))
            self.order.setCurrentRow(row + step)
            self._on_changed()

    def _form(self) -> QGroupBox:
        group = QGroupBox("Form of the dataset")
        body = QVBoxLayout(group)
        self.format = QComboBox()
        self.format.setToolTip("Which programs can read it")
        for name, dataset_format in FORMATS.items():
            self.format.addItem(dataset_format.title, name)
        self.loses = words()
        body.addWidget(self.format)
        body.addWidget(self.loses)
        return group

    def _of_nnunet(self) -> QGroupBox:
        group = self._nnunet = QGroupBox("Where structures overlap")
        body = QVBoxLayout(group)
        self.overlaps = QComboBox()
        self.overlaps.setToolTip("nnU-Net knows one label for each pixel")
        self.overlaps.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        for name, said in _OVERLAPS.items():
            self.overlaps.addItem(said, name)
        self.order = QListWidget()
        self.order.setToolTip("The structure that stands higher keeps a pixel that two share")
        self.order.setFixedHeight(112)
        self.order.setMinimumWidth(100)
        for structure in order_on_top(self._schema, ()):
            item = QListWidgetItem(structure.name)
            item.setData(_KEY, structure.key)
            self.order.addItem(item)
        self.order.setCurrentRow(0)
        self.up_button = dialog_button("Up", "Let the chosen structure win over the one above", lambda: self.move(-1))
        self.down_button = dialog_button("Down", "Let it give way to the one below", lambda: self.move(1))
        row = QHBoxLayout()
        row.addWidget(self.up_button)
        row.addWidget(self.down_button)
        body.addWidget(self.overlaps)
        body.addWidget(self.order)
        body.addLayout(row)
        return group

    def _of_all(self) -> QGroupBox:
        group = QGroupBox("What goes in")
        body = QFormLayout(group)
        self._rows = body
        self.edited = QCheckBox("also masks that were corrected, but not accepted")
        self.edited.setToolTip("They are marked as such; without this only what a person accepted goes out")
        self.named = QCheckBox("name annotators (else annotator-1, -2, ...)")
        self.named.setToolTip("Names of those who accepted masks; patients are never named")
        self.licence = line("", "say CC-BY-4.0; empty: not stated", "Under which the dataset may be used")
        self.name = line("", "VFSS", "What the dataset is called")
        body.addRow(self.edited)
        body.addRow(self.named)
        body.addRow("Licence", self.licence)
        body.addRow("Name", self.name)
        return group

    def _take(self, chosen: Mapping[str, Any]) -> None:
        for box, key in ((self.format, "format"), (self.overlaps, "overlaps")):
            box.setCurrentIndex(max(0, box.findData(str(chosen.get(key)))))
        self.edited.setChecked(chosen.get("edited") is True)
        self.named.setChecked(chosen.get("named") is True)
        self.licence.setText(str(chosen.get("licence", "")))
        self.name.setText(str(chosen.get("name", "")))

    def _on_format(self, *_: object) -> None:
        chosen = FORMATS[self.format_name]
        lost = "".join(f"<br>• {sentence}" for sentence in chosen.loses)
        self.loses.setText(f"It cannot keep everything:{lost}" if lost else "It keeps everything there is.")
        self._nnunet.setVisible(self.format_name == "nnunet")
        by_order = self.overlaps.currentData() == "priority"
        for widget in (self.order, self.up_button, self.down_button):
            widget.setEnabled(by_order)
        self._rows.setRowVisible(self.name, self.format_name in NAMED)
        self._on_changed()

    def _on_changed(self, *_: object) -> None:
        self.changed.emit()


HEADS = ("Recording", "Called in the dataset", "Use", "Frames", "Pixels")
_PIXELS = len(HEADS) - 1


class RecordingList(QTableWidget):
    """A row per recording; rows are chosen as a whole."""

    def __init__(self) -> None:
        super().__init__(0, len(HEADS))
        self.setHorizontalHeaderLabels(HEADS)
        self.setToolTip("Recordings that would be written; a double click looks at the pixels of one")
        self.setAccessibleName("Recordings")
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setTabKeyNavigation(False)
        side, head = self.verticalHeader(), self.horizontalHeader()
        if side is not None and head is not None:
            side.hide()
            head.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
            head.setSectionResizeMode(_PIXELS, QHeaderView.ResizeMode.Stretch)
        self._records: list[ClipRecord] = []

    @property
    def record(self) -> ClipRecord | None:
        """The chosen recording."""
        row = self.currentRow()
        return self._records[row] if 0 <= row < len(self._records) else None

    def show_recordings(self, recordings: Sequence[PreviewedRecording]) -> None:
        """Fill it; the chosen recording stays chosen, else it is the first that nobody has looked at."""
        before = self.record
        self._records = [known.identity.record for known in recordings]
        self.setRowCount(len(recordings))
        for row, known in enumerate(recordings):
            for column, text in enumerate(_cells(known)):
                item = QTableWidgetItem(text)
                item.setToolTip(str(known.identity.record.path) if column == 0 else text)
                self.setItem(row, column, item)
        unseen = [row for row, known in enumerate(recordings) if not known.identity.reviewed]
        kept = [row for row, record in enumerate(self._records) if before is not None and record.id == before.id]
        wanted = next(iter([row for row in kept if row in unseen] or unseen or kept or range(len(recordings))), -1)
        self.setCurrentCell(wanted, 0)
        self.resizeRowsToContents()


def _cells(known: PreviewedRecording) -> tuple[str, ...]:
    identity = known.identity
    pixels = said_of(identity.review)
    return (
        identity.record.path.name,
        f"{identity.case}, {identity.recording}",
        SPLIT_WORDS[known.split],
        "0: left out" if known.refused else str(known.frames),
        pixels if identity.reviewed else f"⚠ {pixels}",
    )
