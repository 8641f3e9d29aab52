# SPDX-License-Identifier: Apache-2.0
"""Reason: a mask is larger, smaller, of another shape or at another place than is usual for its structure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vfss.label_check.measures import ROBUST, ClipMeasures, FloatArray, deviation

LIMIT = 5.0
"""Robust standard deviations that count as one."""
LEAST_CLIPS = 5
"""Clips without which nothing is usual among patients."""
_LEAST = np.array([0.06, 0.06, 0.06, 0.03, 0.15, 0.15], np.float32)  # of FEATURES: what outlines vary by
_LEAST_PROJECT = np.array([0.2, 0.15, 0.15, 0.06], np.float32)  # patients differ


def shape_in_clip(measures: ClipMeasures) -> FloatArray:
    """Return how unusual each mask is beside those of its structure in the clip, float32 (T, S); 1: at the limit."""
    far: FloatArray = deviation(measures.features, _LEAST).max(axis=2) / LIMIT
    return far


def shape_in_project(all_measures: Sequence[ClipMeasures]) -> list[FloatArray]:
    """Return how unusual each mask is beside those of its structure in all clips, float32 (T, S) for each clip.

    Sizes are relative to the clip's own scale, so that a child is no outlier among adults. Clips count alike: the
    median of each is compared, and with fewer than five clips nothing is.
    """
    relative = [_relative(measures) for measures in all_measures]
    with np.errstate(all="ignore"):
        medians = np.stack([_median(features) for features in relative])  # clips, S, features
    known = np.isfinite(medians)
    filled = np.where(known.any(axis=0), medians, 0.0)
    centre = np.nanmedian(filled, axis=0)
    spread = np.maximum(ROBUST * np.nanmedian(np.abs(filled - centre), axis=0), _LEAST_PROJECT)
    enough = known.sum(axis=0) >= LEAST_CLIPS
    out: list[FloatArray] = []
    for features in relative:
        far = np.abs(features - centre) / spread
        out.append((np.where(enough & np.isfinite(far), far, 0.0).max(axis=2) / LIMIT).astype(np.float32))
    return out


def _relative(measures: ClipMeasures) -> FloatArray:
    features = measures.features[..., :4].copy()
    features[..., :3] -= np.log(measures.scale) * np.array([2.0, 1.0, 1.0], np.float32)
    return features


def _median(features: FloatArray) -> FloatArray:
    known = np.isfinite(features).any(axis=0)
    median: FloatArray = np.where(known, np.nanmedian(np.where(known, features, 0.0), axis=0), np.nan)
    return median
