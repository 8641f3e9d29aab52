# SPDX-License-Identifier: Apache-2.0
"""Propagating masks in a thread. The worker touches no widgets; its signals reach the window through Qt."""

from __future__ import annotations

import time
from collections.abc import Collection, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

import vfss
from napari_vfss.jobs.proposing import PAUSE_S
from napari_vfss.jobs.worker import explain, spare_threads, worker_for
from napari_vfss.session.session import Session
from napari_vfss.session.undo import Step
from vfss.clips import Clip
from vfss.errors import StudentError, VfssError
from vfss.masks import MaskState
from vfss.student import Student, load_student, shared_keys
from vfss.wording import count, ranges

if TYPE_CHECKING:  # propagation brings scipy and OpenCV: they are imported by the job
    from vfss.propagation.propagation import Ending, PropagationRequest, Reason
    from vfss.proposals.propagation import Stage

_REASONS: dict[Reason, str] = {
    "annotated": "the next frame is annotated",
    "end": "the clip ends",
    "confidence": "low confidence",
    "out_of_view": "out of the picture",
    "meanwhile": "changed by someone else meanwhile",
    "stopped": "stopped",
}
_MANY = 3  # up to so many structures are named one by one


def propagation_summary(
    session: Session,
    request: PropagationRequest,
    endings: Sequence[Ending],
    *,
    undoable: bool,
    unreadable: Collection[int] = (),
) -> str:
    """Return a message on how far each structure was propagated, and why no further.

    Args:
        session: The session on the clip.
        request: The propagation that was asked for.
        endings: How far each structure was propagated.
        undoable: True if there is something to undo.
        unreadable: Frames that cannot be decoded.
    """
    parts = [f"Propagated from frame {request.start + 1}."]
    for forward in (False, True):
        groups: dict[tuple[int | None, Reason, bool], list[Ending]] = {}
        for ending in endings:
            if ending.forward == forward:
                # Structures with gaps are grouped by that, not by how far they were propagated.
                gaps = ending.left_out > 0
                groups.setdefault((None if gaps else ending.last, ending.reason, gaps), []).append(ending)
        texts = [_group(session, group, len(request.structures)) for group in groups.values()]
        if texts:
            parts.append(f"{'Forward' if forward else 'Backward'}: " + "; ".join(texts) + ".")
    if unreadable:
        passed = count(len(unreadable), "frame cannot be read and was", "frames cannot be read and were")
        parts.append(f"{passed} passed over: {ranges(frame + 1 for frame in unreadable)}.")
    parts += _only_proposed(session, request)
    if undoable:
        parts.append("Ctrl+Z undoes all of it.")
    return " ".join(parts)


def _group(session: Session, group: list[Ending], of: int) -> str:
    names, first = [session.schema[ending.structure].name for ending in group], group[0]
    which = f"all {of} structures" if len(names) == of > 1 else f"{len(names)} structures"
    if len(names) <= min(_MANY, of if of == 1 else of - 1):
        which = ", ".join(names)
    if first.left_out:
        most = max(ending.left_out for ending in group)
        return (
            f"{which} with {'up to ' if len(group) > 1 else ''}{count(most, 'frame')} left out (low confidence there)"
        )
    where = "not propagated" if first.last is None else f"to frame {first.last + 1}"
    return f"{which} {where} ({_REASONS[first.reason]})"


def _only_proposed(session: Session, request: PropagationRequest) -> list[str]:
    states, frame = session.states[request.start], request.start + 1
    others = [s for s in session.schema.structures if s.key not in request.structures]
    n = sum(states[structure.index] == MaskState.PROPOSED for structure in others)
    if not n:
        return []
    if n == 1:
        return [f"1 structure on frame {frame} is a proposal only: accept it to propagate it."]
    return [f"{n} structures on frame {frame} are proposals only: accept them to propagate them."]


def key_structures(session: Session, *, only_active: bool) -> tuple[str, ...]:
    """Return the structures of the current frame that would be propagated: those a person painted or accepted."""
    from vfss.propagation.propagation import KEY_STATES

    work = session.work
    return tuple(
        s.key
        for s in session.schema.structures
        if work.state[s.index] in KEY_STATES
        if work.planes[s.index].any() and (s.key == session.structure or not only_active)
    )


def nothing_to_propagate(session: Session, *, only_active: bool) -> str:
    """Return the message if no structure would be propagated."""
    subject = f"{session.active.name} has" if only_active else "There is"
    return (
        f"{subject} no mask on this frame that a person painted or accepted: paint it, or accept what is "
        "proposed (S, or A for the frame), then propagate it."
    )


@dataclass(frozen=True)
class PropagationJob:
    """A job: the propagation of masks on a clip of a project, and the student that helps with soft structures."""

    project: Path
    clip: Clip
    request: PropagationRequest
    source: str
    device: str
    student: Student | None = None


@dataclass(frozen=True)
class PropagationProgress:
    """Progress of a job.

    Attributes:
        stage: Masks written since the last report.
        endings: How far each structure was propagated.
        student: The student that was loaded; None without one.
        unreadable: Frames found so far that cannot be decoded.
    """

    stage: Stage
    endings: tuple[Ending, ...]
    student: Student | None
    unreadable: tuple[int, ...] = ()


def propagate(job: PropagationJob) -> Generator[PropagationProgress, None, None]:
    """Propagate frame after frame, write each batch, and yield the progress.

    Raises:
        StudentError: The student failed. Never a RuntimeError, which superqt takes for the end of the program.
    """
    try:
        yield from _propagate(job)
    except RuntimeError as error:
        raise StudentError(
            f"the student failed during the propagation ({error})",
            remedy="Earlier masks are kept. Try again, or propagate rigid structures alone: they need no student.",
        ) from error


def _propagate(job: PropagationJob) -> Generator[PropagationProgress, None, None]:
    import cv2

    from vfss.proposals.propagation import ProjectPropagation, Stage

    cv2.setNumThreads(spare_threads())
    clip = job.clip.reopen()
    with vfss.Project.open(job.project) as project, clip:
        asks_student = not set(project.schema.soft).isdisjoint(job.request.structures)
        student = _student(job, project) if asks_student else None
        run = ProjectPropagation(project, clip, job.request, student)
        stage = Stage(0, run.total, ())
        yield PropagationProgress(stage, run.endings, student)
        for stage in run.run():
            yield PropagationProgress(stage, run.endings, student, run.unreadable)
            time.sleep(PAUSE_S)
        yield PropagationProgress(Stage(stage.done, stage.total, ()), run.endings, student, run.unreadable)


def _student(job: PropagationJob, project: vfss.Project) -> Student:
    student = job.student or load_student(job.source, job.device, threads=spare_threads())
    shared_keys(student.keys, project.schema.keys)  # raises where it could not help with anything
    return student


class Propagating(QObject):
    """Runs one propagation at a time; all that it writes is one step of undo."""

    started = Signal()
    progressed = Signal(int, int)
    ended = Signal(str, bool)  # message, True for a problem

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._worker: Any = None
        self._session: Session | None = None
        self._step: Step | None = None
        self._progress: PropagationProgress | None = None
        self._request: PropagationRequest | None = None
        self._error = ""

    @property
    def running(self) -> bool:
        """True while masks are propagated."""
        return self._worker is not None

    def start(self, session: Session, request: PropagationRequest, device: str) -> None:
        """Start; nothing happens while another run is in progress."""
        if self.running:
            return
        job = PropagationJob(
            session.project.folder, session.clip, request, session.student_source(), device, session.student
        )
        names = [session.schema[key].name for key in request.structures]
        which = names[0] if len(names) == 1 else count(len(names), "structure")
        label = f"{which} propagated from frame {request.start + 1}"
        self._session, self._step, self._request = session, session.changes.begin_run(label), request
        self._progress, self._error = None, ""
        self._worker = worker_for(propagate, job)
        self._worker.yielded.connect(self._on_progress)
        self._worker.errored.connect(self._on_error)
        self._worker.finished.connect(self._on_finished)
        self.started.emit()
        self._worker.start()

    def cancel(self) -> None:
        """Stop after the current batch; masks that were written stay, and can be undone."""
        if self._worker is not None:
            self._worker.quit()

    def leave_session(self) -> None:
        """Stop and no longer use the session, which is being closed; what was written stays in its project."""
        self.cancel()
        self._session = None

    def _on_progress(self, progress: PropagationProgress) -> None:
        self._progress, session = progress, self._session
        if session is None or self._step is None:
            return
        try:
            if progress.student is not None and session.student is not progress.student:
                session.set_student(progress.student)
            session.changes.add_to_run(self._step, progress.stage.written)
        except (VfssError, OSError) as error:
            self._error = explain(error)
            self.cancel()
        self.progressed.emit(progress.stage.done, progress.stage.total)

    def _on_error(self, error: Exception) -> None:
        self._error = explain(error)

    def _on_finished(self) -> None:
        session, step, progress, request = self._session, self._step, self._progress, self._request
        self._worker = self._session = self._step = None
        if session is None or step is None or request is None:
            self.ended.emit("", False)
            return
        session.changes.end_run(step)
        summary = ""
        if progress is not None:
            undoable, unreadable = bool(step.wrote), progress.unreadable
            summary = propagation_summary(session, request, progress.endings, undoable=undoable, unreadable=unreadable)
        self.ended.emit(f"{self._error} {summary}".strip(), bool(self._error))
