# SPDX-License-Identifier: Apache-2.0
"""Pace: when the next frame is due by the recording's own times, and how quick it really goes. No Qt."""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt

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
