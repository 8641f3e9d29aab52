# SPDX-License-Identifier: Apache-2.0
"""Background jobs of the student on the open clip: propose, propagate, learn. One of them at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject

from napari_vfss import preferences
from napari_vfss.jobs.clip_learning import TOO_FEW, ClipAdaptation, corrected_frame_count
from napari_vfss.jobs.propagating import Propagating, key_structures, nothing_to_propagate
from napari_vfss.jobs.proposing import ProposalOrder, Proposing, outward
from napari_vfss.jobs.renaming import Renaming
from napari_vfss.session.host import Host, while_open
from napari_vfss.session.session import Session
from napari_vfss.viewer.layers import READ_ONLY
from vfss.proposals.soft_annotations import LEAST_FRAMES

if TYPE_CHECKING:
    from vfss.propagation.propagation import Direction
    from vfss.student import Student


class StudentJobs:
    """Starts jobs on the host's clip, or shows why they cannot start.

    Attributes:
        only_active: Propagate the active structure only.
    """

    def __init__(self, host: Host, parent: QObject) -> None:
        self._host = host
        self.proposing = Proposing(parent)
        self.propagating = Propagating(parent)
        self.renaming = Renaming(parent)
        self.adapting = ClipAdaptation(parent)
        self.only_active = False

    @property
    def session(self) -> Session | None:
        """The open session."""
        return self._host.session

    @property
    def writing(self) -> bool:
        """True while a job writes masks and reports them to the session as they come."""
        return self.proposing.running or self.propagating.running or self.renaming.running

    @property
    def running(self) -> bool:
        """True while any job runs."""
        return self.writing or self.adapting.running

    @while_open
    def propose(self, session: Session, first: int, last: int) -> None:
        """Propose frames first..last, the current one first, then outward; completely annotated frames are skipped."""
        if not self._can_start(session):
            return
        frames = tuple(t for t in outward(session.frame, first, last) if session.has_unannotated(t))
        if not frames:
            self._host.show_message("Every structure on these frames is already annotated.")
            return
        with self._host.showing_errors():
            source, device = session.student_source(), preferences.device()
            order = ProposalOrder(session.project.folder, session.clip, frames, source, device, session.student)
            self.proposing.start(order)

    @while_open
    def propose_frame(self, session: Session) -> None:
        """Propose the current frame."""
        self.propose(session.frame, session.frame)

    @while_open
    def propose_clip(self, session: Session) -> None:
        """Propose the whole clip."""
        self.propose(0, session.clip.n_frames - 1)

    @while_open
    def propagate(self, session: Session, direction: Direction) -> None:
        """Propagate the current frame's masks to its neighbours, up to the next annotated frame."""
        if self.is_busy():
            return
        with self._host.showing_errors():
            from vfss.propagation.propagation import PropagationRequest

            self._host.layers.flush()
            structures = key_structures(session, only_active=self.only_active)
            if not structures:
                self._host.show_message(nothing_to_propagate(session, only_active=self.only_active), problem=True)
                return
            self.propagating.start(
                session, PropagationRequest(session.frame, direction, structures), preferences.device()
            )

    @while_open
    def adapt(self, session: Session) -> None:
        """Adapt the student to the clip from its annotated frames, and propose soft structures again."""
        if not self._can_start(session):
            return
        with self._host.showing_errors():
            self._host.layers.flush()
            if corrected_frame_count(session) < LEAST_FRAMES:
                self._host.show_message(TOO_FEW, problem=True)
                return
            self.adapting.start(session)

    def cancel(self) -> None:
        """Stop all jobs; what was written stays."""
        self.proposing.cancel()
        self.propagating.cancel()
        self.renaming.cancel()
        self.adapting.cancel()

    def detach(self) -> None:
        """Stop all jobs and let them report to the session no more, because the clip closes."""
        self.proposing.cancel()
        self.propagating.leave_session()
        self.renaming.leave_session()
        self.adapting.leave_session()

    @while_open
    def on_proposed(self, session: Session, student: Student, frames: tuple[int, ...]) -> None:
        """Show a batch of proposals that was written to the project."""
        order = self.proposing.order
        # The last batch of a clip that was closed in the meantime is in its own project.
        if order is not None and order.clip is session.clip:
            with self._host.showing_errors():
                if session.student is not student:
                    session.set_student(student)
                session.reload(frames)

    def _can_start(self, session: Session) -> bool:
        """Return whether a student may write into the session now; shows why not."""
        if session.project.read_only:
            self._host.show_message(READ_ONLY)
            return False
        if self.is_busy():
            return False
        if session.reading is not None and session.reading.start == "nothing":
            self._host.show_message("This second reading excludes the student.")
            return False
        return True

    def is_busy(self) -> bool:
        """Return whether a job runs, which is shown then."""
        busy = "The student is still proposing" if self.proposing.running else ""
        busy = "Masks are still being propagated" if self.propagating.running else busy
        busy = "Masks are still being renamed" if self.renaming.running else busy
        busy = "The student is still being adapted to this clip" if self.adapting.running else busy
        if busy:
            self._host.show_message(f"{busy}: wait, or press Cancel and try again in a moment.")
        return bool(busy)
