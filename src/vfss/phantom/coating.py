# SPDX-License-Identifier: Apache-2.0
"""What contrast leaves on walls too thinly for anyone to paint it, and the air that is swallowed with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from vfss.phantom.course import Course
from vfss.phantom.geometry import Points, ellipse, ribbon
from vfss.phantom.motion import Moment

Shares = list[tuple[Points, float]]


def coating(truth: Mapping[str, Sequence[Points]], course: Course, now: Moment) -> Shares:
    """Streaks along pharynx, recesses and epiglottis with their share of the densest contrast."""
    if now.coating < 0.05:
        return []
    rng = np.random.default_rng((course.seed, 421))
    out: Shares = []
    walls = [*truth.get("pharynx", ())[:2], *truth.get("epiglottis", ())]
    for outline in walls:
        for _ in range(3):
            start, length = rng.random(), rng.uniform(0.05, 0.35)
            n = len(outline)
            piece = outline[[int((start + length * u) * n) % n for u in np.linspace(0, 1, 12)]]
            half, share = rng.uniform(0.25, 0.9), rng.uniform(0.1, 0.55)
            if rng.random() < now.coating and _unbroken(piece):
                taper = np.interp(np.linspace(0, 1, 12), (0, 0.3, 0.7, 1), (0.3, 1, 1, 0.3))
                out.append((ribbon(piece, half * taper), float(share * now.coating)))
    return out


def _unbroken(line: Points) -> bool:
    """Whether a piece of an outline goes along one wall, not around its end."""
    steps = np.diff(line, axis=0)
    long = np.hypot(steps[:, 0], steps[:, 1])
    whole = float(np.hypot(*(line[-1] - line[0])))
    return bool(long.max() < 12 and whole > 0.75 * long.sum() and whole > 2)


def bubbles(truth: Mapping[str, Sequence[Points]], course: Course) -> Shares:
    """Air inside what is swallowed: gaps in a solid, froth in a liquid; they lie in the bolus and move with it."""
    rng = np.random.default_rng((course.seed, 422))
    chance, small, large = {
        "thin": (0.25, 0.5, 2.0),
        "thick": (0.2, 0.6, 2.0),
        "pudding": (0.3, 0.6, 2.5),
        "solid": (0.9, 0.8, 3.5),
    }[course.consistency]
    out: Shares = []
    some = rng.random() < chance
    for outline in truth.get("bolus", ()):
        at, wide, high, share, has = rng.random(5)
        if not some or has > 0.6:
            continue
        low, top = outline.min(axis=0), outline.max(axis=0)
        room = float((top - low).min()) * 0.35
        centre = low + (top - low) * (0.35 + 0.3 * at)
        radii = (min(small + (large - small) * wide, room), min(small + (large - small) * high, room))
        if min(radii) > 0.4:
            out.append((ellipse((centre[0], centre[1]), radii, 180 * at, 10), float(0.7 * share)))
    return out
