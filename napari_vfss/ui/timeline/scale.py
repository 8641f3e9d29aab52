# SPDX-License-Identifier: Apache-2.0
"""Which frames the strip shows, and where: the whole clip, or a stretch that follows the work."""

from __future__ import annotations

LEAST_FRAMES = 12.0


class TimelineScale:
    """Maps frames to pixels of a strip; frame t takes the room from x_of(t) to x_of(t + 1).

    Attributes:
        n_frames: Frames of the clip, at least 1.
        first: Left end of what is shown, in frames.
        span: Frames shown.
        width: Pixels they are shown on.
    """

    def __init__(self, n_frames: int = 1, width: int = 1) -> None:
        self.n_frames = max(1, n_frames)
        self.width = max(1, width)
        self.first = 0.0
        self.span = float(self.n_frames)

    @property
    def whole(self) -> bool:
        """True where the whole clip is shown."""
        return self.span >= self.n_frames

    def x_of(self, frame: float) -> float:
        """Pixel at which a frame begins."""
        return (frame - self.first) * self.width / self.span

    def frame_at(self, x: float) -> int:
        """Frame under a pixel; the nearest one outside."""
        frame = int(self.first + x * self.span / self.width)
        return min(max(0, frame), self.n_frames - 1)

    def zoom(self, factor: float, x: float) -> None:
        """Show fewer frames (factor above 1) or more, leaving what lies at pixel x in its place."""
        at = self.first + x * self.span / self.width
        span = min(float(self.n_frames), max(min(LEAST_FRAMES, self.n_frames), self.span / factor))
        self.first, self.span = at - (at - self.first) * span / self.span, span
        self._hold()

    def show_all(self) -> None:
        """Show the whole clip."""
        self.first, self.span = 0.0, float(self.n_frames)

    def pan(self, frames: float) -> None:
        """Move along the clip."""
        self.first += frames
        self._hold()

    def follow(self, frame: int) -> bool:
        """Bring a frame into sight; returns whether anything moved."""
        if self.first <= frame and frame + 1 <= self.first + self.span:
            return False
        self.first = frame + 0.5 - self.span / 2
        self._hold()
        return True

    def _hold(self) -> None:
        self.first = min(max(0.0, self.first), self.n_frames - self.span)
