# SPDX-License-Identifier: Apache-2.0
"""Stabilising: for each frame the turn and shift that put some structures where they are on one frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d, median_filter

FloatArray = npt.NDArray[np.float64]

_AT_LEAST = 2  # points that tell a turn
_OUTLIERS = 5  # frames of the median that takes out one or two that are wrong
_SMOOTH = 1.0  # frames


@dataclass(frozen=True, eq=False)
class SteadyPath:
    """Where each frame has to be put.

    Attributes:
        matrices: float64 (T, 3, 3), from (y, x, 1) in pixels of a frame to (y, x, 1) in the picture that stands still.
        found: bool (T,), False where too few structures are known on a frame: there the last matrix before goes on.
    """

    matrices: FloatArray
    found: npt.NDArray[np.bool_]


def steady_path(centres: npt.NDArray[np.float32], columns: Sequence[int]) -> SteadyPath:
    """Hold some structures still through a clip.

    The frame whose structures lie nearest to their usual place is left as it is, so that the picture moves little.

    Args:
        centres: float32 (T, S, 2), centres (y, x) of masks in pixels, NaN where there is none.
        columns: Structures to hold still.
    """
    points = centres[:, list(columns)].astype(np.float64)
    known: npt.NDArray[np.bool_] = np.asarray(np.isfinite(points).all(axis=2))
    found = known.sum(axis=1) >= _AT_LEAST
    if not found.any():
        return SteadyPath(np.tile(np.eye(3), (len(points), 1, 1)), found)
    reference = points[_reference(points, known)]
    found &= (known & np.isfinite(reference).all(axis=1)).sum(axis=1) >= _AT_LEAST
    pivot = np.nanmean(reference, axis=0)
    angle, place = np.zeros(len(points)), np.tile(pivot, (len(points), 1))
    for t in np.flatnonzero(found):
        angle[t], place[t] = _turn_and_place(points[t], reference, pivot)
    for run in _runs(found):
        angle[run] = _smooth(np.unwrap(angle[run]))
        place[run] = _smooth(place[run])
    last = np.maximum.accumulate(np.where(found, np.arange(len(points)), -1))
    last[last < 0] = np.flatnonzero(found)[0]
    return SteadyPath(_matrices(angle[last], place[last], pivot), found)


def _reference(points: FloatArray, known: npt.NDArray[np.bool_]) -> int:
    """Frame that shows the most of the structures and has them nearest to their usual place."""
    usual = np.zeros(points.shape[1:])
    for k in np.flatnonzero(known.any(axis=0)):
        usual[k] = np.median(points[known[:, k], k], axis=0)
    shown = known.sum(axis=1)
    away = np.where(known, np.linalg.norm(points - usual, axis=2), 0.0).sum(axis=1)
    away[shown < shown.max()] = np.inf
    return int(np.argmin(away))


def _turn_and_place(points: FloatArray, reference: FloatArray, pivot: FloatArray) -> tuple[float, FloatArray]:
    """The turn (radians) and the place in the frame of the reference's pivot that fit best, by least squares."""
    both = np.isfinite(points).all(axis=1) & np.isfinite(reference).all(axis=1)
    here, there = points[both], reference[both]
    a, b = here - here.mean(axis=0), there - there.mean(axis=0)
    # In (y, x): the turn that takes a to b.
    angle = float(np.arctan2((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum(), (a * b).sum()))
    place: FloatArray = here.mean(axis=0) + _turns(np.array([-angle]))[0] @ (pivot - there.mean(axis=0))
    return angle, place


def _runs(found: npt.NDArray[np.bool_]) -> list[slice]:
    """Stretches of frames without a gap."""
    edges = np.flatnonzero(np.diff(found.astype(np.int8), prepend=0, append=0))
    return [slice(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _smooth(values: FloatArray) -> FloatArray:
    """Along the first axis: single wrong frames out, then trembling less."""
    size = (_OUTLIERS,) + (1,) * (values.ndim - 1)
    calm: FloatArray = median_filter(values, size=size, mode="nearest")
    smoothed: FloatArray = gaussian_filter1d(calm, _SMOOTH, axis=0, mode="nearest")
    return smoothed


def _turns(angles: FloatArray) -> FloatArray:
    """Matrices (N, 2, 2) that turn (y, x) by angles (N,)."""
    c, s = np.cos(angles), np.sin(angles)
    return np.stack([np.stack([c, -s], axis=-1), np.stack([s, c], axis=-1)], axis=-2)


def _matrices(angles: FloatArray, places: FloatArray, pivot: FloatArray) -> FloatArray:
    """Matrices (T, 3, 3) that take a place to the pivot and turn around it."""
    matrices = np.tile(np.eye(3), (len(angles), 1, 1))
    matrices[:, :2, :2] = _turns(angles)
    matrices[:, :2, 2] = pivot - np.einsum("tij,tj->ti", matrices[:, :2, :2], places)
    return matrices
