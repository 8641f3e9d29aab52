# SPDX-License-Identifier: Apache-2.0
"""Clips with frames in memory: a lazily read clip with a cache bounded by bytes, and a clip that is an array."""

from __future__ import annotations

import hashlib
import operator
import threading
from abc import abstractmethod
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from cachetools import LRUCache

from vfss.clips.clip import ASSUMED_FPS, Clip, Facing, Frame, Swallow, TimesFrom
from vfss.errors import ClipError

CACHE_BYTES = 64 * 2**20
"""Memory for the decoded frames of one clip: one to three seconds at usual sizes, far less than a whole recording."""


_Lazy = TypeVar("_Lazy", bound="LazyClip")


class LazyClip(Clip):
    """A clip that reads one frame at a time from its source and caches the most recently used ones."""

    def __init__(self, *, cache_bytes: int = CACHE_BYTES, **clip_arguments: Any) -> None:
        """Create the lock and the cache.

        Args:
            cache_bytes: Upper bound of the memory for decoded frames; the frame read last is kept in any case.
            clip_arguments: Arguments of Clip.
        """
        super().__init__(**clip_arguments)
        self._cache_bytes = max(cache_bytes, self.height * self.width * self.dtype.itemsize)
        self._cache: LRUCache[int, Frame] = LRUCache(self._cache_bytes, _frame_bytes)
        self._lock = threading.RLock()
        self._closed = False

    def __getitem__(self, t: int) -> Frame:
        index = frame_index(t, self.n_frames)
        with self._lock:
            if self._closed:
                raise ClipError("the recording was closed", path=self.source, frame=index, remedy="Open it again.")
            frame = self._cache.get(index)
            if frame is None:
                frame = self._read(index)
                self._cache_frame(index, frame)
            return frame

    def close(self) -> None:
        """Release file handles and memory; reading afterwards raises ClipError."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._cache.clear()
                self._release()

    @property
    def cached_bytes(self) -> int:
        """Bytes of decoded frames in memory."""
        return int(self._cache.currsize)

    @abstractmethod
    def _read(self, t: int) -> Frame:
        """Read frame t (0 <= t < n_frames) from the source; called with the lock held."""

    @abstractmethod
    def _release(self) -> None:
        """Close file handles; called once, with the lock held."""

    def _copy_flags_to(self, clip: _Lazy) -> _Lazy:
        """Copy the flags of this clip, which a person may have set, to another reader of the recording."""
        clip.times_s, clip.times_from, clip.window = self.times_s, self.times_from, self.window
        clip.pixel_aspect, clip.rotation, clip.notes = self.pixel_aspect, self.rotation, self.notes
        clip.facing, clip.inverted, clip.swallows = self.facing, self.inverted, self.swallows
        return clip

    def _cache_frame(self, t: int, frame: Frame) -> None:
        frame.flags.writeable = False
        self._cache[t] = frame


def _frame_bytes(frame: Frame) -> int:
    return frame.nbytes


def frame_index(t: int, n_frames: int) -> int:
    """Return the index 0..n_frames-1 of frame t; a negative t counts from the end.

    Raises:
        IndexError: There is no such frame.
    """
    index = operator.index(t)
    if not -n_frames <= index < n_frames:
        raise IndexError(f"frame {index} of a recording of {n_frames}")
    return index + n_frames if index < 0 else index


class ArrayClip(Clip):
    """A clip whose frames are an array in memory: phantoms, tests, data of other programs."""

    def __init__(
        self,
        frames: npt.NDArray[np.uint8] | npt.NDArray[np.uint16],
        *,
        times_s: npt.ArrayLike | None = None,
        fps: float = ASSUMED_FPS,
        times_from: TimesFrom = "file",
        pixel_aspect: float = 1.0,
        rotation: int = 0,
        notes: tuple[str, ...] = (),
        clip_id: str | None = None,
        source: Path | None = None,
        bits: int | None = None,
        facing: Facing = "unknown",
        inverted: bool = False,
        swallows: tuple[Swallow, ...] = (),
        window: tuple[int, int] | None = None,
    ) -> None:
        """Wrap an array of frames, which is neither copied nor changed.

        Args:
            frames: uint8 or uint16 (T, H, W), T >= 1.
            times_s: (T,) seconds; by default evenly spaced at `fps`.
            fps: Frames per second where no times are given.
            times_from: Who says so.
            pixel_aspect: Width of a pixel divided by its height.
            rotation: Degrees by which the frames have been turned from those of a file.
            notes: What a person should know about the recording.
            clip_id: By default the hash of shape, type and content.
            source: File that the frames come from, if any.
            bits: Significant bits; by default 8 or 16, from the dtype.
            facing: Side of the picture that the patient faces.
            inverted: True where dense matter is stored bright.
            swallows: Swallows marked by a person.
            window: Darkest and brightest grey value to display.

        Raises:
            ClipError: The array is not (T, H, W) uint8 or uint16 with at least one pixel.
        """
        if frames.ndim != 3 or frames.dtype not in (np.uint8, np.uint16) or frames.size == 0:
            raise ClipError(
                f"frames must be a uint8 or uint16 array (T, H, W), found {frames.dtype} {frames.shape}", path=source
            )
        n_frames, height, width = frames.shape
        times = np.arange(n_frames) / fps if times_s is None else np.asarray(times_s)
        super().__init__(
            clip_id=clip_id if clip_id is not None else array_id(frames),
            source=source,
            n_frames=n_frames,
            height=height,
            width=width,
            bits=bits if bits is not None else 8 * frames.itemsize,
            times_s=times.astype(np.float64),
            times_from=times_from,
            pixel_aspect=pixel_aspect,
            rotation=rotation,
            notes=notes,
            facing=facing,
            inverted=inverted,
            swallows=swallows,
            window=window,
        )
        self._frames: npt.NDArray[np.uint8] | npt.NDArray[np.uint16] | None = frames.view()
        self._frames.flags.writeable = False

    def __getitem__(self, t: int) -> Frame:
        if self._frames is None:
            raise ClipError("the recording was closed", path=self.source, remedy="Open it again.")
        frame: Frame = self._frames[frame_index(t, self.n_frames)]
        return frame

    def reopen(self) -> ArrayClip:
        """Return another clip of the same frames; memory is shared."""
        if self._frames is None:
            raise ClipError("the recording was closed", path=self.source, remedy="Open it again.")
        return ArrayClip(
            self._frames,
            times_s=self.times_s,
            times_from=self.times_from,
            pixel_aspect=self.pixel_aspect,
            rotation=self.rotation,
            notes=self.notes,
            clip_id=self.id,
            source=self.source,
            bits=self.bits,
            facing=self.facing,
            inverted=self.inverted,
            swallows=self.swallows,
            window=self.window,
        )

    def close(self) -> None:
        """Drop the reference to the frames; reading afterwards raises ClipError."""
        self._frames = None


def array_id(frames: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]) -> str:
    """Return the content id of frames in memory, uint8 or uint16 (T, H, W)."""
    digest = hashlib.blake2b(f"{frames.dtype.itemsize} {frames.shape}\0".encode(), digest_size=20)
    for frame in frames:
        digest.update(np.ascontiguousarray(frame).astype(frame.dtype.newbyteorder("<"), copy=False).tobytes())
    return f"b2-{digest.hexdigest()}"
