# SPDX-License-Identifier: Apache-2.0
"""What runs in the background, with the time that is left and a way to stop it, however the sections are folded."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from qtpy.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QVBoxLayout, QWidget

from napari_vfss.connections import Connections
from napari_vfss.controller.controller import AnnotationController
from napari_vfss.jobs.files import FileJob
from napari_vfss.ui.section import tipped_button

_SURE_AFTER = 3.0  # seconds of work before the time that is left is worth saying


@dataclass(eq=False)
class _Job:
    name: str
    stop: Callable[[], object]
    row: QWidget
    text: QLabel
    bar: QProgressBar
    began: float = 0.0
    at_first: int = 0


class JobBar(QWidget):
    """A row for each job that runs: name, progress, time left, Stop."""

    def __init__(self, controller: AnnotationController, importing: FileJob) -> None:
        super().__init__()
        self._connections = Connections()
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(2, 0, 2, 0)
        self._column.setSpacing(2)
        self._jobs: dict[str, _Job] = {}
        jobs = controller.student_jobs
        add = self._connections.add
        for name, job in (("Proposing", jobs.proposing), ("Propagating", jobs.propagating)):
            self._make(name, job.cancel, "Shift+Escape")
            add(job.started, lambda *_, name=name: self._begin(name))
            add(job.progressed, lambda done, total, name=name: self._progress(name, done, total))
            add(job.ended, lambda *_, name=name: self._end(name))
        self._make("Learning this clip", jobs.adapting.cancel, "Shift+Escape")
        add(jobs.adapting.started, lambda: self._begin("Learning this clip"))
        add(jobs.adapting.progressed, lambda _stage, done, total: self._progress("Learning this clip", done, total))
        add(jobs.adapting.ended, lambda *_: self._end("Learning this clip"))
        exports, imports = ("Ctrl+Alt+Shift+E", controller.exporting), ("Ctrl+Alt+Shift+I", importing)
        for name, (key, files) in {"Exporting": exports, "Importing": imports}.items():
            self._make(name, files.cancel, key)
            add(files.started, lambda name=name: self._begin(name))
            add(files.progressed, lambda done, total, name=name: self._progress(name, done, total))
            add(files.ended, lambda *_, name=name: self._end(name))
        self._make("Training a student", controller.retraining.cancel, "Ctrl+Alt+Shift+R")
        add(controller.retraining.started, lambda *_: self._begin("Training a student"))
        add(controller.retraining.event_received, self._on_training)
        add(controller.retraining.ended, lambda *_: self._end("Training a student"))

    @property
    def running(self) -> list[str]:
        """Names of the jobs that are shown."""
        return [name for name, job in self._jobs.items() if not job.row.isHidden()]

    def text(self, name: str) -> str:
        """Return what the row of a job says."""
        return str(self._jobs[name].text.text())

    def close_connections(self) -> None:
        """Disconnect from all jobs."""
        self._connections.undo()

    def _make(self, name: str, stop: Callable[[], object], key: str) -> None:
        row, text, bar = QWidget(), QLabel(name), QProgressBar()
        button = tipped_button("Stop", f"Stop: {name}. What is done so far is kept", stop, key=key)
        bar.setFixedHeight(14)
        bar.setAccessibleName(f"Progress: {name}")
        button.setAccessibleName(f"Stop {name}")
        layout = QHBoxLayout(row)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget, share in ((text, 2), (bar, 3), (button, 0)):
            layout.addWidget(widget, share)
        row.hide()
        self._column.addWidget(row)
        self._jobs[name] = _Job(name, stop, row, text, bar)

    def _begin(self, name: str) -> None:
        job = self._jobs[name]
        job.began, job.at_first = 0.0, 0
        job.bar.setRange(0, 0)
        job.text.setText(name)
        job.row.show()

    def _progress(self, name: str, done: int, total: int) -> None:
        job, now = self._jobs[name], time.monotonic()
        if job.began == 0.0:
            job.began, job.at_first = now, done  # the first report comes after loading, which no later step repeats
        job.bar.setRange(0, total)
        job.bar.setValue(done)
        left = time_left(now - job.began, done - job.at_first, total - done)
        job.text.setText(f"{name}: {left}" if left else name)

    def _on_training(self, event: dict[str, object]) -> None:
        done, total = event.get("step"), event.get("total_steps")
        if isinstance(done, int) and isinstance(total, int):
            self._progress("Training a student", done, total)

    def _end(self, name: str) -> None:
        self._jobs[name].row.hide()


def time_left(seconds: float, done: int, to_do: int) -> str:
    """Return how long the rest takes at the pace so far, in words; empty while that is a guess."""
    if seconds < _SURE_AFTER or done <= 0 or to_do <= 0:
        return ""
    left = seconds / done * to_do
    return f"{left / 60:.0f} min left" if left >= 90 else f"{max(1, round(left))} s left"
