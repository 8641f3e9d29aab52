# SPDX-License-Identifier: Apache-2.0
"""Packing of one plane for storage: bounding box, eight pixels a byte, zlib, and a checksum over all of it.

A packed plane is untrusted input: sizes that it claims are held against a bound, against each other and, where the
caller knows it, against the size of the frame before anything is allocated.
"""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple

import numpy as np

from vfss.errors import MaskError
from vfss.masks.planes import EMPTY_BOX, BoolArray, BoxedMask, bounding_box

MOST_PIXELS = 1 << 28
"""Pixels of the largest plane that can be packed: 16384 x 16384."""

_MARK = b"VFM\xb2"  # no height of a plane within bounds begins like it, not even after a few bits flipped
_START = struct.Struct("<4sI")  # _MARK, CRC-32 of all that follows
_HEADER = struct.Struct("<6I")  # height, width, then the bounding box: top, left, bottom, right (end-exclusive)


class _Header(NamedTuple):
    height: int
    width: int
    top: int
    left: int
    bottom: int
    right: int


def pack_mask(mask: BoolArray) -> bytes:
    """Compress one plane, bool (H, W), losslessly.

    Raises:
        MaskError: It is no plane, or has more than MOST_PIXELS pixels.
    """
    if mask.ndim != 2 or mask.dtype != np.bool_:
        raise MaskError(f"a mask must be bool (H, W), got {mask.dtype} {mask.shape}")
    if mask.size > MOST_PIXELS:
        raise MaskError(f"a mask of {mask.shape[0]} x {mask.shape[1]} pixels is too large to be kept")
    rows, columns = box = bounding_box(mask) or EMPTY_BOX
    bits = np.packbits(mask[box], axis=None)
    header = _HEADER.pack(*mask.shape, rows.start, columns.start, rows.stop, columns.stop)
    return _sealed(header + zlib.compress(bits.tobytes(), 1))


def unpack_box(packed: bytes, shape: tuple[int, int] | None = None) -> BoxedMask:
    """Unpack the part with pixels from pack_mask's bytes.

    Args:
        packed: The bytes.
        shape: Rows and columns that the plane must have; None where they are not known.

    Raises:
        MaskError: The bytes are not a packed mask, or damaged, or the plane has another size.
    """
    return _unpacked(packed, shape)[1]


def unpack_mask(packed: bytes, shape: tuple[int, int] | None = None) -> BoolArray:
    """Unpack a plane, bool (H, W), from pack_mask's bytes.

    Args:
        packed: The bytes.
        shape: Rows and columns that the plane must have; None where they are not known.

    Raises:
        MaskError: The bytes are not a packed mask, or damaged, or the plane has another size.
    """
    header, box = _unpacked(packed, shape)
    mask = np.zeros((header.height, header.width), np.bool_)
    mask[header.top : header.bottom, header.left : header.right] = box.inside
    return mask


def packed_shape(packed: bytes) -> tuple[int, int]:
    """Return the rows and columns of the plane in pack_mask's bytes, whose checksum is verified.

    Raises:
        MaskError: The bytes are not a packed mask, or damaged.
    """
    header, _ = _opened(packed)
    return header.height, header.width


def seal(packed: bytes, shape: tuple[int, int]) -> bytes:
    """Return a plane as packed before layout 5 of projects with a checksum over its header; the same where it has one.

    Raises:
        MaskError: The bytes are not a packed mask, or damaged, or the plane has another size.
    """
    header, box = _unpacked(packed, shape)
    if packed.startswith(_MARK):
        return packed
    sealed = _sealed(packed)
    sealed_header, sealed_box = _unpacked(sealed, shape)
    if sealed_header != header or not np.array_equal(sealed_box.inside, box.inside):
        raise _damaged("it is not read back as it was")
    return sealed


def _sealed(body: bytes) -> bytes:
    return _START.pack(_MARK, zlib.crc32(body)) + body


def _unpacked(packed: bytes, shape: tuple[int, int] | None) -> tuple[_Header, BoxedMask]:
    header, body = _opened(packed)
    if shape is not None and shape != header[:2]:
        raise _damaged(f"it has {header.height} x {header.width} pixels, the frame {shape[0]} x {shape[1]}")
    height, width = header.bottom - header.top, header.right - header.left
    bits = np.frombuffer(_inflated(body, -(-height * width // 8)), np.uint8)
    inside = np.unpackbits(bits, count=height * width).reshape(height, width).view(np.bool_)
    return header, BoxedMask(header.top, header.left, inside)


def _opened(packed: object) -> tuple[_Header, memoryview]:
    """Return the header, all sizes within bounds, and the compressed pixels of a plane whose checksum is right.

    Planes packed before layout 5 have no mark; their checksum is that of zlib, over the pixels alone.
    """
    if not isinstance(packed, bytes):  # as a database can hold anything in any column
        raise _damaged(f"it is {type(packed).__name__}, not bytes")
    body = memoryview(packed)
    try:
        if packed.startswith(_MARK):
            _, checksum = _START.unpack_from(packed)
            body = body[_START.size :]
            if zlib.crc32(body) != checksum:
                raise _damaged("its checksum is wrong")
        header = _Header(*_HEADER.unpack_from(body))
    except struct.error as error:
        raise _damaged("it is cut off") from error
    fits = header.top <= header.bottom <= header.height and header.left <= header.right <= header.width
    if not fits or header.height * header.width > MOST_PIXELS:
        raise _damaged("its sizes are impossible")
    return header, body[_HEADER.size :]


def _inflated(body: memoryview, size: int) -> bytes:
    """Decompress exactly so many bytes; more are never allocated, whatever the compressed bytes hold."""
    stream = zlib.decompressobj()
    try:
        content = stream.decompress(body, size + 1)  # one more, so that the end of the stream is read, and an excess
    except zlib.error as error:
        raise _damaged(str(error)) from error
    if len(content) != size or not stream.eof or stream.unused_data:
        raise _damaged("its pixels do not fill its box")
    return content


def _damaged(what: str) -> MaskError:
    return MaskError(f"damaged mask ({what})", remedy="Restore the project folder from a backup.")
