# SPDX-License-Identifier: Apache-2.0
"""Mean Dice over patients with its standard error, and the paired gain of one student over another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from vfss.evaluation.bootstrap import RESAMPLES, draw_counts
from vfss.masks.metrics import dice

Floats = npt.NDArray[np.float64]
Planes = npt.NDArray[np.bool_]


def visible_dice(truth: Planes, visible: npt.NDArray[np.bool_], proposed: Planes) -> Floats:
    """Return the Dice of each structure, float64 (S,); NaN where it is hidden, or empty in truth and proposal.

    Masks without pixels are counted as `vfss evaluate` counts them (docs/metrics.md).
    """
    pairs = zip(truth, visible, proposed, strict=True)
    return np.array([dice(t, p) if seen else math.nan for t, seen, p in pairs], np.float64)


def means(scores: Floats, *, seed: int = 0) -> tuple[float, Floats]:
    """Return the mean over structures of the mean over patients, and that of bootstrap draws of patients.

    Args:
        scores: float64 (P, S), NaN where a structure does not count.
        seed: Seed of the draws: the same for students that are to be compared on the same patients.
    """
    counts = draw_counts(len(scores), RESAMPLES, np.random.default_rng(seed))
    known = np.isfinite(scores)
    totals, numbers = counts @ np.where(known, scores, 0.0), counts @ known.astype(np.float64)
    drawn = np.divide(totals, numbers, out=np.full_like(totals, np.nan), where=numbers > 0)
    return float(np.mean(_column_means(scores))), np.nanmean(drawn, axis=1)


def _column_means(scores: Floats) -> Floats:
    """Return the mean over patients of each structure that any patient has."""
    has = np.isfinite(scores).any(axis=0)
    return np.asarray(np.nanmean(scores[:, has], axis=0), np.float64)


def summary(scores: Floats, keys: Sequence[str]) -> dict[str, Any]:
    """Return mean Dice and standard error over patients, of all structures together and of each.

    Args:
        scores: float64 (P, S), NaN where a structure does not count.
        keys: Keys of the structures.
    """
    mean, drawn = means(scores)
    return {
        "patients": len(scores),
        "mean": round(mean, 4),
        "se": round(float(drawn.std()), 4),
        "structures": {key: _structure(column) for key, column in zip(keys, scores.T, strict=True)},
    }


def _structure(column: Floats) -> dict[str, Any]:
    known = column[np.isfinite(column)]
    if not len(known):
        return {"patients": 0, "mean": None, "se": None}
    se = float(known.std(ddof=1) / math.sqrt(len(known))) if len(known) > 1 else math.nan
    return {
        "patients": len(known),
        "mean": round(float(known.mean()), 4),
        "se": None if math.isnan(se) else round(se, 4),
    }


def gain(ours: Floats, theirs: Floats) -> dict[str, float]:
    """Return our mean less theirs on the same patients, with its standard error; both float64 (P, S)."""
    (our_mean, our_draws), (their_mean, their_draws) = means(ours), means(theirs)
    return {
        "mean": round(our_mean - their_mean, 4),
        "se": round(float((our_draws - their_draws).std()), 4),
    }


def over_styles(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Return the mean of the means of styles, whose patients are independent, with its standard error."""
    return {
        "mean": round(float(np.mean([row["mean"] for row in rows])), 4),
        "se": round(math.sqrt(sum(row["se"] ** 2 for row in rows)) / len(rows), 4),
    }
