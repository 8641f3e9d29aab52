# SPDX-License-Identifier: Apache-2.0
"""After a switch: propose anew what nobody accepted, on request only, and show what changed."""

from __future__ import annotations

from functools import partial

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QProgressBar,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_vfss.connections import Connections
from napari_vfss.controller.controller import AnnotationController
from napari_vfss.debounce import Debounce
from napari_vfss.jobs.students import RenewalOrder, Renewing
from napari_vfss.session.host import while_open
from napari_vfss.session.session import Session
from napari_vfss.ui.section import button, tipped_button
from vfss.proposals.renewal import RenewedMask, changes_by_structure, largest_changes
from vfss.wording import count

HINT = (
    "Masks that an earlier student proposed and nobody accepted can be proposed anew by the student in use. "
    "What a person drew, accepted, propagated or imported stays as it is."
)


class RenewalView(QWidget):
    """Proposes anew, and lists what changed, the largest changes first.

    Attributes:
        renewed: Masks that were proposed anew since the last start.
    """

    went = Signal()  # a person asked to see a change in the picture

    def __init__(self, controller: AnnotationController) -> None:
        super().__init__()
        self.controller = controller
        self.job = Renewing(controller)
        self.renewed: list[RenewedMask] = []
        self._largest: list[RenewedMask] = []
        self._names: dict[str, str] = {}
        self._connections = Connections()
        body = QVBoxLayout(self)
        hint = QLabel(HINT)
        hint.setWordWrap(True)
        body.addWidget(hint)
        self._build_buttons(body)
        self.summary = QLabel()
        self.summary.setWordWrap(True)
        body.addWidget(self.summary)
        self._build_tables(body)
        self._show = Debounce(self, self._fill, 250)
        self._connections.add(self.job.renewed, self._on_renewed)
        self._connections.add(self.job.progressed, self._on_progress)
        self._connections.add(self.job.ended, self._on_ended)
        self._set_running(False)

    @property
    def session(self) -> Session | None:
        """The open session."""
        return self.controller.session

    def close_connections(self) -> None:
        """Stop and disconnect."""
        self.job.cancel()
        self._connections.undo()

    @while_open
    def start(self, session: Session, *, whole_project: bool) -> None:
        """Propose anew on the open clip or the whole project."""
        busy = self.controller.student_jobs.running
        if session.project.read_only or busy or self.job.running:
            why = "The project can only be read." if session.project.read_only else "A student is still at work: wait."
            self.controller.show_message(why)
            return
        if session.reading is not None and session.reading.start == "nothing":
            self.controller.show_message("This second reading excludes the student.")
            return
        self.controller.save()
        self.renewed = []
        self._names = {record.id: record.path.name for record in session.project.clips()}
        self._fill()
        self.bar.setRange(0, 0)
        self._set_running(True)
        clips = () if whole_project else (session.clip.id,)
        self.job.start(RenewalOrder(session.project.folder, clips))

    def _build_buttons(self, body: QVBoxLayout) -> None:
        row = QHBoxLayout()
        tip = "Propose anew in the open clip what nobody accepted"
        self.clip_button = button(
            "In this clip",
            tip,
            lambda: self.start(whole_project=False),
            key="Ctrl+Alt+Shift+Q",
            key_on_face=False,
        )
        tip = "Propose anew in all clips of the project what nobody accepted"
        self.project_button = button(
            "In the whole project",
            tip,
            lambda: self.start(whole_project=True),
            key="Ctrl+Alt+Shift+V",
            key_on_face=False,
        )
        self.bar = QProgressBar()
        self.bar.setFixedHeight(16)
        self.bar.setFormat("%v of %m frames")
        tip = "Stop; what was proposed anew stays"
        self.cancel_button = tipped_button("Cancel", tip, self.job.cancel, key="Ctrl+Alt+Shift+X")
        for widget in (self.clip_button, self.project_button, self.bar, self.cancel_button):
            row.addWidget(widget, 1)
        body.addLayout(row)

    def _build_tables(self, body: QVBoxLayout) -> None:
        self.structures = _table("What changed by structure", ("Structure", "Changed", "Masks", "Dice with before"))
        self.largest = _table("Largest changes", ("Clip", "Frame", "Structure", "Dice with before"))
        self.largest.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.largest.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.largest.setToolTip("Double click or press Enter to see it in the picture")
        self.largest.activated.connect(lambda index: self.go_to(index.row()))
        body.addWidget(self.structures, 1)
        body.addWidget(self.largest, 1)

    @while_open
    def go_to(self, session: Session, row: int) -> None:
        """Show a change in the picture."""
        if not 0 <= row < len(self._largest):
            return
        mask = self._largest[row]
        if mask.clip != session.clip.id and not self.controller.open_clip_of_project(mask.clip):
            return
        self.controller.in_session(partial(_show_mask, mask))
        self.went.emit()

    @while_open
    def _on_renewed(self, session: Session, clip: str, frames: tuple[int, ...], masks: list[RenewedMask]) -> None:
        self.renewed += masks
        if clip == session.clip.id:
            with self.controller.showing_errors():
                session.reload(frames)
        self._show.ask()

    def _on_progress(self, done: int, total: int) -> None:
        self.bar.setRange(0, max(1, total))
        self.bar.setValue(done)

    def _on_ended(self, message: str, _result: object) -> None:
        self._set_running(False)
        self._fill()
        if not self.renewed and not message:
            self.summary.setText("Nothing to do: no proposal of an earlier student waits here.")
        if message:
            self.controller.show_message(message, problem="ancelled" not in message)

    def _set_running(self, running: bool) -> None:
        for widget in (self.bar, self.cancel_button):
            widget.setVisible(running)
        for widget in (self.clip_button, self.project_button):
            widget.setEnabled(not running)

    @while_open
    def _fill(self, session: Session) -> None:
        rows = changes_by_structure(self.renewed)
        self._largest = largest_changes(self.renewed)
        changed = sum(row.changed for row in rows)
        frames = len({(mask.clip, mask.frame) for mask in self.renewed})
        self.summary.setText(
            f"{count(len(self.renewed), 'mask')} on {count(frames, 'frame')} proposed anew, {changed} of them changed."
            if self.renewed
            else ""
        )
        schema = session.schema
        _set_rows(
            self.structures,
            [(schema[row.structure].name, row.changed, row.masks, f"{row.mean_dice:.3f}") for row in rows],
        )
        _set_rows(
            self.largest,
            [
                (self._names.get(one.clip, ""), one.frame + 1, schema[one.structure].name, f"{one.dice:.2f}")
                for one in self._largest
            ],
        )


def _show_mask(mask: RenewedMask, session: Session) -> None:
    session.go_to(mask.frame)
    session.choose(mask.structure)


def _table(name: str, headings: tuple[str, ...]) -> QTableWidget:
    table = QTableWidget(0, len(headings))
    table.setAccessibleName(name)
    table.setHorizontalHeaderLabels(headings)
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
    table.setTabKeyNavigation(False)
    rows, columns = table.verticalHeader(), table.horizontalHeader()
    if rows is not None and columns is not None:
        rows.setVisible(False)
        rows.setDefaultSectionSize(21)
        columns.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
    return table


def _set_rows(table: QTableWidget, rows: list[tuple[object, ...]]) -> None:
    table.setRowCount(len(rows))
    for row, cells in enumerate(rows):
        for column, cell in enumerate(cells):
            item = QTableWidgetItem(str(cell))
            if column:
                item.setTextAlignment(Qt.AlignmentFlag.AlignCenter)
            table.setItem(row, column, item)
