# SPDX-License-Identifier: Apache-2.0
"""Scores on phantom frames at the size of film, in the form vfss.evaluation.evaluate gives."""

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
    """Mean Dice of every structure over the held-out frames at 512 x 512, without what is hidden or empty in both.

    Styles count by their weight, as in the choice of the step; each also stands for itself. The same frames chose the
    step, so these are no examination: for one, `vfss evaluate` on seeds that nothing has seen.
    """
    chooses = any(part.weight > 0 for part in recipe.held_out.values())
    styles = {style: _score(student, style, part) for style, part in recipe.held_out.items()}
    weights = {style: part.weight if chooses else 1.0 for style, part in recipe.held_out.items()}
    keys = [key for key in student.schema.keys if key in Schema.load(PHANTOM_SCHEMA).keys]
    structures = {
        key: {"dice": _mean({style: found["structures"][key]["dice"] for style, found in styles.items()}, weights)}
        for key in keys
    }
    return {
        "frames": sum(part.frames for part in recipe.held_out.values()),
        "size": SIZE,
        "mean_dice": _mean({style: found["mean_dice"] for style, found in styles.items()}, weights),
        "structures": structures,
        "styles": styles,
    }


def _score(student: Student, style: str, part: HeldOut) -> dict[str, Any]:
    """Scores on the frames of one style."""
    drawn = Schema.load(PHANTOM_SCHEMA)
    keys = [key for key in student.schema.keys if key in drawn.keys]
    found: dict[str, list[float]] = {key: [] for key in keys}
    for seed in range(part.first_seed, part.first_seed + part.frames):
        frame, truth, visible = draw_phantom(seed, SIZE, style)
        planes = student.propose(frame[None])[0].masks.planes
        for key in keys:
            overlap = dice(truth[drawn[key].index], planes[student.schema[key].index])
            if visible[drawn[key].index] and not math.isnan(overlap):
                found[key].append(overlap)
    structures = {key: {"dice": float(np.mean(values)) if values else None} for key, values in found.items()}
    means = [row["dice"] for row in structures.values() if row["dice"] is not None]
    return {
        "frames": part.frames,
        "weight": part.weight,
        "mean_dice": float(np.mean(means)) if means else None,
        "structures": structures,
    }


def _mean(values: dict[str, float | None], weights: dict[str, float]) -> float | None:
    """Mean of the values that are known, by their weights."""
    known = [(value, weights[name]) for name, value in values.items() if value is not None and weights[name] > 0]
    total = sum(weight for _, weight in known)
    return sum(value * weight for value, weight in known) / total if total else None
