# SPDX-License-Identifier: Apache-2.0
"""Carrying masks over a clip beside the window. The worker touches no widgets; Qt carries its signals over."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
from qtpy.QtCore import QObject, Signal

from napari_vfss.jobs.proposing import BREATH_S, explain, threads_beside_the_window
from napari_vfss.jobs.worker import worker_for
from napari_vfss.session.session import Session
from napari_vfss.session.undo import Step
from vfss.clips import Clip
from vfss.errors import StudentError, VfssError
from vfss.masks import MaskState
from vfss.project import Project
from vfss.propagation.propagation import KEY_STATES, Ending, PropagationRequest, Reason
from vfss.proposals.propagation import ProjectPropagation, Stage
from vfss.student import Student, load_student, shared_keys
from vfss.wording import count

_WHY: dict[Reason, str] = {
    "annotated": "a person's word follows",
    "end": "the clip ends",
    "confidence": "trust fell",
    "out_of_view": "it is out of the picture",
    "meanwhile": "someone spoke there meanwhile",
    "stopped": "stopped",
}
_MANY = 3  # names that are still said one by one


def what_was_carried(session: Session, order: PropagationRequest, endings: Sequence[Ending], *, undoable: bool) -> str:
    """How far each structure was carried, and why no further.

    Args:
        session: Whose clip.
        order: What was to be carried.
        endings: How far each structure came.
        undoable: True where there is something to undo.
    """
    parts = [f"Carried from frame {order.start + 1}."]
    for forward in (False, True):
        groups: dict[tuple[int | None, Reason, bool], list[Ending]] = {}
        for ending in endings:
            if ending.forward == forward:
                # How far those came that have gaps matters less than the gaps.
                gaps = ending.left_out > 0
                groups.setdefault((None if gaps else ending.last, ending.reason, gaps), []).append(ending)
        said = [_group(session, group, len(order.structures)) for group in groups.values()]
        if said:
            parts.append(f"{'Forward' if forward else 'Backward'}: " + "; ".join(said) + ".")
    waiting = _only_proposed(session, order)
    if waiting:
        parts.append(f"{waiting} only proposed on frame {order.start + 1}: accept first what shall be carried.")
    if undoable:
        parts.append("Ctrl+Z takes it all back.")
    return " ".join(parts)


def _group(session: Session, group: list[Ending], of: int) -> str:
    names, first = [session.schema[ending.structure].name for ending in group], group[0]
    who = f"all {of} structures" if len(names) == of > 1 else f"{len(names)} structures"
    if len(names) <= min(_MANY, of if of == 1 else of - 1):
        who = ", ".join(names)
    if first.left_out:
        most = max(ending.left_out for ending in group)
        return f"{who} with {'up to ' if len(group) > 1 else ''}{count(most, 'frame')} left out (trust is low there)"
    where = "not at all" if first.last is None else f"to frame {first.last + 1}"
    return f"{who} {where} ({_WHY[first.reason]})"


def _only_proposed(session: Session, order: PropagationRequest) -> str:
    states = session.states[order.start]
    n = sum(states[s.index] == MaskState.PROPOSED for s in session.schema.structures if s.key not in order.structures)
    return count(n, "structure is", "structures are") if n else ""


def carried_structures(session: Session, *, only_active: bool) -> tuple[str, ...]:
    """Structures of the current frame that would be carried: those a person painted or accepted."""
    work = session.work
    return tuple(
        s.key
        for s in session.schema.structures
        if work.state[s.index] in KEY_STATES
        if work.planes[s.index].any() and (s.key == session.structure or not only_active)
    )


def nothing_to_carry(session: Session, *, only_active: bool) -> str:
    """What to tell where no structure would be carried."""
    whose = f"{session.active.name} has" if only_active else "There is"
    return (
        f"{whose} no mask on this frame that a person painted or accepted: paint it, or accept what is "
        "proposed (S, or A for the frame), and carry it then."
    )


@dataclass(frozen=True)
class CarryJob:
    """What to carry: an order for a clip of a project, with the help of which student."""

    project: Path
    clip: Clip
    order: PropagationRequest
    source: str
    device: str
    student: Student | None = None


@dataclass(frozen=True)
class PropagationProgress:
    """What the worker tells: what was written since, how far every structure has come, and the student it loaded."""

    stage: Stage
    endings: tuple[Ending, ...]
    student: Student | None


def carry(job: CarryJob) -> Generator[PropagationProgress, None, None]:
    """Carry frame after frame, write each batch, and tell what was written.

    Raises:
        StudentError: The student failed. Never a RuntimeError, which superqt takes for the end of the program.
    """
    try:
        yield from _carrying(job)
    except RuntimeError as error:
        raise StudentError(
            f"the student failed while masks were carried ({error})",
            remedy="What came before is kept. Try again, or carry bones alone: they need no student.",
        ) from error


def _carrying(job: CarryJob) -> Generator[PropagationProgress, None, None]:
    cv2.setNumThreads(threads_beside_the_window())
    clip = job.clip.reopen()
    with Project.open(job.project) as project, clip:
        asks_student = not set(project.schema.soft).isdisjoint(job.order.structures)
        student = _student(job, project) if asks_student else None
        run = ProjectPropagation(project, clip, job.order, student)
        stage = Stage(0, run.total, ())
        yield PropagationProgress(stage, run.endings, student)
        for stage in run.run():
            yield PropagationProgress(stage, run.endings, student)
            time.sleep(BREATH_S)
        yield PropagationProgress(Stage(stage.done, stage.total, ()), run.endings, student)


def _student(job: CarryJob, project: Project) -> Student:
    student = job.student or load_student(job.source, job.device, threads=threads_beside_the_window())
    shared_keys(student.schema.keys, project.schema.keys)  # raises where it could not help with anything
    return student


class Carrying(QObject):
    """Runs one propagation at a time; all that it writes is one step of the session's undo."""

    started = Signal()
    progressed = Signal(int, int)
    ended = Signal(str, bool)  # message, True for a problem

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._worker: Any = None
        self._session: Session | None = None
        self._step: Step | None = None
        self._news: PropagationProgress | None = None
        self._order: PropagationRequest | None = None
        self._error = ""

    @property
    def running(self) -> bool:
        """True while masks are carried."""
        return self._worker is not None

    def start(self, session: Session, order: PropagationRequest, device: str) -> None:
        """Begin; nothing happens while another run goes on."""
        if self.running:
            return
        job = CarryJob(session.project.folder, session.clip, order, session.student_source(), device, session.student)
        names = [session.schema[key].name for key in order.structures]
        what = f"{names[0] if len(names) == 1 else count(len(names), 'structure')} carried from frame {order.start + 1}"
        self._session, self._step, self._order = session, session.changes.begin_run(what), order
        self._news, self._error = None, ""
        self._worker = worker_for(carry, job)
        self._worker.yielded.connect(self._on_news)
        self._worker.errored.connect(self._on_error)
        self._worker.finished.connect(self._on_finished)
        self.started.emit()
        self._worker.start()

    def cancel(self) -> None:
        """Stop after the batch under way; what was carried stays, and can be undone."""
        if self._worker is not None:
            self._worker.quit()

    def let_go(self) -> None:
        """The session is being closed: end, and touch it no more. What is written is in its project."""
        self.cancel()
        self._session = None

    def _on_news(self, news: PropagationProgress) -> None:
        self._news, session = news, self._session
        if session is None or self._step is None:
            return
        try:
            if news.student is not None and session.student is not news.student:
                session.set_student(news.student)
            session.changes.add_to_run(self._step, news.stage.written)
        except (VfssError, OSError) as error:
            self._error = explain(error)
            self.cancel()
        self.progressed.emit(news.stage.done, news.stage.total)

    def _on_error(self, error: Exception) -> None:
        self._error = explain(error)

    def _on_finished(self) -> None:
        session, step, news, order = self._session, self._step, self._news, self._order
        self._worker = self._session = self._step = None
        if session is None or step is None or order is None:
            self.ended.emit("", False)
            return
        session.changes.end_run(step)
        told = "" if news is None else what_was_carried(session, order, news.endings, undoable=bool(step.wrote))
        self.ended.emit(f"{self._error} {told}".strip(), bool(self._error))
