# SPDX-License-Identifier: Apache-2.0
"""Playback: one frame after another at the recording's own times; none is left out, and it says where it is slow."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QObject, Qt, QTimer, Signal
from qtpy.QtOpenGLWidgets import QOpenGLWidget
from qtpy.QtWidgets import QWidget

from napari_vfss.connections import Connections
from napari_vfss.session.host import while_open
from napari_vfss.session.session import Session

FORGIVEN_S = 0.1  # lateness that is caught up by shorter waits; more of it is lost, for no frame is left out
MEASURED_S = 2.0
_SETTLED_S = 0.8
_SLOW = 0.93


class Pace:
    """Plays frames one after another, all of them, at a share of true speed or as quickly as the computer can.

    Attributes:
        speed: 1 for true speed.
        loop: First and last frame to go round in; None: from the present frame to the end of the clip.
    """

    def __init__(self, times_s: npt.NDArray[np.float64]) -> None:
        """Play a clip whose frames are shown at these times, in seconds, ascending."""
        self._times = times_s
        steps = np.diff(times_s)
        self.usual_s = float(np.median(steps)) if len(steps) else 0.0
        self.speed = 1.0
        self.loop: tuple[int, int] | None = None
        self._due = 0.0
        self._shown: deque[tuple[float, float]] = deque()  # when, and how much of the recording had passed

    def begin(self, now: float) -> None:
        """Playing begins, or goes on after a change."""
        self._due = now
        self._shown.clear()
        self._shown.append((now, 0.0))

    def after(self, frame: int) -> int | None:
        """The frame that follows; None at the end."""
        first, last = self.loop if self.loop is not None else (0, len(self._times) - 1)
        if first <= frame < last:
            return frame + 1
        return first if self.loop is not None else None

    def wait(self, before: int, frame: int, now: float) -> float:
        """Seconds to go on showing a frame that followed `before` and that the person sees since `now`.

        Raises:
            IndexError: There is no such frame.
        """
        passed = float(self._times[frame] - self._times[before]) if frame > before else self.usual_s
        self._shown.append((now, self._shown[-1][1] + passed))
        while now - self._shown[0][0] > MEASURED_S and len(self._shown) > 2:
            self._shown.popleft()
        follower = self.after(frame)
        ahead = (
            self.usual_s if follower is None or follower <= frame else float(self._times[follower] - self._times[frame])
        )
        self._due = max(self._due, now - FORGIVEN_S) + ahead / self.speed
        return max(0.0, self._due - now)

    @property
    def real_speed(self) -> float | None:
        """Share of true speed that it really has; None before that can be told."""
        elapsed = self._shown[-1][0] - self._shown[0][0] if self._shown else 0.0
        return None if elapsed < _SETTLED_S else (self._shown[-1][1] - self._shown[0][1]) / elapsed

    @property
    def words(self) -> str:
        """What to tell a person of the speed."""
        real = self.real_speed
        if real is None or real >= _SLOW * self.speed:
            return f"playing at {self.speed:g}x"
        frames = (len(self._shown) - 1) / (self._shown[-1][0] - self._shown[0][0])
        wanted = self.speed / self.usual_s if self.usual_s > 0 else 0.0
        instead = "" if self.speed == 1 else f" instead of {self.speed:g}x"
        return f"playing at {real:.2f}x{instead}: this computer shows {frames:.0f} of {wanted:.0f} frames a second"


NO_TIMES = np.zeros(0)
SPEEDS = (0.25, 0.5, 1.0, 2.0)
UNSEEN_MS = 300  # a window that is hidden draws nothing: then a frame counts as shown after this time
TELL_EVERY_S = 0.5


class Playback(QObject):
    """Plays the session that it was given; the next frame waits until the last one is on the screen."""

    changed = Signal()  # begun, ended, another speed or loop
    message = Signal(str)

    def __init__(self, parent: QObject | None = None, *, clock: Callable[[], float] = time.perf_counter) -> None:
        super().__init__(parent)
        self.session: Session | None = None
        self.pace = Pace(NO_TIMES)
        self._clock = clock
        self._canvas: Any = None
        self._dims: Any = None
        self._connections = Connections()
        self._before = self._frame = 0
        self._awaited = self.playing = self._stepping = False
        self._speed = 1.0
        self._told_at = -math.inf
        self._next = self._timer(self._step)
        self._unseen = self._timer(self._on_drawn)

    def _timer(self, do: Callable[[], None]) -> QTimer:
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.setTimerType(Qt.TimerType.PreciseTimer)
        timer.timeout.connect(do)
        return timer

    def open(self, session: Session, window: QWidget | None) -> None:
        """Be ready to play a session, seen in that window."""
        self.close()
        self.session = session
        self.pace = Pace(session.clip.times_s)
        self.pace.speed = self._speed
        self._connections.add(session.frame_changed, self._on_frame)
        if window is not None:
            self._canvas = window.findChild(QOpenGLWidget)
            self._dims = next((w for w in window.findChildren(QWidget) if type(w).__name__ == "QtDims"), None)
        if self._canvas is not None:
            self._connections.add(self._canvas.frameSwapped, self._on_drawn)

    def close(self) -> None:
        """Stop, and let go of the session."""
        self.stop()
        self._connections.undo()
        self.session = self._canvas = self._dims = None
        self.pace = Pace(NO_TIMES)

    def toggle(self) -> None:
        """Play, or stop."""
        if self.playing:
            self.stop()
        else:
            self.play()

    @while_open
    def play(self, session: Session) -> None:
        """Play from the current frame; from the start if the current one is the last."""
        if self.playing or session.clip.n_frames < 2:
            return
        self.playing = True
        self._told_at = -math.inf
        if self.pace.after(session.frame) is None:
            self._go(0)
        self.pace.begin(self._clock())
        self._before = self._frame = session.frame
        self._await_drawing()
        self.changed.emit()

    def stop(self) -> None:
        """Stop on the current frame."""
        self._next.stop()
        self._unseen.stop()
        self._awaited = False
        if self.playing:
            self.playing = False
            self.message.emit("")
            self.changed.emit()

    @property
    def speed(self) -> float:
        """Share of true speed wanted."""
        return self._speed

    def set_speed(self, speed: float) -> None:
        """Play at another share of true speed, from now on."""
        self._speed = speed
        self.pace.speed = speed
        self.pace.begin(self._clock())
        self.changed.emit()

    def step_speed(self, steps: int) -> None:
        """Take the next quicker (1) or slower (-1) speed."""
        at = SPEEDS.index(self._speed) + steps
        self.set_speed(SPEEDS[min(max(0, at), len(SPEEDS) - 1)])

    @property
    def loop(self) -> tuple[int, int] | None:
        """First and last frame that it goes round in."""
        return self.pace.loop

    def set_loop(self, loop: tuple[int, int] | None) -> None:
        """Go round in a range of frames (first, last), or no more."""
        self.pace.loop = loop
        self.pace.begin(self._clock())
        self.changed.emit()

    @while_open
    def _step(self, session: Session) -> None:
        follower = self.pace.after(session.frame)
        if follower is None:
            self.stop()
            return
        self._before, self._frame = session.frame, follower
        self._go(follower)
        if self.playing:
            self._await_drawing()

    @while_open
    def _go(self, session: Session, frame: int) -> None:
        self._stepping = True
        try:
            session.go_to(frame)
        finally:
            self._stepping = False

    def _await_drawing(self) -> None:
        self._awaited = True
        self._unseen.start(UNSEEN_MS if self._canvas is not None and self._canvas.isVisible() else 0)

    def _on_drawn(self) -> None:
        if not self._awaited:
            return
        self._awaited = False
        self._unseen.stop()
        now = self._clock()
        wait = self.pace.wait(self._before, self._frame, now)
        self._next.start(math.floor(wait * 1000))
        if now - self._told_at >= TELL_EVERY_S:
            self._told_at = now
            self.message.emit(self.pace.words)

    def _on_frame(self, frame: int) -> None:
        if not self._stepping and self._dims is not None and self._dims.is_playing:
            # napari's own playback leaves frames out where a step is slow: the person gets this one instead.
            QTimer.singleShot(0, self._take_over)

    def _take_over(self) -> None:
        if self._dims is not None and self._dims.is_playing:
            self._dims.stop()
            self.play()
