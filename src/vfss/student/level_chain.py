# SPDX-License-Identifier: Apache-2.0
"""Vertebrae as an ordered chain: find a neck in which C2 was counted as two vertebrae, and count it again.

On real necks whose C2 is tall beside the bodies below, as in children, a student that learnt from drawn necks ends C2
halfway, names its lower half C3, and every vertebra below one number too high. The masks then lie closer together at
the top of the chain than further down, which no neck does: the body of C2 with its dens is the tallest of all.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
Points = npt.NDArray[np.float64]

SPINE = "spine"
"""Name of the chain of vertebrae, whose members do not overlap in a lateral view."""
COUNTED = ("c2", "c3", "c4", "c5", "c6")
"""Keys of vertebrae whose distances are compared: from the first to the third, and from the third to the fifth."""
LEAST_RATIO = 0.9
"""Smallest ratio of the two distances in a neck that is counted right; in most that are counted right it is above 1."""

_LEAST_PIXELS = 6  # of a mask whose place counts
_BODY_DEPTH = 0.8  # from front to back, in distances of two vertebrae


def body_centres(spine: FloatArray, others: FloatArray) -> Points:
    """Return where the bodies of vertebrae lie: the front parts of their masks, without arch and spinous process.

    Args:
        spine: float32 (V, h, w), logits of the vertebrae from top to bottom, positive inside.
        others: float32 (S, h, w), logits of everything else; what there is of it lies in front of the spine.

    Returns:
        float64 (V, 2), (y, x) in pixels of the logits; NaN where there are hardly any pixels.
    """
    centres = np.full((len(spine), 2), np.nan)
    places = [np.nonzero(logit > 0) for logit in spine]
    found = [k for k, (y, _) in enumerate(places) if len(y) >= _LEAST_PIXELS]
    in_front = np.nonzero((others > 0).any(axis=0))[1]
    if len(found) < 2 or not len(in_front):
        return centres
    whole = np.array([(places[k][0].mean(), places[k][1].mean()) for k in found])
    forward = 1.0 if in_front.mean() > whole[:, 1].mean() else -1.0
    depth = _BODY_DEPTH * float(np.median(np.hypot(*np.diff(whole, axis=0).T)))
    for k in found:
        y, x = places[k]
        body = forward * x >= (forward * x).max() - depth
        centres[k] = y[body].mean(), x[body].mean()
    return centres


def is_squeezed(centres: Points) -> bool:
    """Return whether the upper two of four distances are too short for the lower two.

    Args:
        centres: float64 (5, 2), the bodies of COUNTED; False if any is NaN.
    """
    distances = np.hypot(*np.diff(centres, axis=0).T)
    return bool(distances[:2].sum() < LEAST_RATIO * distances[2:].sum())


def counted_again(spine: FloatArray, confidence: FloatArray, first: int) -> tuple[FloatArray, FloatArray]:
    """Return a chain in which a vertebra and the next are one, and all below have the next lower number.

    Args:
        spine: float32 (V, h, w), logits of the vertebrae from top to bottom.
        confidence: float32 (V,).
        first: Index of the vertebra that was counted as two.

    Returns:
        Logits float32 (V, h, w), of which the last is nowhere positive, and confidence float32 (V,): that of the masks
        of which each is made, the lower of two, and the lowest of all for the last.
    """
    logits, trust = spine.copy(), confidence.copy()
    logits[first] = np.maximum(spine[first], spine[first + 1])
    trust[first] = min(confidence[first], confidence[first + 1])
    logits[first + 1 : -1], trust[first + 1 : -1] = spine[first + 2 :], confidence[first + 2 :]
    logits[-1], trust[-1] = -np.abs(spine[-1]) - 1.0, confidence.min()
    return logits, trust
