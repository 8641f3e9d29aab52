# SPDX-License-Identifier: Apache-2.0
"""Proposing beside the window. The worker touches no widgets; Qt carries its signals over."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject, Signal

import vfss.student.openvino_runtime  # noqa: F401  imported late, in the worker, it would hold the interpreter's lock and the window
from napari_vfss.jobs.worker import worker_for
from vfss.clips import Clip
from vfss.errors import StudentError, VfssError
from vfss.project import Project
from vfss.proposals.student import ProposalRun
from vfss.student import Student, load_student

BREATH_S = 0.03  # after each batch the processor belongs to the window, which draws what has come

_CARD_FAILED = (
    "The graphics card failed ({device}): proposing goes on on the processor, which is slower. No mask is lost. "
    "To use the card again, close the program and start it again."
)

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


@dataclass(frozen=True)
class ProposalProgress:
    """What a worker has done since it reported last: frames, by which student, and a message for the person."""

    student: Student
    frames: tuple[int, ...]
    message: str


def propose(order: ProposalOrder) -> Generator[ProposalProgress, None, None]:
    """Propose frame after frame, write each batch, and report what is done.

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


def _proposing(order: ProposalOrder) -> Generator[ProposalProgress, None, None]:
    student = order.student or load_student(order.source, order.device, threads=threads_beside_the_window())
    notes: list[str] = []

    def on_cpu(failed: Student, error: Exception) -> Student:
        if failed.device.startswith("cpu"):
            raise error
        logger.warning("the student failed on %s", failed.device, exc_info=error)
        notes.append(_CARD_FAILED.format(device=failed.device.split()[0]))
        return load_student(order.source, "cpu", threads=threads_beside_the_window())

    clip = order.clip.reopen()
    with Project.open(order.project) as project, clip:
        # A person who asks for one frame wants the student's masks on it, whatever proposals are there.
        run = ProposalRun(project, clip, student, order.frames, replace_requested=len(order.frames) == 1)
        if run.differences:
            notes.append(run.differences)
        for frames in run.step(on_cpu):
            yield ProposalProgress(run.student, frames, " ".join(notes))
            notes.clear()
            time.sleep(BREATH_S)


def threads_beside_the_window() -> int:
    """Cores that the student may fill: one is the window's, which must answer while a whole clip is proposed."""
    return max(1, (os.cpu_count() or 1) - 1)


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

    def _on_batch(self, progress: ProposalProgress) -> None:
        if progress.message:
            self.message.emit(progress.message)
        self._done += len(progress.frames)
        self.proposed.emit(progress.student, progress.frames)
        self.progressed.emit(self._done, self._total)

    def _on_error(self, error: Exception) -> None:
        self._outcome = explain(error)

    def _on_finished(self) -> None:
        self._worker = None
        self.ended.emit(self._outcome)
