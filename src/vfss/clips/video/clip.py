# SPDX-License-Identifier: Apache-2.0
"""Video clips: exact frames in any order from AVI, MP4, MOV, MKV, MPG, WMV, and streams inside DICOM."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import VideoReformatter

from vfss.clips.cached import CACHE_BYTES, LazyClip
from vfss.clips.clip import Frame
from vfss.clips.grey import collapse, measured_window
from vfss.clips.library_errors import DECODING_ERRORS, reason
from vfss.clips.video.index import (
    DisagreementError,
    VideoIndex,
    agreed_index,
    other_index,
    plane_check,
    presented,
)
from vfss.clips.video.orientation import Orientation, declared_orientation, orientation_of, pixel_aspect
from vfss.clips.video.packets import Opener, PacketReader, PacketTable
from vfss.clips.video.truncation import refuse_truncated
from vfss.errors import ClipError

_DAMAGED = "Convert the recording again from its source; the other frames can be used."


class VideoClip(LazyClip):
    """A clip decoded from a video stream.

    A step forward decodes one frame. A jump starts at the nearest entry point before the frame and caches the frames
    decoded on the way, as many as the cache holds, so that stepping back is quick as well.
    """

    def __init__(
        self,
        *,
        opener: Opener,
        reader: PacketReader,
        table: PacketTable,
        index: VideoIndex,
        orientation: Orientation,
        **clip_arguments: Any,
    ) -> None:
        """Create the clip.

        Args:
            opener: Returns what libav reads.
            reader: The opened stream, which the clip owns.
            table: Its packets.
            index: Order of its frames.
            orientation: How stored frames are turned.
            clip_arguments: Arguments of LazyClip; height and width are those of turned frames.
        """
        super().__init__(rotation=orientation.degrees, **clip_arguments)
        self._orientation = orientation
        sides = (self.height, self.width)
        self._stored_size = sides[::-1] if orientation.swaps_sides else sides
        self._clip_arguments = clip_arguments
        self._opener = opener
        self._reader = reader
        self._table = table
        self._video_index = index
        self._grey = GreyConverter(self.bits)
        self._run: Iterator[tuple[int, Any, str]] | None = None
        self._next = 0
        self._undecodable: dict[int, str] = {}

    def reopen(self) -> VideoClip:
        """Open the same recording again, with its own file handle and cache."""
        clip = VideoClip(
            opener=self._opener,
            reader=PacketReader(self._reader.path, self._opener),
            table=self._table,
            index=self._video_index,
            orientation=self._orientation,
            **self._clip_arguments,
        )
        return self._copy_flags_to(clip)

    def measure_window(self) -> None:
        """Set `window` for frames deeper than 8 bits, measured on a few frames at which decoding can start.

        Raises:
            ClipError: One of them cannot be decoded.
        """
        if self.bits > 8:
            starts = self._video_index.entry_frames
            sampled = sorted({int(starts[0]), int(starts[len(starts) // 2]), int(starts[-1])})
            self.window = measured_window((self[t] for t in sampled), self.bits)

    def _release(self) -> None:
        self._run = None
        self._reader.close()

    def _read(self, t: int) -> Frame:
        # Each attempt uses the next, slower kind of index; the last one decodes from the start and cannot disagree.
        for _ in range(4):
            try:
                return self._decode(t)
            except DisagreementError:
                self._run = None
                self._cache.clear()
                self._video_index = other_index(self._reader, self._table, self._video_index)
            except ClipError as error:
                self._run = None
                if error.frame is not None:
                    raise
                raise ClipError(error.what, remedy=_DAMAGED, path=error.path, frame=t) from error
        raise ClipError("decodes to different frames each time", path=self.source, frame=t, remedy=_DAMAGED)

    def _decode(self, t: int) -> Frame:
        if t in self._undecodable:
            raise self._error_for(t)
        index = self._video_index
        entry = index.entry_for(t)
        if self._run is None or not max(self._next, 0) <= t or int(index.entry_frames[entry]) > self._next:
            self._run = presented(self._reader, self._table, index, entry)
        cached_frames = self._cache_bytes // (self.height * self.width * self.dtype.itemsize)
        for position, frame, damage in self._run:
            self._next = position + 1
            if damage:
                self._undecodable[position] = damage
            elif position > t - cached_frames:
                self._verify(position, frame)
                if position == t:
                    return self._convert(t, frame)
                if (frame.height, frame.width) == self._stored_size:
                    self._cache_frame(position, self._convert(position, frame))
            if position >= t:
                break
        else:
            self._run = None
        self._undecodable.setdefault(t, next(iter(self._reader.damaged.values()), "the stream ends before this frame"))
        raise self._error_for(t)

    def _error_for(self, t: int) -> ClipError:
        return ClipError(f"cannot be decoded ({self._undecodable[t]})", path=self.source, frame=t, remedy=_DAMAGED)

    def _verify(self, t: int, frame: Any) -> None:
        checks = self._video_index.checks
        if checks is not None and len(self._video_index.entries) > 1 and plane_check(frame) != checks[t]:
            raise DisagreementError

    def _convert(self, t: int, frame: Any) -> Frame:
        if (frame.height, frame.width) != self._stored_size:
            rows, columns = self._stored_size
            raise ClipError(
                f"has {frame.height} rows and {frame.width} columns, the first frame {rows} and {columns}",
                path=self.source,
                frame=t,
                remedy="Split the recording where its size changes, and open the parts.",
            )
        try:
            return self._orientation.apply(self._grey(frame))
        except (av.FFmpegError, *DECODING_ERRORS) as error:
            raise ClipError(
                f"cannot be converted to grey values ({reason(error)})", path=self.source, frame=t, remedy=_DAMAGED
            ) from error


class GreyConverter:
    """Converts decoded frames to grey values of one depth: uint8 or uint16 (H, W), full range."""

    def __init__(self, bits: int) -> None:
        self._format = "gray" if bits <= 8 else f"gray{bits}le"
        self._bits = bits
        # One reformatter for all frames: creating it costs more than using it.
        self._reformatter = VideoReformatter()

    def __call__(self, frame: Any) -> Frame:
        """Return the grey values of an av.VideoFrame."""
        if frame.format.is_rgb or frame.format.has_palette:
            return collapse(frame.to_ndarray(format="rgb24" if self._bits <= 8 else "rgb48le"))
        reformatted: Any = self._reformatter.reformat(frame, format=self._format)
        grey: Frame = reformatted.to_ndarray()
        return grey


def frame_bits(frame: Any) -> int:
    """Return the significant bits of the grey values of an av.VideoFrame: 8, 10, 12, 14 or 16."""
    depth = max(component.bits for component in frame.format.components)
    if frame.format.is_rgb or frame.format.has_palette:
        return 8 if depth <= 8 else 16
    return next(bits for bits in (8, 10, 12, 14, 16) if depth <= bits or bits == 16)


def open_video(
    path: Path,
    clip_id: str,
    *,
    opener: Opener | None = None,
    cache_bytes: int = CACHE_BYTES,
    rotation: int | None = None,
) -> VideoClip:
    """Open a video file, or a stream inside another file.

    Args:
        path: The file, for error messages and as the source of the clip.
        clip_id: Its content id.
        opener: Returns what libav reads; by default the path of the file.
        cache_bytes: Upper bound of the memory for decoded frames.
        rotation: How frames are turned, as `Clip.rotation` gives it; None for what the file declares.

    Raises:
        ClipError: It is not a video, damaged, truncated or without frames.
    """
    open_source = opener if opener is not None else (lambda: str(path.absolute()))
    reader = PacketReader(path, open_source)
    try:
        table = reader.list_packets()
        refuse_truncated(reader, table)
        index = agreed_index(reader, table)
        first = _first_frame(reader, table)
        orientation, turned = _orientation(first, rotation)
        aspect, doubted = pixel_aspect(reader.sample_aspect)
        clip = VideoClip(
            opener=open_source,
            reader=reader,
            table=table,
            index=index,
            clip_id=clip_id,
            source=path,
            n_frames=index.n_frames,
            orientation=orientation,
            height=first.width if orientation.swaps_sides else first.height,
            width=first.height if orientation.swaps_sides else first.width,
            pixel_aspect=1 / aspect if orientation.swaps_sides else aspect,
            notes=tuple(note for note in (turned, doubted) if note),
            bits=frame_bits(first),
            times_s=_times(reader, table, index),
            cache_bytes=cache_bytes,
        )
        clip.measure_window()
        return clip
    except ClipError:
        reader.close()
        raise


def _first_frame(reader: PacketReader, table: PacketTable) -> Any:
    for _, frame in reader.decode_from(table, 0):
        return frame
    cause = next(iter(reader.damaged.values()), "the decoder returns no frames")
    raise ClipError(f"holds no frame that can be decoded ({cause})", path=reader.path, frame=0, remedy=_DAMAGED)


def _orientation(first: Any, rotation: int | None) -> tuple[Orientation, str]:
    """Return how frames are turned, and a note where they are or where the file asks for another turn."""
    declared, note = declared_orientation(first)
    chosen = declared if rotation is None else orientation_of(rotation)
    if chosen == declared:
        return chosen, f"Frames are {declared}, as the file declares" if declared.degrees else note
    now, wanted = str(chosen) or "as stored", str(declared) or "upright"
    return chosen, f"Frames are {now}, though the file declares them {wanted}"


def _times(reader: PacketReader, table: PacketTable, index: VideoIndex) -> npt.NDArray[np.float64]:
    numbers = np.arange(len(table)) if index.ranks is None else np.flatnonzero(index.ranks >= 0)
    pts = np.sort(table.pts[numbers])
    if len(pts) == index.n_frames and table.timed[numbers].all() and (np.diff(pts) > 0).all():
        times: npt.NDArray[np.float64] = (pts - pts[0]) * float(reader.time_base)
        return times
    return np.arange(index.n_frames, dtype=np.float64) / float(reader.frame_rate)
