# SPDX-License-Identifier: Apache-2.0
"""Which frames the strip shows, and at which pixels: the whole clip, or a part that follows the current frame."""

from __future__ import annotations

LEAST_FRAMES = 12.0


class TimelineScale:
    """Maps frames to pixels of a strip; frame t covers the pixels from x_of(t) to x_of(t + 1).

    Attributes:
        n_frames: Frames of the clip, at least 1.
        first: Left end of the shown part, in frames.
        span: Number of frames shown.
        width: Number of pixels on which they are shown.
    """

    def __init__(self, n_frames: int = 1, width: int = 1) -> None:
        self.n_frames = max(1, n_frames)
        self.width = max(1, width)
        self.first = 0.0
        self.span = float(self.n_frames)

    @property
    def shows_all(self) -> bool:
        """True if the whole clip is shown."""
        return self.span >= self.n_frames

    def x_of(self, frame: float) -> float:
        """Return the pixel at which a frame begins."""
        return (frame - self.first) * self.width / self.span

    def frame_at(self, x: float) -> int:
        """Return the frame at a pixel, or the nearest frame if it is outside."""
        frame = int(self.first + x * self.span / self.width)
        return min(max(0, frame), self.n_frames - 1)

    def zoom(self, factor: float, x: float) -> None:
        """Show fewer frames (factor above 1) or more, keeping the frame at pixel x in its place."""
        fixed = self.first + x * self.span / self.width
        span = min(float(self.n_frames), max(min(LEAST_FRAMES, self.n_frames), self.span / factor))
        self.first, self.span = fixed - (fixed - self.first) * span / self.span, span
        self._clamp()

    def show_all(self) -> None:
        """Show the whole clip."""
        self.first, self.span = 0.0, float(self.n_frames)

    def pan(self, frames: float) -> None:
        """Move along the clip."""
        self.first += frames
        self._clamp()

    def follow(self, frame: int) -> bool:
        """Scroll so that a frame is shown; return True if anything moved."""
        if self.first <= frame and frame + 1 <= self.first + self.span:
            return False
        self.first = frame + 0.5 - self.span / 2
        self._clamp()
        return True

    def _clamp(self) -> None:
        self.first = min(max(0.0, self.first), self.n_frames - self.span)
