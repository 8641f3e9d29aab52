# SPDX-License-Identifier: Apache-2.0
"""Outlines of masks along the edges of their pixels, which COCO's reference implementation draws exactly."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from vfss.masks import BoolArray

Outline = npt.NDArray[np.int32]
"""Corners of a polygon, int32 (N, 2), x before y, in pixels: 0 is the left or upper edge of the first pixel."""


def outlines(plane: BoolArray) -> list[Outline]:
    """Return an outline of each part of a plane, bool (H, W); filled, they are the plane without its holes."""
    # In a picture of twice the size, centres of border pixels are on either side of each edge of the plane's pixels.
    doubled = np.kron(plane.astype(np.uint8), np.ones((2, 2), np.uint8))
    contours, _ = cv2.findContours(doubled, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return [_corners((contour.reshape(-1, 2) + 1) // 2) for contour in contours]


def _corners(points: npt.NDArray[np.int32]) -> Outline:
    """Return the points at which a closed path of unit steps turns; a step of length 0 is left out."""
    moved = (points != np.roll(points, 1, axis=0)).any(axis=1)
    path = points[moved]
    turns = (path - np.roll(path, 1, axis=0) != np.roll(path, -1, axis=0) - path).any(axis=1)
    return np.asarray(path[turns], np.int32)
