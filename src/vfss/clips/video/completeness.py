# SPDX-License-Identifier: Apache-2.0
"""Completeness of video files: neither an interrupted copy nor a wrong index may pass for a short recording."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import numpy as np

from vfss.clips.video.packets import PacketReader, PacketTable
from vfss.errors import ClipError
from vfss.wording import count

_REMEDY = "Copy it again from its source, or save the readable part with: ffmpeg -i FILE -c copy NEW.mkv"
_SLACK_BYTES = 16
"""Some recorders count their own chunk header twice."""
_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
_ASF_FILE = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")


def list_all_packets(reader: PacketReader) -> tuple[PacketTable, str]:
    """List the packets of a stream; where the index of an AVI file lists too few, read the file without it.

    Returns:
        The packets, and a note where their number is not that of the header.

    Raises:
        ClipError: The container cannot be read.
    """
    table = reader.list_packets()
    in_order = reader.format != "avi" or bool((np.diff(table.positions) > 0).all())
    if in_order and (_span(table) >= table.expected or reader.format.startswith("mov")):  # MP4 is refused if cut off
        dropped = len(table) < table.expected and not reader.format.startswith("mov")
        return table, _fewer(table) if dropped else ""
    if reader.format != "avi":
        return table, _fewer(table)
    listed = len(table)
    reader.open_without_index()
    scanned = reader.list_packets()
    if len(scanned) > listed:
        note = f"The index of the file lists {count(listed, 'frame')}, {len(scanned)} were found without it"
        return scanned, note if len(scanned) == scanned.expected else f"{note}, {scanned.expected} are declared"
    if len(scanned) == listed and not in_order:
        return (
            scanned,
            "The index of the file lists its frames in another order than they are stored in, which is taken",
        )
    reader.open_with_index()
    return reader.list_packets(), _fewer(table)


def _fewer(table: PacketTable) -> str:
    return f"The file declares {count(table.expected, 'frame')} and holds {len(table)}"


def _span(table: PacketTable) -> int:
    """Return the number of frames from the first to the last, including those that the recorder dropped."""
    return max(len(table), int(table.seek_at.max()) + 1)


def refuse_truncated(reader: PacketReader, table: PacketTable) -> None:
    """Compare the end that the container declares with the end of the file.

    Program streams and raw streams declare none; there truncation shows only when the last frame is read.

    Raises:
        ClipError: The file ends early.
    """
    present, declared = int(table.shown.sum()), table.expected
    missing = declared - len(table) if reader.format.startswith("mov") else 0
    end, size = declared_end(reader.path, reader.format), reader.path.stat().st_size
    if missing > 0 or end > size + _SLACK_BYTES:
        of = f" of {declared}" if declared > present else ""
        raise ClipError(
            f"the file is cut off: {size} of {max(end, size)} bytes, {present}{of} frames are present",
            path=reader.path,
            frame=present,
            remedy=_REMEDY,
        )


def declared_end(path: Path, container: str) -> int:
    """Return where the file should end according to the sizes in its container, in bytes; 0 if it declares none."""
    with path.open("rb") as stream:
        if container == "avi":
            return _riff_end(stream, path.stat().st_size)
        if container.startswith("mov"):
            return _box_end(stream, path.stat().st_size)
        if container.startswith("matroska"):
            return _segment_end(stream)
        if container == "asf":
            return _asf_end(stream)
    return 0


def _riff_end(stream: BinaryIO, size: int) -> int:
    at = 0
    while at + 8 <= size:
        stream.seek(at)
        head = stream.read(8)
        if head[:4] != b"RIFF":
            break
        at += 8 + int.from_bytes(head[4:], "little")
    return at


def _box_end(stream: BinaryIO, size: int) -> int:
    at = 0
    while at + 8 <= size:
        stream.seek(at)
        head = stream.read(16)
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:], "big")
        if length < 8 or not head[4:8].isalnum():  # 0: to the end of the file
            break
        at += length
    return at


def _segment_end(stream: BinaryIO) -> int:
    head = stream.read(4096)
    if not head.startswith(_EBML):
        return 0
    length, at = _ebml_size(head, 4)
    at += length or 0
    if head[at : at + 4] != _SEGMENT:
        return 0
    length, at = _ebml_size(head, at + 4)
    return 0 if length is None else at + length


def _ebml_size(data: bytes, at: int) -> tuple[int | None, int]:
    """Parse a size of variable length and return it with its end; None if unknown, as streaming recorders write it."""
    count = 9 - data[at].bit_length() if at < len(data) else 9
    if count > 8:
        return None, at
    value = int.from_bytes(data[at : at + count], "big") & ((1 << 7 * count) - 1)
    return (None if value == (1 << 7 * count) - 1 else value), at + count


def _asf_end(stream: BinaryIO) -> int:
    head = stream.read(65536)
    at = head.find(_ASF_FILE)
    properties = head[at : at + 92]
    if at < 0 or len(properties) < 92 or properties[88] & 1:  # the broadcast flag: the size is meaningless
        return 0
    return int.from_bytes(properties[40:48], "little")
