# SPDX-License-Identifier: Apache-2.0
"""Run lengths and polygons as other programs store masks, decoded to planes without trust in the sizes they claim.

COCO's own library decodes run lengths in C and believes the file: counts that do not add up write beyond its memory.
Here numpy does it, and what does not fill the picture exactly is a MaskError.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from vfss.clips.bounds import MOST_FRAME_PIXELS
from vfss.errors import MaskError
from vfss.masks.planes import BoolArray

_MOST_DIGITS = 6  # of five bits each, more than MOST_FRAME_PIXELS and its sign need
_FAR = 4.0
MOST_CORNERS = 1 << 17
"""Corners that a polygon may have, and polygons that a mask may have."""

_MOST_OUTLINE = 1 << 22
"""Pixels that the outline of one mask's polygons may pass."""


Runs = npt.NDArray[np.int64]


def is_picture_size(height: Any, width: Any) -> bool:
    """Return whether two values from a file are the rows and columns of a picture that can have masks."""
    whole = all(isinstance(side, int) and not isinstance(side, bool) and side > 0 for side in (height, width))
    return whole and height <= MOST_FRAME_PIXELS and width <= MOST_FRAME_PIXELS and height * width <= MOST_FRAME_PIXELS


def decode_segmentation(segmentation: Any, height: int, width: int) -> BoolArray:
    """Decode the "segmentation" of a COCO annotation, run lengths or polygons, to a plane, bool (H, W).

    Raises:
        MaskError: It is malformed, or not of a picture of this size.
    """
    decode = decode_coco if isinstance(segmentation, dict) else decode_polygons
    return decode(segmentation, height, width)


def decode_coco(segmentation: Any, height: int, width: int) -> BoolArray:
    """Decode COCO's run lengths, {"size": [H, W], "counts": ...}, compressed or not, column by column.

    Returns:
        bool (H, W).

    Raises:
        MaskError: They are malformed, or not those of a picture of this size.
    """
    if not isinstance(segmentation, dict) or "counts" not in segmentation or "size" not in segmentation:
        raise MaskError('run lengths need "size" and "counts"')
    size, counts = segmentation["size"], segmentation["counts"]
    if not isinstance(size, list | tuple) or list(size) != [height, width]:
        raise MaskError(f"its run lengths are for {_short(size)}, the image is {[height, width]}")
    if isinstance(counts, str | bytes):
        runs = parse_compressed(counts, height * width)
    else:
        runs = _whole_numbers(counts, height * width)
    return np.ascontiguousarray(fill(runs, width, height).T)


def fill(runs: Runs, height: int, width: int) -> BoolArray:
    """Return a plane, bool (H, W), from alternating runs along its rows, background first.

    Raises:
        MaskError: The runs do not add up to its pixels.
    """
    if not is_picture_size(height, width):
        raise MaskError(f"a mask of {_short(height)} x {_short(width)} pixels is not one of a picture")
    if runs.size and (runs.min() < 0 or runs.max() > height * width):
        raise MaskError("its run lengths are negative or longer than the mask")
    if int(runs.sum()) != height * width:
        raise MaskError("its run lengths do not add up to the pixels of the image")
    plane: BoolArray = np.repeat(np.arange(runs.size) % 2 == 1, runs).reshape(height, width)
    return plane


def parse_compressed(counts: str | bytes, pixels: int) -> Runs:
    """Parse COCO's compressed run lengths: five bits per character, each from the third on as a difference.

    Args:
        counts: The characters.
        pixels: Pixels of the picture, at most MOST_FRAME_PIXELS: there cannot be more runs, but for an empty one.

    Returns:
        int64 (runs,); they may be negative or not add up.

    Raises:
        MaskError: The characters are not those of run lengths, or more than such a picture can have.
    """
    try:
        text = np.frombuffer(counts.encode("ascii") if isinstance(counts, str) else bytes(counts), np.uint8)
    except UnicodeEncodeError as error:
        raise MaskError("its compressed run lengths have invalid characters") from error
    if text.size > _MOST_DIGITS * (pixels + 2):
        raise MaskError("its compressed run lengths are more than the image has pixels")
    bits = text.astype(np.int64) - 48
    if bits.size and (bits.min() < 0 or bits.max() > 63):
        raise MaskError("its compressed run lengths have invalid characters")
    last = np.flatnonzero(bits < 32)  # the last character of each number
    if bits.size and (not last.size or last[-1] != bits.size - 1):
        raise MaskError("its compressed run lengths are truncated")
    first = np.concatenate([[0], last[:-1] + 1]) if last.size else last
    digits = last - first + 1
    if digits.size and digits.max() > _MOST_DIGITS:
        raise MaskError("its compressed run lengths are larger than any image")
    shift = 5 * (np.arange(bits.size) - np.repeat(first, digits))
    values = np.add.reduceat((bits & 31) << shift, first) if first.size else np.zeros(0, np.int64)
    values -= np.where(bits[last] & 16, np.int64(1) << (5 * digits), 0)
    # Number i adds to number i - 2 from the fourth on: two interleaved sums that begin at numbers 1 and 2.
    runs = values.copy()
    for begin in (1, 2):
        runs[begin::2] = np.cumsum(values[begin::2])
    return runs


def _whole_numbers(counts: Any, pixels: int) -> Runs:
    """Return run lengths given as a list of numbers, int64 (runs,)."""
    if not isinstance(counts, list | tuple) or len(counts) > pixels + 2:
        raise MaskError("its run lengths are not a list of as many numbers as an image can have")
    if any(isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= pixels for count in counts):
        raise MaskError("its run lengths do not add up to the pixels of the image")
    return np.array(counts, np.int64)


def decode_polygons(parts: Any, height: int, width: int) -> BoolArray:
    """Draw polygons as COCO does: [[x, y, x, y, ...], ...] in pixels from the corner of the picture.

    Returns:
        bool (H, W), the union of the parts; what lies beyond the picture is cut off.

    Raises:
        MaskError: A part has fewer than three corners, or corners that are no numbers or far from the picture.
    """
    from pycocotools import mask as rle

    if not is_picture_size(height, width):
        raise MaskError(f"a mask of {_short(height)} x {_short(width)} pixels is not one of a picture")
    if not isinstance(parts, list | tuple) or not parts:
        raise MaskError("polygons must be a list of lists of numbers")
    if sum(len(part) if isinstance(part, list | tuple) else 1 for part in parts) > 2 * MOST_CORNERS:
        raise MaskError(f"its polygons have more than {MOST_CORNERS} corners")
    corners = [_corners(part, _FAR * max(height, width)) for part in parts]
    outline = sum(float(np.abs(np.diff(part, axis=0, append=part[:1])).max(axis=1).sum()) for part in corners)
    if outline + len(corners) > _MOST_OUTLINE:
        raise MaskError("its polygons are longer than any outline in a picture")
    # The library draws in C; sizes, number and place of the corners are checked above.
    merged = rle.merge(rle.frPyObjects([part.ravel().tolist() for part in corners], height, width))
    plane: BoolArray = rle.decode(merged).astype(np.bool_)
    return plane


def _corners(part: Sequence[Any], far: float) -> npt.NDArray[np.float64]:
    """Return the corners of a polygon, float64 (N, 2), x before y."""
    what = "a polygon needs three corners or more, x and y each, in or near the image"
    if not isinstance(part, list | tuple | np.ndarray) or len(part) < 6 or len(part) % 2:
        raise MaskError(what)
    if any(isinstance(value, bool) or not isinstance(value, int | float | np.number) for value in part):
        raise MaskError(what)
    try:
        corners = np.array(part, np.float64).reshape(-1, 2)
    except (OverflowError, ValueError) as error:  # a whole number of a thousand digits
        raise MaskError(what) from error
    if not np.isfinite(corners).all() or (np.abs(corners) > far).any():
        raise MaskError(what)
    return corners


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
