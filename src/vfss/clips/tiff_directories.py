# SPDX-License-Identifier: Apache-2.0
"""The chain of pages in a TIFF file, walked once before a library reads it: a page is what its directory claims."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from vfss.clips.bounds import MOST_FRAME_PIXELS, MOST_FRAMES, MOST_TABLE_BYTES, check_frame_size
from vfss.clips.library_errors import COPY_AGAIN
from vfss.errors import ClipError

_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_INTEGERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q"}
_WIDTH, _LENGTH, _SAMPLES, _TILE_WIDTH, _TILE_LENGTH, _DEPTH = 256, 257, 277, 322, 323, 32997
_MOST_TAGS = 4096
_MOST_SAMPLES = 16


@dataclass(frozen=True)
class _Layout:
    """Sizes of the fields of classic and of big files."""

    order: str
    count: str  # number of tags
    entry: str  # code, type, number of values
    offset: str

    @property
    def entry_bytes(self) -> int:
        return struct.calcsize(self.order + self.entry) + struct.calcsize(self.order + self.offset)


def count_pages(path: Path) -> int:
    """Return the number of pages of a TIFF file, after checking what each of them claims.

    Raises:
        ClipError: It is cut off, its pages form a loop, or they claim more than the file or a computer can hold.
        OSError: It cannot be read.
        struct.error: It ends inside its header.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        layout, at = _start(stream)
        seen: set[int] = set()
        table_bytes = 0
        while at:
            number = len(seen)
            if at in seen:
                raise ClipError(f"its pages form a loop after page {number}", path=path, remedy=COPY_AGAIN)
            if number == MOST_FRAMES:
                raise ClipError(f"holds more than {MOST_FRAMES} pages", path=path, remedy="Divide it.")
            seen.add(at)
            entries, following = _directory(stream, layout, at, size)
            if entries is None:
                raise ClipError(f"the file is cut off after {number} pages", path=path, frame=number, remedy=COPY_AGAIN)
            table_bytes += _check_page(path, number, layout, entries, size)
            if table_bytes > MOST_TABLE_BYTES:
                raise ClipError(
                    f"its tables take more than {MOST_TABLE_BYTES} bytes at page {number}", path=path, remedy=COPY_AGAIN
                )
            at = following
    return len(seen)


def _start(stream: BinaryIO) -> tuple[_Layout, int]:
    head = stream.read(16)
    order = ">" if head[:2] == b"MM" else "<"
    (version,) = struct.unpack(order + "H", head[2:4])
    if version == 43:
        return _Layout(order, "Q", "HHQ", "Q"), int(struct.unpack(order + "Q", head[8:16])[0])
    return _Layout(order, "H", "HHI", "I"), int(struct.unpack(order + "I", head[4:8])[0])


def _directory(stream: BinaryIO, layout: _Layout, at: int, size: int) -> tuple[bytes | None, int]:
    """Return the entries of the directory at an offset, None if it is not there, and the offset of the next one."""
    count_bytes = struct.calcsize(layout.order + layout.count)
    if at + count_bytes > size:
        return None, 0
    stream.seek(at)
    (tags,) = struct.unpack(layout.order + layout.count, stream.read(count_bytes))
    length = tags * layout.entry_bytes
    offset_bytes = struct.calcsize(layout.order + layout.offset)
    if not 1 <= tags <= _MOST_TAGS or at + count_bytes + length > size:
        return None, 0
    data = stream.read(length + offset_bytes)
    following = data[length:]
    # A file that ends with its last entry has no next page; some writers forget the zero.
    return data[:length], int(struct.unpack(layout.order + layout.offset, following)[0]) if len(
        following
    ) == offset_bytes else 0


def _check_page(path: Path, number: int, layout: _Layout, entries: bytes, size: int) -> int:
    """Check what one page claims; return the bytes of its values outside of the directory."""
    inline = struct.calcsize(layout.order + layout.offset)
    found: dict[int, int] = {}
    outside = 0
    for code, kind, count, value in struct.iter_unpack(f"{layout.order}{layout.entry}{inline}s", entries):
        length = count * _TYPE_BYTES.get(kind, 1)
        if length > inline:
            if length > size:
                raise ClipError(
                    f"page {number} claims {length} bytes for tag {code}, the file has {size}",
                    path=path,
                    remedy=COPY_AGAIN,
                )
            outside += length
        elif kind in _INTEGERS and count:
            found[code] = struct.unpack_from(layout.order + _INTEGERS[kind], value)[0]
    check_frame_size(found.get(_LENGTH, 1), found.get(_WIDTH, 1), path=path, frame=number)
    tile = found.get(_TILE_WIDTH, 1) * found.get(_TILE_LENGTH, 1)
    samples, depth = found.get(_SAMPLES, 1), found.get(_DEPTH, 1)
    if tile > MOST_FRAME_PIXELS or samples > _MOST_SAMPLES or depth > 1:
        raise ClipError(
            f"page {number} claims tiles of {tile} pixels, {samples} samples and a depth of {depth}",
            path=path,
            frame=number,
            remedy=COPY_AGAIN,
        )
    return outside
