# SPDX-License-Identifier: Apache-2.0
"""How well two masks of one structure agree: Dice and the 95th percentile of the contour distance."""

from __future__ import annotations

import math

import numpy as np
import surface_distance

from vfss.errors import MaskError
from vfss.masks import BoolArray


def dice(a: BoolArray, b: BoolArray) -> float:
    """Dice coefficient of two masks, bool (H, W): 0 apart, 1 equal, nan where both are empty.

    One empty mask against one that is not gives 0.

    Raises:
        MaskError: Not bool (H, W), or of different sizes.
    """
    _check(a, b)
    total = np.count_nonzero(a) + np.count_nonzero(b)
    return 2.0 * np.count_nonzero(a & b) / total if total else math.nan


def hd95(a: BoolArray, b: BoolArray, spacing: tuple[float, float] = (1.0, 1.0)) -> float:
    """Distance within which 95 % of either contour lies from the other, the larger of both directions.

    Contour elements run between pixels and count by their length (library surface-distance).

    Args:
        a: bool (H, W).
        b: bool (H, W).
        spacing: Height and width of a pixel; the result has its unit, pixels by default.

    Returns:
        nan where both masks are empty, inf where exactly one is: there is no contour to measure to.

    Raises:
        MaskError: Not bool (H, W), or of different sizes.
    """
    _check(a, b)
    if not a.any() or not b.any():
        return math.inf if a.any() or b.any() else math.nan
    box = _box(a | b)
    # Copies: the library wants contiguous arrays, and a few hundred pixels beside a whole frame cost nothing.
    distances = surface_distance.compute_surface_distances(a[box].copy(), b[box].copy(), spacing)
    return float(surface_distance.compute_robust_hausdorff(distances, 95))


def _box(mask: BoolArray) -> tuple[slice, slice]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _check(a: BoolArray, b: BoolArray) -> None:
    for mask in (a, b):
        if mask.ndim != 2 or mask.dtype != np.bool_:
            raise MaskError(f"a mask must be bool (H, W), got {mask.dtype} {mask.shape}")
    if a.shape != b.shape:
        raise MaskError(f"masks of {a.shape} and {b.shape} cannot be compared")
