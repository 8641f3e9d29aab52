# SPDX-License-Identifier: Apache-2.0
"""Clip: one recording, frame by frame."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from vfss.errors import ClipError

Facing = Literal["left", "right", "unknown"]
Frame = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]


@dataclass(frozen=True)
class Swallow:
    """One swallow in a clip: first and last frame, both inclusive, as a person marked them."""

    first: int
    last: int


class Clip(ABC):
    """One recording: exact, lazy frames in any order, with a small memory of those read last.

    `clip[t]` gives the stored grey values, equal to decoding from the start; flags say how to show them and
    never change them. Safe to read from several threads; `reopen` gives a reader of its own to a second walker,
    so that two of them do not chase each other through the file.

    Attributes:
        id: Content hash of the recording, the same wherever the file lies.
        source: File or folder it came from; None for frames in memory.
        n_frames: Number of frames.
        height: Rows of a frame.
        width: Columns of a frame.
        bits: Significant bits of a grey value, 8 to 16; frames are uint8 where it is 8, else uint16.
        times_s: float64 (n_frames,), presentation time of each frame in seconds, the first is 0.
        facing: Where the patient looks in the picture.
        inverted: True where dense matter (bone, barium) is stored bright.
        swallows: Swallows a person marked.
        window: Darkest and brightest grey value worth showing: the whole range at 8 bits, measured or from the
            file's own window at more; as_uint8 maps it to 0..255, one mapping for the whole clip.
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
        facing: Facing = "unknown",
        inverted: bool = False,
        swallows: tuple[Swallow, ...] = (),
        window: tuple[int, int] | None = None,
    ) -> None:
        if times_s.shape != (n_frames,):
            raise ClipError(f"{times_s.shape[0]} times for {n_frames} frames", path=source)
        self.id = clip_id
        self.source = source
        self.n_frames = n_frames
        self.height = height
        self.width = width
        self.bits = bits
        self.times_s = times_s
        self.facing: Facing = facing
        self.inverted = inverted
        self.swallows = swallows
        self.window = window if window is not None else (0, (1 << bits) - 1)

    @abstractmethod
    def __getitem__(self, t: int) -> Frame:
        """Frame t, uint8 or uint16 (height, width), read-only.

        Raises:
            IndexError: t is outside 0..n_frames-1 (negative t counts from the end).
            ClipError: The frame cannot be decoded.
        """

    @abstractmethod
    def reopen(self) -> Clip:
        """The same recording through a file handle and cache of its own."""

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
        """Type of grey values."""
        return np.dtype(np.uint8) if self.bits <= 8 else np.dtype(np.uint16)

    def as_uint8(self, t: int) -> npt.NDArray[np.uint8]:
        """Frame t on 8 bits, uint8 (height, width): what a student sees; deeper frames linearly through `window`."""
        return through_window(self[t], self.window)


def through_window(frame: Frame, window: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """A frame on 8 bits, uint8 (H, W): as it is, or a deeper one, uint16 (H, W), linearly from darkest to brightest."""
    if frame.dtype == np.uint8:
        return frame.astype(np.uint8, copy=False)
    low, high = window
    scaled = (np.clip(frame, low, high).astype(np.float32) - low) * np.float32(255.0 / max(1, high - low))
    mapped: npt.NDArray[np.uint8] = np.rint(scaled).astype(np.uint8)
    return mapped
