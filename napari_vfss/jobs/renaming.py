# SPDX-License-Identifier: Apache-2.0
"""Renaming masks and removing specks on many frames in a thread; all of it is one step of undo."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

import vfss
from napari_vfss.jobs.proposing import PAUSE_S
from napari_vfss.jobs.worker import explain, worker_for
from napari_vfss.session.session import Session
from napari_vfss.session.undo import Step
from vfss.errors import VfssError
from vfss.wording import count, ranges

if TYPE_CHECKING:  # brings SQLAlchemy: imported by the job
    from vfss.project.renaming import EditedFrame, EditsOf

_BATCH = 16  # frames between two reports: each lets the window read the states of the clip again


@dataclass(frozen=True)
class FrameEdits:
    """What to do, and where.

    Attributes:
        what: What was done, for the undo message and the summary: "C4 to C7 renamed one level down".
        edits_of: Returns the edits of a frame.
        frames: Zero-based frames.
        lost: Key of the structure whose earlier masks get no other name; None for none.
    """

    what: str
    edits_of: EditsOf
    frames: tuple[int, ...]
    lost: str | None = None


@dataclass(frozen=True)
class FrameEditsJob:
    """A job: edits of a clip of a project by an author who has seen the revisions up to one."""

    project: Path
    clip: str
    order: FrameEdits
    author: str
    until: int


def edit(job: FrameEditsJob) -> Generator[list[EditedFrame], None, None]:
    """Edit frame after frame, and yield what was written after each batch."""
    from vfss.project.renaming import edit_frames

    order, batch = job.order, list["EditedFrame"]()
    with vfss.Project.open(job.project) as project:
        edited = edit_frames(project, job.clip, order.frames, order.edits_of, author=job.author, until=job.until)
        for frame in edited:
            batch.append(frame)
            if len(batch) == _BATCH:
                yield batch
                batch = []
                time.sleep(PAUSE_S)
        if batch:
            yield batch


def edits_summary(session: Session, order: FrameEdits, done: Sequence[EditedFrame]) -> str:
    """Return a message on what was done, what of it has no name any more, and what was left."""
    changed = [frame for frame in done if frame.written]
    left = [frame.frame + 1 for frame in done if frame.left]
    where = f"frame {changed[0].frame + 1}" if len(changed) == 1 else count(len(changed), "frame")
    parts = [f"{order.what} on {where}." if changed else f"{order.what}: there was nothing to change."]
    if left and not changed:
        parts = [f"{order.what}: nothing was changed."]
    fallen = [frame.frame + 1 for frame in changed if order.lost in frame.replaced]
    if order.lost is not None and fallen:
        name = session.schema[order.lost].name
        parts.append(
            f"What was {name} before has no level left on frame{'' if len(fallen) == 1 else 's'} {ranges(fallen)}: "
            f"it is kept in the history of {name}."
        )
    if left:
        parts.append(f"Left as they are, because someone changed them meanwhile: frames {ranges(left)}.")
    if len(done) < len(order.frames):
        parts.append(f"Stopped after {len(done)} of {count(len(order.frames), 'frame')}.")
    if changed:
        parts.append("Ctrl+Z undoes all of it.")
    return " ".join(parts)


class Renaming(QObject):
    """Runs one order at a time."""

    started = Signal()
    progressed = Signal(int, int)
    ended = Signal(str, bool)  # message, True for a problem

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._worker: Any = None
        self._session: Session | None = None
        self._step: Step | None = None
        self._order: FrameEdits | None = None
        self._done: list[EditedFrame] = []
        self._error = ""

    @property
    def running(self) -> bool:
        """True while frames are edited."""
        return self._worker is not None

    def start(self, session: Session, order: FrameEdits) -> None:
        """Start; nothing happens while another order is in progress.

        Raises:
            ProjectError: The project cannot be read.
        """
        if self.running:
            return
        session.poll()  # what others wrote until now is shown, and may be renamed; what comes later is left
        until = session.project.last_revision()
        job = FrameEditsJob(session.project.folder, session.clip.id, order, session.author, until)
        self._session, self._order, self._step = session, order, session.changes.begin_run(order.what)
        self._done, self._error = [], ""
        self._worker = worker_for(edit, job)
        self._worker.yielded.connect(self._on_batch)
        self._worker.errored.connect(self._on_error)
        self._worker.finished.connect(self._on_finished)
        self.started.emit()
        self._worker.start()

    def cancel(self) -> None:
        """Stop after the current batch; what was written stays, and can be undone."""
        if self._worker is not None:
            self._worker.quit()

    def leave_session(self) -> None:
        """Stop and no longer use the session, which is being closed; what was written stays in its project."""
        self.cancel()
        self._session = None

    def _on_batch(self, batch: list[EditedFrame]) -> None:
        session, step, order = self._session, self._step, self._order
        if session is None or step is None or order is None:
            return
        self._done += batch
        try:
            written = [revision for frame in batch for revision in frame.written]
            session.changes.add_to_run(step, [(r.frame, r.structure, r.id) for r in written])
        except (VfssError, OSError) as error:
            self._error = explain(error)
            self.cancel()
        self.progressed.emit(len(self._done), len(order.frames))

    def _on_error(self, error: Exception) -> None:
        self._error = explain(error)

    def _on_finished(self) -> None:
        session, step, order = self._session, self._step, self._order
        self._worker = self._session = self._step = self._order = None
        if session is None or step is None or order is None:
            self.ended.emit("", False)
            return
        session.changes.end_run(step)
        self.ended.emit(f"{self._error} {edits_summary(session, order, self._done)}".strip(), bool(self._error))
