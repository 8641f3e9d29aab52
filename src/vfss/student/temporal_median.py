# SPDX-License-Identifier: Apache-2.0
"""The median of three neighbouring frames: less noise, and edges stay where most of the three have them."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from vfss.clips.readable import ReadableFrames

Picture = npt.NDArray[np.uint8]
Steadied = Callable[[int], Picture | None]
"""Returns the median of a frame and its neighbours, uint8 (H, W), by the position of the frame among those given."""

NOISE = 1.0
"""Grey values: the median difference to both neighbouring frames from which a frame counts as noisy.

A head that moves makes a difference, too, often to one of them only; its median would lose a bolus on the way.
"""
_STEP = 2
"""Every second row and column is enough to estimate it."""


def temporal_median(before: Picture, frame: Picture, after: Picture) -> Picture | None:
    """Return the median of three successive frames, uint8 (H, W); None where they are not noisy or of other sizes."""
    if not before.shape == frame.shape == after.shape or min(noise(before, frame), noise(frame, after)) < NOISE:
        return None
    low, high = cv2.min(before, after), cv2.max(before, after)
    median: Picture = cv2.max(low, cv2.min(high, frame)).astype(np.uint8, copy=False)
    return median


def noise(one: Picture, other: Picture) -> float:
    """Return the median absolute difference of two successive frames, grey values.

    Most of a picture stands still, so motion hardly counts. Grey values are whole numbers and most differences are 0,
    1 or 2: the median is interpolated within its grey value.
    """
    difference = cv2.absdiff(one[::_STEP, ::_STEP], other[::_STEP, ::_STEP])
    share = np.cumsum(np.bincount(difference.ravel(), minlength=256)) / difference.size
    return float(np.interp(0.5, np.concatenate([[0.0], share]), np.arange(257)))


def steadied_frame(reader: ReadableFrames, t: int) -> Picture | None:
    """Return the median of frame t and its neighbours, uint8 (H, W).

    None at the ends of a clip, beside a frame that cannot be decoded, and where the frames are not noisy.
    """
    pictures = reader.with_neighbours(t)
    return None if pictures is None else temporal_median(*pictures)
