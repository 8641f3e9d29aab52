# SPDX-License-Identifier: Apache-2.0
"""Points from heat maps: a peak finer than the pixels of the map, and how far it is to be trusted."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]

_REACH = 2
"""Pixels of the map around the highest one whose centre of mass is the point."""
_NEAR = 4
"""Pixels of the map around the point: the share of the map within them is how sure the place is."""


def peaks(heat: FloatArray, presence: FloatArray) -> tuple[npt.NDArray[np.float64], FloatArray]:
    """Return the point of each map, and its confidence.

    The confidence is the probability that the landmark is there, times the share of the map that lies around its peak.

    Args:
        heat: Logits of places, float32 (L, h, w).
        presence: Logits of presence, float32 (L,).

    Returns:
        Points (y, x), float64 (L, 2), in pixels of the map, whole numbers at their centres; confidence float32 (L,),
        0..1.
    """
    n, height, width = heat.shape
    flat = heat.reshape(n, -1).astype(np.float64)
    shares = np.exp(flat - flat.max(axis=1, keepdims=True))
    shares = (shares / shares.sum(axis=1, keepdims=True)).reshape(heat.shape)
    points, around = np.empty((n, 2)), np.empty(n)
    for i, one in enumerate(shares):
        y, x = np.unravel_index(int(one.argmax()), one.shape)
        part = _around(int(y), int(x), _REACH, height, width)
        weights = one[part]
        rows, columns = (np.arange(s.start, s.stop) for s in part)
        points[i] = (weights.sum(1) @ rows, weights.sum(0) @ columns) / weights.sum()
        around[i] = one[_around(int(y), int(x), _NEAR, height, width)].sum()
    seen = 0.5 * (1.0 + np.tanh(0.5 * presence.astype(np.float64)))
    return points, (seen * around).astype(np.float32)


def _around(y: int, x: int, reach: int, height: int, width: int) -> tuple[slice, slice]:
    """Return rows and columns within a reach of a pixel."""
    return slice(max(0, y - reach), min(height, y + reach + 1)), slice(max(0, x - reach), min(width, x + reach + 1))
