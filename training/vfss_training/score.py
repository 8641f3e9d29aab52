# SPDX-License-Identifier: Apache-2.0
"""Scores on phantom frames at the size of film, in the form vfss.evaluate gives."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from vfss.metrics import dice
from vfss.schema import Schema
from vfss.student import Student
from vfss_training.data import PHANTOM_SCHEMA, draw_phantom
from vfss_training.recipe import Recipe

SIZE = 512


def score_on_phantoms(student: Student, recipe: Recipe) -> dict[str, Any]:
    """Mean Dice of every structure over the validation frames at 512 x 512, without what is hidden or empty in both."""
    drawn = Schema.load(PHANTOM_SCHEMA)
    keys = [key for key in student.schema.keys if key in drawn.keys]
    found: dict[str, list[float]] = {key: [] for key in keys}
    for seed in range(recipe.validation_first_seed, recipe.validation_first_seed + recipe.validation_frames):
        frame, truth, visible = draw_phantom(seed, SIZE, recipe.style)
        planes = student.propose(frame[None])[0].masks.planes
        for key in keys:
            overlap = dice(truth[drawn[key].index], planes[student.schema[key].index])
            if visible[drawn[key].index] and not math.isnan(overlap):
                found[key].append(overlap)
    structures = {key: {"dice": float(np.mean(values)) if values else None} for key, values in found.items()}
    means = [row["dice"] for row in structures.values() if row["dice"] is not None]
    return {
        "frames": recipe.validation_frames,
        "size": SIZE,
        "mean_dice": float(np.mean(means)) if means else None,
        "structures": structures,
    }
