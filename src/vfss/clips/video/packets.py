# SPDX-License-Identifier: Apache-2.0
"""Numbered packets of a video stream: listed without decoding, and decoding can start at any of them."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from vfss.clips.clip import ASSUMED_FPS
from vfss.clips.library_errors import DECODING_ERRORS, reason
from vfss.clips.video.entry_points import Entry, is_shown, may_show_nothing, packet_entry
from vfss.clips.video.recognition import HEAD_BYTES, video_container
from vfss.errors import ClipError

# Only recordings: scripts, playlists and pipes, which libav also reads, could reach other files or the network.
_FORMATS = "mov,mp4,avi,matroska,webm,mpeg,mpegts,mpegvideo,asf,h264,hevc,m4v,ogg,flv,dv"
_OPTIONS = {"format_whitelist": _FORMATS, "protocol_whitelist": "file,crypto,data"}
_REMEDY = (
    "It may be cut off: copy it again from its source, or convert it with: ffmpeg -i FILE -c:v libx264 -crf 0 NEW.mp4"
)

Opener = Callable[[], "str | io.RawIOBase"]
"""Returns what libav reads: a path, or a new file object if the video is inside another file."""


@dataclass(frozen=True)
class PacketTable:
    """The video packets in the order of decoding, as listed without decoding.

    Attributes:
        pts: int64 (P,) presentation time stamps in units of `time_base`; meaningless where `timed` is False.
        timed: bool (P,) whether the packet has a presentation time stamp.
        shown: bool (P,) False if the container marks it to be decoded but not shown.
        entries: uint8 (P,) Entry: whether decoding can start here.
        doubtful: Whether some packets may give no frame, which is known only by decoding.
        numbers: (pts, position, size) of a packet to its number; -1 if several share it.
    """

    pts: npt.NDArray[np.int64]
    timed: npt.NDArray[np.bool_]
    shown: npt.NDArray[np.bool_]
    entries: npt.NDArray[np.uint8]
    doubtful: bool
    numbers: dict[tuple[int | None, int | None, int], int]

    def __len__(self) -> int:
        return len(self.pts)


class PacketReader:
    """The video stream of one container: lists its packets and decodes from any of them.

    Frames are identified by the number of the packet they came from, which survives reordering, missing time stamps
    and lost frames.
    """

    def __init__(self, path: Path, opener: Opener) -> None:
        """Open the container.

        Raises:
            ClipError: It is missing, unreadable, not a video, or has no video track.
        """
        self.path = path
        self._opener = opener
        self.damaged: dict[int, str] = {}
        self._open()

    def _open(self) -> None:
        try:
            self._source = self._opener()
            # Without it libav would also go by the suffix, which may be wrong.
            container = video_container(_head(self._source)) or None
            self._container: Any = av.open(
                self._source, format=container, options=dict(_OPTIONS), metadata_errors="replace"
            )
        except (av.FFmpegError, *DECODING_ERRORS) as error:
            raise ClipError(f"cannot be opened as a video ({reason(error)})", path=self.path, remedy=_REMEDY) from error
        streams = [s for s in self._container.streams.video if s.codec_context is not None]
        if not streams:
            self.close()
            raise ClipError("holds no video track that can be decoded", path=self.path, remedy=_REMEDY)
        self._stream: Any = streams[0]
        # Frame threads report errors late and for another packet; slice threads do not.
        self._stream.codec_context.thread_type = "SLICE"

    @property
    def format(self) -> str:
        """Name of the container format, as libav calls it."""
        return str(self._container.format.name)

    @property
    def codec(self) -> str:
        """Name of the codec."""
        return str(self._stream.codec_context.codec.canonical_name)

    @property
    def time_base(self) -> Fraction:
        """Unit of time stamps in seconds."""
        return Fraction(self._stream.time_base or Fraction(1, 30))

    @property
    def reorders(self) -> bool:
        """True if frames leave the decoder in another order than packets enter it; known after decoding one."""
        return bool(self._stream.codec_context.has_b_frames)

    @property
    def frame_rate(self) -> Fraction:
        """Frames per second that the container declares or libav estimates, 30 if neither does."""
        stream = self._stream
        # libav only estimates the rate of a raw stream, while the stream itself may declare it.
        declared = stream.codec_context.framerate if self.format in ("h264", "hevc") else None
        for rate in (declared, stream.average_rate, stream.guessed_rate, stream.base_rate):
            if rate and 0 < rate <= 1000:
                return Fraction(rate)
        return Fraction(ASSUMED_FPS)

    @property
    def sample_aspect(self) -> Fraction | None:
        """Width through height of a stored pixel as container or codec declare it, None if neither does."""
        for declared in (self._stream.sample_aspect_ratio, self._stream.codec_context.sample_aspect_ratio):
            if declared:
                return Fraction(declared.numerator, declared.denominator)
        return None

    @property
    def declared_frames(self) -> int:
        """Number of frames that the container declares, 0 if it does not."""
        return int(self._stream.frames or 0)

    def list_packets(self) -> PacketTable:
        """List all packets without decoding.

        Raises:
            ClipError: The container cannot be read to its end, or holds no frames.
        """
        pts: list[int] = []
        timed: list[bool] = []
        shown: list[bool] = []
        entries: list[int] = []
        numbers: dict[tuple[int | None, int | None, int], int] = {}
        doubtful, previous = False, None
        codec, extradata = self.codec, self._stream.codec_context.extradata
        try:
            for number, packet in enumerate(self._packets()):
                pts.append(packet.pts or 0)
                timed.append(packet.pts is not None)
                shown.append(is_shown(codec, packet) and not packet.is_discard)
                doubtful = doubtful or may_show_nothing(codec, packet, previous)
                previous = packet
                entry = packet_entry(codec, extradata, packet) if packet.is_keyframe else Entry.NONE
                entries.append(entry)
                key = _key(packet)
                numbers[key] = -1 if key in numbers else number
        except (av.FFmpegError, *DECODING_ERRORS) as error:
            raise ClipError(f"ends early ({reason(error)})", path=self.path, frame=len(pts), remedy=_REMEDY) from error
        if not pts:
            raise ClipError("holds no frames", path=self.path, remedy=_REMEDY)
        return PacketTable(
            np.array(pts, np.int64), np.array(timed), np.array(shown), np.array(entries, np.uint8), doubtful, numbers
        )

    def decode_from(self, table: PacketTable, first: int) -> Iterator[tuple[int, Any]]:
        """Decode from packet `first` to the end; yield packet numbers and av.VideoFrames, in presentation order.

        Packets that cannot be decoded are recorded in `damaged` and left out.

        Raises:
            ClipError: The container cannot be read any more.
        """
        try:
            packets = self._numbered(table, first)
            # Only now: the seek may have reopened the container, and with it the decoder.
            context = self._stream.codec_context
            for number, packet in packets:
                packet.pts = number
                try:
                    frames = context.decode(packet)
                except av.FFmpegError as error:
                    self.damaged[number] = reason(error)
                    continue
                for frame in frames:
                    yield _number(frame), frame
            try:
                frames = context.decode(None)
            except av.FFmpegError as error:
                self.damaged[len(table)] = reason(error)
                frames = []
            for frame in frames:
                yield _number(frame), frame
        except (av.FFmpegError, *DECODING_ERRORS) as error:
            raise ClipError(f"cannot be read ({reason(error)})", path=self.path, remedy=_REMEDY) from error

    def _numbered(self, table: PacketTable, first: int) -> Iterator[tuple[int, Any]]:
        """Return the packets from number `first` on; seek close to it, or read from the beginning if that fails."""
        packets, number = self._seek(table, first)
        return ((n, packet) for n, packet in enumerate(packets, number) if n >= first)

    def _seek(self, table: PacketTable, first: int) -> tuple[Iterator[Any], int]:
        if first > 0 and table.timed[first]:
            try:
                self._container.seek(int(table.pts[first]), stream=self._stream, backward=True)
                packets = self._packets()
                head = next(packets, None)
            except av.FFmpegError:
                head = None
            number = -1 if head is None else table.numbers.get(_key(head), -1)
            if 0 <= number <= first:
                return _chained(head, packets), number
        self._rewind()
        return self._packets(), 0

    def _rewind(self) -> None:
        # Raw streams and some containers cannot seek to their start; reopening always works.
        self.close()
        self._open()

    def _packets(self) -> Iterator[Any]:
        return (packet for packet in self._container.demux(self._stream) if packet.size)

    def close(self) -> None:
        """Close the container."""
        self._container.close()
        if not isinstance(self._source, str):
            self._source.close()


def _head(source: str | io.RawIOBase) -> bytes:
    if isinstance(source, str):
        with Path(source).open("rb") as stream:
            return stream.read(HEAD_BYTES)
    head = source.read(HEAD_BYTES) or b""
    source.seek(0)
    return head


def _chained(head: Any, rest: Iterator[Any]) -> Iterator[Any]:
    yield head
    yield from rest


def _key(packet: Any) -> tuple[int | None, int | None, int]:
    return packet.pts, packet.pos, packet.size


def _number(frame: Any) -> int:
    return -1 if frame.pts is None else int(frame.pts)
