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


@dataclass(frozen=True)
class Corners:
    """The lower front corners of C2 and C4 on one view on which people marked both.

    Attributes:
        person: Film it is on.
        errors: Distance of the found corner from the marked one, in marked C2-C4 lengths, by level; those found.
        length: Found C2-C4 length as a share of the marked one; None unless both were found.
        right: Whether all levels on the view are named right.
        groups: What the view belongs to.
    """

    person: str
    errors: Mapping[str, float]
    length: float | None
    right: bool
    groups: Mapping[str, str]


def corner_table(rows: Sequence[Corners], levels: Iterable[str]) -> dict[str, Any]:
    """Return errors of corners and lengths, on all views and on those with all levels named right."""
    return {
        "all": _corner_figures(rows, levels),
        "levels_right": _corner_figures([row for row in rows if row.right], levels),
    }


def _corner_figures(rows: Sequence[Corners], levels: Iterable[str]) -> dict[str, Any]:
    figures: dict[str, Any] = {"views": len(rows), "persons": len({row.person for row in rows})}
    for level in levels:
        pairs = [(row.person, row.errors[level]) for row in rows if level in row.errors]
        figures[level] = {"found": len(pairs), **_spread(pairs)}
    lengths = [(row.person, row.length) for row in rows if row.length is not None]
    figures["length"] = {"found": len(lengths), **_spread(lengths)}
    return figures


def _spread(pairs: Sequence[tuple[str, float]]) -> dict[str, Any]:
    """Return mean with its interval over persons, and median, of values of persons."""
    if not pairs:
        return {}
    persons = sorted({person for person, _ in pairs})
    sums = [sum(value for person, value in pairs if person == one) for one in persons]
    counts = [sum(person == one for person, _ in pairs) for one in persons]
    values = [value for _, value in pairs]
    return {
        "mean": round(float(np.mean(values)), 4),
        "mean_ci95": [round(v, 4) for v in interval(sums, counts)],
        "median": round(float(np.median(values)), 4),
    }


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
