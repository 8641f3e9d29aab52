# SPDX-License-Identifier: Apache-2.0
"""Morphology of one plane: smooth, grow, shrink, fill holes, keep the largest part; interpolation between two planes.

A structure that the picture's border cuts off continues beyond it: no operation moves it away from the border.
Distances are in heights of a pixel, so that a rim is as wide to the sides as upwards where pixels are not square.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from vfss.errors import MaskError
from vfss.masks import BoolArray, bounding_box

FloatArray = npt.NDArray[np.float64]

_EIGHT = np.ones((3, 3), np.bool_)
_SMOOTH_REACH = 4.0  # standard deviations beyond which the weights are negligible


def grow(mask: BoolArray, pixels: float, pixel_aspect: float = 1.0) -> BoolArray:
    """Return the plane grown by a Euclidean distance.

    Args:
        mask: bool (H, W).
        pixels: Distance between the centres of pixels; 0 changes nothing.
        pixel_aspect: Width of a pixel divided by its height.

    Raises:
        MaskError: Not bool (H, W), or a negative distance.
    """
    _check(mask, pixels)
    grown = mask.copy()
    box = bounding_box(mask, margin=int(pixels / min(1.0, pixel_aspect)) + 1)
    if box is not None:
        grown[box] = _ndimage().distance_transform_edt(~mask[box], sampling=(1.0, pixel_aspect)) <= pixels
    return grown


def shrink(mask: BoolArray, pixels: float, pixel_aspect: float = 1.0) -> BoolArray:
    """Return the plane shrunk by a Euclidean distance: its background is grown.

    Args:
        mask: bool (H, W).
        pixels: Distance between the centres of pixels; 0 changes nothing.
        pixel_aspect: Width of a pixel divided by its height.

    Raises:
        MaskError: Not bool (H, W), or a negative distance.
    """
    _check(mask, pixels)
    shrunk = mask.copy()
    box = bounding_box(mask, margin=1)
    if box is not None and not mask[box].all():
        shrunk[box] = _ndimage().distance_transform_edt(mask[box], sampling=(1.0, pixel_aspect)) > pixels
    return shrunk


def smooth(mask: BoolArray, pixels: float = 1.5, pixel_aspect: float = 1.0) -> BoolArray:
    """Return the plane with a smoother outline: each pixel takes the weighted majority around it.

    What is thinner than about one and a third times `pixels` is lost; a plane that would be lost completely is kept.

    Args:
        mask: bool (H, W).
        pixels: Standard deviation of the weights.
        pixel_aspect: Width of a pixel divided by its height.

    Raises:
        MaskError: Not bool (H, W), or a negative distance.
    """
    _check(mask, pixels)
    smoothed = mask.copy()
    deviations = (pixels, pixels / pixel_aspect)
    box = bounding_box(mask, margin=int(_SMOOTH_REACH * max(deviations)) + 2)
    if box is not None and pixels > 0:
        weights = mask[box].astype(np.float32)
        blurred = _ndimage().gaussian_filter(weights, deviations, mode="nearest", truncate=_SMOOTH_REACH)
        smoothed[box] = blurred > 0.5
    return smoothed if smoothed.any() else mask.copy()


def fill_holes(mask: BoolArray) -> BoolArray:
    """Return the plane with its holes filled; what opens to the picture's border is no hole.

    Raises:
        MaskError: Not bool (H, W).
    """
    _check(mask)
    filled: BoolArray = _ndimage().binary_fill_holes(mask)
    return filled


def keep_largest(mask: BoolArray) -> BoolArray:
    """Return the largest connected part of the plane; pixels that touch at a corner are connected.

    Raises:
        MaskError: Not bool (H, W).
    """
    _check(mask)
    parts, n = _ndimage().label(mask, structure=_EIGHT)
    if n < 2:
        return mask.copy()
    largest: BoolArray = parts == 1 + int(np.bincount(parts.ravel())[1:].argmax())
    return largest


def remove_specks(mask: BoolArray, pixels: float = 0.0, share: float = 0.0) -> BoolArray:
    """Return the plane without its small connected parts; the largest part always stays.

    Args:
        mask: bool (H, W); pixels that touch at a corner are connected.
        pixels: Parts of fewer pixels go.
        share: Parts of less than this share of the plane's pixels go, 0..1.

    Raises:
        MaskError: Not bool (H, W), or a negative size.
    """
    _check(mask, min(pixels, share))
    parts, n = _ndimage().label(mask, structure=_EIGHT)
    if n < 2:
        return mask.copy()
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    stays = sizes >= max(pixels, share * sizes.sum())
    stays[sizes.argmax()] = True
    stays[0] = False
    kept: BoolArray = stays[parts]
    return kept


def interpolate(first: BoolArray, last: BoolArray, at: float) -> BoolArray:
    """Return a plane between two others, interpolated in place and outline.

    The signed distance fields of both are shifted to the place between, and mixed. Where one plane is empty, the other
    has shrunk to nothing half-way.

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
        raise MaskError(f"two planes of one clip must have one size, got {first.shape} and {last.shape}")
    if not 0.0 <= at <= 1.0:
        raise MaskError(f"a position between two planes must be from 0 to 1, got {at}")
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
    """Return a plane on its way to an empty one: gone half-way."""
    distance = _signed_distance(mask)
    rest: BoolArray = (1.0 - at) * distance > at * distance.max()
    return rest


def _signed_distance(mask: BoolArray) -> FloatArray:
    """Return the distance to the outline, float64 (H, W), in pixels: positive inside, negative outside, never 0.

    The outline runs half a pixel from the centres on both of its sides.
    """
    edt = _ndimage().distance_transform_edt
    if mask.all():
        return np.full(mask.shape, float(max(mask.shape)))
    distance: FloatArray = np.where(mask, edt(mask) - 0.5, 0.5 - edt(~mask))
    return distance


def _centre(mask: BoolArray) -> FloatArray:
    """Return the centroid of the true pixels, float64 (2,): y, x."""
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
        raise MaskError(f"a distance in pixels must not be negative, got {pixels}")


def _ndimage() -> Any:
    from scipy import ndimage  # takes longer to import than the command line to start

    return ndimage
