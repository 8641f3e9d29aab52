# SPDX-License-Identifier: Apache-2.0
"""Frames of a clip one after another, past those that cannot be decoded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

import numpy as np
import numpy.typing as npt

from vfss.clips.clip import Clip, Frame, through_window
from vfss.errors import ClipError
from vfss.wording import count, ranges

Picture = npt.NDArray[np.uint8]


class FrameWatch(Protocol):
    """Is shown each frame that is decoded, and each one that cannot be."""

    def decoded(self, t: int, frame: Frame) -> None:
        """Take note of frame t, uint8 or uint16 (H, W)."""

    def damaged(self, t: int, error: ClipError) -> None:
        """Take note that frame t cannot be decoded."""


class ReadableFrames:
    """Reads frames of a clip; one that cannot be decoded is left out and remembered, and reading goes on.

    Attributes:
        unreadable: Why a frame cannot be decoded, by zero-based index, in the order of reading.
    """

    def __init__(self, clip: Clip, watch: FrameWatch | None = None, known: Mapping[int, str] | None = None) -> None:
        """Read from a clip.

        Args:
            clip: The recording.
            watch: Is shown what is decoded and what cannot be.
            known: Frames that were found damaged before, with the reason: they are left out without another attempt.
        """
        self._known = dict(known or {})
        self.unreadable: dict[int, ClipError] = {}
        self._clip, self._watch = clip, watch

    @property
    def pixel_aspect(self) -> float:
        """Width of a pixel of the pictures divided by its height."""
        return self._clip.pixel_aspect

    def picture(self, t: int) -> Picture | None:
        """Return frame t as uint8 (H, W), as students see it; None if it cannot be decoded."""
        if t in self._known:
            self.unreadable[t] = ClipError(self._known[t], path=self._clip.source, frame=t)
        if t in self.unreadable:
            return None
        try:
            frame = self._clip[t]
        except ClipError as error:
            self.unreadable[t] = error
            if self._watch is not None:
                self._watch.damaged(t, error)
            return None
        if self._watch is not None:
            self._watch.decoded(t, frame)
        return through_window(frame, self._clip.window)

    def with_neighbours(self, t: int) -> tuple[Picture, Picture, Picture] | None:
        """Return the pictures before, of and after frame t, uint8 (H, W) each.

        None at the ends of the clip and beside a frame that cannot be decoded; such a frame is neither remembered nor
        reported here, as nobody asked for it.
        """
        frames = (t - 1, t, t + 1)
        if not 0 < t < self._clip.n_frames - 1 or {*frames} & {*self._known, *self.unreadable}:
            return None
        try:
            before, picture, after = (through_window(self._clip[s], self._clip.window) for s in frames)
        except ClipError:
            return None
        return before, picture, after

    def pictures(self, frames: Iterable[int]) -> Iterator[tuple[int, Picture]]:
        """Yield index and picture, uint8 (H, W), of the frames that can be decoded, in the order given."""
        for t in frames:
            picture = self.picture(t)
            if picture is not None:
                yield t, picture


def unreadable_frames(unreadable: Mapping[int, ClipError], *, first: int = 0) -> str:
    """Return a message that names the frames that cannot be read, and why the first of them cannot; empty for none.

    Args:
        unreadable: Errors by zero-based index.
        first: Number that a person sees on the first frame of a clip.
    """
    if not unreadable:
        return ""
    error = unreadable[min(unreadable)]
    left_out = count(len(unreadable), "frame cannot be read and is left out", "frames cannot be read and are left out")
    return f"{left_out}: {ranges([t + first for t in unreadable])} ({error.what})"
