# SPDX-License-Identifier: Apache-2.0
"""Smoothing and resampling of rasters."""

from __future__ import annotations

import cv2
import numpy as np

from vfss.phantom.geometry import Floats

_FILM = 8  # scatter and glare are so smooth that an eighth of the resolution holds them


def gaussian(values: Floats, deviation: float | tuple[float, float], *, truncate: float) -> Floats:
    """Values under a Gaussian, mirrored at the borders, float32 of the same shape.

    Args:
        values: float32 (height, width).
        deviation: Standard deviation in pixels; or two, down and across.
        truncate: Standard deviations after which it ends.
    """
    down, across = (deviation, deviation) if isinstance(deviation, float | int) else deviation
    size = (2 * int(truncate * across + 0.5) + 1, 2 * int(truncate * down + 0.5) + 1)
    if size == (1, 1):
        return values.copy()
    out = cv2.GaussianBlur(
        values, size, sigmaX=max(across, 1e-3), sigmaY=max(down, 1e-3), borderType=cv2.BORDER_REFLECT
    )
    return np.asarray(out)


def resized(values: Floats, height: int, width: int) -> Floats:
    """Values on a grid that is finer or not much coarser, float32 (height, width)."""
    return np.asarray(cv2.resize(values, (width, height), interpolation=cv2.INTER_LINEAR))


def reduced(values: Floats, height: int, width: int) -> Floats:
    """Values on a coarser grid, each the mean of what it covers, float32 (height, width)."""
    return np.asarray(cv2.resize(values, (width, height), interpolation=cv2.INTER_AREA))


def smoothed(values: Floats, reach: float) -> Floats:
    """Values spread over a reach, a share of the shorter side, float32 of the same shape."""
    height, width = values.shape
    small = reduced(values, max(1, height // _FILM), max(1, width // _FILM))
    return resized(gaussian(small, min(small.shape) * reach, truncate=2.5), height, width)
