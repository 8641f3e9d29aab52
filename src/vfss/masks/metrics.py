# SPDX-License-Identifier: Apache-2.0
"""Agreement of two masks of one structure: Dice and the 95th percentile of the contour distance (HD95).

What a mask without pixels counts, the same wherever two masks are compared (docs/metrics.md):

| masks with pixels | Dice | HD95 | counted as |
|---|---|---|---|
| both | measured | measured | |
| one | 0 | none: nan | missed or false; only first or only second |
| neither | none: nan | none: nan | both empty |

A mean is over the values that are not nan, and is shown with their number. A distance to nothing does not exist: any
number in its place (infinity, the diagonal) would say more of the picture's size than of the masks.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from vfss.errors import MaskError
from vfss.masks import EMPTY_BOX, BoolArray, bounding_box


def dice(a: BoolArray, b: BoolArray) -> float:
    """Return the Dice coefficient of two masks, bool (H, W): 0 disjoint, 1 equal, nan where both are empty.

    One empty mask against one that is not gives 0.

    Raises:
        MaskError: Not bool (H, W), or of different sizes.
    """
    _check(a, b)
    total = np.count_nonzero(a) + np.count_nonzero(b)
    return 2.0 * np.count_nonzero(a & b) / total if total else math.nan


def hd95(a: BoolArray, b: BoolArray, spacing: tuple[float, float] = (1.0, 1.0)) -> float:
    """Return the distance within which 95 % of either contour lies from the other, the larger of both directions.

    A contour element stands at a corner between four pixels that are not all equal and is weighted by the length of
    the contour there, as in DeepMind's library surface-distance: a test compares the two.

    Args:
        a: bool (H, W).
        b: bool (H, W).
        spacing: Height and width of a pixel; the result has its unit. Evaluation and agreement give (1, aspect), so
            that all distances are in heights of a pixel, which for square pixels are pixels.

    Returns:
        nan where one mask is empty or both are: there is no contour to measure to.

    Raises:
        MaskError: Not bool (H, W), or of different sizes.
    """
    _check(a, b)
    if not a.any() or not b.any():
        return math.nan
    box = bounding_box(a | b) or EMPTY_BOX
    lengths_a, lengths_b = (_contour_lengths(mask[box], spacing) for mask in (a, b))
    return max(_directed_percentile(lengths_a, lengths_b, spacing), _directed_percentile(lengths_b, lengths_a, spacing))


def _contour_lengths(mask: BoolArray, spacing: tuple[float, float]) -> NDArray[np.float64]:
    """Return the length of the contour at each corner between pixels, float64 (H + 1, W + 1); 0 where none passes."""
    height, width = spacing
    diagonal = 0.5 * math.hypot(height, width)
    # Indexed by the bits of the four pixels around a corner: top left 8, top right 4, bottom left 2, bottom right 1.
    half = [0.0, diagonal, diagonal, width, diagonal, height, 2 * diagonal, diagonal]
    lengths_by_code = np.array([*half, *reversed(half)])
    padded = np.pad(mask, 1).view(np.uint8)
    code = 8 * padded[:-1, :-1] + 4 * padded[:-1, 1:] + 2 * padded[1:, :-1] + padded[1:, 1:]
    lengths: NDArray[np.float64] = lengths_by_code[code]
    return lengths


def _directed_percentile(
    lengths: NDArray[np.float64], other_lengths: NDArray[np.float64], spacing: tuple[float, float]
) -> float:
    """Return the distance to the other contour that covers 95 % of the length of this one.

    Both arrays are float64 (H + 1, W + 1), not all 0.
    """
    from scipy.ndimage import distance_transform_edt  # Dice alone needs no scipy, which takes long to import

    on_contour = lengths > 0
    distances = distance_transform_edt(other_lengths == 0, sampling=spacing)[on_contour]
    weights = lengths[on_contour]
    # Sorted by length too, so that the sum, and with it a share of exactly 95 %, does not depend on the frame's order.
    order = np.lexsort((weights, distances))
    share = np.cumsum(weights[order]) / np.sum(weights[order])
    last = min(int(np.searchsorted(share, 0.95)), len(order) - 1)
    return float(distances[order[last]])


def _check(a: BoolArray, b: BoolArray) -> None:
    for mask in (a, b):
        if mask.ndim != 2 or mask.dtype != np.bool_:
            raise MaskError(f"a mask must be bool (H, W), got {mask.dtype} {mask.shape}")
    if a.shape != b.shape:
        raise MaskError(f"masks of {a.shape} and {b.shape} cannot be compared")
