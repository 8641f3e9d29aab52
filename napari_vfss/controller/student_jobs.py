# SPDX-License-Identifier: Apache-2.0
"""What the machine does to the open clip beside the window: propose, carry, learn. One of them at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_vfss import preferences
from napari_vfss.jobs.clip_learning import TOO_FEW, Learning, frames_to_learn_from
from napari_vfss.jobs.propagating import Carrying, carried_structures, nothing_to_carry
from napari_vfss.jobs.proposing import ProposalOrder, Proposing, outward
from napari_vfss.session.session import Session
from napari_vfss.viewer.layers import READ_ONLY
from vfss.propagation.propagation import CarryOrder, Direction
from vfss.proposals.adapted_student import LEAST_FRAMES
from vfss.student import Student

if TYPE_CHECKING:
    from napari_vfss.controller.controller import AnnotationController


class StudentJobs:
    """Starts the work on the clip that is open on a desk, and says why where it cannot.

    Attributes:
        only_active: Carry the structure in work alone.
    """

    def __init__(self, controller: AnnotationController) -> None:
        self._controller = controller
        self.proposing: Proposing = Proposing(controller)
        self.propagating: Carrying = Carrying(controller)
        self.learning: Learning = Learning(controller)
        self.only_active = False

    @property
    def writing(self) -> bool:
        """True while masks are written that the session is told of as they come."""
        return self.proposing.running or self.propagating.running

    def propose(self, first: int, last: int) -> None:
        """Propose frames first..last, the current one first, then outward; frames a person finished are left out."""
        controller, session = self._controller, self._session_for_student()
        if session is None:
            return
        frames = tuple(t for t in outward(session.frame, first, last) if session.awaits_machine(t))
        if not frames:
            controller.tell("A person has spoken on every structure of these frames: nothing is left to propose.")
            return
        with controller.telling():
            source = session.student_source()
            self.proposing.start(
                ProposalOrder(
                    session.project.folder, session.clip, frames, source, preferences.device(), session.student
                )
            )

    def propagate(self, direction: Direction) -> None:
        """Carry the current frame's masks to its neighbours, up to the next frame on which a person has spoken."""
        controller = self._controller
        session, layers = controller.session, controller.layers
        if session is None or layers is None or self._is_busy():
            return
        with controller.telling():
            layers.flush()
            structures = carried_structures(session, only_active=self.only_active)
            if not structures:
                controller.tell(nothing_to_carry(session, only_active=self.only_active), problem=True)
                return
            self.propagating.start(session, CarryOrder(session.frame, direction, structures), preferences.device())

    def learn(self) -> None:
        """Let the student learn the open clip from what was corrected, and propose its soft structures anew."""
        controller, session = self._controller, self._session_for_student()
        if session is None or controller.layers is None:
            return
        with controller.telling():
            controller.layers.flush()
            if frames_to_learn_from(session) < LEAST_FRAMES:
                controller.tell(TOO_FEW, problem=True)
                return
            self.learning.start(session)

    @property
    def running(self) -> bool:
        """True while it does anything."""
        return self.writing or self.learning.running

    def cancel(self) -> None:
        """Stop whatever it does; what was written stays."""
        self.proposing.cancel()
        self.propagating.cancel()
        self.learning.cancel()

    def let_go(self) -> None:
        """The clip is being closed: end, what is written is in its project."""
        self.proposing.cancel()
        self.propagating.let_go()
        self.learning.let_go()

    def on_proposed(self, student: Student, frames: tuple[int, ...]) -> None:
        """A batch of proposals is in the project."""
        session, order = self._controller.session, self.proposing.order
        # The last batch of a clip that was closed meanwhile is in its project, and none of this session's business.
        if session is not None and order is not None and order.clip is session.clip:
            with self._controller.telling():
                if session.student is not student:
                    session.take_student(student)
                session.reload(frames)

    def _session_for_student(self) -> Session | None:
        """The open session where a student may write into it now; None, and why, where it may not."""
        controller, session = self._controller, self._controller.session
        if session is None:
            return None
        if session.project.read_only:
            controller.tell(READ_ONLY)
            return None
        if self._is_busy():
            return None
        if session.reading is not None and session.reading.start == "nothing":
            controller.tell("This second reading is done without the student.")
            return None
        return session

    def _is_busy(self) -> bool:
        busy = "The student is still at work" if self.proposing.running else ""
        busy = "Masks are still being carried" if self.propagating.running else busy
        busy = "The student is still learning this clip" if self.learning.running else busy
        if busy:
            self._controller.tell(f"{busy}: wait, or press Cancel and try again in a moment.")
        return bool(busy)
