# SPDX-License-Identifier: Apache-2.0
"""Clip: random access to the frames of one recording."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from vfss.errors import ClipError

Facing = Literal["left", "right", "unknown"]
TimesFrom = Literal["file", "assumed", "person"]
"""Who says when frames were taken: the recording, nobody (ASSUMED_FPS), or a person who typed the rate."""
Frame = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

ASSUMED_FPS = 30.0
"""Frames per second of a recording that does not declare any: the rate recommended for swallowing studies."""


@dataclass(frozen=True)
class Swallow:
    """One swallow in a clip: first and last frame, both inclusive, as marked by a person."""

    first: int
    last: int


class Clip(ABC):
    """One recording: exact frames in any order, decoded on access, with a small cache of recently used ones.

    `clip[t]` returns the stored grey values, equal to decoding from the start; the flags describe how to display them
    and never change them. Safe to read from several threads. A second thread that walks through the clip should read
    from `reopen()`, because two walkers on one reader make it seek back and forth.

    Attributes:
        id: Content hash of the recording, independent of its path.
        source: File or folder that it was read from; None for frames in memory.
        n_frames: Number of frames.
        height: Rows of a frame.
        width: Columns of a frame.
        bits: Significant bits of a grey value, 8 to 16; frames are uint8 where it is 8, else uint16.
        times_s: float64 (n_frames,), presentation time of each frame in seconds, the first is 0.
        times_from: Who says so. An assumed time base is never shown or exported as that of the recording.
        pixel_aspect: Width of a pixel divided by its height; 1 for square pixels. Frames and masks stay on stored
            pixels; views, students and distances use it.
        rotation: Clockwise degrees by which frames are turned from the stored ones, 0, 90, 180 or 270; plus 360 where
            they are mirrored left to right before that.
        notes: What a person should know about the recording, found on opening; one sentence each, without full stop.
        facing: Side of the picture that the patient faces.
        inverted: True where dense matter (bone, barium) is stored bright.
        swallows: Swallows marked by a person.
        window: Darkest and brightest grey value to display: the full range at 8 bits; for deeper frames measured, or
            from the window that the file declares. as_uint8 maps it to 0..255, the same for all frames of the clip.
    """

    def __init__(
        self,
        *,
        clip_id: str,
        source: Path | None,
        n_frames: int,
        height: int,
        width: int,
        bits: int,
        times_s: npt.NDArray[np.float64],
        times_from: TimesFrom = "file",
        pixel_aspect: float = 1.0,
        rotation: int = 0,
        notes: tuple[str, ...] = (),
        facing: Facing = "unknown",
        inverted: bool = False,
        swallows: tuple[Swallow, ...] = (),
        window: tuple[int, int] | None = None,
    ) -> None:
        if times_s.shape != (n_frames,):
            raise ClipError(f"{times_s.shape[0]} times for {n_frames} frames", path=source)
        if not 0 < pixel_aspect < np.inf:
            raise ClipError(f"pixels {pixel_aspect} times as wide as high", path=source)
        self.id = clip_id
        self.source = source
        self.n_frames = n_frames
        self.height = height
        self.width = width
        self.bits = bits
        self.times_s = times_s
        self.times_from: TimesFrom = times_from
        self.pixel_aspect = pixel_aspect
        self.rotation = rotation
        self.notes = notes
        self.facing: Facing = facing
        self.inverted = inverted
        self.swallows = swallows
        self.window = window if window is not None else (0, (1 << bits) - 1)
        self._own_times: tuple[npt.NDArray[np.float64], TimesFrom] | None = None

    @abstractmethod
    def __getitem__(self, t: int) -> Frame:
        """Return frame t, uint8 or uint16 (height, width), read-only.

        Raises:
            IndexError: t is outside 0..n_frames-1 (negative t counts from the end).
            ClipError: The frame cannot be decoded.
        """

    @abstractmethod
    def reopen(self) -> Clip:
        """Open the same recording again, with its own file handle and cache."""

    @abstractmethod
    def close(self) -> None:
        """Release file handles and memory; reading afterwards raises ClipError."""

    def __len__(self) -> int:
        return self.n_frames

    def __enter__(self) -> Clip:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def dtype(self) -> np.dtype[np.uint8] | np.dtype[np.uint16]:
        """Data type of the grey values."""
        return np.dtype(np.uint8) if self.bits <= 8 else np.dtype(np.uint16)

    def retime(self, frames_per_second: float | None) -> None:
        """Take evenly spaced times at a rate that a person typed; None: the recording's own times again."""
        if self._own_times is None:
            self._own_times = self.times_s, self.times_from
        if frames_per_second is None:
            self.times_s, self.times_from = self._own_times
        else:
            self.times_s, self.times_from = np.arange(self.n_frames) / frames_per_second, "person"

    def as_uint8(self, t: int) -> npt.NDArray[np.uint8]:
        """Return frame t as uint8 (height, width), as students see it; deeper frames are mapped through `window`."""
        return through_window(self[t], self.window)


def through_window(frame: Frame, window: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Return a frame as uint8 (H, W): uint8 unchanged, uint16 mapped linearly from the window to 0..255."""
    if frame.dtype == np.uint8:
        return frame.astype(np.uint8, copy=False)
    low, high = window
    scaled = (np.clip(frame, low, high).astype(np.float32) - low) * np.float32(255.0 / max(1, high - low))
    mapped: npt.NDArray[np.uint8] = np.rint(scaled).astype(np.uint8)
    return mapped
