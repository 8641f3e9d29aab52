# SPDX-License-Identifier: Apache-2.0
"""Stabilisation: for each frame the rotation and shift that put some structures where they are on a reference frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d, median_filter

FloatArray = npt.NDArray[np.float64]

LEAST_STRUCTURES = 2
"""Structures that it takes: the centre of one alone does not tell how far the picture is turned."""
_MEDIAN = 5  # frames of the median that removes one or two wrong ones
_SMOOTH = 1.0  # standard deviation in frames


@dataclass(frozen=True, eq=False)
class StabilisingPath:
    """The transform of each frame.

    Attributes:
        matrices: float64 (T, 3, 3), from (y, x, 1) in pixels of a frame to (y, x, 1) in the stabilised picture.
        is_known: bool (T,), False where too few structures are known on a frame: the last matrix before is kept.
    """

    matrices: FloatArray
    is_known: npt.NDArray[np.bool_]


def stabilising_path(centres: npt.NDArray[np.float32], columns: Sequence[int]) -> StabilisingPath:
    """Compute the transforms that hold some structures still through a clip.

    The frame whose structures lie nearest to their usual place is left as it is, so that the picture moves little.

    Args:
        centres: float32 (T, S, 2), centres (y, x) of masks in pixels, NaN where there is none.
        columns: Indices of the structures to hold still.
    """
    points = centres[:, list(columns)].astype(np.float64)
    known: npt.NDArray[np.bool_] = np.asarray(np.isfinite(points).all(axis=2))
    is_known = known.sum(axis=1) >= LEAST_STRUCTURES
    if not is_known.any():
        return StabilisingPath(np.tile(np.eye(3), (len(points), 1, 1)), is_known)
    reference = points[_reference(points, known)]
    is_known &= (known & np.isfinite(reference).all(axis=1)).sum(axis=1) >= LEAST_STRUCTURES
    pivot = np.nanmean(reference, axis=0)
    angle, place = np.zeros(len(points)), np.tile(pivot, (len(points), 1))
    for t in np.flatnonzero(is_known):
        angle[t], place[t] = _rotation_and_place(points[t], reference, pivot)
    for stretch in _stretches(is_known):
        angle[stretch] = _smooth(np.unwrap(angle[stretch]))
        place[stretch] = _smooth(place[stretch])
    last = np.maximum.accumulate(np.where(is_known, np.arange(len(points)), -1))
    last[last < 0] = np.flatnonzero(is_known)[0]
    return StabilisingPath(_matrices(angle[last], place[last], pivot), is_known)


def _reference(points: FloatArray, known: npt.NDArray[np.bool_]) -> int:
    """Return the frame that shows most of the structures and has them nearest to their usual place."""
    usual = np.zeros(points.shape[1:])
    for k in np.flatnonzero(known.any(axis=0)):
        usual[k] = np.median(points[known[:, k], k], axis=0)
    shown = known.sum(axis=1)
    away = np.where(known, np.linalg.norm(points - usual, axis=2), 0.0).sum(axis=1)
    away[shown < shown.max()] = np.inf
    return int(np.argmin(away))


def _rotation_and_place(points: FloatArray, reference: FloatArray, pivot: FloatArray) -> tuple[float, FloatArray]:
    """Return the rotation (radians), and the place in the frame of the reference's pivot, that fit best."""
    both = np.isfinite(points).all(axis=1) & np.isfinite(reference).all(axis=1)
    here, there = points[both], reference[both]
    a, b = here - here.mean(axis=0), there - there.mean(axis=0)
    # In (y, x): the rotation that takes a to b.
    angle = float(np.arctan2((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum(), (a * b).sum()))
    place: FloatArray = here.mean(axis=0) + _rotations(np.array([-angle]))[0] @ (pivot - there.mean(axis=0))
    return angle, place


def _stretches(is_known: npt.NDArray[np.bool_]) -> list[slice]:
    """Return the stretches of frames without a gap."""
    edges = np.flatnonzero(np.diff(is_known.astype(np.int8), prepend=0, append=0))
    return [slice(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _smooth(values: FloatArray) -> FloatArray:
    """Remove single wrong frames along the first axis, then jitter."""
    size = (_MEDIAN,) + (1,) * (values.ndim - 1)
    filtered: FloatArray = median_filter(values, size=size, mode="nearest")
    smoothed: FloatArray = gaussian_filter1d(filtered, _SMOOTH, axis=0, mode="nearest")
    return smoothed


def _rotations(angles: FloatArray) -> FloatArray:
    """Return matrices (N, 2, 2) that rotate (y, x) by angles (N,)."""
    c, s = np.cos(angles), np.sin(angles)
    return np.stack([np.stack([c, -s], axis=-1), np.stack([s, c], axis=-1)], axis=-2)


def _matrices(angles: FloatArray, places: FloatArray, pivot: FloatArray) -> FloatArray:
    """Return matrices (T, 3, 3) that move a place to the pivot and rotate around it."""
    matrices = np.tile(np.eye(3), (len(angles), 1, 1))
    matrices[:, :2, :2] = _rotations(angles)
    matrices[:, :2, 2] = pivot - np.einsum("tij,tj->ti", matrices[:, :2, :2], places)
    return matrices
