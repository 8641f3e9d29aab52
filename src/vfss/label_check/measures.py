# SPDX-License-Identifier: Apache-2.0
"""Measures of the accepted masks of a clip, on which the reasons rest."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from vfss.consistency.judge import centre, mask_distance, mask_overlap
from vfss.masks import BoxedMask, MaskState

if TYPE_CHECKING:
    from vfss.project import Project

FloatArray = npt.NDArray[np.float32]
FEATURES = ("area", "height", "width", "solidity", "height of its place", "side of its place")
"""Names of the features of a mask, in their order."""
REACH = 12
"""Frames up to which masks are compared with each other in time."""
ROBUST = 1.4826  # median absolute deviation of a normal distribution to its standard deviation
_LEAST = 5  # masks without which nothing is usual


@dataclass(frozen=True, eq=False)
class ClipMeasures:
    """Measures of one clip; NaN where no mask is accepted.

    Attributes:
        clip: Content id.
        accepted: bool (T, S).
        features: float32 (T, S, 6), see FEATURES: natural logarithms of area, height and width in pixels; share of
            the convex hull that is filled; centre y and x in parts of the clip's scale.
        scale: Square root of the median area of rigid masks of the clip, in pixels.
        outside: float32 (T, S), share of the mask outside its largest part.
        distances: float32 (REACH, T, S), 1 - Dice of the masks of frames t and t + 1 + i.
        overlap: float32 (T, S), largest share of a rigid mask that lies in another rigid one.
    """

    clip: str
    accepted: npt.NDArray[np.bool_]
    features: FloatArray
    scale: float
    outside: FloatArray
    distances: FloatArray
    overlap: FloatArray


def measure(project: Project, clip: str) -> ClipMeasures:
    """Return the measures of the accepted masks of a clip.

    Raises:
        ProjectError: They cannot be read.
        MaskError: A stored plane is damaged.
    """
    accepted = project.states(clip) == MaskState.ACCEPTED
    structures = project.schema.structures
    rigid = [s.index for s in structures if s.is_rigid]
    raw, outside, overlap = (np.full((*accepted.shape, k), np.nan, np.float32) for k in (len(FEATURES), 1, 1))
    distances = np.full((REACH, *accepted.shape), np.nan, np.float32)
    before: deque[tuple[BoxedMask | None, ...]] = deque(maxlen=REACH)
    for one in project.overview.planes(clip):
        kept = tuple(p if accepted[one.frame, s] else None for s, p in enumerate(one.planes))
        for s, plane in enumerate(kept):
            if plane is not None and plane.area:
                raw[one.frame, s], outside[one.frame, s] = _describe(plane)
        for s in rigid:
            others = [kept[other] for other in rigid if other != s]
            overlap[one.frame, s] = max((mask_overlap(kept[s], other) for other in others), default=0.0)
        for back, earlier in enumerate(reversed(before), 1):
            pairs = zip(earlier, kept, strict=True)
            distances[back - 1, one.frame - back] = [mask_distance(a, b) for a, b in pairs]
        before.append(kept)
    areas = raw[:, rigid or slice(None), 0]
    scale = float(np.exp(0.5 * np.nanmedian(areas))) if np.isfinite(areas).any() else 1.0
    raw[..., 4:6] /= scale
    shared = np.where(accepted, overlap[..., 0], np.nan)
    return ClipMeasures(clip, accepted, raw, scale, outside[..., 0], distances, shared)


def _describe(mask: BoxedMask) -> tuple[list[float], float]:
    """Return the features of a mask, its centre in pixels, and the share outside its largest part."""
    inside = np.ascontiguousarray(mask.inside, np.uint8)
    height, width = inside.shape
    _, _, stats, _ = cv2.connectedComponentsWithStats(inside, connectivity=8)
    outlines, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    hull = np.zeros_like(inside)
    cv2.fillConvexPoly(hull, cv2.convexHull(np.concatenate(outlines)), 1)
    solidity = mask.area / max(1, int(hull.sum()))
    largest = int(stats[1:, cv2.CC_STAT_AREA].max())
    return [float(np.log(mask.area)), float(np.log(height)), float(np.log(width)), solidity, *centre(mask)], (
        1.0 - largest / mask.area
    )


def deviation(values: FloatArray, least: FloatArray | float, axis: int | tuple[int, ...] = 0) -> FloatArray:
    """Return how far values lie from their median in robust standard deviations.

    Args:
        values: float32, NaN where not known.
        least: Smallest standard deviation to reckon with, in units of the values.
        axis: Axis over which the median is taken; with fewer than five values all deviations are 0.
    """
    known = np.isfinite(values)
    with np.errstate(all="ignore"):
        filled = np.where(known.any(axis=axis, keepdims=True), values, 0.0)
        middle = np.nanmedian(filled, axis=axis, keepdims=True)
        spread = ROBUST * np.nanmedian(np.abs(filled - middle), axis=axis, keepdims=True)
        far = np.abs(values - middle) / np.maximum(spread, least)
    few = known.sum(axis=axis, keepdims=True) < _LEAST
    return np.where(few | ~known, 0.0, far).astype(np.float32)
