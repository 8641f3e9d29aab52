# SPDX-License-Identifier: Apache-2.0
"""Scores on phantom frames at the size of real recordings, in the form that vfss.evaluation.evaluate gives."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from vfss.masks.metrics import dice
from vfss.schema import Schema
from vfss.student import Student
from vfss_training.config.parts import HeldOut
from vfss_training.config.recipe import Recipe
from vfss_training.data.phantoms import PHANTOM_SCHEMA, draw_phantom

SIZE = 512


def score_on_phantoms(student: Student, recipe: Recipe) -> dict[str, Any]:
    """Return the mean Dice of every structure on the held-out frames at 512 x 512.

    Structures that are hidden, or empty in truth and mask, do not count. Styles count by their weight, as in the choice
    of the step that is kept; the scores of each style are given as well. The same frames chose that step, so these
    scores are no test: for a test, use `vfss evaluate` on seeds that were never used.
    """
    chooses = any(part.weight > 0 for part in recipe.held_out.values())
    styles = {style: _score(student, style, part) for style, part in recipe.held_out.items()}
    weights = {style: part.weight if chooses else 1.0 for style, part in recipe.held_out.items()}
    keys = [key for key in student.keys if key in Schema.load(PHANTOM_SCHEMA).keys]
    structures = {
        key: {"dice": _mean({style: scores["structures"][key]["dice"] for style, scores in styles.items()}, weights)}
        for key in keys
    }
    return {
        "frames": sum(part.frames for part in recipe.held_out.values()),
        "size": SIZE,
        "mean_dice": _mean({style: scores["mean_dice"] for style, scores in styles.items()}, weights),
        "structures": structures,
        "styles": styles,
    }


def _score(student: Student, style: str, part: HeldOut) -> dict[str, Any]:
    """Return the scores on the frames of one style."""
    drawn = Schema.load(PHANTOM_SCHEMA)
    keys = [key for key in student.keys if key in drawn.keys]
    overlaps: dict[str, list[float]] = {key: [] for key in keys}
    for seed in range(part.first_seed, part.first_seed + part.frames):
        frame, truth, visible = draw_phantom(seed, SIZE, style)
        planes = student.propose(frame[None])[0].masks.planes
        for key in keys:
            overlap = dice(truth[drawn[key].index], planes[student.keys.index(key)])
            if visible[drawn[key].index] and not math.isnan(overlap):
                overlaps[key].append(overlap)
    structures = {key: {"dice": float(np.mean(values)) if values else None} for key, values in overlaps.items()}
    means = [row["dice"] for row in structures.values() if row["dice"] is not None]
    return {
        "frames": part.frames,
        "weight": part.weight,
        "mean_dice": float(np.mean(means)) if means else None,
        "structures": structures,
    }


def _mean(values: dict[str, float | None], weights: dict[str, float]) -> float | None:
    """Return the weighted mean of the values that are known; None if there is none."""
    known = [(value, weights[name]) for name, value in values.items() if value is not None and weights[name] > 0]
    total = sum(weight for _, weight in known)
    return sum(value * weight for value, weight in known) / total if total else None
