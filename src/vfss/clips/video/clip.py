# SPDX-License-Identifier: Apache-2.0
"""Video clips: exact frames in any order from AVI, MP4, MOV, MKV, MPG, WMV, and streams inside DICOM."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import VideoReformatter

from vfss.clips.cached import CACHE_BYTES, LazyClip
from vfss.clips.clip import ASSUMED_FPS, Frame
from vfss.clips.grey import collapse, measured_window
from vfss.clips.library_errors import DECODING_ERRORS, reason
from vfss.clips.video.completeness import list_all_packets, refuse_truncated
from vfss.clips.video.index import VideoIndex, build_index, frames_of
from vfss.clips.video.orientation import Orientation, declared_orientation, orientation_of, pixel_aspect
from vfss.clips.video.packets import Opener, PacketReader, PacketTable
from vfss.errors import ClipError
from vfss.wording import count

_SAMPLED_SEGMENTS, _SAMPLED_FRAMES, _FEWEST_SAMPLED = 8, 8, 3
_LENIENT = "The recorder breaks rules of the video format in all frames, so damage may go unnoticed"
_FEWEST_TIMES, _REGULAR = 3, 0.9
"""Number of times, and share of equal intervals, from which gaps are told from a variable frame rate."""
_RATES = (1.0, 500.0)
"""Frames a second of any fluoroscopy; others are a mistake of the recorder."""
_DAMAGED = "Convert the recording again from its source; the other frames can be used."


class VideoClip(LazyClip):
    """A clip decoded from a video stream.

    A step forward decodes one frame. A jump starts at the entry point of the frame's segment and caches the frames
    decoded on the way, as many as the cache holds, so that stepping back is quick as well.
    """

    def __init__(
        self,
        *,
        reader: PacketReader,
        table: PacketTable,
        index: VideoIndex,
        orientation: Orientation,
        **clip_arguments: Any,
    ) -> None:
        """Create the clip.

        Args:
            reader: The opened stream, which the clip owns.
            table: Its packets.
            index: Order of its frames, and damage known so far; shared with the clips that `reopen` gives.
            orientation: How stored frames are turned.
            clip_arguments: Arguments of LazyClip; height and width are those of turned frames.
        """
        super().__init__(rotation=orientation.degrees, **clip_arguments)
        self._orientation = orientation
        sides = (self.height, self.width)
        self._stored_size = sides[::-1] if orientation.swaps_sides else sides
        self._clip_arguments = clip_arguments
        self._reader = reader
        self._table = table
        self._video_index = index
        self._grey = GreyConverter(self.bits)
        self._run: Iterator[tuple[int, Any, str]] | None = None
        self._segment = -1
        self._next = 0

    def reopen(self) -> VideoClip:
        """Open the same recording again, with its own file handle and cache."""
        clip = VideoClip(
            reader=self._reader.reopened(),
            table=self._table,
            index=self._video_index,
            orientation=self._orientation,
            **self._clip_arguments,
        )
        return self._copy_flags_to(clip)

    def measure_window(self) -> None:
        """Set `window` for frames deeper than 8 bits, measured on a few frames at which decoding can start."""
        if self.bits > 8:
            starts = self._video_index.entry_frames
            sampled = sorted({int(starts[0]), int(starts[len(starts) // 2]), int(starts[-1])})
            self.window = measured_window(self._decodable(sampled), self.bits)

    def _decodable(self, frames: list[int]) -> Iterator[Frame]:
        for t in frames:
            try:
                yield self[t]
            except ClipError:
                continue

    def _release(self) -> None:
        self._run = None
        self._reader.close()

    def _read(self, t: int) -> Frame:
        damage = self._video_index.damage
        if t not in damage:
            try:
                frame = self._decode(t)
            except ClipError as error:
                if error.frame == t:
                    raise
                raise ClipError(error.what, remedy=error.remedy or _DAMAGED, path=error.path, frame=t) from error
            if frame is not None:
                return frame
        raise ClipError(f"cannot be decoded ({damage[t]})", path=self.source, frame=t, remedy=_DAMAGED)

    def _decode(self, t: int) -> Frame | None:
        """Return frame t, or None after entering in the index why it cannot be decoded."""
        index = self._video_index
        segment = index.segment_of(t)
        if self._run is None or segment != self._segment or t < self._next:
            self._run = frames_of(self._reader, self._table, index, segment)
            self._segment = segment
        run, self._run = self._run, None  # a run that is interrupted by an error is not continued
        cached_frames = self._cache_bytes // (self.height * self.width * self.dtype.itemsize)
        for position, frame, damage in run:
            self._next = position + 1
            if damage:
                index.damage.setdefault(position, damage)
            elif position == t:
                self._run = run
                return self._convert(t, frame)
            elif position > t - cached_frames:
                with suppress(ClipError):  # told when that frame is asked for
                    self._cache_frame(position, self._convert(position, frame))
            if position >= t:
                self._run = run
                break
        return None

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
        reformatted: Any = self._reformatter.reformat(frame, format=self._format, threads=1)
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
    reader = PacketReader(path, opener if opener is not None else lambda: str(path.absolute()))
    with ExitStack() as unless_opened:
        unless_opened.callback(reader.close)
        clip = _open(reader, clip_id, cache_bytes, rotation)
        unless_opened.pop_all()
    return clip


def _open(reader: PacketReader, clip_id: str, cache_bytes: int, rotation: int | None) -> VideoClip:
    table, counted = list_all_packets(reader)
    refuse_truncated(reader, table)
    index = build_index(reader, table)
    if _breaks_rules(reader, table, index):
        reader.decoder.strict = False
        index = build_index(reader, table)
    number, first = _first_frame(reader, table, index)
    first_ones = "frame" if number == 1 else f"{number} frames"
    missing = f"The first {first_ones} cannot be decoded ({index.damage[0]})" if number else ""
    orientation, turned = _orientation(reader.described_frame(table) or first, rotation)
    aspect, doubted = pixel_aspect(reader.sample_aspect)
    times_s = _times(reader, table, index)
    lenient = "" if reader.decoder.strict else _LENIENT
    doubts = counted or _doubts(times_s, reader.frame_rate, reader.declared_duration_s)
    notes = (doubts, _left_out(reader, table), missing, lenient, turned, doubted)
    clip = VideoClip(
        reader=reader,
        table=table,
        index=index,
        orientation=orientation,
        clip_id=clip_id,
        source=reader.path,
        n_frames=index.n_frames,
        height=first.width if orientation.swaps_sides else first.height,
        width=first.height if orientation.swaps_sides else first.width,
        bits=frame_bits(first),
        times_s=times_s,
        times_from="assumed" if reader.times_are_assumed else "file",
        pixel_aspect=1 / aspect if orientation.swaps_sides else aspect,
        notes=tuple(note for note in notes if note),
        cache_bytes=cache_bytes,
    )
    clip.measure_window()
    return clip


def _breaks_rules(reader: PacketReader, table: PacketTable, index: VideoIndex) -> bool:
    """Return whether strict decoding finds damage in all of the first frames, and lenient decoding in none of them."""
    sampled = range(min(_SAMPLED_SEGMENTS, len(index.entries)))
    if any(not damage for number in sampled for damage in _damage(reader, table, index, number)):
        return False
    reader.decoder.strict = False
    found = [damage for number in sampled for damage in _damage(reader, table, index, number)]
    reader.decoder.strict = True
    return len(found) >= _FEWEST_SAMPLED and not any(found)


def _damage(reader: PacketReader, table: PacketTable, index: VideoIndex, number: int) -> Iterator[str]:
    """Yield the damage of the first frames of a segment, "" for each sound one."""
    fresh = replace(index, settled={}, damage={})
    for _, _, damage in islice(frames_of(reader, table, fresh, number), _SAMPLED_FRAMES):
        yield damage


def _first_frame(reader: PacketReader, table: PacketTable, index: VideoIndex) -> tuple[int, Any]:
    """Return the first frame that can be decoded, with its number; damage before it is entered in the index."""
    for number in range(len(index.entries)):
        for t, frame, damage in frames_of(reader, table, index, number):
            if not damage:
                return t, frame
            index.damage.setdefault(t, damage)
    cause = index.damage.get(0, "the decoder returns no frames")
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
    """Return the time of each frame in seconds, float64 (T,)."""
    numbers = np.flatnonzero(index.ranks >= 0)
    pts = np.sort(table.pts[numbers])
    times: npt.NDArray[np.float64]
    if len(pts) == index.n_frames and table.timed[numbers].all() and (np.diff(pts) > 0).all():
        times = (pts - pts[0]) * float(reader.time_base)
    else:
        times = np.arange(index.n_frames) / float(reader.frame_rate or ASSUMED_FPS)
    return times


def _left_out(reader: PacketReader, table: PacketTable) -> str:
    """Return a note if the file holds frames that are not shown."""
    if table.discarded:
        return f"The file asks to leave out {count(table.discarded, 'frame')} (edit list), which is done"
    if reader.n_tracks > 1:
        return f"The file holds {reader.n_tracks} video tracks, of which the first is shown"
    return ""


def _doubts(times: npt.NDArray[np.float64], rate: Fraction | None, duration_s: float | None) -> str:
    """Return a note if the times of frames are hardly true, or leave room for more frames.

    Args:
        times: float64 (T,), seconds.
        rate: Frames per second that the container declares, None if it does not tell.
        duration_s: How long the recording lasts according to its header, None if it does not tell.
    """
    if len(times) < _FEWEST_TIMES:
        return _short(times, 1 / float(rate), duration_s) if rate and duration_s is not None else ""
    intervals = np.diff(times)
    usual = float(np.median(intervals))
    if not _RATES[0] <= 1 / usual <= _RATES[1]:
        return f"The file declares {1 / usual:.4g} frames a second, which is hardly true"
    if np.mean(np.abs(intervals - usual) < usual / 4) < _REGULAR:
        return ""
    gaps = np.flatnonzero(intervals > 1.75 * usual)
    if len(gaps):
        missing = int(np.rint(intervals[gaps] / usual - 1).sum())
        return f"The times of frames leave gaps for {missing} more, the first after {times[gaps[0]]:.2f} s"
    return "" if duration_s is None else _short(times, usual, duration_s)


def _short(times: npt.NDArray[np.float64], interval_s: float, duration_s: float) -> str:
    """Return a note if frames end long before the declared duration."""
    if duration_s - times[-1] > 3 * interval_s:
        return (
            f"The file declares a duration of {duration_s:.2f} s, its frames end after {times[-1] + interval_s:.2f} s"
        )
    return ""
