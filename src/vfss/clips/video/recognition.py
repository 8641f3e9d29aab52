# SPDX-License-Identifier: Apache-2.0
"""Recognition of video files by their first bytes: recorders use many suffixes, or none."""

from __future__ import annotations

HEAD_BYTES = 2048
"""First bytes of a file in which the container is looked for."""

_START = {
    b"\x1a\x45\xdf\xa3": "Matroska or WebM",
    bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"): "ASF",
    b"FLV\x01": "Flash video",
    b"OggS\0": "Ogg",
    b"\0\0\1\xba": "MPEG program stream",
    b"\0\0\1\xb3": "MPEG video",
    b"\0\0\1\xb0": "MPEG-4 video",
    b"\0\0\1\x67": "H.264 video",
    b"\0\0\0\1\x67": "H.264 video",
    b"\0\0\0\1\x09": "H.264 video",
    b"\0\0\0\1\x40\1": "H.265 video",
    b"\x1f\x07\0\x3f": "DV",
    b"\x1f\x07\0\xbf": "DV",
}
_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"moof", b"styp")
"""First boxes of MP4, 3GP and QuickTime files."""
_MOST_BOX_BYTES = 2**20
_PACKETS = ((188, 0, "MPEG transport stream"), (192, 4, "AVCHD or Blu-ray"), (204, 0, "MPEG transport stream"))
"""Bytes of a packet, position of its sync byte, and the container."""
_SYNC, _SYNCED_PACKETS = 0x47, 4


def video_container(head: bytes) -> str:
    """Return the kind of video that a file is, "" if its first bytes are not those of one that can be read.

    Args:
        head: The first HEAD_BYTES of the file; fewer are enough for all but transport streams.
    """
    if head[:4] in (b"RIFF", b"ON2 ") and head[8:12] in (b"AVI ", b"AVIX", b"ON2f"):
        return "AVI"
    for start, container in _START.items():
        if head.startswith(start):
            return container
    if head[4:8] in _BOXES and _is_box_size(head):
        return "MP4 or QuickTime"
    for size, at, container in _PACKETS:
        first = head[at::size][:_SYNCED_PACKETS]
        if len(first) == _SYNCED_PACKETS and set(first) == {_SYNC}:
            return container
    return ""


def _is_box_size(head: bytes) -> bool:
    """Return whether the size of the first box is plausible: text that begins with four letters more is none."""
    size = int.from_bytes(head[:4], "big")
    return head[4:8] == b"mdat" or size in (0, 1) or 8 <= size <= _MOST_BOX_BYTES or head[4:8] == b"moov"
