# SPDX-License-Identifier: Apache-2.0
"""Proposing in a thread. The worker touches no widgets; its signals reach the window through Qt."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject, Signal

import vfss
from napari_vfss.jobs.worker import explain, spare_threads, worker_for
from vfss.clips import Clip
from vfss.errors import StudentError
from vfss.student import Student, load_student

PAUSE_S = 0.03  # pause after each batch, in which the window draws what was written

_CARD_FAILED = (
    "The graphics card failed ({device}): proposing continues on the processor, which is slower. No mask is lost. "
    "To use the card again, close the program and start it again."
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ProposalOrder:
    """A job: frames of a clip in the order wanted, the student, and the project to write to."""

    project: Path
    clip: Clip
    frames: tuple[int, ...]
    source: str
    device: str
    student: Student | None = None


def outward(current: int, first: int, last: int) -> list[int]:
    """Return the frames first..last (inclusive), the current one first, then by distance on both sides."""
    return sorted(range(first, last + 1), key=lambda t: (abs(t - current), t < current))


@dataclass(frozen=True)
class ProposalProgress:
    """Progress of a job.

    Attributes:
        student: The student at work.
        frames: Frames that it proposed on since the last report.
        done: Frames proposed on or left out in all.
        message: For the person; empty without one.
    """

    student: Student
    frames: tuple[int, ...]
    done: int
    message: str


def propose(order: ProposalOrder) -> Generator[ProposalProgress, None, None]:
    """Propose on frame after frame, write each batch, and yield the progress.

    The first batch is one frame, so that a person sees a result at once. If the graphics card fails, proposing
    continues on the processor; frames that cannot be decoded are left out and named at the end.

    Raises:
        StudentError: The student failed. Never a RuntimeError: superqt takes it for the end of the program, and the
            worker would neither report nor end.
    """
    try:
        yield from _propose(order)
    except RuntimeError as error:
        raise StudentError(
            f"the student failed ({error})",
            remedy="Earlier proposals are kept. Try again; if it fails again, close other programs.",
        ) from error


def _propose(order: ProposalOrder) -> Generator[ProposalProgress, None, None]:
    student = order.student or load_student(order.source, order.device, threads=spare_threads())
    notes: list[str] = []

    def on_cpu(failed: Student, error: Exception) -> Student:
        if failed.device.startswith("cpu"):
            raise error
        logger.warning("the student failed on %s", failed.device, exc_info=error)
        notes.append(_CARD_FAILED.format(device=failed.device.split()[0]))
        return load_student(order.source, "cpu", threads=spare_threads())

    from vfss.proposals.student import ProposalRun

    clip = order.clip.reopen()
    with vfss.Project.open(order.project) as project, clip:
        # A person who asks for one frame wants the student's masks on it, whatever proposals are there.
        run = ProposalRun(project, clip, student, order.frames, replace_requested=len(order.frames) == 1)
        if run.differences:
            notes.append(run.differences)
        for frames in run.step(on_cpu):
            yield ProposalProgress(run.student, frames, run.done, " ".join(notes))
            notes.clear()
            time.sleep(PAUSE_S)
        if warnings := run.outcome.warnings(first=1):
            yield ProposalProgress(run.student, (), run.done, " ".join(warnings))


class Proposing(QObject):
    """Runs one proposal job at a time."""

    started = Signal(int)
    proposed = Signal(object, object)  # Student, frames done in this batch
    progressed = Signal(int, int)
    message = Signal(str)  # for the person, while the job runs
    ended = Signal(str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.order: ProposalOrder | None = None
        self._worker: Any = None
        self._total = 0
        self._outcome = ""

    @property
    def running(self) -> bool:
        """True while a job runs."""
        return self._worker is not None

    def start(self, order: ProposalOrder) -> None:
        """Start a job; nothing happens while another one runs."""
        if self.running or not order.frames:
            return
        self.order = order
        self._total, self._outcome = len(order.frames), ""
        self._worker = worker_for(propose, order)
        self._worker.yielded.connect(self._on_batch)
        self._worker.errored.connect(self._on_error)
        self._worker.finished.connect(self._on_finished)
        self.started.emit(self._total)
        self._worker.start()

    def cancel(self) -> None:
        """Stop after the current batch; proposals that were written stay."""
        if self._worker is not None:
            self._outcome = "Cancelled"
            self._worker.quit()

    def _on_batch(self, progress: ProposalProgress) -> None:
        if progress.message:
            self.message.emit(progress.message)
        self.proposed.emit(progress.student, progress.frames)
        self.progressed.emit(progress.done, self._total)

    def _on_error(self, error: Exception) -> None:
        self._outcome = explain(error)

    def _on_finished(self) -> None:
        self._worker = None
        self.ended.emit(self._outcome)
