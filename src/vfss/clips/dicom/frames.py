# SPDX-License-Identifier: Apache-2.0
"""Offsets of the frames in a DICOM file, found without reading the pixel data."""

from __future__ import annotations

import io
import mmap
import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from pydicom import uid

from vfss.clips.bounds import MOST_PARTS, check_frame_count
from vfss.clips.dicom.header import DicomHeader
from vfss.clips.library_errors import COPY_AGAIN
from vfss.errors import ClipError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

Span = tuple[int, int]
"""Offset in the file and number of bytes."""

_UNDEFINED = 0xFFFFFFFF
_ITEM, _END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"
_PICTURE_STARTS = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  ")
_NEXT_PICTURE = re.compile(rb"\xff\xd9\x00{0,3}\xff\xd8\xff")
_RLE_SEGMENTS, _RLE_HEADER = range(1, 16), 64
_ENCAPSULATED_NATIVE = "1.2.840.10008.1.2.1.98"
_PADDED_TO = 512
"""More bytes than these after the last frame are no padding."""


@dataclass(frozen=True)
class StoredFrames:
    """Where the frames of a file are.

    Attributes:
        header: The header, corrected by what the pixel data shows.
        spans: For each frame its span, or the spans of its fragments.
        notes: Where header and pixel data disagree.
    """

    header: DicomHeader
    spans: Sequence[list[Span]] | Sequence[Span]
    notes: tuple[str, ...]


def native_frame_bytes(header: DicomHeader) -> int:
    """Return the size of one uncompressed frame in bytes."""
    subsampled = header.photometric == "YBR_FULL_422" and header.samples == 3 and not header.planar
    return header.rows * header.columns * (2 if subsampled else header.samples) * (header.allocated // 8)


def native_frames(header: DicomHeader) -> StoredFrames:
    """Return the spans of uncompressed frames.

    As many frames are there as the pixel data holds, also where the header declares fewer or does not declare them.

    Raises:
        ClipError: The file ends before the last frame, or declares less than its frames need.
    """
    there, is_exact = _native_bytes(header)
    header, notes = _chrominance(header, there) if is_exact else (header, ())
    size = native_frame_bytes(header)
    complete = there // size
    declared = header.declared or 1
    if not is_exact and header.pixels_length != _UNDEFINED:  # cut off: the length of the pixel data counts, too
        declared = max(declared, header.pixels_length // size)
    if complete < declared:
        raise ClipError(
            f"the pixel data ends after {complete} of {declared} frames",
            path=header.path,
            frame=complete,
            remedy=COPY_AGAIN,
        )
    n_frames = complete if is_exact else declared
    check_frame_count(n_frames, path=header.path)
    notes = (*header.notes, *notes, *_count_note(header, n_frames))
    if is_exact and there - n_frames * size > _PADDED_TO:
        notes = (*notes, f"after its last frame {there - n_frames * size} bytes of pixel data are left over")
    return StoredFrames(header, _EqualSpans(header.pixels_at, size, n_frames), notes)


def _native_bytes(header: DicomHeader) -> tuple[int, bool]:
    """Return how many bytes of pixel data are there, and whether all of them are frames as far as the file knows."""
    there = header.path.stat().st_size - header.pixels_at
    needed = native_frame_bytes(header) * (header.declared or 1)
    # Lengths above 4 GiB do not fit the length field: writers leave it undefined or let it wrap around.
    wrapped = needed >= _UNDEFINED and header.pixels_length in {(needed + pad) % 2**32 for pad in (0, 1)}
    if wrapped or header.pixels_length == _UNDEFINED:
        return there, False
    return min(there, header.pixels_length), there >= header.pixels_length


def _chrominance(header: DicomHeader, there: int) -> tuple[DicomHeader, tuple[str, ...]]:
    """Correct whether colour is subsampled, by the length of the pixel data: writers confuse the two."""
    other = {"YBR_FULL_422": "YBR_FULL", "YBR_FULL": "YBR_FULL_422"}.get(header.photometric)
    if other is None or header.samples != 3 or header.planar:
        return header, ()
    changed = replace(header, photometric=other)
    declared = header.declared or 1
    padding = range(2)
    if there - declared * native_frame_bytes(header) in padding:
        return header, ()
    if there - declared * native_frame_bytes(changed) not in padding:
        return header, ()
    return changed, (f"declares {header.photometric}, its pixel data has the length of {other}: read as that",)


def _count_note(header: DicomHeader, n_frames: int) -> tuple[str, ...]:
    if n_frames == (header.declared or 1):
        return ()
    declares = (
        "does not declare its number of frames" if header.declared is None else f"declares {header.declared} frames"
    )
    if header.declared == 1:
        declares = "declares 1 frame"
    return (f"{declares}, its pixel data holds {n_frames}: all of them are read",)


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
        ClipError: The file ends inside a fragment, its items are damaged, or there are more than can be.
    """
    offsets, spans, _ = _fragments(header)
    return offsets, spans


def _fragments(header: DicomHeader) -> tuple[list[int], list[Span], list[int]]:
    """Return offset table, spans, and the numbers of the fragments that begin like a picture."""
    path = header.path
    size = path.stat().st_size
    spans: list[Span] = []
    starts: list[int] = []
    with path.open("rb", buffering=0) as stream:
        at = header.pixels_at
        while at + 8 <= size:
            stream.seek(at)
            head = stream.read(16)
            if head[:4] == _END:
                break
            length = int.from_bytes(head[4:8], "little")
            number = max(0, len(spans) - 1)
            if head[:4] != _ITEM or length == _UNDEFINED:
                raise ClipError(
                    "its pixel data is damaged: an item was expected", path=path, frame=number, remedy=COPY_AGAIN
                )
            if at + 8 + length > size:
                raise ClipError("the file ends inside the pixel data", path=path, frame=number, remedy=COPY_AGAIN)
            if len(spans) > MOST_PARTS:
                raise ClipError(f"holds more than {MOST_PARTS} fragments", path=path, remedy=COPY_AGAIN)
            if spans and _begins_picture(header, head[8:], length):
                starts.append(len(spans) - 1)
            spans.append((at + 8, length))
            at += 8 + length
        table = b""
        if spans and spans[0][1] <= 4 * len(spans):  # it has an entry for each frame, so no more than fragments
            stream.seek(spans[0][0])
            table = stream.read(spans[0][1])
    if len(spans) < 2:
        raise ClipError("holds no frames: its pixel data is empty", path=path, remedy=COPY_AGAIN)
    return _integers(table, 4), spans[1:], starts


def _begins_picture(header: DicomHeader, head: bytes, length: int) -> bool:
    """Return whether a fragment of this length begins a frame, by its first eight bytes."""
    if header.syntax == uid.RLELossless:
        segments, first = int.from_bytes(head[:4], "little"), int.from_bytes(head[4:8], "little")
        return segments in _RLE_SEGMENTS and first == _RLE_HEADER
    if header.syntax == _ENCAPSULATED_NATIVE:
        return length - native_frame_bytes(header) in (0, 1)
    return head.startswith(_PICTURE_STARTS)


def _integers(table: bytes, size: int) -> list[int]:
    return [int.from_bytes(table[i : i + size], "little") for i in range(0, len(table) - size + 1, size)]


def encapsulated_frames(header: DicomHeader) -> StoredFrames:
    """Return the spans of each frame's fragments.

    Fragments are assigned to frames one by one if there are as many as declared; else by the start markers of the
    pictures if there are more of these than declared; else by an offset table; else by the start markers.

    Raises:
        ClipError: Fragments and frames cannot be matched.
    """
    basic, spans, heads = _fragments(header)
    declared = header.declared or 1
    if len(spans) == declared > 1:
        return _stored(header, [[span] for span in spans])
    if len(spans) == 1:
        spans = _pictures_within(header, spans[0])
        if len(spans) >= declared:
            return _stored(header, [[span] for span in spans])
    if len(heads) > declared and heads[0] == 0:
        return _stored(header, _cut(spans, heads))
    if declared == 1:
        return _stored(header, [spans])
    if len(spans) < declared:
        raise ClipError(
            f"the pixel data ends after {len(spans)} of {declared} frames",
            path=header.path,
            frame=len(spans),
            remedy=COPY_AGAIN,
        )
    first_item = spans[0][0] - 8
    starts = [at - 8 - first_item for at, _ in spans]
    extended = _integers(header.offsets, 8) if len(header.offsets) == 8 * declared else []
    for offsets in (extended, basic):
        fits = len(offsets) == declared and offsets[0] == 0 and set(offsets) <= set(starts)
        if fits and offsets == sorted(set(offsets)):
            return _stored(header, _cut(spans, [bisect_left(starts, offset) for offset in offsets]))
    if len(heads) == declared and heads[0] == 0:
        return _stored(header, _cut(spans, heads))
    raise ClipError(
        f"its {len(spans)} fragments cannot be matched with {declared} frames",
        path=header.path,
        remedy="Export it again, with an offset table or one fragment per frame.",
    )


def _pictures_within(header: DicomHeader, span: Span) -> list[Span]:
    """Return the spans of the JPEG pictures that one fragment holds one after another, which some exports do."""
    at, length = span
    with header.path.open("rb") as stream:
        stream.seek(at)
        if not length or not stream.read(3).startswith(_PICTURE_STARTS[0]):
            return [span]
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            # Within a picture the marker of its end is followed by other bytes.
            found = islice(_NEXT_PICTURE.finditer(content, at, at + length), MOST_PARTS)
            starts = [at, *(match.end() - 3 for match in found)]
    return [(start, end - start) for start, end in pairwise([*starts, at + length])]


def _stored(header: DicomHeader, spans: list[list[Span]]) -> StoredFrames:
    check_frame_count(len(spans), path=header.path)
    return StoredFrames(header, spans, (*header.notes, *_count_note(header, len(spans))))


def _cut(spans: list[Span], starts: list[int]) -> list[list[Span]]:
    return [spans[a:b] for a, b in pairwise([*starts, len(spans)])]


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
