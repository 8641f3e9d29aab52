# SPDX-License-Identifier: Apache-2.0
"""The cervical spine: seven vertebrae with body, arch and spinous process, and the line along their fronts."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from vfss.phantom.geometry import Points, smooth, turn
from vfss.phantom.population import LEVELS, Person
from vfss.phantom.vertebrae import arch, atlas, body

_LEVEL_NUMBERS = np.arange(1, LEVELS + 1, dtype=np.float64)
_BODY_MIDDLE = -0.6  # where the middle of the body lies before that of its outline, millimetres


@dataclass(frozen=True)
class Spine:
    """Where the vertebrae stand.

    Attributes:
        centres: Middle of every vertebra, float64 (LEVELS, 2), millimetres.
        tilts: Their turn in degrees, float64 (LEVELS,).
        halves: Distance from the middle to the front, float64 (LEVELS,), millimetres.
        pitch: Millimetres per level.
    """

    centres: Points
    tilts: npt.NDArray[np.float64]
    halves: npt.NDArray[np.float64]
    pitch: float

    def front(self, level: npt.ArrayLike, depth: npt.ArrayLike) -> Points:
        """Points so far before the front of the spine at (fractional) levels, C1 is 1, float64 (N, 2)."""
        levels, depths = np.broadcast_arrays(np.asarray(level, np.float64), np.asarray(depth, np.float64))
        x = np.interp(levels, _LEVEL_NUMBERS, self.centres[:, 0])
        y = np.interp(levels, _LEVEL_NUMBERS, self.centres[:, 1])
        angle = np.deg2rad(np.interp(levels, _LEVEL_NUMBERS, self.tilts))
        reach = np.interp(levels, _LEVEL_NUMBERS, self.halves) + depths
        return np.stack([x - np.cos(angle) * reach, y + np.sin(angle) * reach], axis=-1)


def stand(person: Person, bend: float = 0.0, nod: float = 0.0) -> Spine:
    """The spine of a person, the atlas at the origin.

    Args:
        person: The anatomy.
        bend: Curve of the neck at that time beyond that at rest, degrees per level; positive straightens a lordosis.
        nod: Turn of the atlas beyond that at rest, degrees, positive lowers its front.
    """
    steps = np.array(person.spacing) * person.pitch * person.neck
    bent = np.array(person.tilts) - bend * (np.minimum(np.arange(LEVELS), 7) - 3.5)
    angle = np.deg2rad(bent[: LEVELS - 1])
    walk = np.stack([np.sin(angle), np.cos(angle)], axis=1) * steps[:, None]
    centres = np.concatenate([np.zeros((1, 2)), np.cumsum(walk, axis=0)])
    tilts = bent.copy()
    tilts[1:-1] = 0.5 * (bent[:-2] + bent[1:-1])
    tilts[0] = person.atlas_pitch + nod
    depths = np.array([12.5, *(0.5 * v.depth + _BODY_MIDDLE for v in person.vertebrae)])
    return Spine(centres, tilts, depths * person.neck, person.pitch * person.neck)


def bones(person: Person, spine: Spine, level: int) -> list[Points]:
    """Outlines of a vertebra, 1 is C1; their union is what is painted."""
    tilt = float(spine.tilts[level - 1])
    if level == 1:
        parts = atlas(person.atlas)
    else:
        shape = person.vertebrae[level - 2]
        if level == 7:
            shape = replace(shape, length=shape.length * person.shown)
        rng = np.random.default_rng((person.seed, level))
        rough = person.rough * rng.normal(0, 1, (2, 16, 2))
        front, rear = _worn(body(shape), person.spurs * rng.random(3), level), arch(shape)
        parts = [smooth(front + 0.35 * rough[0, : len(front)]), smooth(rear + 0.45 * rough[1, : len(rear)])]
        tilt += shape.lean
    return [turn(part * person.neck, tilt) + spine.centres[level - 1] for part in parts]


def _worn(points: Points, spurs: npt.NDArray[np.float64], level: int) -> Points:
    """A body with osteophytes: its front corners drawn out; C2 has none above."""
    points[8] += np.array((-0.7, 0.6)) * spurs[0]
    points[9] += np.array((-0.7, 0.2)) * spurs[0]
    if level > 2:
        points[0] += np.array((-0.8, -0.5)) * spurs[1]
        points[5] += np.array((0.4, 0.3)) * spurs[2]
    return points
