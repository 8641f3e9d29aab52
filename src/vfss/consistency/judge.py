# SPDX-License-Identifier: Apache-2.0
"""Which masks deserve a second look: how far each jumps against its neighbours, and how sure its student was."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from enum import IntEnum
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from vfss.masks import BoxedMask, ByteArray, MaskState
from vfss.project.overview import FramePlanes

FloatArray = npt.NDArray[np.float32]
Values = TypeVar("Values", npt.NDArray[np.float32], npt.NDArray[np.bool_])

SURE = 0.8
"""Confidence from which a proposal is trusted: an expected Dice."""
JUMPY = 0.5
"""Inconsistency from which a mask is marked."""
_USUAL_AT_LEAST = 0.15  # 1 - Dice: masks that hardly move differ by that much in their borders alone
_USUAL_AT_MOST = 0.6  # a structure that differs by more from frame to frame has no usual


class Trust(IntEnum):
    """What to think of one structure on one frame."""

    NOTHING = 0
    DOUBTFUL = 1
    TRUSTED = 2
    PERSON = 3


def gap(a: BoxedMask | None, b: BoxedMask | None) -> float:
    """How far two masks are apart: 1 - Dice, 0 where both are empty, NaN where one is not known."""
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
    """Centre (y, x) of a mask's pixels in pixels of the frame; NaN where it has none or is not known."""
    if mask is None or not mask.area:
        return float("nan"), float("nan")
    inside = mask.inside.view(np.uint8)
    rows, columns = (np.add.reduce(inside, axis=axis, dtype=np.uint32) for axis in (1, 0))
    y = mask.top + float(rows @ np.arange(len(rows))) / mask.area
    x = mask.left + float(columns @ np.arange(len(columns))) / mask.area
    return y, x


class Movement:
    """How the masks of a clip change over time, taken in frame by frame.

    Attributes:
        near: float32 (T, S), gap between frames t and t + 1; NaN where one of them is not known.
        far: float32 (T, S), gap between frames t and t + 2.
        centres: float32 (T, S, 2), centre (y, x) of each mask in pixels; NaN where there is none.
    """

    def __init__(self, n_frames: int, n_structures: int) -> None:
        """Movement of which nothing is known yet."""
        self.near: FloatArray = np.full((n_frames, n_structures), np.nan, np.float32)
        self.far: FloatArray = np.full((n_frames, n_structures), np.nan, np.float32)
        self.centres: FloatArray = np.full((n_frames, n_structures, 2), np.nan, np.float32)

    def take(self, frames: Iterable[FramePlanes]) -> Iterable[int]:
        """Take in frames that follow one another, and say each that is done.

        After a change of frame t, the frames t - 2 to t + 2 are enough.
        """
        before: deque[FramePlanes] = deque(maxlen=2)
        for now in frames:
            self.centres[now.frame] = [centre(plane) for plane in now.planes]
            for earlier, gaps in zip(reversed(before), (self.near, self.far), strict=False):
                gaps[earlier.frame] = [gap(a, b) for a, b in zip(earlier.planes, now.planes, strict=True)]
            before.append(now)
            yield now.frame

    def inconsistency(self) -> FloatArray:
        """How far each mask jumps against its neighbours, float32 (T, S), 0..1; NaN where no neighbour is known.

        The larger of two things. Standing out: the frame lies off the way from the one before to the one after, as
        does a mask that is wrong, there or gone for one frame; steady movement, however fast, does not. And a step to
        a neighbour that is larger than usual for this structure in this clip, which counts for both frames, unless
        one of them stands out and so explains it.
        """
        alone = _standing_out(self.near, self.far)
        usual = np.clip(_usual(self.near), _USUAL_AT_LEAST, _USUAL_AT_MOST)
        excess = np.clip((self.near - usual) / (1.0 - usual), 0.0, 1.0)
        odd = np.nan_to_num(alone) >= JUMPY
        after = np.where(_later(odd) & ~odd, 0.0, excess)
        before = np.where(_earlier(odd) & ~odd, 0.0, _earlier(excess))
        return np.fmax(alone, np.fmax(before, after)).astype(np.float32)


def _standing_out(near: FloatArray, far: FloatArray) -> FloatArray:
    """Half the detour over each frame, float32 (T, S): (d(t-1, t) + d(t, t+1) - d(t-1, t+1)) / 2."""
    half: FloatArray = np.clip(0.5 * (_earlier(near) + near - _earlier(far)), 0.0, 1.0)
    return half


def _usual(near: FloatArray) -> FloatArray:
    """Step that hardly any other one of the structure exceeds, float32 (S,): median and four times its deviation."""
    usual = np.full(near.shape[1], _USUAL_AT_LEAST, np.float32)
    for s in range(near.shape[1]):
        known = near[:, s][np.isfinite(near[:, s])]
        if known.size:
            median = np.median(known)
            usual[s] = median + 4.0 * 1.4826 * np.median(np.abs(known - median))
    return usual


def _earlier(values: Values) -> Values:
    """Row t of the result is row t - 1; the first knows nothing."""
    moved = np.roll(values, 1, axis=0)
    moved[:1] = False if values.dtype == np.bool_ else np.nan
    return moved


def _later(values: Values) -> Values:
    moved = np.roll(values, -1, axis=0)
    moved[-1:] = False if values.dtype == np.bool_ else np.nan
    return moved


def judge(states: ByteArray, confidence: FloatArray, inconsistency: FloatArray) -> ByteArray:
    """What to think of every mask, uint8 (T, S), values of Trust.

    A person's word stands. A proposal is trusted where its student was sure and it does not jump.

    Args:
        states: uint8 (T, S), values of MaskState.
        confidence: float32 (T, S), 0..1, NaN where not known, which counts as not sure.
        inconsistency: float32 (T, S), 0..1, NaN where not known, which counts as none.
    """
    proposed = states == MaskState.PROPOSED
    good = (confidence >= SURE) & ~(inconsistency >= JUMPY)  # nothing is above or below NaN
    trust = np.full(states.shape, Trust.PERSON, np.uint8)
    trust[states == MaskState.UNSEEN] = Trust.NOTHING
    trust[proposed & good] = Trust.TRUSTED
    trust[proposed & ~good] = Trust.DOUBTFUL
    return trust
