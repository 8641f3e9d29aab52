# SPDX-License-Identifier: Apache-2.0
"""Proposing beside the window. The worker touches no widgets; Qt carries its signals over."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject, Signal

import vfss.student.openvino_runtime  # noqa: F401  imported late, in the worker, it would hold the interpreter's lock and the window
from napari_vfss.jobs.worker import worker_for
from vfss.clips import Clip
from vfss.errors import StudentError, VfssError
from vfss.project import Project
from vfss.proposals.propagation import without_carried_or_imported
from vfss.student import Proposal, Student, load_student

BATCH = 4
BREATH_S = 0.03  # after each batch the processor belongs to the window, which draws what has come

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ProposalOrder:
    """What to propose: frames of a clip in the order wanted, by which student, into which project."""

    project: Path
    clip: Clip
    frames: tuple[int, ...]
    source: str
    device: str
    student: Student | None = None


def outward(current: int, first: int, last: int) -> list[int]:
    """Frames first..last (inclusive), the current one first, then its neighbours on both sides by distance."""
    return sorted(range(first, last + 1), key=lambda t: (abs(t - current), t < current))


def propose(order: ProposalOrder) -> Generator[tuple[Student, tuple[int, ...], str], None, None]:
    """Propose frame after frame, write each batch, and say which frames are done, by whom, and what a person must know.

    The first batch is one frame, so that a person sees something at once. Where the graphics card fails, the
    processor goes on.

    Raises:
        StudentError: The student failed. Never a RuntimeError: superqt takes one for the end of the program, and the
            worker would neither tell nor end.
    """
    try:
        yield from _proposing(order)
    except RuntimeError as error:
        raise StudentError(
            f"the student failed while it proposed ({error})",
            remedy="What came before is kept. Try again; if it fails again, close other programs, or take another one.",
        ) from error


def _proposing(order: ProposalOrder) -> Generator[tuple[Student, tuple[int, ...], str], None, None]:
    student = order.student or load_student(order.source, order.device, threads=threads_beside_the_window())
    frames = list(order.frames)
    clip = order.clip.reopen()
    with Project.open(order.project) as project, clip:
        while frames:
            size = 1 if len(frames) == len(order.frames) else BATCH
            batch, frames = frames[:size], frames[size:]
            student, proposals, note = _proposed(order, student, _stack(clip, batch))
            known = [replace(p, clip=clip.id, frame=t) for p, t in zip(proposals, batch, strict=True)]
            if len(order.frames) > 1:  # asked for one frame, a person wants the student's word on it
                known = [without_carried_or_imported(project, proposal) for proposal in known]
            project.write_proposals(clip.id, known)
            yield student, tuple(batch), note
            time.sleep(BREATH_S)


def _proposed(order: ProposalOrder, student: Student, frames: Any) -> tuple[Student, list[Proposal], str]:
    try:
        return student, student.propose(frames), ""
    except (RuntimeError, StudentError) as error:  # what torch raises when the card is gone, busy or out of memory
        if student.device.startswith("cpu"):
            raise
        logger.warning("the student failed on %s", student.device, exc_info=error)
        lost = student.device.split()[0]
    student = load_student(order.source, "cpu", threads=threads_beside_the_window())
    note = (
        f"The graphics card failed ({lost}): proposing goes on on the processor, which is slower. No mask is lost. "
        "To use the card again, close the program and start it again."
    )
    return student, student.propose(frames), note


def threads_beside_the_window() -> int:
    """Cores that the student may fill: one is the window's, which must answer while a whole clip is proposed."""
    return max(1, (os.cpu_count() or 1) - 1)


def _stack(clip: Clip, frames: Sequence[int]) -> Any:
    import numpy as np

    return np.stack([clip.as_uint8(t) for t in frames])


def explain(error: BaseException) -> str:
    """What to tell a person about an error of a worker."""
    if isinstance(error, VfssError):
        return str(error)
    logger.error("worker failed", exc_info=error)
    return f"Unexpected error ({type(error).__name__}: {error}). Details are in the log."


class Proposing(QObject):
    """Runs one proposal order at a time."""

    started = Signal(int)
    proposed = Signal(object, object)  # Student, frames done in this batch
    progressed = Signal(int, int)
    message = Signal(str)  # what a person must know while it goes on
    ended = Signal(str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.order: ProposalOrder | None = None
        self._worker: Any = None
        self._done = 0
        self._total = 0
        self._outcome = ""

    @property
    def running(self) -> bool:
        """True while an order is worked on."""
        return self._worker is not None

    def start(self, order: ProposalOrder) -> None:
        """Begin an order; nothing happens while another one runs."""
        if self.running or not order.frames:
            return
        self.order = order
        self._done, self._total, self._outcome = 0, len(order.frames), ""
        self._worker = worker_for(propose, order)
        self._worker.yielded.connect(self._on_batch)
        self._worker.errored.connect(self._on_error)
        self._worker.finished.connect(self._on_finished)
        self.started.emit(self._total)
        self._worker.start()

    def cancel(self) -> None:
        """Stop after the batch under way; what is proposed stays."""
        if self._worker is not None:
            self._outcome = "Cancelled"
            self._worker.quit()

    def _on_batch(self, result: tuple[Student, tuple[int, ...], str]) -> None:
        student, frames, note = result
        if note:
            self.message.emit(note)
        self._done += len(frames)
        self.proposed.emit(student, frames)
        self.progressed.emit(self._done, self._total)

    def _on_error(self, error: Exception) -> None:
        self._outcome = explain(error)

    def _on_finished(self) -> None:
        self._worker = None
        self.ended.emit(self._outcome)
