# SPDX-License-Identifier: Apache-2.0
"""Confidence of propagated masks: an estimate of their Dice, stored as the revision's confidence."""

from __future__ import annotations

from math import exp, log1p

from vfss.propagation.key_frame import PropagatedMask, propagated_weight
from vfss.schema import Structure

LEAST_CONFIDENCE = 0.6
"""Confidence below which a mask is not worth correcting, so that propagation ends."""

# Weights of logistic regressions on the true Dice of phantom clips: rigid structures on six, soft ones on thirteen
# clips of seven appearances (accuracy: benchmarks/propagate.py). The student's predictors count for a soft mask as much
# as the student's mask counts in it. By: is it rigid, is it propagated from both sides.
_WEIGHTS = {
    (True, False): {"": 3.4, "consistency": 1.3, "steps": -0.24},
    (True, True): {"": 2.2, "consistency": 1.5, "agreement": 1.0},
    (False, False): {
        "": -4.8,
        "consistency": 0.9,
        "weight": 4.9,
        "weight x student": 2.7,
        "rest x student": 2.5,
        "rest x confidence": 4.8,
    },
    (False, True): {
        "": -4.7,
        "consistency": 0.6,
        "weight": 4.4,
        "weight x student": 2.4,
        "rest x student": 2.2,
        "rest x confidence": 4.2,
        "agreement": 1.3,
    },
}
# The same for soft structures with a clip-adapted student: on ten clips of the usual appearance, on five of which it
# was adapted on 2 to 12 frames (accuracy: benchmarks/learning.py). By: is it propagated from both sides.
_ADAPTED_WEIGHTS = {
    False: {"": -4.6, "consistency": 1.2, "weight": 6.3, "rest x student": 2.3, "rest x confidence": 4.7},
    True: {
        "": -3.4,
        "consistency": 0.9,
        "weight": 4.0,
        "rest x student": 2.4,
        "rest x confidence": 2.4,
        "agreement": 2.0,
    },
}
_NOISE = 0.04  # consistency of the flow in pure noise: below it nothing can be followed
_NO_STUDENT = 0.6  # stands for the student's Dice and confidence where there is no student


def propagated_confidence(
    structure: Structure,
    mask: PropagatedMask,
    *,
    student: float | None = None,
    confidence: float | None = None,
    adapted: bool = False,
) -> float:
    """Estimate the Dice of a propagated mask, 0..1.

    Args:
        structure: Which one.
        mask: The propagated mask.
        student: Dice of the mask with the student's own mask of this frame; None without a student.
        confidence: The student's confidence in its own mask.
        adapted: True where the student is adapted to the clip.
    """
    rigid, both = structure.is_rigid, mask.agreement is not None
    predictors = _predictors(structure, mask, student, confidence)
    weights = _ADAPTED_WEIGHTS[both] if adapted and not rigid else _WEIGHTS[rigid, both]
    expected = 1 / (1 + exp(-sum(weight * predictors[name] for name, weight in weights.items())))
    # Phantoms hardly ever lose a bone, so the regression has not seen it: two ends that disagree are certainly a loss.
    limit = (1 + predictors["agreement"]) / 2 if rigid else 1.0
    return min(expected, limit) * min(1.0, mask.consistency / _NOISE)


def is_lost(mask: PropagatedMask) -> bool:
    """Return whether the motion up to here is no better than noise."""
    return mask.consistency < _NOISE


def _predictors(
    structure: Structure, mask: PropagatedMask, student: float | None, confidence: float | None
) -> dict[str, float]:
    """Return the predictors of the regressions by name; "" is the intercept."""
    weight = propagated_weight(structure, mask.steps)
    student = _NO_STUDENT if student is None else student
    confidence = _NO_STUDENT if confidence is None else confidence
    return {
        "": 1.0,
        "consistency": mask.consistency,
        "steps": log1p(mask.steps),
        "weight": weight,
        "agreement": 1.0 if mask.agreement is None else mask.agreement,
        "weight x student": weight * student,
        "rest x student": (1 - weight) * student,
        "rest x confidence": (1 - weight) * confidence,
    }
