# SPDX-License-Identifier: Apache-2.0
"""Landmarks that a student found on a frame: points of the frame, from heat maps of the network's input."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vfss.clips.exposed_field import Window
from vfss.landmarks import LANDMARKS
from vfss.student.config import LOGIT_STRIDE
from vfss.student.heat_map import peaks
from vfss.student.preprocess import Placement

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class FoundLandmarks:
    """Points of one frame by a student; like masks, they are proposals until a person accepts them.

    Attributes:
        keys: Keys of the landmarks (vfss.landmarks), in the order of the points.
        points: (y, x) in pixels of the frame, whole numbers at their centres, float64 (L, 2). Each landmark has its
            most likely place, however unlikely; NaN where that lies outside the frame.
        confidence: float32 (L,), 0..1: how sure it is that the landmark is there and in that place; 0 for NaN.
        student: Id of the student.
    """

    keys: tuple[str, ...]
    points: npt.NDArray[np.float64]
    confidence: FloatArray
    student: str

    def point(self, key: str, least: float = 0.0) -> tuple[float, float] | None:
        """Return the place (y, x) of a landmark; None if there is none with that confidence or more."""
        if key not in self.keys:
            return None
        i = self.keys.index(key)
        y, x = self.points[i].tolist()
        return None if np.isnan(y) or self.confidence[i] < least else (y, x)


def landmarks_from(
    heat: FloatArray, presence: FloatArray, placement: Placement, window: Window, student: str
) -> FoundLandmarks:
    """Return the landmarks of a frame.

    Args:
        heat: Logits of places, float32 (L, size/4, size/4).
        presence: Logits of presence, float32 (L,).
        placement: Where the part of the frame that the network saw lies in its input.
        window: That part of the frame.
        student: Id of the student.
    """
    places, confidence = peaks(heat, presence)
    start = np.array((window[0].start, window[1].start), np.float64)
    offset = np.array((placement.top, placement.left), np.float64)
    extent = np.array((placement.height, placement.width), np.float64)
    scale = extent / (placement.rows, placement.columns)
    inside = ((places + 0.5) * LOGIT_STRIDE - offset) * scale - 0.5
    outside = ((inside < -0.5) | (inside > extent - 0.5)).any(axis=1)
    points = np.where(outside[:, None], np.nan, inside + start)
    keys = tuple(landmark.key for landmark in LANDMARKS[: len(heat)])
    return FoundLandmarks(keys, points, np.where(outside, 0.0, confidence).astype(np.float32), student)
