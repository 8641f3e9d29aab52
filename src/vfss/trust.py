# SPDX-License-Identifier: Apache-2.0
"""How far a carried mask can be trusted: an estimate of its Dice, kept as the revision's confidence."""

from __future__ import annotations

from math import exp, log1p

from vfss.bones import RIGID
from vfss.carrying import Carried, holds

STOP = 0.6
"""Trust below which a mask is not worth a person's look, and carrying ends."""

# Weights of logistic regressions on the true Dice of phantoms (benchmarks/propagate.py --fit).
# By: is it a bone, is it carried from both sides.
_WEIGHTS = {
    (True, False): {"": 3.2, "steady": 1.2, "steps": -0.55},
    (True, True): {"": -0.5, "steady": 0.8, "agreement": 4.2},
    (False, False): {"": -1.6, "steady": 1.0, "held": 1.4, "student": 2.2, "confidence": 0.6},
    (False, True): {"": -2.2, "steady": 0.6, "held": 0.4, "student": 1.6, "agreement": 2.6, "confidence": 0.4},
}
_UNASKED = 0.75  # stands for the student's word where there is no student


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
    return 1 / (1 + exp(-sum(weight * signs[name] for name, weight in weights.items())))


def signs_of(
    key: str, carried: Carried, *, student: float | None = None, confidence: float | None = None
) -> dict[str, float]:
    """What the estimate is made from, by name."""
    return {
        "": 1.0,
        "steady": carried.steady,
        "steps": log1p(carried.steps),
        "held": holds(key, carried.steps),
        "agreement": 1.0 if carried.agreement is None else carried.agreement,
        "student": _UNASKED if student is None else student,
        "confidence": _UNASKED if confidence is None else confidence,
    }
