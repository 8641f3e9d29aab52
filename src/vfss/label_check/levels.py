# SPDX-License-Identifier: Apache-2.0
"""Reason: members of a chain are out of order, or one is too near to its neighbour or too far from it."""

from __future__ import annotations

import numpy as np

from vfss.label_check.measures import ClipMeasures, FloatArray
from vfss.schema import Schema

OUT_OF_ORDER = 3.0
"""Score of two members in the wrong order."""
_LIMIT = float(np.log(1.6))  # a distance larger or smaller by that factor than usual counts as one


def levels(measures: ClipMeasures, schema: Schema) -> FloatArray:
    """Return how much the order and distance of neighbours in chains speak against each mask, float32 (T, S)."""
    scores = np.zeros(measures.accepted.shape, np.float32)
    for chain in schema.chains:
        planes = [schema[key].index for key in chain]
        centres = measures.features[:, planes, 4:6]
        steps = np.diff(centres, axis=1)  # T, members - 1, 2
        if not np.isfinite(steps).any():
            continue
        direction = np.nanmedian(steps.reshape(-1, 2), axis=0)
        along = steps @ (direction / max(float(np.hypot(*direction)), 1e-6))
        usual = np.nanmedian(np.where(np.isfinite(along).any(axis=0), along, 1.0), axis=0)
        ratio = np.where(along > 0, along, 1e-3) / np.maximum(usual, 1e-3)
        score = np.where(along <= 0, OUT_OF_ORDER, np.abs(np.log(ratio)) / _LIMIT)
        score = np.where(np.isfinite(along), score, 0.0)  # a neighbour without a mask says nothing
        for i, plane in enumerate(planes[:-1]):
            for one in (plane, planes[i + 1]):
                scores[:, one] = np.maximum(scores[:, one], score[:, i])
    return np.where(measures.accepted, scores, 0.0).astype(np.float32)
