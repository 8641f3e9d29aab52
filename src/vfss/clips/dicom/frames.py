# SPDX-License-Identifier: Apache-2.0
"""Offsets of the frames in a DICOM file, found without reading the pixel data."""

from __future__ import annotations

import io
from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from vfss.clips.dicom.header import DicomHeader
from vfss.clips.library_errors import COPY_AGAIN
from vfss.errors import ClipError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

Span = tuple[int, int]
"""Offset in the file and number of bytes."""

_UNDEFINED = 0xFFFFFFFF
_ITEM, _END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"
_PICTURE_STARTS = (b"\xff\xd8", b"\xff\x4f\xff\x51")


def native_frame_bytes(header: DicomHeader) -> int:
    """Return the size of one uncompressed frame in bytes."""
    samples = 2 if header.photometric == "YBR_FULL_422" and not header.planar else header.samples
    return header.rows * header.columns * samples * (header.allocated // 8)


def native_frames(header: DicomHeader) -> Sequence[Span]:
    """Return the spans of uncompressed frames.

    Raises:
        ClipError: The file ends before the last frame, or declares less than its frames need.
    """
    size = native_frame_bytes(header)
    needed = size * header.n_frames
    # Lengths above 4 GiB do not fit the length field: writers leave it undefined or let it wrap around.
    wrapped = header.pixels_length == _UNDEFINED or header.pixels_length in {(needed + pad) % 2**32 for pad in (0, 1)}
    there = header.path.stat().st_size - header.pixels_at
    if not wrapped:
        there = min(there, header.pixels_length)
    if there < needed:
        complete = there // size
        raise ClipError(
            f"the pixel data ends after {complete} of {header.n_frames} frames",
            path=header.path,
            frame=complete,
            remedy=COPY_AGAIN,
        )
    return _EqualSpans(header.pixels_at, size, header.n_frames)


class _EqualSpans(Sequence[Span]):
    """Consecutive spans of equal length, computed on access."""

    def __init__(self, at: int, size: int, count: int) -> None:
        self._at, self._size, self._count = at, size, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, t: int) -> Span:  # type: ignore[override]
        if not 0 <= t < self._count:
            raise IndexError(t)
        return self._at + t * self._size, self._size


def fragments(header: DicomHeader) -> tuple[list[int], list[Span]]:
    """Return the basic offset table and the spans of all fragments of encapsulated pixel data.

    Raises:
        ClipError: The file ends inside a fragment, or its items are damaged.
    """
    path = header.path
    size = path.stat().st_size
    spans: list[Span] = []
    with path.open("rb", buffering=0) as stream:
        at = header.pixels_at
        while at + 8 <= size:
            stream.seek(at)
            head = stream.read(8)
            if head[:4] == _END:
                break
            length = int.from_bytes(head[4:], "little")
            number = max(0, len(spans) - 1)
            if head[:4] != _ITEM or length == _UNDEFINED:
                raise ClipError(
                    "its pixel data is damaged: an item was expected", path=path, frame=number, remedy=COPY_AGAIN
                )
            if at + 8 + length > size:
                raise ClipError("the file ends inside the pixel data", path=path, frame=number, remedy=COPY_AGAIN)
            spans.append((at + 8, length))
            at += 8 + length
        table = b""
        if spans:
            stream.seek(spans[0][0])
            table = stream.read(spans[0][1])
    if len(spans) < 2:
        raise ClipError("holds no frames: its pixel data is empty", path=path, remedy=COPY_AGAIN)
    offsets = [int.from_bytes(table[i : i + 4], "little") for i in range(0, len(table) - 3, 4)]
    return offsets, spans[1:]


def encapsulated_frames(header: DicomHeader) -> list[list[Span]]:
    """Return the spans of each frame's fragments.

    Fragments are assigned to frames one by one if there are as many, else by an offset table, else by the start markers
    of the pictures.

    Raises:
        ClipError: Fragments and frames cannot be matched.
    """
    basic, spans = fragments(header)
    n = header.n_frames
    if len(spans) == n:
        return [[span] for span in spans]
    if n == 1:
        return [spans]
    if len(spans) < n:
        raise ClipError(
            f"the pixel data ends after {len(spans)} of {n} frames",
            path=header.path,
            frame=len(spans),
            remedy=COPY_AGAIN,
        )
    first_item = spans[0][0] - 8
    starts = [at - 8 - first_item for at, _ in spans]
    for offsets in (list(header.offsets), basic):
        if len(offsets) == n and offsets[0] == 0 and set(offsets) <= set(starts) and offsets == sorted(set(offsets)):
            return _cut(spans, [bisect_left(starts, offset) for offset in offsets])
    heads = _picture_starts(header.path, spans)
    if len(heads) == n and heads[0] == 0:
        return _cut(spans, heads)
    raise ClipError(
        f"its {len(spans)} fragments cannot be matched with {n} frames",
        path=header.path,
        remedy="Export it again, with an offset table or one fragment per frame.",
    )


def _cut(spans: list[Span], starts: list[int]) -> list[list[Span]]:
    return [spans[a:b] for a, b in pairwise([*starts, len(spans)])]


def _picture_starts(path: Path, spans: list[Span]) -> list[int]:
    numbers = []
    with path.open("rb", buffering=0) as stream:
        for number, (at, _) in enumerate(spans):
            stream.seek(at)
            if stream.read(4).startswith(_PICTURE_STARTS):
                numbers.append(number)
    return numbers


class FragmentStream(io.RawIOBase):
    """The fragments of a file as one stream, for a video that is stored in a DICOM file."""

    def __init__(self, path: Path, spans: list[Span]) -> None:
        """Open the file; `spans` are its fragments in order."""
        super().__init__()
        self._file: BinaryIO = path.open("rb", buffering=0)
        self._spans = spans
        self._ends = list(accumulate(length for _, length in spans))
        self._at = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a byte of the joined stream and return its position."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._ends[-1]}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        """Return the position in the joined stream."""
        return self._at

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Read the rest of the current fragment, or as much of it as fits into the buffer."""
        view = memoryview(buffer).cast("B")
        number = bisect_left(self._ends, self._at + 1)
        if number == len(self._spans):
            return 0
        start, length = self._spans[number]
        left = self._ends[number] - self._at
        self._file.seek(start + length - left)
        count = self._file.readinto(view[: min(left, len(view))])  # type: ignore[attr-defined]
        self._at += count
        return int(count)

    def close(self) -> None:
        """Close the file."""
        if not self.closed:
            self._file.close()
        super().close()
