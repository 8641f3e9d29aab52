# SPDX-License-Identifier: Apache-2.0
"""Queue of clicks and boxes without an answer: answered one by one, in order, where they were made."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from qtpy.QtCore import QObject, Signal

from napari_vfss import preferences
from napari_vfss.connections import Connections
from napari_vfss.jobs.proposing import Proposing
from napari_vfss.jobs.worker import spare_threads
from napari_vfss.prompting.encoder_cache import WAITED_FOR, EncodedFrames
from napari_vfss.prompting.thread import StudentThread
from napari_vfss.session.corrections import with_prompt
from napari_vfss.session.host import Host
from napari_vfss.session.session import Session
from napari_vfss.viewer.layers import ClipLayers
from vfss.student import Student, load_student
from vfss.student.prompts import Box, Click, Prompts

ENCODING = "encoding the frame..."
PREPARING = "loading the student..."
CANNOT = (
    "The student in use does not support clicks: it was made by an older version. "
    "Choose another one under Student, or retrain; brush and polygon work as always."
)
ANSWER = 0  # urgency: before any frame is encoded

Place = tuple[int, str]  # frame, structure key


@dataclass(eq=False)
class PendingPrompt:
    """One click or box without an answer.

    Attributes:
        place: Frame and structure for which it was made.
        at: The click or box, in pixels of the frame.
        prompts: All prompts of the mask including this one, as sent to the student.
        seen: Newest revision of the place when the student was asked.
        removed: True once the annotator has removed it.
    """

    place: Place
    at: Click | Box
    prompts: Prompts = field(default_factory=Prompts)
    seen: int | None = None
    removed: bool = False


class PromptQueue(QObject):
    """Lets the session's student answer prompts, and writes the answers as edits.

    The student answers on a thread even though an answer takes less than 50 ms: it may be busy encoding a neighbouring
    frame or proposing, and the window must not wait for that. An answer is written where it was asked for, whatever is
    shown by then; it is asked for again if the mask was painted on in the meantime.

    Attributes:
        frames: Encoder features of frames.
    """

    changed = Signal()

    def __init__(self, host: Host, session: Session, layers: ClipLayers, proposing: Proposing, parent: QObject) -> None:
        """Answer prompts in a session.

        Args:
            host: Shows messages and problems.
            session: The open session.
            layers: Its layers.
            proposing: Job that may be loading the student already.
            parent: Owner in Qt's sense.
        """
        super().__init__(parent)
        self._host, self._session, self._layers, self._proposing = host, session, layers, proposing
        self._thread = StudentThread(self)
        self.frames = EncodedFrames(self._thread, session.clip, self)
        self._waiting: deque[PendingPrompt] = deque()
        self._current: PendingPrompt | None = None
        self._loading = False
        self._connections = Connections()
        self._connections.add(session.student_changed, self._on_student)
        self._connections.add(self.frames.ready, self._answer_next)
        self._connections.add(self.frames.failed, self._on_frame_failed)
        self._connections.add(proposing.ended, self._answer_next)
        self._on_student()

    @property
    def why_not(self) -> str:
        """Why the student accepts no clicks; empty if it does, or if it is not loaded yet."""
        student = self._session.student
        return CANNOT if student is not None and not student.can_refine else ""

    @property
    def busy(self) -> bool:
        """True while a prompt has no answer."""
        return self._current is not None or bool(self._waiting)

    @property
    def waiting_for(self) -> str:
        """What the next prompt waits for, for display; empty if it waits for nothing but its answer."""
        if self._current is not None or not self._waiting:
            return ""
        return PREPARING if self._session.student is None else ENCODING

    def pending_in(self, place: Place) -> Prompts:
        """Return the prompts of a place that have no answer yet."""
        prompts = Prompts()
        for pending in self._pending(place):
            at = pending.at
            prompts = prompts.with_box(at) if isinstance(at, Box) else prompts.with_click(at)
        return prompts

    def add(self, place: Place, at: Click | Box) -> None:
        """Add a click or box, to be answered by a mask."""
        self._waiting.append(PendingPrompt(place, at))
        self._answer_next()

    def remove_last(self, place: Place) -> bool:
        """Remove the last prompt of a place that has no answer; return False if there is none."""
        mine = self._pending(place)
        if not mine:
            return False
        if mine[-1] is self._current:
            self._current.removed = True
        else:
            self._waiting.remove(mine[-1])
        self.changed.emit()
        return True

    def prepare(self) -> bool:
        """Start loading the student if necessary; return whether it is loaded."""
        session = self._session
        if session.student is not None:
            return True
        # A first proposing job is loading the student already: loading it twice would take twice as long.
        if not self._loading and not self._proposing.running:
            self._loading = True
            source, device = session.student_source(), preferences.device()
            self._thread.ask(
                lambda: load_student(source, device, threads=spare_threads()),
                self._on_loaded,
                self._on_not_loaded,
                urgency=WAITED_FOR,
            )
        return False

    def close(self) -> None:
        """Drop all prompts without an answer, and disconnect everything."""
        self._waiting.clear()
        self._current = None
        self._connections.undo()
        self.frames.close()

    def _pending(self, place: Place) -> list[PendingPrompt]:
        asked = () if self._current is None or self._current.removed else (self._current,)
        return [pending for pending in (*asked, *self._waiting) if pending.place == place]

    def _answer_next(self, *_: Any) -> None:
        """Ask for the next answer if the student is loaded and the frame encoded."""
        with self._host.showing_errors():
            if self._current is None and self._waiting and self.prepare():
                frame = self._waiting[0].place[0]
                encoded = self.frames.get(frame)
                if encoded is None:
                    self.frames.prioritise(frame)
                else:
                    self._ask(self._waiting.popleft(), encoded)
        self.changed.emit()

    def _ask(self, pending: PendingPrompt, encoded: Any) -> None:
        session, student, (frame, structure) = self._session, self._session.student, pending.place
        if student is None:
            return
        work = session.work_at(frame)
        pending.prompts = with_prompt(session, frame, structure, pending.at)
        pending.seen = work.seen.get(structure)
        current = work.planes[session.schema[structure].index].copy()
        self._current = pending
        self._thread.ask(
            lambda: (student, student.refine(encoded, structure, pending.prompts, current)),
            self._on_answer,
            self._on_no_answer,
            urgency=ANSWER,
        )

    def _on_answer(self, result: tuple[Student, Any]) -> None:
        student, refinement = result
        pending, self._current = self._current, None
        if pending is not None and not pending.removed:
            with self._host.showing_errors():
                self._layers.flush()
                self._write_answer(pending, student, refinement.mask)
        self._answer_next()

    def _write_answer(self, pending: PendingPrompt, student: Student, mask: Any) -> None:
        session, (frame, structure) = self._session, pending.place
        if session.work_at(frame).seen.get(structure) != pending.seen:
            self._waiting.appendleft(pending)  # the mask that was to be corrected has changed
            return
        session.answer(mask, pending.prompts, frame=frame, structure=structure, student=student.id)

    def _on_no_answer(self, message: str) -> None:
        self._current = None
        self._host.show_message(message, problem=True)
        self._answer_next()

    def _on_frame_failed(self, frame: int, message: str) -> None:
        left = deque(pending for pending in self._waiting if pending.place[0] != frame)
        if len(left) < len(self._waiting):  # a failure is shown only if a prompt needs the frame
            self._waiting = left
            self._host.show_message(message, problem=True)
        self._answer_next()

    def _on_loaded(self, student: Student) -> None:
        self._loading = False
        if self._session.student is None:
            self._session.set_student(student)

    def _on_not_loaded(self, message: str) -> None:
        self._loading = False
        self._waiting.clear()
        self._host.show_message(message, problem=True)
        self.changed.emit()

    def _on_student(self) -> None:
        student = self._session.student
        self.frames.set_student(student if student is not None and student.can_refine else None)
        if self.why_not:
            self._waiting.clear()
        self._answer_next()
