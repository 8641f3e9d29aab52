# SPDX-License-Identifier: Apache-2.0
"""Planes, states, packing; operations on one plane."""

from vfss.masks.planes import (
    BoolArray,
    BoxedMask,
    ByteArray,
    Masks,
    MaskState,
    pack_mask,
    packed_shape,
    unpack_box,
    unpack_mask,
)

__all__ = [
    "BoolArray",
    "BoxedMask",
    "ByteArray",
    "MaskState",
    "Masks",
    "pack_mask",
    "packed_shape",
    "unpack_box",
    "unpack_mask",
]
