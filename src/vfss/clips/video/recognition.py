# SPDX-License-Identifier: Apache-2.0
"""Recognition of video files by their first bytes: recorders use many suffixes, or none."""

from __future__ import annotations

HEAD_BYTES = 2048
"""First bytes of a file in which the container is looked for."""

_START = {
    b"\x1a\x45\xdf\xa3": "matroska",
    bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"): "asf",
    b"FLV\x01": "flv",
    b"OggS\0": "ogg",
    b"\0\0\1\xba": "mpeg",
    b"\0\0\1\xb3": "mpegvideo",
    b"\0\0\1\xb0": "m4v",
    b"\x1f\x07\0\x3f": "dv",
    b"\x1f\x07\0\xbf": "dv",
}
_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"moof", b"styp")
"""First boxes of MP4, 3GP and QuickTime files."""
_MOST_BOX_BYTES = 2**20
_TRANSPORT_PACKETS = (188, 192, 204)
"""Bytes of a packet: broadcast, camcorders and Blu-ray, with error correction."""
_SYNC, _SYNCED_PACKETS = 0x47, 5
_H264_BEGINS, _HEVC_BEGINS = (7, 9), (0x40, 0x42, 0x46)
"""Types of the first unit of a raw stream: parameter sets and delimiters."""


def video_container(head: bytes) -> str:
    """Return libav's name of the container of a video file, "" if its first bytes are not those of one that is read.

    Args:
        head: The first HEAD_BYTES of the file; fewer are enough for all but transport streams.
    """
    if head[:4] == b"RIFF" and head[8:12] in (b"AVI ", b"AVIX"):
        return "avi"
    for start, container in _START.items():
        if head.startswith(start):
            return container
    if head[4:8] in _BOXES and _is_box_size(head):
        return "mov"
    return _raw_stream(head) or ("mpegts" if _is_transport_stream(head) else "")


def _raw_stream(head: bytes) -> str:
    """Return the format of a stream without container that begins with parameter sets or a delimiter."""
    start = head.find(b"\0\0\1")
    if start not in (0, 1) or head[:start].strip(b"\0") or len(head) < start + 5:
        return ""
    first, second = head[start + 3 : start + 5]
    if second == 1 and first in _HEVC_BEGINS:
        return "hevc"
    return "h264" if first < 0x80 and first & 0x1F in _H264_BEGINS else ""


def _is_transport_stream(head: bytes) -> bool:
    """Return whether sync bytes recur; a recording may begin within a packet."""
    for size in _TRANSPORT_PACKETS:
        for at in range(size):
            syncs = head[at::size]
            if len(syncs) >= _SYNCED_PACKETS and set(syncs) == {_SYNC}:
                return True
    return False


def _is_box_size(head: bytes) -> bool:
    """Return whether the size of the first box is plausible; text may begin with four letters and such a word."""
    size = int.from_bytes(head[:4], "big")
    return head[4:8] in (b"mdat", b"moov") or size in (0, 1) or 8 <= size <= _MOST_BOX_BYTES
