# SPDX-License-Identifier: Apache-2.0
"""Options of an export: format and contents of the dataset, and the list of recordings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

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

from napari_vfss.ui.dialog_parts import dialog_button, line_edit, wrapped_label
from vfss.datasets import FORMATS, ExportOptions
from vfss.datasets.options import stacking_order
from vfss.datasets.preview import SPLIT_TEXTS, PreviewedRecording, review_text
from vfss.schema import Schema

if TYPE_CHECKING:
    from vfss.project import ClipRecord

NAMED = ("nnunet", "cvat")  # formats that need a name of the dataset
_OVERLAPS = {
    "priority": "The first in this order keeps the pixel",
    "regions": "One label per combination, nothing is lost",
}
_KEY = Qt.ItemDataRole.UserRole


class ExportChoice(QWidget):
    """Asks for a format and its options."""

    changed = Signal()

    def __init__(self, schema: Schema, chosen: Mapping[str, Any]) -> None:
        """Create the form.

        Args:
            schema: Structures of the project.
            chosen: Choices of the last time, as `chosen` returns them; missing or unknown ones keep their defaults.
        """
        super().__init__()
        self._schema = schema
        body = QVBoxLayout(self)
        body.setContentsMargins(0, 0, 0, 0)
        body.addWidget(self._format_group())
        body.addWidget(self._overlap_group())
        body.addWidget(self._contents_group())
        body.addStretch(1)
        self._take(chosen)
        self._on_format()
        for signal in (self.format.currentIndexChanged, self.overlaps.currentIndexChanged):
            signal.connect(self._on_format)
        for box in (self.edited, self.named, self.event_text, self.polygons):
            box.toggled.connect(self._on_changed)
        for field in (self.licence, self.name):
            field.textChanged.connect(self._on_changed)

    @property
    def format_name(self) -> str:
        """Name of the chosen format, as on the command line."""
        return str(self.format.currentData())

    @property
    def options(self) -> ExportOptions:
        """The chosen options."""
        rows = map(self.order.item, range(self.order.count()))
        regional = self.format_name == "nnunet"
        return ExportOptions(
            include_edited=self.edited.isChecked(),
            overlaps=str(self.overlaps.currentData()) if regional else "priority",
            priority=tuple(str(row.data(_KEY)) for row in rows) if regional else (),
            polygons=self.polygons.isChecked() and self.format_name == "coco",
            event_text=self.event_text.isChecked(),
            name_authors=self.named.isChecked(),
            licence=self.licence.text().strip(),
            name=(self.name.text().strip() or "VFSS") if self.format_name in NAMED else "VFSS",
        )

    @property
    def chosen(self) -> dict[str, Any]:
        """Choices as plain data, to start with the next time."""
        return {
            "format": self.format_name,
            "overlaps": str(self.overlaps.currentData()),
            "edited": self.edited.isChecked(),
            "named": self.named.isChecked(),
            "event_text": self.event_text.isChecked(),
            "polygons": self.polygons.isChecked(),
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

    def _format_group(self) -> QGroupBox:
        group = QGroupBox("Format of the dataset")
        body = QVBoxLayout(group)
        self.format = QComboBox()
        self.format.setToolTip("File format of the dataset")
        self.format.setAccessibleName("Format")
        for name, dataset_format in FORMATS.items():
            self.format.addItem(dataset_format.title, name)
        self.loses = wrapped_label()
        body.addWidget(self.format)
        body.addWidget(self.loses)
        return group

    def _overlap_group(self) -> QGroupBox:
        group = self._nnunet = QGroupBox("Where structures overlap")
        body = QVBoxLayout(group)
        self.overlaps = QComboBox()
        self.overlaps.setToolTip("nnU-Net stores one label for each pixel")
        self.overlaps.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        for name, title in _OVERLAPS.items():
            self.overlaps.addItem(title, name)
        self.order = QListWidget()
        self.order.setToolTip("Where two structures overlap, the upper one in this list keeps the pixel")
        self.order.setFixedHeight(112)
        self.order.setMinimumWidth(100)
        for structure in stacking_order(self._schema, ()):
            item = QListWidgetItem(structure.name)
            item.setData(_KEY, structure.key)
            self.order.addItem(item)
        self.order.setCurrentRow(0)
        self.up_button = dialog_button("Up", "Move the chosen structure up", lambda: self.move(-1))
        self.down_button = dialog_button("Down", "Move the chosen structure down", lambda: self.move(1))
        row = QHBoxLayout()
        row.addWidget(self.up_button)
        row.addWidget(self.down_button)
        body.addWidget(self.overlaps)
        body.addWidget(self.order)
        body.addLayout(row)
        return group

    def _contents_group(self) -> QGroupBox:
        group = QGroupBox("Contents")
        body = QFormLayout(group)
        self._rows = body
        self.edited = QCheckBox("include masks that were edited but not accepted")
        self.edited.setToolTip("They are marked as edited; without this only accepted masks are exported")
        self.named = QCheckBox("include names of annotators (else annotator-1, -2, ...)")
        self.named.setToolTip("Names of those who accepted masks; patients are never named")
        self.event_text = QCheckBox("include what people typed about events")
        self.event_text.setToolTip("Events go into events.csv in any case; a text about one may name a patient")
        self.polygons = QCheckBox("outlines as polygons instead of run-length codes")
        self.polygons.setToolTip("For programs that read no run-length codes; holes in masks are filled, and counted")
        self.licence = line_edit("", "e.g. CC-BY-4.0; empty: not stated", "Licence of the dataset")
        self.name = line_edit("", "VFSS", "Name of the dataset")
        body.addRow(self.edited)
        body.addRow(self.named)
        body.addRow(self.event_text)
        body.addRow(self.polygons)
        body.addRow("Licence", self.licence)
        body.addRow("Name", self.name)
        return group

    def _take(self, chosen: Mapping[str, Any]) -> None:
        for box, key in ((self.format, "format"), (self.overlaps, "overlaps")):
            box.setCurrentIndex(max(0, box.findData(str(chosen.get(key)))))
        self.edited.setChecked(chosen.get("edited") is True)
        self.named.setChecked(chosen.get("named") is True)
        self.event_text.setChecked(chosen.get("event_text") is True)
        self.polygons.setChecked(chosen.get("polygons") is True)
        self.licence.setText(str(chosen.get("licence", "")))
        self.name.setText(str(chosen.get("name", "")))

    def _on_format(self, *_: object) -> None:
        chosen = FORMATS[self.format_name]
        losses = "".join(f"<br>• {sentence}" for sentence in chosen.losses)
        self.loses.setText(f"This format loses:{losses}" if losses else "This format keeps everything.")
        self._nnunet.setVisible(self.format_name == "nnunet")
        by_order = self.overlaps.currentData() == "priority"
        for widget in (self.order, self.up_button, self.down_button):
            widget.setEnabled(by_order)
        self._rows.setRowVisible(self.polygons, self.format_name == "coco")
        self._rows.setRowVisible(self.name, self.format_name in NAMED)
        self._on_changed()

    def _on_changed(self, *_: object) -> None:
        self.changed.emit()


HEADS = ("Recording", "Name in the dataset", "Split", "Frames", "Review of pixels")
_PIXELS = len(HEADS) - 1


class RecordingList(QTableWidget):
    """Table with a row per recording; whole rows are chosen."""

    def __init__(self) -> None:
        super().__init__(0, len(HEADS))
        self.setHorizontalHeaderLabels(HEADS)
        self.setToolTip("Recordings that would be exported; double-click one to review its pixels")
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
        """Fill the table; the chosen recording stays chosen, else the first without a review is."""
        before = self.record
        self._records = [known.identity.record for known in recordings]
        self.setRowCount(len(recordings))
        for row, known in enumerate(recordings):
            for column, text in enumerate(_cells(known)):
                item = QTableWidgetItem(text)
                item.setToolTip(str(known.identity.record.path) if column == 0 else text)
                self.setItem(row, column, item)
        unreviewed = [row for row, known in enumerate(recordings) if not known.identity.reviewed]
        same = [row for row, record in enumerate(self._records) if before is not None and record.id == before.id]
        candidates = [row for row in same if row in unreviewed] or unreviewed or same or range(len(recordings))
        self.setCurrentCell(next(iter(candidates), -1), 0)
        self.resizeRowsToContents()


def _cells(known: PreviewedRecording) -> tuple[str, ...]:
    identity = known.identity
    pixels = review_text(identity.review)
    return (
        identity.record.path.name,
        f"{identity.case}, {identity.recording}",
        SPLIT_TEXTS[known.split],
        "0: left out" if known.refused else str(known.frames),
        pixels if identity.reviewed else f"⚠ {pixels}",
    )
