# SPDX-License-Identifier: Apache-2.0
"""Reason: a rigid structure lies in another one, which bones seen from the side hardly do."""

from __future__ import annotations

import numpy as np

from vfss.label_check.measures import ClipMeasures, FloatArray

LIMIT = 0.1
"""Share of a mask within another one, beyond what is usual in the clip, that counts as one."""


def overlaps(measures: ClipMeasures) -> FloatArray:
    """Return how much more of each mask than usual lies in another one, float32 (T, S); 1: at the limit."""
    return _beyond_usual(measures.overlap)


def pieces(measures: ClipMeasures) -> FloatArray:
    """Return how much more of each mask than usual lies outside its largest part, float32 (T, S); 1: at the limit."""
    return _beyond_usual(measures.outside)


def _beyond_usual(share: FloatArray) -> FloatArray:
    usual = np.nanmedian(np.where(np.isfinite(share).any(axis=0), share, 0.0), axis=0)
    beyond: FloatArray = (np.clip(np.nan_to_num(share - usual), 0.0, None) / LIMIT).astype(np.float32)
    return beyond
