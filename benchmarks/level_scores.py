# SPDX-License-Identifier: Apache-2.0
"""Scores of proposed masks against marked vertebrae: levels, corners, pieces, and intervals over persons."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from scipy import ndimage

from vfss.evaluation.bootstrap import RESAMPLES, draw_counts, middle_95

OUTCOMES = ("right", "one_high", "one_low", "other", "missed")
"""Named right; with the next higher number (C3 as C4), the next lower one, another one; or as no vertebra."""
MISSED_BELOW = 0.25
"""Share of a marked body that the most frequent vertebra has to cover: less is no vertebra there."""
_EIGHT = np.ones((3, 3), np.bool_)

Planes = npt.NDArray[np.bool_]
Points = npt.NDArray[np.float64]


def filled(points: Points, height: int, width: int) -> Planes:
    """Return the pixels in a polygon of (x, y), bool (height, width)."""
    picture = Image.new("1", (width, height))
    ImageDraw.Draw(picture).polygon([(float(x), float(y)) for x, y in points], fill=1)
    return np.asarray(picture)


def named(vertebrae: Planes, body: Planes) -> int | None:
    """Return the index of the vertebra with most pixels in a marked body; None if it covers too little.

    Args:
        vertebrae: bool (V, H, W), proposed masks from C1 down.
        body: bool (H, W), the marked body.
    """
    pixels = vertebrae[:, body].sum(axis=1)
    best = int(pixels.argmax())
    return best if pixels[best] > 0 and pixels[best] >= MISSED_BELOW * body.sum() else None


def outcome(found: int | None, level: int) -> str:
    """Return the outcome of naming a level, both counted from C1 down."""
    if found is None:
        return "missed"
    return {0: "right", 1: "one_high", -1: "one_low"}.get(found - level, "other")


@dataclass(frozen=True)
class Named:
    """One level on one view.

    Attributes:
        person: Film it is on.
        level: Key of the vertebra.
        outcome: One of OUTCOMES.
        groups: What the view belongs to, such as {"window": "tight"}.
    """

    person: str
    level: str
    outcome: str
    groups: Mapping[str, str]


def interval(values: npt.ArrayLike, counts: npt.ArrayLike, *, seed: int = 0) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of sum(values) / sum(counts), persons being drawn.

    Args:
        values: float64 (P,), sum of each person's values.
        counts: float64 (P,), number of them, not all 0.
        seed: Seed of the draws.
    """
    top, bottom = np.asarray(values, np.float64), np.asarray(counts, np.float64)
    draws = draw_counts(len(top), RESAMPLES, np.random.default_rng(seed))
    sums = draws @ bottom
    return middle_95((draws @ top)[sums > 0] / sums[sums > 0])


def shares(rows: Sequence[Named]) -> dict[str, Any]:
    """Return the share of each outcome, and the interval of the share named right over persons."""
    if not rows:
        return {"views": 0}
    persons = sorted({row.person for row in rows})
    right = [sum(row.outcome == "right" for row in rows if row.person == person) for person in persons]
    total = [sum(row.person == person for row in rows) for person in persons]
    return {
        "views": len(rows),
        "persons": len(persons),
        **{kind: round(sum(row.outcome == kind for row in rows) / len(rows), 4) for kind in OUTCOMES},
        "right_ci95": [round(v, 4) for v in interval(right, total)],
    }


def by_group(rows: Sequence[Named], levels: Iterable[str]) -> dict[str, Any]:
    """Return the shares of each level, over all views and by each group of views."""
    table: dict[str, Any] = {}
    for level in levels:
        of_level = [row for row in rows if row.level == level]
        table[level] = {"all": shares(of_level)}
        for group in sorted({name for row in of_level for name in row.groups}):
            kinds = list(dict.fromkeys(row.groups[group] for row in of_level))
            table[level][group] = {
                kind: shares([row for row in of_level if row.groups[group] == kind]) for kind in kinds
            }
    return table


def pieces(plane: Planes, least: float = 1.0) -> int:
    """Return the number of connected parts of a plane, bool (H, W), of at least so many pixels.

    Pixels that touch at a corner are connected, as in vfss.masks.morphology.keep_largest.
    """
    parts, n = ndimage.label(plane, structure=_EIGHT)
    return int((np.bincount(parts.ravel(), minlength=n + 1)[1:] >= least).sum())


def doubly_claimed(vertebrae: Planes) -> tuple[int, int]:
    """Return the number of pixels that two or more vertebrae claim, and that any claims, of bool (V, H, W)."""
    claims = vertebrae.sum(axis=0)
    return int((claims > 1).sum()), int((claims > 0).sum())
