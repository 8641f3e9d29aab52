# SPDX-License-Identifier: Apache-2.0
"""The recordings of an export: their names in the dataset, and who looked at their pixels."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem

from vfss.datasets.preview import SPLIT_WORDS, PreviewedRecording, said_of
from vfss.project import ClipRecord

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
