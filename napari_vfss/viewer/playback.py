# SPDX-License-Identifier: Apache-2.0
"""Playback: every frame at the recording's own times; frames are never skipped, and slow playback is reported."""

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
from napari_vfss.session.host import while_open, while_open_or
from napari_vfss.session.session import Session

CAUGHT_UP_S = 0.1  # delays up to this are caught up; longer ones shift the schedule, as frames are never skipped
MEASURED_S = 2.0
_SETTLED_S = 0.8
_SLOW = 0.93


class Pace:
    """Schedule of playback: all frames in order, at a multiple of true speed or as fast as the computer can.

    Attributes:
        usual_s: Median time between two frames.
        speed: Multiple of true speed; 1 for true speed.
        loop: First and last frame of the loop; None to play from the current frame to the end of the clip.
    """

    def __init__(self, times_s: npt.NDArray[np.float64]) -> None:
        """Schedule a clip by the times of its frames, float64 (T,), in seconds, ascending."""
        self._times = times_s
        steps = np.diff(times_s)
        self.usual_s = float(np.median(steps)) if len(steps) else 0.0
        self.speed = 1.0
        self.loop: tuple[int, int] | None = None
        self._due = 0.0
        self._shown: deque[tuple[float, float]] = deque()  # clock time, and time in the recording

    def begin(self, now: float) -> None:
        """Start the schedule at a clock time, or restart it after a change."""
        self._due = now
        self._shown.clear()
        self._shown.append((now, 0.0))

    def after(self, frame: int) -> int | None:
        """Return the frame after a frame; None at the end."""
        first, last = self.loop if self.loop is not None else (0, len(self._times) - 1)
        if first <= frame < last:
            return frame + 1
        return first if self.loop is not None else None

    def wait(self, before: int, frame: int, now: float) -> float:
        """Return for how many seconds to show a frame that followed `before` and has been visible since `now`.

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
        self._due = max(self._due, now - CAUGHT_UP_S) + ahead / self.speed
        return max(0.0, self._due - now)

    @property
    def real_speed(self) -> float | None:
        """Measured multiple of true speed; None before it can be measured."""
        elapsed = self._shown[-1][0] - self._shown[0][0] if self._shown else 0.0
        return None if elapsed < _SETTLED_S else (self._shown[-1][1] - self._shown[0][1]) / elapsed

    @property
    def status(self) -> str:
        """Wanted and real speed, for display."""
        real = self.real_speed
        if real is None or real >= _SLOW * self.speed:
            return f"playing at {self.speed:g}x"
        frames = (len(self._shown) - 1) / (self._shown[-1][0] - self._shown[0][0])
        wanted = self.speed / self.usual_s if self.usual_s > 0 else 0.0
        instead = "" if self.speed == 1 else f" instead of {self.speed:g}x"
        return f"playing at {real:.2f}x{instead}: this computer shows {frames:.0f} of {wanted:.0f} frames a second"


NO_TIMES = np.zeros(0)
SPEEDS = (0.25, 0.5, 1.0, 2.0)
HIDDEN_MS = 300  # a hidden window draws nothing: a frame counts as shown after this time
REPORT_EVERY_S = 0.5


class Playback(QObject):
    """Plays a session; the next frame waits until the previous one is on the screen.

    Attributes:
        session: The session; None while no clip is open.
        pace: Schedule of the clip.
        playing: True while it plays.
    """

    changed = Signal()  # started, stopped, other speed or loop
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
        self._reported_at = -math.inf
        self._next = self._timer(self._step)
        self._hidden = self._timer(self._on_drawn)

    def _timer(self, do: Callable[[], None]) -> QTimer:
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.setTimerType(Qt.TimerType.PreciseTimer)
        timer.timeout.connect(do)
        return timer

    def open(self, session: Session, window: QWidget | None) -> None:
        """Prepare to play a session that is shown in a window."""
        self.close()
        self.session = session
        self.pace = Pace(session.clip.times_s)
        self.pace.speed = self._speed
        self._connections.add(session.frame_changed, self._on_frame)
        self._connections.add(session.times_changed, self._on_times)
        if window is not None:
            self._canvas = window.findChild(QOpenGLWidget)
            self._dims = next((w for w in window.findChildren(QWidget) if type(w).__name__ == "QtDims"), None)
        if self._canvas is not None:
            self._connections.add(self._canvas.frameSwapped, self._on_drawn)

    def close(self) -> None:
        """Stop, and disconnect from the session."""
        self.stop()
        self._connections.undo()
        self.session = self._canvas = self._dims = None
        self.pace = Pace(NO_TIMES)

    def toggle(self) -> None:
        """Start or stop."""
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
        self._reported_at = -math.inf
        if self.pace.after(session.frame) is None:
            self._go(0)
        self.pace.begin(self._clock())
        self._before = self._frame = session.frame
        self._await_drawing()
        self.changed.emit()

    def stop(self) -> None:
        """Stop on the current frame."""
        self._next.stop()
        self._hidden.stop()
        self._awaited = False
        if self.playing:
            self.playing = False
            self.message.emit("")
            self.changed.emit()

    @property
    def speed(self) -> float:
        """Wanted multiple of true speed."""
        return self._speed

    def set_speed(self, speed: float) -> None:
        """Play at another multiple of true speed from now on."""
        self._speed = speed
        self.pace.speed = speed
        self.pace.begin(self._clock())
        self.changed.emit()

    def step_speed(self, steps: int) -> None:
        """Switch to the next faster (1) or slower (-1) speed."""
        at = SPEEDS.index(self._speed) + steps
        self.set_speed(SPEEDS[min(max(0, at), len(SPEEDS) - 1)])

    @property
    def loop(self) -> tuple[int, int] | None:
        """First and last frame of the loop; None without a loop."""
        return self.pace.loop

    def set_loop(self, loop: tuple[int, int] | None) -> None:
        """Loop over a range of frames (first, last); None to stop looping."""
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
        self._hidden.start(HIDDEN_MS if self._canvas is not None and self._canvas.isVisible() else 0)

    def _on_drawn(self) -> None:
        if not self._awaited:
            return
        self._awaited = False
        self._hidden.stop()
        now = self._clock()
        wait = self.pace.wait(self._before, self._frame, now)
        self._next.start(math.floor(wait * 1000))
        if now - self._reported_at >= REPORT_EVERY_S:
            self._reported_at = now
            self.message.emit(self._status())

    @while_open_or("")
    def _status(self, session: Session) -> str:
        # At an assumed rate nobody knows what true speed is.
        assumed = " of assumed times" if session.clip.times_from == "assumed" else ""
        return f"{self.pace.status}{assumed}"

    @while_open
    def _on_times(self, session: Session) -> None:
        loop, self.pace = self.pace.loop, Pace(session.clip.times_s)
        self.pace.speed = self._speed
        self.set_loop(loop)

    def _on_frame(self, frame: int) -> None:
        if not self._stepping and self._dims is not None and self._dims.is_playing:
            # napari's own playback skips frames if a step is slow, so it is replaced by this one.
            QTimer.singleShot(0, self._take_over)

    def _take_over(self) -> None:
        if self._dims is not None and self._dims.is_playing:
            self._dims.stop()
            self.play()
