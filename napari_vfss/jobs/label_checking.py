# SPDX-License-Identifier: Apache-2.0
"""Checking the accepted masks of a project in a thread, with progress, time left and cancel."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

import vfss
from napari_vfss.jobs.proposing import PAUSE_S
from napari_vfss.jobs.worker import explain, spare_threads, worker_for
from vfss.errors import StudentError
from vfss.student import load_student

if TYPE_CHECKING:
    from vfss.label_check.check import Stage


@dataclass(frozen=True)
class CheckOrder:
    """A check of a project; `source` is the student to compare with, None for none."""

    project: Path
    source: str | None
    device: str


def check(order: CheckOrder) -> Generator[Stage, None, None]:
    """Check, and yield the progress; the last stage has the findings.

    Raises:
        StudentError: The student failed. Never a RuntimeError, which superqt takes for the end of the program.
    """
    from vfss.label_check.check import check_labels

    try:
        student = None
        if order.source is not None:
            student = load_student(order.source, order.device, threads=spare_threads())
        with vfss.Project.open(order.project) as project:
            for stage in check_labels(project, student):
                yield stage
                time.sleep(PAUSE_S)
    except RuntimeError as error:
        raise StudentError(
            f"the student failed during the check ({error})", remedy="Check without the student."
        ) from error


class LabelChecking(QObject):
    """Runs one check at a time."""

    progressed = Signal(int, int, float)  # steps done, steps in all, seconds left
    found = Signal(object)  # findings, worst first
    ended = Signal(str)  # a problem, empty for none

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._worker: Any = None
        self._began = 0.0
        self._error = ""

    @property
    def running(self) -> bool:
        """True while a check runs."""
        return self._worker is not None

    def start(self, order: CheckOrder) -> None:
        """Start; nothing happens while another check runs."""
        if self.running:
            return
        self._began, self._error = time.monotonic(), ""
        self._worker = worker_for(check, order)
        self._worker.yielded.connect(self._on_stage)
        self._worker.errored.connect(self._on_error)
        self._worker.finished.connect(self._on_finished)
        self._worker.start()

    def cancel(self) -> None:
        """Stop; nothing is shown of what was found so far, as it is in no order yet."""
        if self._worker is not None:
            self._worker.quit()

    def _on_stage(self, stage: Stage) -> None:
        spent = time.monotonic() - self._began
        self.progressed.emit(stage.done, stage.total, spent * (stage.total - stage.done) / max(1, stage.done))
        if stage.findings is not None:
            self.found.emit(stage.findings)

    def _on_error(self, error: Exception) -> None:
        self._error = explain(error)

    def _on_finished(self) -> None:
        self._worker = None
        self.ended.emit(self._error)
