# SPDX-License-Identifier: Apache-2.0
"""Opening of many recordings at once: the first one is shown, the others join the worklist in the background."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from qtpy.QtCore import QObject, Signal

from napari_vfss import preferences
from napari_vfss.connections import Connections
from napari_vfss.controller.unsaved import UnsavedGuard
from napari_vfss.controller.worklist import WorklistController, WorklistHost
from napari_vfss.debounce import Debounce
from napari_vfss.jobs.adding import Adding, AddingOrder, AddingStep
from napari_vfss.jobs.worklist import ClipDetails
from napari_vfss.session.session import Session
from vfss.wording import count

MOST_PROBLEMS = 6  # named in the message at the end
ROWS_MS = 300  # between two readings of the list while it grows


class OpeningHost(WorklistHost, Protocol):
    """What opening many recordings needs of the controller.

    Attributes:
        unsaved_guard: Asks before unsaved changes are lost.
        worklist: List that the recordings join.
    """

    unsaved_guard: UnsavedGuard
    worklist: WorklistController

    def joined_project(self) -> Path | None:
        """Return the project that recordings join; None for the one of their folder."""

    def show_session(self, session: Session) -> None:
        """Close what is open, and show a session instead."""


class OpenMany(QObject):
    """Adds recordings to a project one by one; progress, cancelling, and one message about all problems.

    Attributes:
        folder: The project; None before the recordings were listed.
        added: Number of recordings that are in the project now.
        problems: Why others are not, for a person.
    """

    started = Signal()
    progressed = Signal(int, int)  # recordings dealt with, recordings in all
    ended = Signal()

    def __init__(self, host: OpeningHost, parent: QObject) -> None:
        super().__init__(parent)
        self._host = host
        self._adding = Adding(self)
        self._total = self._done = 0
        self._cancelled = False
        self._order: AddingOrder | None = None
        self.folder: Path | None = None
        self.added = 0
        self.problems: list[str] = []
        self._grow = Debounce(self, self._read_rows, ROWS_MS)
        self._connections = Connections()
        self._connections.add(self._adding.stepped, self._on_step)
        self._connections.add(self._adding.ended, self._on_ended)

    @property
    def running(self) -> bool:
        """True while recordings are added."""
        return self._adding.running

    def start(self, paths: Sequence[Path]) -> bool:
        """Add recordings, folders of them, and at most one project; the first recording opens at once.

        They join the project among the paths, else the chosen one, else the one of the first recording's folder.

        Args:
            paths: Files and folders.

        Returns:
            False if nothing was started: there are no paths, others are added just now, or unsaved changes keep the
            present clip open.
        """
        if not paths:
            return False
        if self.running:
            self._host.show_message("Other recordings are being added: wait until they are, or cancel.")
            return False
        if not self._host.unsaved_guard.may_close():
            return False
        self._total = self._done = self.added = 0
        self._cancelled, self.folder = False, None
        self.problems = []
        project = self._host.joined_project()
        author, kept = preferences.author(), preferences.frames_kept()
        self._order = AddingOrder(tuple(map(Path, paths)), project, author, kept)
        self._adding.start(self._order)
        self.started.emit()
        return True

    def cancel(self) -> None:
        """Stop after the present recording; what was added stays."""
        self._cancelled = True
        self._adding.cancel()
        self._go_on()

    def close(self) -> None:
        """Stop, and show nothing any more."""
        self.cancel()

    def _on_step(self, step: AddingStep) -> None:
        self.folder, self._total, self._done = step.folder, step.total, step.done
        if step.session is not None:
            if self._cancelled:
                step.session.close()
                self._go_on()
            else:
                self._show(step.session)
        if step.problem:
            self.problems.append(step.problem)
        if step.clip is not None:
            self.added += 1
            if step.thumbnail is not None:
                self._host.worklist.keep_details(ClipDetails(step.clip, 0, thumbnail=step.thumbnail))
            self._grow.ask()
        self.progressed.emit(step.done, step.total)

    def _show(self, session: Session) -> None:
        self._host.worklist.show_project(session.project.folder)
        with self._host.showing_errors():
            self._host.show_session(session)
        self._go_on()

    def _go_on(self) -> None:
        """Let the worker add the other recordings."""
        if self._order is not None:
            self._order.shown.set()

    def _read_rows(self) -> None:
        if self.folder is not None:
            self._host.worklist.show_project(self.folder)

    def _on_ended(self, problem: str) -> None:
        if problem:
            self.problems.append(problem)
        self._read_rows()
        self.progressed.emit(self._done, self._total)
        self.ended.emit()
        if self.problems or self._cancelled or self._total > 1:
            self._host.show_message(self._report(), problem=bool(self.problems))

    def _report(self) -> str:
        name = "" if self.folder is None else f" in the project {self.folder.name}"
        text = f"{self.added} of {count(self._total, 'recording is', 'recordings are')}{name}."
        if self._cancelled:
            text += f" Cancelled: {count(self._total - self._done, 'was', 'were')} not looked at."
        if self.problems:
            left = len(self.problems) - MOST_PROBLEMS
            more = [f"and {left} more"] if left > 0 else []
            text += "\nNot added:\n" + "\n".join([*self.problems[:MOST_PROBLEMS], *more])
        return text if self._total else "\n".join(self.problems) or "Nothing was opened."
