# SPDX-License-Identifier: Apache-2.0
"""How far a carried mask can be trusted: an estimate of its Dice, kept as the revision's confidence."""

from __future__ import annotations

from math import exp, log1p

from vfss.bones import RIGID
from vfss.carrying import Carried, holds

STOP = 0.6
"""Trust below which a mask is not worth a person's look, and carrying ends."""

# Weights of logistic regressions on the true Dice of phantom clips (how far off: benchmarks/propagate.py, learning.py);
# those of soft structures on nine clips, by a student that has learnt the clip and by one that has not.
# By: is it a bone, is it carried from both sides.
_WEIGHTS = {
    (True, False): {"": 3.4, "steady": 1.3, "steps": -0.24},
    (True, True): {"": 2.2, "steady": 1.5, "agreement": 1.0},
    (False, False): {"": -4.6, "steady": 1.2, "held": 6.3, "student": 2.3, "confidence": 4.7},
    (False, True): {"": -3.4, "steady": 0.9, "held": 4.0, "student": 2.4, "confidence": 2.4, "agreement": 2.0},
}
_UNSTEADY = 0.04  # steadiness of noise: of what is less, nothing can be followed
_UNASKED = 0.6  # stands for the student's word where there is no student


def trust(key: str, carried: Carried, *, student: float | None = None, confidence: float | None = None) -> float:
    """Estimate of the Dice of a carried mask, 0..1.

    Args:
        key: Key of the structure.
        carried: What was carried.
        student: Dice of the mask with the student's own one on this frame; None without a student.
        confidence: The student's estimate of its own Dice.
    """
    signs = signs_of(key, carried, student=student, confidence=confidence)
    weights = _WEIGHTS[key in RIGID, carried.agreement is not None]
    found = 1 / (1 + exp(-sum(weight * signs[name] for name, weight in weights.items())))
    # Phantoms hardly ever lose a bone, so the regression has not seen it: two ends that part are a loss for sure.
    parted = (1 + signs["agreement"]) / 2 if key in RIGID else 1.0
    return min(found, parted) * min(1.0, carried.steady / _UNSTEADY)


def is_lost(carried: Carried) -> bool:
    """True where the motion up to here is no better than noise."""
    return carried.steady < _UNSTEADY


def signs_of(
    key: str, carried: Carried, *, student: float | None = None, confidence: float | None = None
) -> dict[str, float]:
    """What the estimate is made from, by name."""
    held = holds(key, carried.steps)  # the student's word tells as much of the mask as it counts in it
    return {
        "": 1.0,
        "steady": carried.steady,
        "steps": log1p(carried.steps),
        "held": held,
        "agreement": 1.0 if carried.agreement is None else carried.agreement,
        "student": (1 - held) * (_UNASKED if student is None else student),
        "confidence": (1 - held) * (_UNASKED if confidence is None else confidence),
    }
