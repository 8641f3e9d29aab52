# SPDX-License-Identifier: Apache-2.0
"""Boxes and crop of a draft as a list and numbers, so that the keyboard can do all that the mouse can."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QKeyEvent
from qtpy.QtWidgets import (
    QCheckBox,
    QGridLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_vfss.connections import Connections
from napari_vfss.ui.dialog_parts import dialog_button, wrapped_label
from napari_vfss.ui.redaction.draft import RedactionDraft
from vfss.redaction import PixelBox

_CUTS = "⚠ The crop cuts off parts of masks: they would end at its border."


class RedactionEditor(QWidget):
    """Shows a draft and changes it."""

    def __init__(self, draft: RedactionDraft) -> None:
        super().__init__()
        self._draft = draft
        self._connections = Connections()
        body = QVBoxLayout(self)
        body.setContentsMargins(0, 0, 0, 0)
        body.addWidget(self._boxes())
        body.addWidget(self._crop())
        self._connections.add(self.list.remove_asked, draft.remove_chosen)
        self._connections.add(self.list.currentRowChanged, self._on_row)
        self._connections.add(self.edges.edited, draft.reshape_chosen)
        self._connections.add(self.crop_edges.edited, draft.set_crop)
        self._connections.add(self.cropped.clicked, self._on_cropped)
        self._connections.add(draft.changed, self.refresh)
        self.refresh()

    def close_connections(self) -> None:
        """Disconnect from the draft."""
        self._connections.undo()

    def refresh(self) -> None:
        """Show the present draft."""
        draft = self._draft
        self.list.blockSignals(True)
        self.list.clear()
        self.list.addItems([f"{number}: {box.why}" for number, box in enumerate(draft.boxes, 1)])
        self.list.setCurrentRow(draft.chosen)
        self.list.blockSignals(False)
        chosen = 0 <= draft.chosen < len(draft.boxes)
        self.remove_button.setEnabled(chosen)
        self.edges.setEnabled(chosen)
        if chosen:
            self.edges.show_box(draft.boxes[draft.chosen].box)
        self.cropped.setChecked(draft.crop is not None)
        self.crop_edges.setEnabled(draft.crop is not None)
        self.crop_edges.show_box(draft.crop or PixelBox(0, 0, draft.height, draft.width))
        self.cuts.setVisible(draft.cuts_masks)

    def _boxes(self) -> QGroupBox:
        group = QGroupBox("Black on all frames")
        body = QVBoxLayout(group)
        self.list = BoxList()
        self.list.setToolTip("Boxes; Delete removes the chosen one")
        self.list.setAccessibleName("Boxes")
        self.list.setMinimumHeight(64)
        self.add_button = dialog_button(
            "Add a box", "Add a box in the middle; move it by its edges below", self._draft.add_in_the_middle
        )
        self.remove_button = dialog_button("Remove", "Remove the chosen box (key: Delete)", self._draft.remove_chosen)
        row = QHBoxLayout()
        row.addWidget(self.add_button)
        row.addWidget(self.remove_button)
        self.edges = Edges(self._draft.height, self._draft.width, "of the chosen box")
        body.addWidget(self.list, 1)
        body.addLayout(row)
        body.addWidget(self.edges)
        return group

    def _crop(self) -> QGroupBox:
        group = QGroupBox("Crop")
        body = QVBoxLayout(group)
        self.cropped = QCheckBox("keep only the part inside the green line")
        self.cropped.setToolTip("Everything outside is removed from all frames and masks")
        self.crop_edges = Edges(self._draft.height, self._draft.width, "of the crop")
        self.cuts = wrapped_label(_CUTS)
        for widget in (self.cropped, self.crop_edges, self.cuts):
            body.addWidget(widget)
        return group

    def _on_row(self, row: int) -> None:
        if row != self._draft.chosen:
            self._draft.choose(row)

    def _on_cropped(self, cropped: bool) -> None:
        self._draft.set_crop(self.crop_edges.box if cropped else None)


class BoxList(QListWidget):
    """List of boxes."""

    remove_asked = Signal()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802
        """Remove the chosen box with Delete."""
        if event is not None and event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            self.remove_asked.emit()
        else:
            super().keyPressEvent(event)


class Edges(QWidget):
    """The four edges of a box as numbers, in pixels from the top left corner."""

    edited = Signal(object)  # PixelBox

    def __init__(self, height: int, width: int, of_what: str) -> None:
        super().__init__()
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        self.spins: list[QSpinBox] = []
        for place, (name, most) in enumerate((("Top", height), ("Left", width), ("Bottom", height), ("Right", width))):
            spin = QSpinBox()
            spin.setRange(0 if place < 2 else 1, most if place >= 2 else most - 1)
            spin.setToolTip(f"{name} edge {of_what}, in pixels")
            spin.setAccessibleName(f"{name} edge {of_what}")
            spin.setKeyboardTracking(False)
            spin.valueChanged.connect(self._on_value)
            self.spins.append(spin)
            grid.addWidget(QLabel(name), place // 2, 2 * (place % 2))
            grid.addWidget(spin, place // 2, 2 * (place % 2) + 1)

    @property
    def box(self) -> PixelBox:
        """The box with these edges, at least one pixel wide and high."""
        top, left, bottom, right = (spin.value() for spin in self.spins)
        return PixelBox(top, left, max(bottom, top + 1), max(right, left + 1))

    def show_box(self, box: PixelBox) -> None:
        """Show the edges of a box."""
        for spin, value in zip(self.spins, (box.top, box.left, box.bottom, box.right), strict=True):
            spin.blockSignals(True)
            spin.setValue(value)
            spin.blockSignals(False)

    def _on_value(self, _value: int) -> None:
        self.edited.emit(self.box)
