# SPDX-License-Identifier: Apache-2.0
"""The trainer as a process of its own: it reports progress as JSON lines, and is terminated to cancel it."""

from __future__ import annotations

import json
import sys
from collections import deque
from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject, QProcess, Signal

LOG_LINES = 12
LEFT_OUT = 3
"""Exit code where the trainer did its work, but something could not be read; its events name it."""


class Trainer(QObject):
    """Runs a command of `vfss-train` on a project and emits its events.

    Attributes:
        name: What runs, for messages.
        command: Command of `vfss-train`.
        options: Options that every run gets.
        last_event: The event that reports success.
        project: Folder of the project of the current or last run; None before the first.
    """

    name = "The trainer"
    program: tuple[str, ...] = (sys.executable, "-m", "vfss_training.cli")
    command = ""
    options: tuple[str, ...] = ()
    last_event = ""

    started = Signal()
    event_received = Signal(dict)  # one event of the trainer
    ended = Signal(str)  # "" after success, else a message

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.project: Path | None = None
        self._process: QProcess | None = None
        self._partial = b""
        self._log: deque[str] = deque(maxlen=LOG_LINES)
        self._cancelled = False
        self._done = False
        self._error = ""

    @property
    def running(self) -> bool:
        """True while the trainer runs."""
        return self._process is not None

    @property
    def process_id(self) -> int:
        """Number of the trainer's process; 0 while there is none."""
        return 0 if self._process is None else int(self._process.processId())

    def start(self, project: Path, arguments: tuple[str, ...] = (), command: list[str] | None = None) -> None:
        """Start the trainer on a project; ignored while it runs.

        Args:
            project: Folder of the project.
            arguments: Further options of the command.
            command: Program and arguments to run instead.
        """
        if self.running:
            return
        own = [*self.program, self.command, str(project), "--events", "-", *self.options, *arguments]
        program, *options = command or own
        self._partial, self._cancelled, self._done, self._error = b"", False, False, ""
        self._log.clear()
        self.project = project
        process = QProcess(self)
        process.readyReadStandardOutput.connect(self._on_output)
        process.readyReadStandardError.connect(self._on_log)
        process.finished.connect(self._on_finished)
        process.errorOccurred.connect(self._on_process_error)
        self._process = process
        process.start(program, options)
        self.started.emit()

    def cancel(self) -> None:
        """Ask the trainer to stop; it leaves no incomplete files."""
        if self._process is not None:
            self._cancelled = True
            self._process.terminate()

    def close(self) -> None:
        """Stop the trainer because the window closes, and wait until it has ended."""
        process = self._process
        if process is None:
            return
        self.cancel()
        if not process.waitForFinished(5000):
            process.kill()
            process.waitForFinished(2000)

    def abandon(self) -> None:
        """Kill a trainer that writes no files, and whose result is not needed any more."""
        if self._process is not None:
            self._cancelled = True
            self._process.kill()
            self._process.waitForFinished(2000)

    def _on_output(self) -> None:
        if self._process is None:
            return
        *lines, self._partial = (self._partial + bytes(self._process.readAllStandardOutput())).split(b"\n")
        for line in lines:
            self._take(line.decode("utf-8", "replace").strip())

    def _take(self, line: str) -> None:
        event = _event(line)
        if event is None:
            if line:
                self._log.append(line)
            return
        self._done = self._done or event["event"] == self.last_event
        if event["event"] == "error":
            self._error = str(event.get("message", ""))
        self.event_received.emit(event)

    def _on_log(self) -> None:
        if self._process is not None:
            text = bytes(self._process.readAllStandardError()).decode("utf-8", "replace")
            self._log.extend(line for line in text.splitlines() if line.strip())

    def _on_process_error(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart and self._process is not None:
            self._error = f"The trainer did not start: {self._process.errorString()}"
            self._on_finished(-1)

    def _on_finished(self, code: int, *_: Any) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.deleteLater()
        self.ended.emit(self._outcome(code))

    def _outcome(self, code: int) -> str:
        if self._cancelled:
            return f"{self.name} was cancelled; the student is unchanged."
        if self._done and code in (0, LEFT_OUT):
            return ""
        tail = "\n".join(list(self._log)[-LOG_LINES:])
        reason = self._error or f"The trainer stopped with code {code}"
        return f"{self.name} failed. {reason}" + (f"\n{tail}" if tail and not self._error else "")


class Retraining(Trainer):
    """Trains the next student, and leaves it to a person whether that one proposes from then on."""

    name, command, last_event = "Retraining", "fit", "done"
    options = ("--no-choose",)


class Planning(Trainer):
    """Estimates how long a training would take."""

    name, command, last_event = "Estimating the time", "plan", "plan"


def _event(line: str) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) and "event" in event else None
