# SPDX-License-Identifier: Apache-2.0
"""Masks: planes with states, packing, and operations on one plane."""

from vfss.masks.packing import MOST_PIXELS, pack_mask, packed_shape, seal, unpack_box, unpack_mask
from vfss.masks.planes import (
    EMPTY_BOX,
    BoolArray,
    BoundingBox,
    BoxedMask,
    ByteArray,
    Masks,
    MaskState,
    bounding_box,
)

__all__ = [
    "EMPTY_BOX",
    "MOST_PIXELS",
    "BoolArray",
    "BoundingBox",
    "BoxedMask",
    "ByteArray",
    "MaskState",
    "Masks",
    "bounding_box",
    "pack_mask",
    "packed_shape",
    "seal",
    "unpack_box",
    "unpack_mask",
]
