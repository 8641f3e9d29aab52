# SPDX-License-Identifier: Apache-2.0
"""How far a carried mask can be trusted: an estimate of its Dice, kept as the revision's confidence."""

from __future__ import annotations

from math import exp, log1p

from vfss.propagation.key_frame import CarriedMask, holds
from vfss.schema import Structure

STOP = 0.6
"""Trust below which a mask is not worth a person's look, and carrying ends."""

# Weights of logistic regressions on the true Dice of phantom clips: bones on six, soft structures on thirteen clips of
# seven appearances (how far off: benchmarks/propagate.py). The student's word tells as much of a soft mask as it counts
# in it. By: is it a bone, is it carried from both sides.
_WEIGHTS = {
    (True, False): {"": 3.4, "steady": 1.3, "steps": -0.24},
    (True, True): {"": 2.2, "steady": 1.5, "agreement": 1.0},
    (False, False): {
        "": -4.8,
        "steady": 0.9,
        "held": 4.9,
        "held to student": 2.7,
        "student's share": 2.5,
        "confidence's share": 4.8,
    },
    (False, True): {
        "": -4.7,
        "steady": 0.6,
        "held": 4.4,
        "held to student": 2.4,
        "student's share": 2.2,
        "confidence's share": 4.2,
        "agreement": 1.3,
    },
}
# The same of soft structures where the student has learnt the clip: on ten clips of the usual appearance, on five of
# which it had learnt from 2 to 12 frames (how far off: benchmarks/learning.py). By: is it carried from both sides.
_LEARNT = {
    False: {"": -4.6, "steady": 1.2, "held": 6.3, "student's share": 2.3, "confidence's share": 4.7},
    True: {"": -3.4, "steady": 0.9, "held": 4.0, "student's share": 2.4, "confidence's share": 2.4, "agreement": 2.0},
}
_UNSTEADY = 0.04  # steadiness of noise: of what is less, nothing can be followed
_UNASKED = 0.6  # stands for the student's word where there is no student


def trust(
    structure: Structure,
    carried: CarriedMask,
    *,
    student: float | None = None,
    confidence: float | None = None,
    learnt: bool = False,
) -> float:
    """Estimate of the Dice of a carried mask, 0..1.

    Args:
        structure: Which one.
        carried: What was carried.
        student: Dice of the mask with the student's own one on this frame; None without a student.
        confidence: The student's estimate of its own Dice.
        learnt: True where the student has learnt the clip.
    """
    signs = signs_of(structure, carried, student=student, confidence=confidence)
    both = carried.agreement is not None
    rigid = structure.is_rigid
    weights = _LEARNT[both] if learnt and not rigid else _WEIGHTS[rigid, both]
    found = 1 / (1 + exp(-sum(weight * signs[name] for name, weight in weights.items())))
    # Phantoms hardly ever lose a bone, so the regression has not seen it: two ends that part are a loss for sure.
    parted = (1 + signs["agreement"]) / 2 if rigid else 1.0
    return min(found, parted) * min(1.0, carried.steady / _UNSTEADY)


def is_lost(carried: CarriedMask) -> bool:
    """True where the motion up to here is no better than noise."""
    return carried.steady < _UNSTEADY


def signs_of(
    structure: Structure, carried: CarriedMask, *, student: float | None = None, confidence: float | None = None
) -> dict[str, float]:
    """What the estimate is made from, by name."""
    held = holds(structure, carried.steps)
    student = _UNASKED if student is None else student
    confidence = _UNASKED if confidence is None else confidence
    return {
        "": 1.0,
        "steady": carried.steady,
        "steps": log1p(carried.steps),
        "held": held,
        "agreement": 1.0 if carried.agreement is None else carried.agreement,
        "held to student": held * student,
        "student's share": (1 - held) * student,
        "confidence's share": (1 - held) * confidence,
    }
