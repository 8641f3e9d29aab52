# SPDX-License-Identifier: Apache-2.0
"""Dialog that asks which recording of a folder to open."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDialog, QHBoxLayout, QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from napari_vfss.ui.dialog_parts import dialog_button, wrapped_label
from vfss.errors import printable
from vfss.wording import count


class ChooseRecordingDialog(QDialog):
    """Lists the recordings of a folder; accepted once one is chosen.

    Attributes:
        chosen: The recording, once the dialog is accepted.
    """

    def __init__(self, folder: Path, recordings: Sequence[Path], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Which recording?")
        self.setMinimumWidth(520)
        self.chosen: Path | None = None
        self.list = QListWidget()
        self.list.setAccessibleName("Recordings")
        self.list.setToolTip("Recordings in this folder; Enter or a double click opens one")
        for recording in recordings:
            item = QListWidgetItem(printable(str(recording.relative_to(folder))))
            item.setData(Qt.ItemDataRole.UserRole, recording)
            self.list.addItem(item)
        self.list.setCurrentRow(0)
        self.list.itemActivated.connect(self.take)
        self.open_button = dialog_button("Open", "Open the chosen recording", self.take)
        self.open_button.setDefault(True)
        row = QHBoxLayout()
        row.addStretch(1)
        row.addWidget(dialog_button("Cancel", "Open nothing", self.reject))
        row.addWidget(self.open_button)
        body = QVBoxLayout(self)
        body.addWidget(wrapped_label(f"{printable(str(folder))} holds {count(len(recordings), 'recording')}."))
        body.addWidget(self.list, 1)
        body.addLayout(row)

    def take(self, *_: object) -> None:
        """Choose the current recording and close."""
        item = self.list.currentItem()
        if item is not None:
            self.chosen = item.data(Qt.ItemDataRole.UserRole)
            self.accept()
