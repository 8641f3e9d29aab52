# SPDX-License-Identifier: Apache-2.0
"""Adapting a student to the open clip in another process: it is fine-tuned there and proposes on the other frames."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QObject, Signal

from napari_vfss.jobs.training import Trainer
from napari_vfss.jobs.worker import explain, spare_threads
from napari_vfss.session.session import Session
from napari_vfss.session.undo import Step
from vfss.errors import VfssError
from vfss.proposals.soft_annotations import LEAST_FRAMES, annotated_soft
from vfss.wording import count, ranges

TOO_FEW = (
    "There is too little to adapt to: correct or accept soft structures such as the bolus on "
    f"{LEAST_FRAMES} frames or more that differ, then adapt the student to this clip."
)


class ClipTrainer(Trainer):
    """Runs `vfss-train learn`."""

    name, command, last_event = "Adapting to the clip", "learn", "learnt"

    @property
    def cancelled(self) -> bool:
        """True if a person stopped the last run."""
        return self._cancelled


class ClipAdaptation(QObject):
    """Adapts the student to one clip at a time; all masks that are written are one step of undo."""

    started = Signal()
    progressed = Signal(str, int, int)  # stage, steps done, steps in all
    ended = Signal(str, bool)  # message, True for a problem

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.trainer = ClipTrainer(self)
        self.trainer.event_received.connect(self._on_event)
        self.trainer.ended.connect(self._on_ended)
        self._session: Session | None = None
        self._step: Step | None = None
        self._masks = self._frames = 0
        self._error = ""
        self._left_out: set[int] = set()

    @property
    def running(self) -> bool:
        """True while a run is in progress."""
        return self.trainer.running

    def start(self, session: Session) -> None:
        """Start; nothing happens while another run is in progress."""
        if self.running:
            return
        self._session, self._step = session, session.changes.begin_run("proposals of the clip-adapted student")
        self._masks = self._frames = 0
        self._error = ""
        self._left_out = set()
        threads = str(spare_threads())
        arguments = (session.clip.id, "--student", session.student_source(), "--threads", threads)
        self.trainer.start(session.project.folder, arguments)
        self.started.emit()

    def cancel(self) -> None:
        """Stop; masks that were written stay, and can be undone."""
        self.trainer.cancel()

    def leave_session(self) -> None:
        """Stop and no longer use the session, which is being closed; what was written stays in its project."""
        self.cancel()
        self._session = None

    def close(self) -> None:
        """End, and wait until the process has ended: the window is closing."""
        self._session = None
        self.trainer.close()

    def _on_event(self, event: dict[str, Any]) -> None:
        kind, session = event["event"], self._session
        if kind == "spread" and session is not None and self._step is not None:
            written = [(int(frame), str(key), int(revision)) for frame, key, revision in event.get("written", ())]
            self._masks += len(written)
            try:
                session.changes.add_to_run(self._step, written)
            except (VfssError, OSError) as error:
                self._error = explain(error)
                self.cancel()
        if kind in ("learn", "spread"):
            stage = "adapting" if kind == "learn" else "proposing"
            self.progressed.emit(stage, int(event.get("done", 0)), int(event.get("total", 1)))
        elif kind == "left_out":
            self._left_out.update(int(frame) for frame in event.get("frames", ()))
        elif kind == "learnt":
            self._frames = int(event.get("frames", 0))

    def _on_ended(self, outcome: str) -> None:
        session, step = self._session, self._step
        self._session = self._step = None
        if session is None or step is None:
            self.ended.emit("", False)
            return
        session.changes.end_run(step)
        summary = _summary(self._masks)
        if not outcome:
            done = f"The student was adapted to {count(self._frames, 'frame')} of this clip. {summary}"
            self.ended.emit(f"{done} {_left_out(self._left_out)}".strip(), bool(self._left_out))
        elif self.trainer.cancelled and not self._error:
            self.ended.emit(f"Adapting was stopped. {summary}", False)
        else:
            self.ended.emit(f"{self._error or outcome} {summary}", True)


def _summary(masks: int) -> str:
    if not masks:
        return "No mask was changed."
    return f"{count(masks, 'mask was', 'masks were')} proposed anew. Ctrl+Z undoes {'them all' if masks > 1 else 'it'}."


def _left_out(frames: set[int]) -> str:
    if not frames:
        return ""
    what = count(len(frames), "frame cannot be read and was", "frames cannot be read and were")
    return f"{what} left out: {ranges(frame + 1 for frame in frames)}."


def corrected_frame_count(session: Session) -> int:
    """Return the number of frames of the clip on which soft structures are annotated."""
    return int(annotated_soft(session.states, session.schema).any(axis=1).sum())
