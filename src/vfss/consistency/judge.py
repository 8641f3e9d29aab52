# SPDX-License-Identifier: Apache-2.0
"""How masks change over time, and the verdicts on them; vfss.consistency.doubt says which are doubtful."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from enum import IntEnum
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

from vfss.masks import BoxedMask

if TYPE_CHECKING:
    from vfss.project.overview import FramePlanes

FloatArray = npt.NDArray[np.float32]
Values = TypeVar("Values", npt.NDArray[np.float32], npt.NDArray[np.bool_])

CONFIDENT = 0.8
"""Confidence (expected Dice) from which a proposal is trusted."""
INCONSISTENT = 0.5
"""Inconsistency from which a mask is marked."""
_USUAL_AT_LEAST = 0.15  # 1 - Dice: masks that hardly move differ by that much along their outlines
_USUAL_AT_MOST = 0.6  # a structure that differs by more from frame to frame has no usual step


class Trust(IntEnum):
    """Verdict on one structure of one frame."""

    NOTHING = 0
    DOUBTFUL = 1
    TRUSTED = 2
    ANNOTATED = 3


def mask_distance(a: BoxedMask | None, b: BoxedMask | None) -> float:
    """Return 1 - Dice of two masks, 0 where both are empty, NaN where one is not known."""
    if a is None or b is None:
        return float("nan")
    total = a.area + b.area
    return 1.0 - 2.0 * _shared(a, b) / total if total else 0.0


def _shared(a: BoxedMask, b: BoxedMask) -> int:
    top, left = max(a.top, b.top), max(a.left, b.left)
    bottom = min(a.top + a.inside.shape[0], b.top + b.inside.shape[0])
    right = min(a.left + a.inside.shape[1], b.left + b.inside.shape[1])
    if bottom <= top or right <= left:
        return 0
    rows, columns = (top, bottom), (left, right)
    return int(np.count_nonzero(_part(a, rows, columns) & _part(b, rows, columns)))


def _part(mask: BoxedMask, rows: tuple[int, int], columns: tuple[int, int]) -> npt.NDArray[np.bool_]:
    top, left = mask.top, mask.left
    return mask.inside[rows[0] - top : rows[1] - top, columns[0] - left : columns[1] - left]


def centre(mask: BoxedMask | None) -> tuple[float, float]:
    """Return the centre (y, x) of a mask in pixels of the frame; NaN where it is empty or not known."""
    if mask is None or not mask.area:
        return float("nan"), float("nan")
    inside = mask.inside.view(np.uint8)
    rows, columns = (np.add.reduce(inside, axis=axis, dtype=np.uint32) for axis in (1, 0))
    y = mask.top + float(rows @ np.arange(len(rows))) / mask.area
    x = mask.left + float(columns @ np.arange(len(columns))) / mask.area
    return y, x


class Movement:
    """Changes of the masks of a clip over time, collected frame by frame.

    Attributes:
        near: float32 (T, S), distance (1 - Dice) between frames t and t + 1; NaN where one of them is not known.
        far: float32 (T, S), distance between frames t and t + 2.
        centres: float32 (T, S, 2), centre (y, x) of each mask in pixels; NaN where there is none.
    """

    def __init__(self, n_frames: int, n_structures: int) -> None:
        """Start with nothing known."""
        self.near: FloatArray = np.full((n_frames, n_structures), np.nan, np.float32)
        self.far: FloatArray = np.full((n_frames, n_structures), np.nan, np.float32)
        self.centres: FloatArray = np.full((n_frames, n_structures, 2), np.nan, np.float32)

    def add(self, frames: Iterable[FramePlanes]) -> Iterable[int]:
        """Add consecutive frames, and yield the index of each that is done.

        After a change of frame t, it is enough to add the frames t - 2 to t + 2 again.
        """
        before: deque[FramePlanes] = deque(maxlen=2)
        for now in frames:
            self.centres[now.frame] = [centre(plane) for plane in now.planes]
            for earlier, distances in zip(reversed(before), (self.near, self.far), strict=False):
                pairs = zip(earlier.planes, now.planes, strict=True)
                distances[earlier.frame] = [mask_distance(a, b) for a, b in pairs]
            before.append(now)
            yield now.frame

    def inconsistency(self) -> FloatArray:
        """Return the inconsistency of each mask with its neighbours, float32 (T, S), 0..1; NaN where none is known.

        It is the larger of two values. Outlier: the mask lies off the path from the frame before to the frame after,
        as a mask does that is wrong, present or missing on one frame only; steady movement, however fast, does not.
        Excess: the step to a neighbour is larger than usual for this structure in this clip, which counts for both
        frames, unless one of them is an outlier and so explains it.
        """
        outlier = _outlier(self.near, self.far)
        usual = np.clip(_usual(self.near), _USUAL_AT_LEAST, _USUAL_AT_MOST)
        excess = np.clip((self.near - usual) / (1.0 - usual), 0.0, 1.0)
        is_outlier = np.nan_to_num(outlier) >= INCONSISTENT
        after = np.where(_later(is_outlier) & ~is_outlier, 0.0, excess)
        before = np.where(_earlier(is_outlier) & ~is_outlier, 0.0, _earlier(excess))
        return np.fmax(outlier, np.fmax(before, after)).astype(np.float32)


def _outlier(near: FloatArray, far: FloatArray) -> FloatArray:
    """Return half the detour over each frame, float32 (T, S): (d(t-1, t) + d(t, t+1) - d(t-1, t+1)) / 2."""
    half: FloatArray = np.clip(0.5 * (_earlier(near) + near - _earlier(far)), 0.0, 1.0)
    return half


def _usual(near: FloatArray) -> FloatArray:
    """Return the step that a structure hardly ever exceeds, float32 (S,): median plus four robust deviations."""
    usual = np.full(near.shape[1], _USUAL_AT_LEAST, np.float32)
    for s in range(near.shape[1]):
        known = near[:, s][np.isfinite(near[:, s])]
        if known.size:
            median = np.median(known)
            usual[s] = median + 4.0 * 1.4826 * np.median(np.abs(known - median))
    return usual


def _earlier(values: Values) -> Values:
    """Shift rows so that row t holds row t - 1; the first is unknown."""
    moved = np.roll(values, 1, axis=0)
    moved[:1] = False if values.dtype == np.bool_ else np.nan
    return moved


def _later(values: Values) -> Values:
    """Shift rows so that row t holds row t + 1; the last is unknown."""
    moved = np.roll(values, -1, axis=0)
    moved[-1:] = False if values.dtype == np.bool_ else np.nan
    return moved
