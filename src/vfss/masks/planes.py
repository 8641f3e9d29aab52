# SPDX-License-Identifier: Apache-2.0
"""Masks of one frame: a binary plane per structure, each with a state; packing for storage."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

import numpy as np
import numpy.typing as npt

from vfss.errors import MaskError

BoolArray = npt.NDArray[np.bool_]
ByteArray = npt.NDArray[np.uint8]
BoundingBox = tuple[slice, slice]
"""Rows and columns of a rectangle in a plane, end-exclusive."""

EMPTY_BOX: BoundingBox = (slice(0, 0), slice(0, 0))

_HEADER = struct.Struct("<6I")  # height, width, then the bounding box: top, left, bottom, right (end-exclusive)


class MaskState(IntEnum):
    """What is known of one structure on one frame, and whether a person or a student says so."""

    UNSEEN = 0
    PROPOSED = 1
    EDITED = 2
    ACCEPTED = 3
    EMPTY = 4
    NOT_VISIBLE = 5

    @property
    def label(self) -> str:
        """Name for people."""
        return self.name.lower().replace("_", " ")

    @property
    def is_annotated(self) -> bool:
        """True where a person drew, accepted, or declared empty or not visible: no proposal ever replaces it."""
        return self not in (MaskState.UNSEEN, MaskState.PROPOSED)

    @property
    def is_truth(self) -> bool:
        """True where a person has confirmed the plane: it counts as annotation in exports and training.

        NOT_VISIBLE is final too, but tells nothing about pixels, so it is no truth about them.
        """
        return self in (MaskState.ACCEPTED, MaskState.EMPTY)


@dataclass(frozen=True)
class Masks:
    """Planes and states of one frame.

    Attributes:
        planes: bool (S, H, W), plane i belongs to schema.structures[i]; planes may overlap.
        state: uint8 (S,), values of MaskState.
    """

    planes: BoolArray
    state: ByteArray

    def __post_init__(self) -> None:
        planes, state = self.planes, self.state
        if planes.ndim != 3 or planes.dtype != np.bool_:
            raise MaskError(f"planes must be bool (S, H, W), got {planes.dtype} {planes.shape}")
        if state.shape != planes.shape[:1] or state.dtype != np.uint8:
            raise MaskError(f"state must be uint8 ({planes.shape[0]},), got {state.dtype} {state.shape}")

    @classmethod
    def unseen(cls, n_structures: int, height: int, width: int) -> Masks:
        """Return masks of which nothing is known."""
        return cls(np.zeros((n_structures, height, width), np.bool_), np.zeros(n_structures, np.uint8))


def bounding_box(mask: BoolArray, *, margin: int = 0) -> BoundingBox | None:
    """Return the smallest box around the true pixels of a plane, bool (H, W); None where there are none.

    Args:
        mask: The plane.
        margin: Pixels by which the box is larger on each side, as far as the plane reaches.
    """
    rows = np.flatnonzero(mask.any(axis=1))
    if not rows.size:
        return None
    columns = np.flatnonzero(mask[rows[0] : rows[-1] + 1].any(axis=0))
    top, bottom = max(0, int(rows[0]) - margin), min(mask.shape[0], int(rows[-1]) + 1 + margin)
    left, right = max(0, int(columns[0]) - margin), min(mask.shape[1], int(columns[-1]) + 1 + margin)
    return slice(top, bottom), slice(left, right)


def pack_mask(mask: BoolArray) -> bytes:
    """Compress one plane, bool (H, W), losslessly: bounding box, eight pixels a byte, zlib."""
    if mask.ndim != 2 or mask.dtype != np.bool_:
        raise MaskError(f"a mask must be bool (H, W), got {mask.dtype} {mask.shape}")
    rows, columns = box = bounding_box(mask) or EMPTY_BOX
    bits = np.packbits(mask[box], axis=None)
    header = _HEADER.pack(*mask.shape, rows.start, columns.start, rows.stop, columns.stop)
    return header + zlib.compress(bits.tobytes(), 1)


@dataclass(frozen=True, eq=False)
class BoxedMask:
    """The part of a plane that has pixels, for analysing many planes without unpacking them to full size.

    Attributes:
        top: First row with pixels.
        left: First column with pixels.
        inside: bool (h, w), the plane within its bounding box; (0, 0) where it has no pixels.
    """

    top: int
    left: int
    inside: BoolArray

    @cached_property
    def area(self) -> int:
        """Number of pixels."""
        return int(np.count_nonzero(self.inside))


def unpack_box(packed: bytes) -> BoxedMask:
    """Unpack the part with pixels from pack_mask's bytes.

    Raises:
        MaskError: The bytes are not a packed mask, or damaged.
    """
    return _unpacked(packed)[1]


def unpack_mask(packed: bytes) -> BoolArray:
    """Unpack a plane, bool (H, W), from pack_mask's bytes.

    Raises:
        MaskError: The bytes are not a packed mask, or damaged.
    """
    shape, box = _unpacked(packed)
    height, width = box.inside.shape
    try:
        mask = np.zeros(shape, np.bool_)
        mask[box.top : box.top + height, box.left : box.left + width] = box.inside
    except (ValueError, MemoryError) as error:
        raise _damaged(error) from error
    return mask


def _unpacked(packed: bytes) -> tuple[tuple[int, int], BoxedMask]:
    try:
        height, width, top, left, bottom, right = _HEADER.unpack_from(packed)
        bits = np.frombuffer(zlib.decompress(packed[_HEADER.size :]), np.uint8)
        box = np.unpackbits(bits, count=(bottom - top) * (right - left)).reshape(bottom - top, right - left)
    except (struct.error, zlib.error, ValueError, MemoryError) as error:
        raise _damaged(error) from error
    return (height, width), BoxedMask(top, left, box.view(np.bool_))


def _damaged(error: Exception) -> MaskError:
    return MaskError(f"damaged mask ({error})", remedy="Restore the project folder from a backup.")


def packed_shape(packed: bytes) -> tuple[int, int]:
    """Return the rows and columns of the plane in pack_mask's bytes.

    Raises:
        MaskError: The bytes are not a packed mask.
    """
    try:
        height, width, *_ = _HEADER.unpack_from(packed)
    except struct.error as error:
        raise _damaged(error) from error
    return height, width
