# SPDX-License-Identifier: Apache-2.0
"""Corrections of one plane: smooth, grow, shrink, fill holes, keep the largest part; and planes between two others.

What the picture cuts off goes on outside of it: no correction eats a structure away from the picture's border.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from vfss.errors import MaskError
from vfss.masks import BoolArray, bounding_box

FloatArray = npt.NDArray[np.float64]

_EIGHT = np.ones((3, 3), np.bool_)
_SMOOTH_REACH = 4.0  # standard deviations after which the weights are as good as nothing


def grow(mask: BoolArray, pixels: float) -> BoolArray:
    """The plane with all that lies within some pixels of it, straight or aslant.

    Args:
        mask: bool (H, W).
        pixels: Distance between the centres of pixels; 0 changes nothing.

    Raises:
        MaskError: Not bool (H, W), or a negative distance.
    """
    _check(mask, pixels)
    grown = mask.copy()
    box = bounding_box(mask, margin=int(pixels) + 1)
    if box is not None:
        grown[box] = _ndimage().distance_transform_edt(~mask[box]) <= pixels
    return grown


def shrink(mask: BoolArray, pixels: float) -> BoolArray:
    """The plane without all that lies within some pixels of what is not in it: what grow does to the other side.

    Args:
        mask: bool (H, W).
        pixels: Distance between the centres of pixels; 0 changes nothing.

    Raises:
        MaskError: Not bool (H, W), or a negative distance.
    """
    _check(mask, pixels)
    shrunk = mask.copy()
    box = bounding_box(mask, margin=1)
    if box is not None and not mask[box].all():
        shrunk[box] = _ndimage().distance_transform_edt(mask[box]) > pixels
    return shrunk


def smooth(mask: BoolArray, pixels: float = 1.5) -> BoolArray:
    """The plane with a calmer outline: a pixel goes with the (weighted) majority around it.

    What is thinner than about one and a third times `pixels` would go: a plane that would be lost whole stays as it is.

    Args:
        mask: bool (H, W).
        pixels: Standard deviation of the weights.

    Raises:
        MaskError: Not bool (H, W), or a negative distance.
    """
    _check(mask, pixels)
    smoothed = mask.copy()
    box = bounding_box(mask, margin=int(_SMOOTH_REACH * pixels) + 2)
    if box is not None and pixels > 0:
        weights = mask[box].astype(np.float32)
        blurred = _ndimage().gaussian_filter(weights, pixels, mode="nearest", truncate=_SMOOTH_REACH)
        smoothed[box] = blurred > 0.5
    return smoothed if smoothed.any() else mask.copy()


def fill_holes(mask: BoolArray) -> BoolArray:
    """The plane with all that it encloses; what opens to the picture's border is no hole.

    Raises:
        MaskError: Not bool (H, W).
    """
    _check(mask)
    filled: BoolArray = _ndimage().binary_fill_holes(mask)
    return filled


def keep_largest(mask: BoolArray) -> BoolArray:
    """The largest of the plane's parts; pixels that touch at a corner are of one part.

    Raises:
        MaskError: Not bool (H, W).
    """
    _check(mask)
    parts, n = _ndimage().label(mask, structure=_EIGHT)
    if n < 2:
        return mask.copy()
    largest: BoolArray = parts == 1 + int(np.bincount(parts.ravel())[1:].argmax())
    return largest


def interpolate(first: BoolArray, last: BoolArray, at: float) -> BoolArray:
    """A plane between two others: its place and its outline both go over from the first to the last.

    The signed distances to both outlines are laid upon each other at the place between, and mixed. Where one plane is
    empty, the other has shrunk to nothing half-way.

    Args:
        first: bool (H, W).
        last: bool (H, W).
        at: 0 gives the first, 1 the last.

    Raises:
        MaskError: Not bool (H, W), of different sizes, or not between them.
    """
    _check(first)
    _check(last)
    if first.shape != last.shape:
        raise MaskError(f"two planes of one clip have one size, got {first.shape} and {last.shape}")
    if not 0.0 <= at <= 1.0:
        raise MaskError(f"a place between two planes is a number from 0 to 1, got {at}")
    if at in (0.0, 1.0) or not (first.any() or last.any()):
        return (last if at == 1.0 else first).copy()
    if not (first.any() and last.any()):
        return _vanishing(first, at) if first.any() else _vanishing(last, 1.0 - at)
    step = _centre(last) - _centre(first)
    between = np.zeros_like(first)
    box = bounding_box(first | last, margin=int(np.abs(step).max()) + 2)
    if box is not None:
        mixed = (1.0 - at) * _moved(_signed_distance(first[box]), at * step)
        mixed += at * _moved(_signed_distance(last[box]), (at - 1.0) * step)
        between[box] = mixed > 0.0
    return between if between.any() else (first if at < 0.5 else last).copy()


def _vanishing(mask: BoolArray, at: float) -> BoolArray:
    distance = _signed_distance(mask)
    left: BoolArray = (1.0 - at) * distance > at * distance.max()
    return left


def _signed_distance(mask: BoolArray) -> FloatArray:
    """Distance to the outline, float64 (H, W), in pixels: positive inside, negative outside, never 0.

    The outline runs half a pixel from the centres on both of its sides.
    """
    edt = _ndimage().distance_transform_edt
    if mask.all():
        return np.full(mask.shape, float(max(mask.shape)))
    distance: FloatArray = np.where(mask, edt(mask) - 0.5, 0.5 - edt(~mask))
    return distance


def _centre(mask: BoolArray) -> FloatArray:
    """Mean place of the true pixels, float64 (2,): y, x."""
    return np.array([places.mean() for places in np.nonzero(mask)])


def _moved(distance: FloatArray, step: FloatArray) -> FloatArray:
    if not step.any():
        return distance
    moved: FloatArray = _ndimage().shift(distance, step, order=1, mode="nearest")
    return moved


def _check(mask: BoolArray, pixels: float = 0.0) -> None:
    if mask.ndim != 2 or mask.dtype != np.bool_:
        raise MaskError(f"a plane must be bool (H, W), got {mask.dtype} {mask.shape}")
    if not pixels >= 0.0:
        raise MaskError(f"a distance in pixels is not negative, got {pixels}")


def _ndimage() -> Any:
    from scipy import ndimage  # takes longer to import than the command line to start

    return ndimage
