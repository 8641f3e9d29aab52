# SPDX-License-Identifier: Apache-2.0
"""Entry points of a video: packets at which decoding can start and gives the same frames as sequential decoding."""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from typing import Any

_H264_SLICE, _H264_IDR, _H264_SEI = 1, 5, 6
_HEVC_IRAP, _HEVC_IDR = range(16, 24), (19, 20)
_RECOVERY_POINT = 6
_MPEG4_PICTURE, _NOT_CODED_BYTES = b"\0\0\1\xb6", 16
_HEAD_BYTES = 4096
"""Parameter sets and supplemental information come before the slices; only this much of a packet is examined."""


class Entry(IntEnum):
    """Which frames are exact when decoding starts at a packet.

    NONE: none is guaranteed to be. OPEN: all frames shown after this one are; those shown before may need earlier
    packets. CLOSED: no later packet needs an earlier one, and frames of later packets are shown after all earlier ones.
    """

    NONE = 0
    OPEN = 1
    CLOSED = 2


def packet_entry(codec: str, extradata: bytes | None, packet: Any) -> Entry:
    """Classify a packet that the container marks as a key frame.

    Containers also mark H.264 pictures from which a decoder recovers only gradually; those are no entry points.

    Args:
        codec: Canonical name of the codec.
        extradata: The stream's setup bytes, which determine how units are framed.
        packet: The av.Packet.
    """
    if codec not in ("h264", "hevc"):
        return Entry.OPEN
    beginning = bytes(memoryview(packet)[: 2**20])
    for unit in _units(codec, beginning, extradata or b""):
        kind = unit[0] & 0x1F if codec == "h264" else (unit[0] >> 1) & 0x3F
        if codec == "hevc":
            if kind < 32:
                return Entry.CLOSED if kind in _HEVC_IDR else Entry.OPEN if kind in _HEVC_IRAP else Entry.NONE
        elif kind == _H264_IDR:
            return Entry.CLOSED
        elif kind == _H264_SEI and _recovers_at_once(unit[:_HEAD_BYTES]):
            return Entry.OPEN
        elif kind == _H264_SLICE:
            return Entry.NONE
    return Entry.NONE


def is_shown(codec: str, packet: Any) -> bool:
    """Return whether the packet's frame is displayed; VP8 has packets that only serve as reference."""
    return codec != "vp8" or bool(memoryview(packet)[0] & 0x10)


def may_show_nothing(codec: str, packet: Any, previous: Any) -> bool:
    """Return whether an MPEG-4 packet may give no frame: a "not coded" picture, which repeats the last one.

    The same bytes also follow a packet that holds two pictures; there the second picture is shown in its place.
    """
    if codec != "mpeg4" or packet.size > _NOT_CODED_BYTES:
        return False
    return previous is None or bytes(previous).count(_MPEG4_PICTURE) < 2


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
