# SPDX-License-Identifier: Apache-2.0
"""Table in which a person sees, and where it is not known chooses, the clip of each recording of a source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QAbstractItemView, QComboBox, QHeaderView, QTableWidget, QTableWidgetItem

from vfss.importing import SourceRecording

if TYPE_CHECKING:
    from vfss.project import ClipRecord

LEAVE_OUT = "do not import"
UNDECIDED = "choose..."
HEADS = ("In the files", "Images", "Recording of this project")
MOST_ROWS = 200
"""Recordings that are listed: files of more of them have no common names, and cannot be assigned one by one."""

_MARGIN = 24  # px, for the frame of a list and its scroll bar
_UNDECIDED, _KNOWN = "undecided", "known"


class RecordingChoice(QTableWidget):
    """Table with a row per recording of the source, and a box of clips in each."""

    changed = Signal()

    def __init__(self, clips: Sequence[ClipRecord]) -> None:
        super().__init__(0, len(HEADS))
        self._clips = clips
        self._names: list[str] = []
        self.setHorizontalHeaderLabels(HEADS)
        self.setToolTip("The recording to which the masks of each group of files go")
        self.setAccessibleName("Recordings")
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setTabKeyNavigation(False)
        side, head = self.verticalHeader(), self.horizontalHeader()
        if side is not None and head is not None:
            side.hide()
            head.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
            head.setSectionResizeMode(2, QHeaderView.ResizeMode.Stretch)

    @property
    def choices(self) -> dict[str, str | None]:
        """Content id of the clip by name of a recording, None for those not imported; without those known anyway."""
        chosen = {name: self.box(row).currentData() for row, name in enumerate(self._names)}
        return {name: clip for name, clip in chosen.items() if clip not in (_UNDECIDED, _KNOWN)}

    def box(self, row: int) -> QComboBox:
        """Return the box of clips in a row."""
        box = self.cellWidget(row, 2)
        if not isinstance(box, QComboBox):
            raise IndexError(row)
        return box

    def show_recordings(self, recordings: Sequence[SourceRecording], choices: dict[str, str | None]) -> None:
        """Fill the table with the recordings of a source and the choices made so far."""
        shown = recordings[:MOST_ROWS]
        self._names = [recording.name for recording in shown]
        self.setRowCount(len(shown))
        for row, recording in enumerate(shown):
            item = QTableWidgetItem(recording.title)
            item.setToolTip(recording.images[0].image.name)
            self.setItem(row, 0, item)
            self.setItem(row, 1, QTableWidgetItem(str(len(recording.images))))
            box = self._clip_box(recording)
            if recording.name in choices:
                box.setCurrentIndex(max(0, box.findData(choices[recording.name])))
            box.currentIndexChanged.connect(self._on_box)
            self.setCellWidget(row, 2, box)
        self.resizeRowsToContents()

    def _clip_box(self, recording: SourceRecording) -> QComboBox:
        box = QComboBox()
        box.setAccessibleName(f"Recording for {recording.title}")
        if recording.clip is not None:
            name = next(clip.path.name for clip in self._clips if clip.id == recording.clip)
            box.addItem(name, _KNOWN)
            says = "by the case key" if recording.origin == "key" else "as the files state"
            box.setToolTip(f"The masks of {recording.title} go to {name}, {says}")
        else:
            if recording.origin == "absent":
                box.addItem("not in this project", _UNDECIDED)
            else:
                box.addItem(UNDECIDED, _UNDECIDED)
            for clip in self._clips:
                box.addItem(f"{clip.path.name}, {clip.n_frames} frames", clip.id)
            box.setToolTip(f"Where the masks of {recording.title} go")
        box.addItem(LEAVE_OUT, None)
        box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        popup = box.view()
        if popup is not None:
            popup.setMinimumWidth(popup.sizeHintForColumn(0) + _MARGIN)
        return box

    def _on_box(self, _index: int) -> None:
        self.changed.emit()
