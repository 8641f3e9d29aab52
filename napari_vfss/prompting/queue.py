# SPDX-License-Identifier: Apache-2.0
"""Clicks and boxes on the way to their answers: one by one, in their order, each to the place where it was made."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from qtpy.QtCore import QObject, Signal

from napari_vfss import preferences
from napari_vfss.connections import Connections
from napari_vfss.jobs.proposing import Proposing, threads_beside_the_window
from napari_vfss.prompting.encoder_cache import WAITED_FOR, EncodedFrames
from napari_vfss.prompting.thread import StudentThread
from napari_vfss.session.corrections import with_prompt
from napari_vfss.session.host import Host
from napari_vfss.session.session import Session
from napari_vfss.viewer.layers import ClipLayers
from vfss.student import Student, load_student
from vfss.student.prompts import Box, Click, Prompts

LOOKING = "looking at the frame..."
PREPARING = "preparing the student..."
CANNOT = (
    "The student in use takes no clicks: it was made by an older version. "
    "Choose another one under Student, or retrain; brush and area work as always."
)
ANSWER = 0  # urgency: before any frame is looked at

Place = tuple[int, str]  # frame, structure key


@dataclass(eq=False)
class PendingPrompt:
    """One click or box without an answer.

    Attributes:
        place: Where it was made, and for which structure.
        at: Where it points, in pixels of the frame.
        prompts: It, and all that was pointed at before, when the student was asked.
        seen: Newest revision of the place when the student was asked.
        taken_back: True once the person does not want it any more.
    """

    place: Place
    at: Click | Box
    prompts: Prompts = field(default_factory=Prompts)
    seen: int | None = None
    taken_back: bool = False


class PromptQueue(QObject):
    """Has the session's student answer what a person points at, and writes the answers as edits.

    The student answers on a thread even though an answer takes less than 50 ms: it may be busy looking at a neighbour
    frame or proposing, and the window must not wait for its turn. An answer is written where it was asked for, whatever
    is shown by then; one that someone overtook by painting is asked for again.
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
        self._asked: PendingPrompt | None = None
        self._loading = False
        self._connections = Connections()
        self._connections.add(session.student_changed, self._on_student)
        self._connections.add(self.frames.ready, self._go_on)
        self._connections.add(self.frames.failed, self._on_frame_failed)
        self._connections.add(proposing.ended, self._go_on)
        self._on_student()

    @property
    def why_not(self) -> str:
        """Why the student takes no clicks, empty where it does; one that was not loaded yet gets its chance."""
        student = self._session.student
        return CANNOT if student is not None and not student.can_refine else ""

    @property
    def busy(self) -> bool:
        """True while something that was pointed at has no answer."""
        return self._asked is not None or bool(self._waiting)

    @property
    def waits_for(self) -> str:
        """What the next one waits for, in words; empty where the answer itself is all that is to come."""
        if self._asked is not None or not self._waiting:
            return ""
        return PREPARING if self._session.student is None else LOOKING

    def unanswered(self, place: Place) -> Prompts:
        """What was pointed at in a place and has no answer yet."""
        prompts = Prompts()
        for pointing in self._open(place):
            at = pointing.at
            prompts = prompts.with_box(at) if isinstance(at, Box) else prompts.with_click(at)
        return prompts

    def point(self, place: Place, at: Click | Box) -> None:
        """Ask for the mask that a click or box makes."""
        self._waiting.append(PendingPrompt(place, at))
        self._go_on()

    def take_back(self, place: Place) -> bool:
        """Forget the last one in a place that has no answer; False where all have theirs."""
        mine = self._open(place)
        if not mine:
            return False
        if mine[-1] is self._asked:
            self._asked.taken_back = True
        else:
            self._waiting.remove(mine[-1])
        self.changed.emit()
        return True

    def prepare(self) -> bool:
        """See to it that the student is loaded; True where it is."""
        session = self._session
        if session.student is not None:
            return True
        # While the student proposes for the first time it is on its way: two of them would take twice as long.
        if not self._loading and not self._proposing.running:
            self._loading = True
            source, device = session.student_source(), preferences.device()
            self._thread.ask(
                lambda: load_student(source, device, threads=threads_beside_the_window()),
                self._on_loaded,
                self._on_not_loaded,
                urgency=WAITED_FOR,
            )
        return False

    def close(self) -> None:
        """Drop what has no answer; let go of everything."""
        self._waiting.clear()
        self._asked = None
        self._connections.undo()
        self.frames.close()

    def _open(self, place: Place) -> list[PendingPrompt]:
        asked = () if self._asked is None or self._asked.taken_back else (self._asked,)
        return [pointing for pointing in (*asked, *self._waiting) if pointing.place == place]

    def _go_on(self, *_: Any) -> None:
        """Ask for the next answer when the student, and what it knows of the frame, are there."""
        with self._host.telling():
            if self._asked is None and self._waiting and self.prepare():
                frame = self._waiting[0].place[0]
                encoded = self.frames.get(frame)
                if encoded is None:
                    self.frames.hurry(frame)
                else:
                    self._ask(self._waiting.popleft(), encoded)
        self.changed.emit()

    def _ask(self, pointing: PendingPrompt, encoded: Any) -> None:
        session, student, (frame, structure) = self._session, self._session.student, pointing.place
        if student is None:
            return
        work = session.work_at(frame)
        pointing.prompts = with_prompt(session, frame, structure, pointing.at)
        pointing.seen = work.seen.get(structure)
        current = work.planes[session.schema[structure].index].copy()
        self._asked = pointing
        self._thread.ask(
            lambda: (student, student.refine(encoded, structure, pointing.prompts, current)),
            self._on_answer,
            self._on_no_answer,
            urgency=ANSWER,
        )

    def _on_answer(self, result: tuple[Student, Any]) -> None:
        student, refinement = result
        pointing, self._asked = self._asked, None
        if pointing is not None and not pointing.taken_back:
            with self._host.telling():
                self._layers.flush()
                self._take_answer(pointing, student, refinement.mask)
        self._go_on()

    def _take_answer(self, pointing: PendingPrompt, student: Student, mask: Any) -> None:
        session, (frame, structure) = self._session, pointing.place
        if session.work_at(frame).seen.get(structure) != pointing.seen:
            self._waiting.appendleft(pointing)  # the mask that it was asked to correct is another one by now
            return
        session.answer(mask, pointing.prompts, frame=frame, structure=structure, student=student.id)

    def _on_no_answer(self, message: str) -> None:
        self._asked = None
        self._host.tell(message, problem=True)
        self._go_on()

    def _on_frame_failed(self, frame: int, message: str) -> None:
        left = deque(pointing for pointing in self._waiting if pointing.place[0] != frame)
        if len(left) < len(self._waiting):  # what is looked at ahead fails in silence: it is told when it is needed
            self._waiting = left
            self._host.tell(message, problem=True)
        self._go_on()

    def _on_loaded(self, student: Student) -> None:
        self._loading = False
        if self._session.student is None:
            self._session.set_student(student)

    def _on_not_loaded(self, message: str) -> None:
        self._loading = False
        self._waiting.clear()
        self._host.tell(message, problem=True)
        self.changed.emit()

    def _on_student(self) -> None:
        student = self._session.student
        self.frames.set_student(student if student is not None and student.can_refine else None)
        if self.why_not:
            self._waiting.clear()
        self._go_on()
