# SPDX-License-Identifier: Apache-2.0
"""What the bytes of a video packet tell: whether decoding can start at it, and what kind of picture it holds.

Containers mark key frames, but their marks can be wrong, and a decoder that starts at a wrong one gives wrong frames.
So marks count only for codecs whose pictures are not parsed here and whose marks recorders set reliably.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

_H264_SLICE, _H264_IDR, _H264_SEI, _H264_SETS = 1, 5, 6, (7, 8)
_HEVC_IRAP, _HEVC_IDR, _HEVC_SETS = range(16, 24), (19, 20), (32, 33, 34)
_RECOVERY_POINT = 6
_HEAD_BYTES = 4096
"""Parameter sets and supplemental information come before the slices; only this much of a unit is examined."""
_UNITS_BYTES = 2**16
_SEQUENCE, _PICTURE, _SEQUENCE_BYTES = b"\0\0\1\xb3", b"\0\0\1\x00", 12
_VIDEO_OBJECT_PLANE, _VIDEO_OBJECT_LAYER = b"\0\0\1\xb6", re.compile(b"\0\0\1[\x20-\x2f]")
_NOT_CODED_BYTES = 16
_BITS_BYTES = 32
_QUANTISATION = b"\xff\xdb"
_MARKED = frozenset({"av1", "flv1", "h261", "h263", "h263p", "png", "vc1", "vc1image", "wmv3", "wmv3image"})
"""Codecs whose marks in the container count: they are not parsed here, and each key frame stands alone."""


class Entry(IntEnum):
    """Which frames are exact when decoding starts at a packet.

    NONE: none is guaranteed to be. OPEN: all frames shown after this one are; those shown before may need earlier
    packets. CLOSED: no later packet needs an earlier one, and frames of later packets are shown after all earlier ones.
    """

    NONE = 0
    OPEN = 1
    CLOSED = 2


class Picture(IntEnum):
    """Kind of picture, which determines when a decoder of MPEG-1, -2 or -4 shows it."""

    UNKNOWN = 0
    ANCHOR = 1  # shown when the next one is decoded; others depend on it
    BIDIRECTIONAL = 2  # shown at once; nothing depends on it


@dataclass(frozen=True, slots=True)
class PacketFacts:
    """What is known of a packet without decoding it.

    Attributes:
        entry: Whether decoding can start here.
        picture: Kind of the picture shown for it.
        shown: False if its frame only serves as reference.
        doubtful: Whether it may give no frame, which is known only by decoding.
    """

    entry: Entry
    picture: Picture = Picture.UNKNOWN
    shown: bool = True
    doubtful: bool = False


class PacketParser:
    """Parses the packets of one stream in order."""

    def __init__(self, codec: Any, extradata: bytes, *, marks_count: bool) -> None:
        """Start before the first packet.

        Args:
            codec: The av.Codec.
            extradata: The stream's setup bytes.
            marks_count: Whether the container's marks of key frames are its own, and not made up by libav.
        """
        self._name = str(codec.canonical_name)
        self._intra = bool(codec.intra_only)
        self._extradata = extradata
        self._marks_count = marks_count
        self._other_sets = False
        self._pending: list[Picture] = []
        self._previous_planes = 0
        layer = _VIDEO_OBJECT_LAYER.search(extradata)
        self._time_bits = 0 if layer is None else _time_bits(extradata, layer.end())
        parsers: dict[str, Callable[[Any], PacketFacts]] = {
            "h264": self._units,
            "hevc": self._units,
            "mpeg1video": self._mpeg2,
            "mpeg2video": self._mpeg2,
            "mpeg4": self._mpeg4,
            "mjpeg": _mjpeg,
            "vp8": _vp8,
        }
        self._parser = parsers.get(self._name, self._simple)

    def parse(self, packet: Any) -> PacketFacts:
        """Return what is known of the next packet, an av.Packet that is not empty."""
        return self._parser(packet)

    def _simple(self, packet: Any) -> PacketFacts:
        if self._intra:
            return PacketFacts(Entry.CLOSED)
        head = bytes(memoryview(packet)[:2])
        key = _KEY_BITS.get(self._name)
        if self._name == "cinepak":
            return PacketFacts(Entry.CLOSED if _cinepak_stands_alone(bytes(packet)) else Entry.NONE)
        if key is not None:
            return PacketFacts(Entry.CLOSED if key(head) else Entry.NONE)
        trusted = self._name in _MARKED and self._marks_count and packet.is_keyframe
        return PacketFacts(Entry.OPEN if trusted else Entry.NONE)

    def _mpeg2(self, packet: Any) -> PacketFacts:
        head = bytes(memoryview(packet)[:_HEAD_BYTES])
        at = head.find(_PICTURE)
        kind = (head[at + 5] >> 3) & 7 if 0 <= at < len(head) - 5 else 0
        sequence = head.find(_SEQUENCE, 0, max(at, 0))
        if sequence >= 0:
            self._other_sets |= head[sequence : sequence + _SEQUENCE_BYTES] not in self._extradata
        set_up = sequence >= 0 or (not self._other_sets and _SEQUENCE in self._extradata)
        complete = kind == 1 and set_up
        picture = Picture.BIDIRECTIONAL if kind == 3 else Picture.ANCHOR
        return PacketFacts(Entry.OPEN if complete else Entry.NONE, picture)

    def _mpeg4(self, packet: Any) -> PacketFacts:
        data = bytes(packet)
        planes = [_plane(data, at) for at in _positions(data, _VIDEO_OBJECT_PLANE)]
        layer = _VIDEO_OBJECT_LAYER.search(data[:_HEAD_BYTES])
        if layer is not None:
            self._time_bits = _time_bits(data, layer.end())
        # A second picture in a packet is shown in place of the next packet, which is an empty one.
        doubtful = packet.size <= _NOT_CODED_BYTES and self._previous_planes < 2 and self._may_be_empty(data)
        shown = self._pending or planes[:1]
        self._pending = planes[1:2]
        self._previous_planes = len(planes)
        at = data.find(_VIDEO_OBJECT_PLANE)
        intra = at >= 0 and data[at + 4 : at + 5] < b"\x40"
        set_up = _VIDEO_OBJECT_LAYER.search(self._extradata) or _VIDEO_OBJECT_LAYER.search(data, 0, max(at, 0))
        entry = Entry.OPEN if intra and set_up and planes[:1] == shown else Entry.NONE
        return PacketFacts(entry, shown[0] if shown else Picture.ANCHOR, doubtful=doubtful)

    def _may_be_empty(self, data: bytes) -> bool:
        """Return whether a packet may hold a picture that is not coded, which repeats the last one."""
        at = data.find(_VIDEO_OBJECT_PLANE)
        if at < 0 or not self._time_bits:
            return True
        bits = _Bits(data, at + 4)
        bits.read(2)  # kind
        while bits.read(1):  # seconds since the last picture
            pass
        bits.read(1 + self._time_bits + 1)
        return bits.read(1) == 0

    def _units(self, packet: Any) -> PacketFacts:
        hevc = self._name == "hevc"
        own_sets: set[int] = set()
        entry = Entry.NONE
        for unit in _units(self._name, bytes(memoryview(packet)[:_UNITS_BYTES]), self._extradata):
            kind = (unit[0] >> 1) & 0x3F if hevc else unit[0] & 0x1F
            if kind in (_HEVC_SETS if hevc else _H264_SETS):
                own_sets.add(kind)
                self._other_sets |= unit.rstrip(b"\0") not in self._extradata
            elif hevc and kind < 32:
                entry = Entry.CLOSED if kind in _HEVC_IDR else Entry.OPEN if kind in _HEVC_IRAP else Entry.NONE
                break
            elif not hevc and kind == _H264_IDR:
                entry = Entry.CLOSED
                break
            elif not hevc and kind == _H264_SEI and packet.is_keyframe and _recovers_at_once(unit[:_HEAD_BYTES]):
                entry = Entry.OPEN
            elif not hevc and kind == _H264_SLICE:
                break
        # Parameter sets of an earlier packet would be missing; those of the container are not.
        complete = not self._other_sets or len(own_sets) >= (3 if hevc else 2)
        return PacketFacts(entry if complete else Entry.NONE)


class _Bits:
    """Reads bits from bytes; zeros after their end."""

    def __init__(self, data: bytes, at: int) -> None:
        self._bits = int.from_bytes(data[at : at + _BITS_BYTES].ljust(_BITS_BYTES, b"\0"), "big")
        self._left = 8 * _BITS_BYTES

    def read(self, count: int) -> int:
        """Return the next bits as a number."""
        if self._left < count:
            return 0
        self._left -= count
        return self._bits >> self._left & ((1 << count) - 1)


def _time_bits(data: bytes, at: int) -> int:
    """Return how many bits the time of a picture has, from the header of an MPEG-4 video object layer (14496-2)."""
    bits = _Bits(data, at)
    bits.read(9)  # random access, type
    if bits.read(1):
        bits.read(7)  # version, priority
    if bits.read(4) == 15:
        bits.read(16)  # aspect of pixels
    if bits.read(1):
        bits.read(3)  # chroma, delay
        if bits.read(1):
            bits.read(79)  # buffer
    if bits.read(2):
        return 0  # not rectangular
    bits.read(1)
    return max(1, (bits.read(16) - 1).bit_length())


def _plane(data: bytes, at: int) -> Picture:
    kind = data[at + 4] >> 6 if at + 4 < len(data) else 0
    return Picture.BIDIRECTIONAL if kind == 2 else Picture.ANCHOR


def _positions(data: bytes, code: bytes) -> Iterator[int]:
    at = data.find(code)
    while at >= 0:
        yield at
        at = data.find(code, at + 4)


def _mjpeg(packet: Any) -> PacketFacts:
    """Classify a JPEG picture; some recorders write the tables into the first one only."""
    return PacketFacts(Entry.CLOSED if _QUANTISATION in bytes(memoryview(packet)[:_HEAD_BYTES]) else Entry.NONE)


def _vp8(packet: Any) -> PacketFacts:
    first = memoryview(packet)[0]
    return PacketFacts(Entry.NONE if first & 1 else Entry.CLOSED, shown=bool(first & 0x10))


def _vp9_key(head: bytes) -> bool:
    profile = (head[0] >> 5 & 1) | (head[0] >> 4 & 1) << 1
    bits = int.from_bytes(head[:2], "big") << (5 if profile == 3 else 4)
    return head[0] >> 6 == 2 and not bits & 0x8000 and not bits & 0x4000


_KEY_BITS: dict[str, Callable[[bytes], bool]] = {
    "ffv1": lambda head: int.from_bytes(head[:2], "big") >= 0x7F80,  # a range coder's first bit at even odds
    "msmpeg4v2": lambda head: head[0] >> 6 == 0,
    "msmpeg4v3": lambda head: head[0] >> 6 == 0,
    "theora": lambda head: head[0] >> 6 == 0,
    "vp6f": lambda head: head[0] >> 7 == 0,
    "vp9": _vp9_key,
    "wmv1": lambda head: head[0] >> 6 == 0,
    "wmv2": lambda head: head[0] >> 7 == 0,
}
"""Whether the first two bytes of a packet are those of a key frame."""


def _cinepak_stands_alone(data: bytes) -> bool:
    """Return whether a Cinepak frame needs no earlier one: whole code books and a vector for each block."""
    at, strips = 10, int.from_bytes(data[8:10], "big")
    for _ in range(min(strips, 32)):
        strip, size = int.from_bytes(data[at : at + 2], "big"), int.from_bytes(data[at + 2 : at + 4], "big")
        if strip != 0x1000 or size < 12:
            return False
        kinds = set()
        inner, end = at + 12, min(at + size, len(data))
        while inner + 4 <= end:
            kinds.add(int.from_bytes(data[inner : inner + 2], "big"))
            inner += max(4, int.from_bytes(data[inner + 2 : inner + 4], "big"))
        books = kinds & {0x2000, 0x2400}, kinds & {0x2200, 0x2600}
        if not all(books) or not kinds & {0x3000, 0x3200} or kinds & {0x2100, 0x2500, 0x2300, 0x2700, 0x3100}:
            return False
        at += size
    return strips > 0


def _units(codec: str, data: bytes, extradata: bytes) -> Iterator[bytes]:
    """Yield the network abstraction units of a packet, framed by lengths (MP4, MKV) or by start codes (others)."""
    length_at = 4 if codec == "h264" else 21
    if len(extradata) > length_at and extradata[0] == 1:
        size = (extradata[length_at] & 3) + 1
        at = 0
        while at + size < len(data):
            length = int.from_bytes(data[at : at + size], "big")
            if length > 0:
                yield data[at + size : at + size + length]
            at += size + length
        return
    at = data.find(b"\0\0\1")
    while at >= 0:
        end = data.find(b"\0\0\1", at + 3)
        unit = data[at + 3 : end if end >= 0 else len(data)]
        if unit:
            yield unit
        at = end


def _recovers_at_once(unit: bytes) -> bool:
    """Return whether supplemental information contains a recovery point that needs no further frames."""
    payload = unit.replace(b"\0\0\3", b"\0\0")
    at = 1
    while at + 2 < len(payload):
        kind = size = 0
        while at < len(payload) and payload[at] == 0xFF:
            kind, at = kind + 255, at + 1
        kind, at = kind + payload[at], at + 1
        while at < len(payload) and payload[at] == 0xFF:
            size, at = size + 255, at + 1
        if at >= len(payload):
            return False
        size, at = size + payload[at], at + 1
        if kind == _RECOVERY_POINT and at < len(payload):
            # The number of frames to wait is an exponential Golomb code, in which zero is a single set bit.
            return bool(payload[at] & 0x80)
        at += size
    return False
