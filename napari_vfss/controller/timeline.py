# SPDX-License-Identifier: Apache-2.0
"""TimelineController: the open clip in time: survey of its masks, marks, playback, stabilised view. No widgets."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from qtpy.QtCore import QObject, QTimer, Signal
from qtpy.QtWidgets import QWidget

from napari_vfss.connections import Connections
from napari_vfss.jobs.survey import MaskSurvey
from napari_vfss.session.host import Host, while_open, while_open_or
from napari_vfss.session.marks import ClipMarks
from napari_vfss.session.session import Session
from napari_vfss.viewer.playback import Playback
from napari_vfss.viewer.stabilised import StabilisedView, why_not
from vfss.consistency.judge import Trust
from vfss.masks import BoolArray, ByteArray, MaskState

POLL_MS = 2000


def cells_after(wanted: BoolArray, frame: int, structure: int, direction: int) -> Iterator[tuple[int, int]]:
    """Return an iterator over the true cells (frame, structure) after (direction 1) or before (-1) a given cell.

    Args:
        wanted: bool (T, S).
        frame: Frame of the given cell.
        structure: Index of the structure of the given cell.
        direction: 1 or -1; cells come frame by frame in that direction.
    """
    frames, structures = np.nonzero(wanted)
    at = frames * wanted.shape[1] + structures
    here = frame * wanted.shape[1] + structure
    chosen = at[at > here] if direction > 0 else at[at < here][::-1]
    return ((int(cell // wanted.shape[1]), int(cell % wanted.shape[1])) for cell in chosen)


def doubtful(trust: ByteArray) -> BoolArray:
    """Return where masks should be reviewed, bool (T, S), given values of Trust, uint8 (T, S)."""
    return np.asarray(trust == Trust.DOUBTFUL)


def unaccepted(states: ByteArray) -> BoolArray:
    """Return where nothing is accepted yet, bool (T, S), given values of MaskState, uint8 (T, S)."""
    return np.asarray(states < MaskState.ACCEPTED)


class TimelineController(QObject):
    """Follows the host's session, and goes to places in it.

    Attributes:
        survey: States, confidence and consistency of all masks.
        playback: Plays the clip.
        stabilised: Keeps the spine in place.
        marks: Swallows and events; None while no clip is open, or if they cannot be read.
        chosen: Range of frames chosen by the annotator, (first, last); None for none.
    """

    session_changed = Signal()
    marks_changed = Signal()
    range_changed = Signal()
    event_asked = Signal()

    def __init__(self, host: Host, parent: QObject) -> None:
        super().__init__(parent)
        self._host = host
        self.survey = MaskSurvey(self)
        self.playback = Playback(self)
        self.stabilised = StabilisedView(host, self.survey, self)
        self.marks: ClipMarks | None = None
        self.chosen: tuple[int, int] | None = None
        self._connections = Connections()
        self._session_connections = Connections()
        self._poll = QTimer(self)
        self._poll.setInterval(POLL_MS)
        self._connections.add(host.session_changed, self._on_session)
        self._connections.add(self._poll.timeout, self._poll_marks)
        self._connections.add(self.survey.problem, self._on_problem)

    @property
    def session(self) -> Session | None:
        """The open session."""
        return self._host.session

    def close(self) -> None:
        """Disconnect everything."""
        self._leave()
        self._connections.undo()

    def choose_range(self, chosen: tuple[int, int] | None) -> None:
        """Choose a range of frames (first, last), or none; a running loop takes it over."""
        self.chosen = chosen
        if self.playback.loop is not None:
            self.playback.set_loop(self._loop())
        self.range_changed.emit()

    def ask_event(self) -> None:
        """Ask the annotator which event happens on the current frame."""
        self.event_asked.emit()

    def toggle_loop(self) -> None:
        """Loop over the chosen range, else the swallow, else the whole clip; or stop looping."""
        self.playback.set_loop(None if self.playback.loop is not None else self._loop())

    @while_open
    def begin_swallow(self, session: Session) -> None:
        """Set the beginning of a swallow to the current frame."""
        if self.marks is not None:
            with self._host.showing_errors():
                self.marks.begin_swallow(session.frame)

    @while_open
    def end_swallow(self, session: Session) -> None:
        """Set the end of the swallow to the current frame."""
        if self.marks is not None:
            with self._host.showing_errors():
                self.marks.end_swallow(session.frame)

    @while_open
    def set_event(self, session: Session, kind: str, text: str = "") -> None:
        """Set an event on the current frame."""
        if self.marks is not None:
            with self._host.showing_errors():
                self.marks.set_event(kind, session.frame, text)

    def go_to_doubtful(self, direction: int) -> None:
        """Go to the next (1) or previous (-1) doubtful mask, and choose its structure."""
        overview = self.survey.overview
        if overview is not None:
            more = "" if self.survey.findings.complete else " Masks are still being compared."
            self._go(doubtful(overview.trust), direction, f"No doubtful mask {_side(direction)} this one.{more}")

    @while_open
    def go_to_worst(self, session: Session, direction: int) -> None:
        """Go to the mask that comes after (1) or before (-1) the current one when the most doubtful come first.

        From a mask that is not in that list, 1 goes to the worst of all.
        """
        overview = self.survey.overview
        if overview is None:
            return
        places = overview.doubt.worst_first if overview.surveyed else ()
        at = overview.doubt.step((session.frame, session.active.index), direction) if places else None
        if at is None:
            more = "" if self.survey.findings.complete else " Masks are still being compared."
            self._host.show_message(f"No more doubtful mask in this direction.{more}")
            return
        self._show(session, places[at])
        self._host.show_message(f"Doubtful mask {at + 1} of {len(places)}, worst first.")

    @while_open
    def go_to_unaccepted(self, session: Session, direction: int) -> None:
        """Go to the next (1) or previous (-1) mask that is not accepted, and choose its structure."""
        message = f"Every structure {_side(direction)} this one is accepted, empty or not visible."
        self._go(unaccepted(session.states), direction, message)

    @while_open
    def go_to_swallow(self, session: Session, direction: int) -> None:
        """Go to the beginning of the next (1) or previous (-1) swallow."""
        if self.marks is None:
            return
        firsts = [s.first for s in self.marks.swallows if (s.first - session.frame) * direction > 0]
        if firsts:
            session.go_to(min(firsts) if direction > 0 else max(firsts))
        elif not self.marks.swallows:
            self._host.show_message("No swallow is marked yet: press D where it begins and Shift+D where it ends.")
        else:
            self._host.show_message(f"No swallow begins {_side(direction)} this frame.")

    @while_open
    def toggle_stabilised(self, session: Session) -> None:
        """Stabilise the view, or show it as recorded again."""
        if not self.stabilised.toggle():
            self._host.show_message(why_not(session.schema))

    @while_open
    def _go(self, session: Session, wanted: BoolArray, direction: int, otherwise: str) -> None:
        place = next(cells_after(wanted, session.frame, session.active.index, direction), None)
        if place is None:
            self._host.show_message(otherwise)
            return
        self._show(session, place)

    def _show(self, session: Session, place: tuple[int, int]) -> None:
        session.go_to(place[0])
        session.choose(session.schema.structures[place[1]].key)

    @while_open_or(None)
    def _loop(self, session: Session) -> tuple[int, int] | None:
        if self.chosen is not None:
            return self.chosen
        swallow = None if self.marks is None else self.marks.swallow_at(session.frame)
        if swallow is not None and swallow.last is not None:
            return swallow.first, swallow.last
        return 0, session.clip.n_frames - 1

    def _on_session(self) -> None:
        self._leave()
        self._enter()
        self.session_changed.emit()

    @while_open
    def _enter(self, session: Session) -> None:
        with self._host.showing_errors():
            self.marks = ClipMarks(session)
            self._session_connections.add(self.marks.changed, self.marks_changed.emit)
            self._session_connections.add(self.marks.message, self._host.show_message)
            self._poll.start()
        self.survey.open(session)
        self.stabilised.open()
        parent = self._host.parent()
        self.playback.open(session, parent.window() if isinstance(parent, QWidget) else None)

    def _leave(self) -> None:
        self._poll.stop()
        self._session_connections.undo()
        self.playback.close()
        self.stabilised.close()
        self.survey.close()
        self.marks, self.chosen = None, None

    def _poll_marks(self) -> None:
        if self.marks is not None:
            with self._host.showing_errors():
                self.marks.poll()

    def _on_problem(self, message: str) -> None:
        self._host.show_message(message, problem=True)


def _side(direction: int) -> str:
    return "after" if direction > 0 else "before"
