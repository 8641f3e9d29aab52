# SPDX-License-Identifier: Apache-2.0
"""Reason: a mask does not fit the frames around it, as far as masks of its structure usually do in this clip."""

from __future__ import annotations

import warnings

import numpy as np

from vfss.label_check.measures import ROBUST, ClipMeasures, FloatArray

LIMIT = 5.0
"""Robust standard deviations that count as one."""
_NEAR = 3  # frames: one of them nearly always shows the structure as it is here
_LEAST_NEAR, _LEAST_AROUND = 0.01, 0.04  # 1 - Dice: what outlines vary by


def jumps(measures: ClipMeasures) -> FloatArray:
    """Return how badly each mask fits the frames around it, float32 (T, S); 1: at the limit.

    Two things count. The nearest frame that it fits best: a single wrong mask fits none of them, and a right one beside
    it still fits its other neighbour. And the median of all frames around: a stretch of wrong masks fits itself, but
    not the majority.
    """
    apart = _both_ways(measures.distances)
    reach = len(measures.distances)
    near = np.concatenate([apart[reach - _NEAR : reach], apart[reach : reach + _NEAR]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a frame without any to compare with
        best, usual = np.nanmin(near, axis=0), np.nanmedian(apart, axis=0)
    far = np.maximum(_excess(best, _LEAST_NEAR), _excess(usual, _LEAST_AROUND))
    return (far / LIMIT).astype(np.float32)


def _both_ways(distances: FloatArray) -> FloatArray:
    """Return the distances to the frames before, the nearest last, and after, float32 (2 REACH, T, S)."""
    earlier = np.full_like(distances, np.nan)
    for i in range(min(len(distances), distances.shape[1] - 1)):
        earlier[i, i + 1 :] = distances[i, : -(i + 1)]
    both: FloatArray = np.concatenate([earlier[::-1], distances])
    return both


def _excess(values: FloatArray, least: float) -> FloatArray:
    known = np.isfinite(values).any(axis=0)
    filled = np.where(known, values, 0.0)
    middle = np.nanmedian(filled, axis=0)
    spread = np.maximum(ROBUST * np.nanmedian(np.abs(filled - middle), axis=0), least)
    excess: FloatArray = np.clip(np.nan_to_num((values - middle) / spread), 0.0, None).astype(np.float32)
    return excess
