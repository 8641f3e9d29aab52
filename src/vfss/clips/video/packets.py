# SPDX-License-Identifier: Apache-2.0
"""Numbered packets of a video stream: listed without decoding, and the same bytes each time one is read.

Demuxers keep state as decoders do: after a seek, one can cut packets of a damaged program stream elsewhere. So each
packet is known by its number, and what is read again is compared with what was listed.
"""

from __future__ import annotations

import io
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.stream import Disposition

from vfss.clips.library_errors import COPY_AGAIN, DECODING_ERRORS, reason
from vfss.clips.video.decoder import MAX_PIXELS, DecoderSettings
from vfss.clips.video.entry_points import PacketParser, Picture
from vfss.clips.video.recognition import HEAD_BYTES, video_container
from vfss.errors import ClipError

# Only recordings: scripts, playlists and pipes, which libav also reads, could reach other files or the network.
_FORMATS = "mov,mp4,avi,matroska,webm,mpeg,mpegts,mpegvideo,asf,h264,hevc,m4v,ogg,flv,dv"
_OPTIONS = {"format_whitelist": _FORMATS, "protocol_whitelist": "file,crypto,data", "max_pixels": str(MAX_PIXELS)}
_REMEDY = (
    "It may be cut off: copy it again from its source, or convert it with: ffmpeg -i FILE -c:v libx264 -crf 0 NEW.mp4"
)
_NO_VIDEO = "Choose another file; if this is a recording, copy it again from its source."
_CHANGED = "has changed since it was opened"
MAX_FRAMES = 2**19
"""Frames of a recording: almost five hours at 30 a second."""
_CONTIGUOUS = ("avi", "mov", "dv")
"""Containers in which a packet is a run of bytes in the file, so that it can be read without the demuxer."""
TIMES_FROM_TAG = "TIMES_FROM"
"""Tag of a de-identified video; "assumed" where the original does not state its times: a video must have some."""
_WITH_DURATION = ("matroska", "asf", "flv")
"""Containers that declare a duration and no number of frames."""
_ENDS_BYTES = 512
_KEPT_PACKETS = 24
_NEARBY, _SEARCHED = 64, 64
"""Packets that are read past instead of seeking, and packets after a seek in which the wanted place is looked for."""
_DESCRIBED = 500
"""Packets that are decoded at most to learn what the container says of all frames."""
_CARRIED: tuple[Any, ...] = ("palette", "new_extradata")
"""Side data that hold for all later packets too."""

Opener = Callable[[], "str | io.RawIOBase"]
"""Returns what libav reads: a path, or a new file object if the video is inside another file."""


@dataclass(frozen=True)
class PacketTable:
    """The video packets in the order of decoding, as listed without decoding.

    Attributes:
        pts: int64 (P,) presentation time stamps in units of `time_base`; meaningless where `timed` is False.
        timed: bool (P,) whether the packet has a presentation time stamp.
        seek_at: int64 (P,) time stamps to seek to.
        shown: bool (P,) False if the container marks it to be decoded but not shown.
        entries: uint8 (P,) Entry: whether decoding can start here.
        pictures: uint8 (P,) Picture: what kind of picture is shown for it.
        doubtful: Whether some packets may give no frame, which is known only by decoding.
        keys: bool (P,) whether the container marks it as a key frame.
        incomplete: bool (P,) whether bytes of it are missing in the container.
        positions: int64 (P,) position in the file, -1 if unknown.
        sizes: int64 (P,) bytes.
        signatures: uint32 (P,) checksum of its first and last bytes.
        contiguous: Whether a packet is the bytes of the file at its position.
        side_data: Number of a packet, and the side data that hold from it on.
        expected: Number of frames that the container declares, 0 if it does not.
        discarded: Number of packets outside of the part that the container asks to show (edit list of MP4).
    """

    pts: npt.NDArray[np.int64]
    timed: npt.NDArray[np.bool_]
    seek_at: npt.NDArray[np.int64]
    shown: npt.NDArray[np.bool_]
    entries: npt.NDArray[np.uint8]
    pictures: npt.NDArray[np.uint8]
    doubtful: bool
    keys: npt.NDArray[np.bool_]
    incomplete: npt.NDArray[np.bool_]
    positions: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]
    signatures: npt.NDArray[np.uint32]
    contiguous: bool
    side_data: tuple[tuple[int, Any], ...]
    expected: int
    discarded: int

    def __len__(self) -> int:
        return len(self.pts)

    def matches(self, number: int, packet: Any) -> bool:
        """Return whether an av.Packet that was read again is the one listed under this number."""
        return (
            number < len(self)
            and packet.size == self.sizes[number]
            and _signature(memoryview(packet)) == self.signatures[number]
        )

    def number_of(self, packet: Any) -> int:
        """Return the number of an av.Packet by its bytes, -1 if none or several have them."""
        same = np.flatnonzero((self.sizes == packet.size) & (self.signatures == _signature(memoryview(packet))))
        if len(same) > 1 and packet.pts is not None:
            same = same[self.timed[same] & (self.pts[same] == packet.pts)]
        return int(same[0]) if len(same) == 1 else -1

    def side_data_at(self, number: int, *, first: bool) -> list[Any]:
        """Return the side data to attach to a packet; for the first one of a decoder also what earlier ones set."""
        if not first:
            return [data for at, data in self.side_data if at == number]
        latest = {data.data_type: data for at, data in self.side_data if at <= number}
        return list(latest.values())


@dataclass
class _Listing:
    """The columns of a PacketTable while packets are listed."""

    columns: dict[str, list[Any]] = field(default_factory=dict)
    side_data: list[tuple[int, Any]] = field(default_factory=list)
    doubtful: bool = False
    contiguous: bool = True
    discarded: int = 0

    def add(self, **values: Any) -> None:
        for name, value in values.items():
            self.columns.setdefault(name, []).append(value)


class PacketReader:
    """The video stream of one container: lists its packets, and reads any run of them."""

    def __init__(self, path: Path, opener: Opener, *, ignore_index: bool = False) -> None:
        """Open the container.

        Args:
            path: The file, for messages.
            opener: Returns what libav reads.
            ignore_index: Find the packets of an AVI file by reading all of it, not by its index.

        Raises:
            ClipError: It is missing, unreadable, not a video, or has no video track.
        """
        self.path = path
        self.ignore_index = ignore_index
        self._opener = opener
        self._file: io.RawIOBase | None = None
        self._open()
        self.decoder = DecoderSettings(self._stream.codec_context)

    def _open(self) -> None:
        container = None
        try:
            self._source = _ForwardOnly(self._opener()) if self.ignore_index else self._opener()
            # Without it libav would also go by the suffix, which may be wrong.
            container = video_container(_head(self._source)) or None
            self._container: Any = av.open(
                self._source, format=container, options=dict(_OPTIONS), metadata_errors="replace"
            )
        except (av.FFmpegError, *DECODING_ERRORS) as error:
            why, remedy = (reason(error), _REMEDY) if container else ("it does not begin like one", _NO_VIDEO)
            raise ClipError(f"cannot be opened as a video ({why})", path=self.path, remedy=remedy) from error
        streams = [s for s in self._container.streams.video if s.codec_context is not None]
        if not streams:
            self.close()
            raise ClipError("holds no video track that can be decoded", path=self.path, remedy=_REMEDY)
        # Cover pictures are tracks of a single frame.
        recorded = [s for s in streams if not s.disposition & Disposition.attached_pic] or streams
        self.n_tracks = len(recorded)
        self._stream: Any = recorded[0]
        self._demuxed = self._demux()
        self._next = 0
        self._kept: deque[tuple[int, Any]] = deque(maxlen=_KEPT_PACKETS)

    @property
    def format(self) -> str:
        """Name of the container format, as libav calls it."""
        return str(self._container.format.name)

    @property
    def codec(self) -> str:
        """Name of the codec."""
        return self.decoder.name

    @property
    def time_base(self) -> Fraction:
        """Unit of time stamps in seconds."""
        return Fraction(self._stream.time_base or Fraction(1, 30))

    @property
    def frame_rate(self) -> Fraction | None:
        """Frames per second that the container declares or libav measures; None if nothing tells it."""
        stream = self._stream
        if self.format in ("h264", "hevc", "m4v"):
            # libav assumes a rate for raw streams, while the stream itself may declare one.
            rates = [stream.codec_context.framerate]
        else:
            rates = [stream.average_rate, stream.guessed_rate, stream.base_rate]
        for rate in rates:
            if rate and 0 < rate <= 1000:
                return Fraction(rate.numerator, rate.denominator)
        return None

    @property
    def times_are_assumed(self) -> bool:
        """Whether nothing tells when frames were taken, or the file says of its times that they are assumed."""
        return self.frame_rate is None or self._container.metadata.get(TIMES_FROM_TAG) == "assumed"

    @property
    def declared_duration_s(self) -> float | None:
        """Seconds that the video lasts according to the header, None if it does not tell or libav only estimates it."""
        container = self._container
        if not self.format.startswith(_WITH_DURATION) or len(container.streams) != 1 or not container.duration:
            return None
        return float(container.duration / av.time_base)

    @property
    def sample_aspect(self) -> Fraction | None:
        """Width through height of a stored pixel as container or codec declare it, None if neither does."""
        for declared in (self._stream.sample_aspect_ratio, self._stream.codec_context.sample_aspect_ratio):
            if declared:
                return Fraction(declared.numerator, declared.denominator)
        return None

    def list_packets(self) -> PacketTable:
        """List all packets without decoding.

        Raises:
            ClipError: The container cannot be read to its end, holds no frames, or claims more than it can hold.
        """
        listing = _Listing(contiguous=self.format.startswith(_CONTIGUOUS))
        context = self._stream.codec_context
        marks_count = not (self.format == "avi" and self.ignore_index)
        parser = PacketParser(context.codec, self.decoder.extradata, marks_count=marks_count)
        size, total = _length(self._source), 0
        number = 0
        try:
            for number, packet in enumerate(self._demux()):
                total += packet.size
                if number >= MAX_FRAMES or total > 2 * size + 2**20:
                    break
                self._list(listing, number, packet, parser, size)
        except (av.FFmpegError, *DECODING_ERRORS) as error:
            raise ClipError(f"ends early ({reason(error)})", path=self.path, frame=number, remedy=_REMEDY) from error
        if number >= MAX_FRAMES:
            raise ClipError(f"lists more than {MAX_FRAMES} frames", path=self.path, remedy="Split the recording.")
        if total > 2 * size + 2**20:
            raise ClipError(f"lists more bytes of video than its {size}", path=self.path, remedy=COPY_AGAIN)
        if not listing.columns:
            raise ClipError("holds no frames", path=self.path, remedy=_REMEDY)
        self._rewind()
        tagged = str(self._stream.metadata.get("NUMBER_OF_FRAMES", ""))  # by mkvmerge
        return _table(listing, int(self._stream.frames or (tagged if tagged.isdecimal() else 0)))

    def _list(self, listing: _Listing, number: int, packet: Any, parser: PacketParser, size: int) -> None:
        facts = parser.parse(packet)
        data = memoryview(packet)
        pts, dts = packet.pts, packet.dts
        by_pts = self.format.startswith("matroska")
        seek_at = pts if dts is None or (by_pts and pts is not None) else dts
        listing.doubtful |= facts.doubtful
        listing.discarded += facts.shown and packet.is_discard
        listing.side_data += [(number, packet.get_sidedata(kind)) for kind in _CARRIED if packet.has_sidedata(kind)]
        listing.add(
            pts=pts or 0,
            timed=pts is not None,
            seek_at=seek_at or 0,
            shown=facts.shown and not packet.is_discard,
            entries=int(facts.entry),
            pictures=int(facts.picture),
            keys=packet.is_keyframe,
            # What the demuxer of DV reads behind the end of a file is left over from the frame before.
            incomplete=packet.is_corrupt or (listing.contiguous and (packet.pos or 0) + packet.size > size),
            positions=-1 if packet.pos is None else packet.pos,
            sizes=packet.size,
            signatures=_signature(data),
        )
        if listing.contiguous:
            listing.contiguous = self._read_at(packet.pos or 0, packet.size, _ENDS_BYTES) == data[:_ENDS_BYTES]

    def packets(self, table: PacketTable, start: int, stop: int) -> Iterator[tuple[int, Any]]:
        """Yield packets start to stop - 1 with their numbers, the first one with side data that earlier ones set.

        Raises:
            ClipError: They cannot be read, or differ from what was listed.
        """
        try:
            source = self._from_file(table, start, stop) if table.contiguous else self._from_demuxer(table, start, stop)
            for number, packet in source:
                for data in table.side_data_at(number, first=number == start):
                    packet.set_sidedata(data)
                packet.pts = number
                yield number, packet
        except (av.FFmpegError, *DECODING_ERRORS) as error:
            raise ClipError(f"cannot be read ({reason(error)})", path=self.path, remedy=_REMEDY) from error

    def _from_file(self, table: PacketTable, start: int, stop: int) -> Iterator[tuple[int, Any]]:
        for number in range(start, stop):
            size = int(table.sizes[number])
            data = self._read_at(int(table.positions[number]), size, size)
            if len(data) < size and table.incomplete[number]:
                data = data.ljust(size, b"\0")
            elif len(data) != size or _signature(memoryview(data)) != table.signatures[number]:
                raise ClipError(_CHANGED, path=self.path, frame=number, remedy="Open it again.")
            packet = av.Packet(size)  # with zeros behind it, into which decoders read; bytes have none
            packet.update(data)
            packet.is_keyframe = bool(table.keys[number])
            yield number, packet

    def _read_at(self, position: int, size: int, most: int) -> bytes:
        if self._file is None:
            source = self._opener()
            self._file = io.FileIO(source) if isinstance(source, str) else source
        self._file.seek(position)
        return self._file.read(min(size, most)) or b""

    def _from_demuxer(self, table: PacketTable, start: int, stop: int) -> Iterator[tuple[int, Any]]:
        number = start
        for place in (self._seek, self._reopen):
            if not (self._reachable(number) or place(table, number)):
                continue
            for n, packet in self._continued(table):
                if n >= stop:
                    return
                if n >= number:
                    number = n + 1
                    yield n, packet
            if number >= stop:
                return
            self._rewind()
        raise ClipError(_CHANGED, path=self.path, frame=number, remedy="Open it again.")

    def _reachable(self, number: int) -> bool:
        first = self._kept[0][0] if self._kept else self._next
        return first <= number <= self._next + _NEARBY

    def _continued(self, table: PacketTable) -> Iterator[tuple[int, Any]]:
        """Yield the packets kept and those that follow, up to one that differs from what was listed."""
        yield from tuple(self._kept)
        for packet in self._demuxed:
            if not table.matches(self._next, packet):
                return
            numbered = self._next, packet
            self._kept.append(numbered)
            self._next += 1
            yield numbered

    def _seek(self, table: PacketTable, number: int) -> bool:
        """Go to a place shortly before a packet; return whether that worked."""
        for back in (0, 1, 8):
            near = max(0, number - back * _KEPT_PACKETS)
            try:
                self._container.seek(int(table.seek_at[near]), stream=self._stream, backward=True)
                self._demuxed = self._demux()
                for packet in islice(self._demuxed, _SEARCHED):
                    found = table.number_of(packet)
                    if 0 <= found <= number:
                        self._kept.clear()
                        self._kept.append((found, packet))
                        self._next = found + 1
                        return True
                    if found > number:
                        break
            except av.FFmpegError:
                return False
        return False

    def _reopen(self, table: PacketTable, number: int) -> bool:
        del table, number
        self._rewind()
        return True

    def _rewind(self) -> None:
        # Raw streams and some containers cannot seek to their start; reopening always works.
        self._container.close()
        if not isinstance(self._source, str):
            self._source.close()
        self._open()

    def reopened(self) -> PacketReader:
        """Open the same stream again, with its own file handle.

        Raises:
            ClipError: It is gone or cannot be read any more.
        """
        reader = PacketReader(self.path, self._opener, ignore_index=self.ignore_index)
        reader.decoder = self.decoder
        return reader

    def described_frame(self, table: PacketTable) -> Any | None:
        """Decode one frame with the side data that the container has for all of them; None if that fails.

        It is good for what holds for the whole stream; its pixels may differ from those of frame 0 in a damaged file.
        """
        context = self._stream.codec_context
        context.thread_type = "SLICE"
        try:
            for _, packet in self.packets(table, 0, min(len(table), _DESCRIBED)):
                for frame in context.decode(packet):
                    return frame
            return next(iter(context.decode(None)), None)
        except av.FFmpegError:
            return None
        finally:
            self._rewind()

    def open_without_index(self) -> None:
        """Open the container again and find its packets by reading all of it, not by its index.

        Raises:
            ClipError: It cannot be read any more.
        """
        self.ignore_index = True
        self._rewind()

    def open_with_index(self) -> None:
        """Open the container again and use its index.

        Raises:
            ClipError: It cannot be read any more.
        """
        self.ignore_index = False
        self._rewind()

    def _demux(self) -> Iterator[Any]:
        return (packet for packet in self._container.demux(self._stream) if packet.size)

    def close(self) -> None:
        """Close the container."""
        self._container.close()
        if not isinstance(self._source, str):
            self._source.close()
        if self._file is not None:
            self._file.close()
            self._file = None


class _ForwardOnly(io.RawIOBase):
    """A file that cannot seek, so that libav reads its packets one after the other and not by an index."""

    def __init__(self, source: str | io.RawIOBase) -> None:
        self._stream = io.FileIO(source) if isinstance(source, str) else source
        self.head = self._stream.read(HEAD_BYTES) or b""
        self.length = self._stream.seek(0, io.SEEK_END)
        self._stream.seek(0)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes | None:
        return self._stream.read(size)

    def close(self) -> None:
        self._stream.close()
        super().close()


def _table(listing: _Listing, expected: int) -> PacketTable:
    columns = listing.columns
    return PacketTable(
        pts=np.array(columns["pts"], np.int64),
        timed=np.array(columns["timed"]),
        seek_at=np.array(columns["seek_at"], np.int64),
        shown=np.array(columns["shown"]),
        entries=np.array(columns["entries"], np.uint8),
        pictures=np.array(columns["pictures"], np.uint8),
        doubtful=listing.doubtful,
        keys=np.array(columns["keys"]),
        incomplete=np.array(columns["incomplete"]),
        positions=np.array(columns["positions"], np.int64),
        sizes=np.array(columns["sizes"], np.int64),
        signatures=np.array(columns["signatures"], np.uint32),
        contiguous=listing.contiguous,
        side_data=tuple(listing.side_data),
        expected=expected,
        discarded=listing.discarded,
    )


def disposable(table: PacketTable, number: int) -> bool:
    """Return whether no other frame depends on that of a packet."""
    return bool(table.pictures[number] == Picture.BIDIRECTIONAL)


def _signature(data: memoryview) -> int:
    return zlib.crc32(data[-_ENDS_BYTES:], zlib.crc32(data[:_ENDS_BYTES]))


def _length(source: str | io.RawIOBase) -> int:
    if isinstance(source, str):
        return Path(source).stat().st_size
    if isinstance(source, _ForwardOnly):
        return source.length
    here = source.tell()
    length = source.seek(0, io.SEEK_END)
    source.seek(here)
    return length


def _head(source: str | io.RawIOBase) -> bytes:
    if isinstance(source, str):
        with Path(source).open("rb") as stream:
            return stream.read(HEAD_BYTES)
    if isinstance(source, _ForwardOnly):
        return source.head
    head = source.read(HEAD_BYTES) or b""
    source.seek(0)
    return head
