# SPDX-License-Identifier: Apache-2.0
"""TimelineController: the open clip as something in time: trust, marks, playback, the steady view. Draws nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, QTimer, Signal
from qtpy.QtWidgets import QWidget

from napari_vfss.connections import Connections
from napari_vfss.jobs.survey import MaskSurvey
from napari_vfss.session.marks import ClipMarks
from napari_vfss.viewer.playback import Playback
from napari_vfss.viewer.stabilised import StabilisedView, why_not
from vfss.consistency.judge import Trust
from vfss.masks import MaskState

if TYPE_CHECKING:
    from napari_vfss.controller.controller import AnnotationController

POLL_MS = 2000


def cells_after(wanted: Any, frame: int, structure: int, direction: int) -> Iterator[tuple[int, int]]:
    """Cells (frame, structure) of wanted, bool (T, S), after a cell, frame by frame; direction -1: before it."""
    frames, structures = np.nonzero(wanted)
    at = frames * wanted.shape[1] + structures
    here = frame * wanted.shape[1] + structure
    chosen = at[at > here] if direction > 0 else at[at < here][::-1]
    return ((int(cell // wanted.shape[1]), int(cell % wanted.shape[1])) for cell in chosen)


def doubtful(trust: Any) -> Any:
    """Bool (T, S), where a mask deserves a second look."""
    return trust == Trust.DOUBTFUL


def unaccepted(states: Any) -> Any:
    """Bool (T, S), where a person has not yet confirmed anything."""
    return states < MaskState.ACCEPTED


class TimelineController(QObject):
    """Follows the desk's session, and goes to places in it.

    Attributes:
        survey: States, confidence and consistency.
        playback: Plays the clip.
        stabilised: Holds the spine still.
        marks: Swallows and events; None while nothing is open.
        chosen: Range of frames that a person chose, (first, last).
    """

    session_changed = Signal()
    marks_changed = Signal()
    range_changed = Signal()
    event_asked = Signal()

    def __init__(self, controller: AnnotationController) -> None:
        super().__init__(controller)
        self._controller = controller
        self.survey = MaskSurvey(self)
        self.playback: Playback = Playback(self)
        self.stabilised = StabilisedView(self.survey, self)
        self.marks: ClipMarks | None = None
        self.chosen: tuple[int, int] | None = None
        self._connections = Connections()
        self._session_connections = Connections()
        self._poll = QTimer(self)
        self._poll.setInterval(POLL_MS)
        self._connections.add(controller.session_changed, self._on_session)
        self._connections.add(self._poll.timeout, self._look_for_others)
        self._connections.add(self.survey.problem, self._on_problem)

    def close(self) -> None:
        """Let go of everything."""
        self._leave()
        self._connections.undo()

    def choose_range(self, chosen: tuple[int, int] | None) -> None:
        """Choose a range of frames (first, last), or none; a loop takes it at once."""
        self.chosen = chosen
        if self.playback.loop is not None:
            self.playback.set_loop(self._loop())
        self.range_changed.emit()

    def ask_event(self) -> None:
        """Let a person say which event happens on the current frame."""
        self.event_asked.emit()

    def toggle_loop(self) -> None:
        """Go round in the chosen range, else in the swallow, else in the whole clip; or no more."""
        self.playback.set_loop(None if self.playback.loop is not None else self._loop())

    def begin_swallow(self) -> None:
        """A swallow begins on the current frame."""
        session = self._controller.session
        if self.marks is not None and session is not None:
            with self._controller.telling():
                self.marks.begin_swallow(session.frame)

    def end_swallow(self) -> None:
        """The swallow ends on the current frame."""
        session = self._controller.session
        if self.marks is not None and session is not None:
            with self._controller.telling():
                self.marks.end_swallow(session.frame)

    def set_event(self, kind: str, text: str = "") -> None:
        """Set an event on the current frame."""
        session = self._controller.session
        if self.marks is not None and session is not None:
            with self._controller.telling():
                self.marks.set_event(kind, session.frame, text)

    def go_to_doubtful(self, direction: int) -> None:
        """Go to the next (1) or previous (-1) mask that deserves a second look, and choose its structure."""
        strip = self.survey.overview
        if strip is not None:
            more = "" if self.survey.findings.complete else " Masks are still being compared."
            self._go(doubtful(strip.trust), direction, f"No doubtful mask {_side(direction)} this one.{more}")

    def go_to_unaccepted(self, direction: int) -> None:
        """Go to the next (1) or previous (-1) structure on which a person has not spoken, and choose it."""
        session = self._controller.session
        if session is not None:
            words = f"Every structure {_side(direction)} this one is accepted, or said to be empty or not visible."
            self._go(unaccepted(session.states), direction, words)

    def go_to_swallow(self, direction: int) -> None:
        """Go to the beginning of the next (1) or previous (-1) swallow."""
        session, marks = self._controller.session, self.marks
        if session is None or marks is None:
            return
        firsts = [s.first for s in marks.swallows if (s.first - session.frame) * direction > 0]
        if firsts:
            session.go_to(min(firsts) if direction > 0 else max(firsts))
        elif not marks.swallows:
            self._controller.tell("No swallow is marked yet: press D where it begins and Shift+D where it ends.")
        else:
            self._controller.tell(f"No swallow begins {_side(direction)} this frame.")

    def toggle_stabilised(self) -> None:
        """Stabilise the view, or show it as recorded again."""
        session = self._controller.session
        if session is not None and not self.stabilised.toggle():
            self._controller.tell(why_not(session.schema))

    def _go(self, wanted: object, direction: int, otherwise: str) -> None:
        session = self._controller.session
        if session is None:
            return
        place = next(cells_after(wanted, session.frame, session.active.index, direction), None)
        if place is None:
            self._controller.tell(otherwise)
            return
        session.go_to(place[0])
        session.choose(session.schema.structures[place[1]].key)

    def _loop(self) -> tuple[int, int] | None:
        session, marks = self._controller.session, self.marks
        if session is None or marks is None:
            return None
        swallow = marks.swallow_at(session.frame)
        if self.chosen is not None:
            return self.chosen
        if swallow is not None and swallow.last is not None:
            return swallow.first, swallow.last
        return 0, session.clip.n_frames - 1

    def _on_session(self) -> None:
        self._leave()
        session, layers = self._controller.session, self._controller.layers
        if session is not None and layers is not None:
            with self._controller.telling():
                self.marks = ClipMarks(session)
                self._session_connections.add(self.marks.changed, self.marks_changed.emit)
                self._session_connections.add(self.marks.message, self._controller.tell)
                self._poll.start()
            self.survey.open(session)
            self.stabilised.open(session, layers)
            parent = self._controller.parent()
            self.playback.open(session, parent.window() if isinstance(parent, QWidget) else None)
        self.session_changed.emit()

    def _leave(self) -> None:
        self._poll.stop()
        self._session_connections.undo()
        self.playback.close()
        self.stabilised.close()
        self.survey.close()
        self.marks, self.chosen = None, None

    def _look_for_others(self) -> None:
        if self.marks is not None:
            with self._controller.telling():
                self.marks.poll()

    def _on_problem(self, message: str) -> None:
        self._controller.tell(message, problem=True)


def _side(direction: int) -> str:
    return "after" if direction > 0 else "before"
