# SPDX-License-Identifier: Apache-2.0
"""The cervical spine: seven vertebrae with body, arch and spinous process, and the line along their fronts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vfss.phantom.geometry import Points, ellipse, ribbon, smooth, smooth_open, turn
from vfss.phantom.matter import Matter
from vfss.phantom.population import LEVELS, Person

# Outlines in millimetres around the middle of the body: x towards the back, y down, upright spine.
_BODY = (
    (-7.0, -5.0),
    (-2, -5.6),
    (3, -7.2),
    (7.5, -8.4),
    (8.4, -2),
    (8, 5.4),
    (2, 6),
    (-3.5, 7.8),
    (-7.8, 10.4),
    (-9, 8),
    (-7.9, 1.5),
)
_ARCH = (
    (5, -8),
    (11, -4.5),
    (17, -2),
    (25, 0.8),
    (32, 5),
    (35.5, 9.5),
    (34, 13),
    (29, 11.8),
    (23.5, 8.6),
    (19.5, 11),
    (16, 14),
    (12, 10.5),
    (9.5, 5),
    (5, 2.5),
)
_AXIS_BODY = (
    (-5.2, -8.4),
    (0, -10.4),
    (6, -8.4),
    (11, -5.5),
    (10.5, 2.5),
    (8.5, 7),
    (1, 7.5),
    (-5, 10.3),
    (-9.8, 12),
    (-10.8, 7),
    (-7, 0),
)
_AXIS_ARCH = (
    (7, -7),
    (16, -1.2),
    (25, -4),
    (33, -1.8),
    (40.5, 4.5),
    (41.5, 12.5),
    (38, 17),
    (30.5, 14.6),
    (24.5, 16.6),
    (18, 15),
    (10.5, 7),
    (6, 4),
)
_ATLAS = (
    (-13.4, 2),
    (-11, -7.6),
    (-4, -10.8),
    (5.5, -9),
    (14, -3.6),
    (20, -0.8),
    (26.5, -4.4),
    (30.6, -3),
    (31.4, 3),
    (26, 6.8),
    (18, 3.4),
    (10.6, 9.8),
    (4, 10.4),
    (-3, 9),
    (-10, 8),
)
_LEVEL_NUMBERS = np.arange(1, LEVELS + 1, dtype=np.float64)


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


def stand(person: Person) -> Spine:
    """The spine of a person, the atlas at the origin."""
    steps = np.full(LEVELS - 1, person.pitch * person.neck)
    steps[0] *= 1.26
    steps[1] *= 1.08
    angle = np.deg2rad(np.array(person.tilts[: LEVELS - 1]))
    walk = np.stack([np.sin(angle), np.cos(angle)], axis=1) * steps[:, None]
    centres = np.concatenate([np.zeros((1, 2)), np.cumsum(walk, axis=0)])
    tilts = np.array(person.tilts)
    tilts[1:-1] = 0.5 * (tilts[:-2] + tilts[1:-1])
    tilts[0] = person.atlas_pitch
    halves = np.full(LEVELS, 7.4 * person.body_depth * person.neck)
    halves[0], halves[1] = 12.5 * person.neck, 6.2 * person.neck
    return Spine(centres, tilts, halves, person.pitch * person.neck)


def vertebra(person: Person, spine: Spine, level: int) -> tuple[list[Points], list[Matter]]:
    """Outlines (their union is the painted vertebra) and matter of one vertebra, 1 is C1."""
    rng = np.random.default_rng((person.seed, level))
    place = (spine.centres[level - 1], float(spine.tilts[level - 1]))
    if level == 1:
        return _atlas(person, place, rng)
    body = np.array(_AXIS_BODY if level == 2 else _BODY) * (person.body_depth, person.body_height) * person.neck
    arch = np.array(_AXIS_ARCH if level == 2 else _ARCH) * person.neck
    arch[:, 0] *= np.where(arch[:, 0] > 12, 1 + (person.spinous[level - 1] - 1) * (arch[:, 0] - 12) / 20, 1.0)
    if level >= 6:
        arch[:, 0] *= 1.06 + 0.05 * (level - 6)
    hang = person.droop[level - 1] + (0.0 if level < 6 else 4.0 - 5.0 * (level - 6))
    arch = turn(arch, -hang, (9.0, -1.0))
    if person.spurs and level > 2:
        body[8] += np.array((-0.7, 0.6)) * person.spurs * rng.random()
        body[0] += np.array((-0.6, -0.5)) * person.spurs * rng.random()
    body += rng.normal(0, 0.35, body.shape)
    arch += rng.normal(0, 0.5, arch.shape)
    outlines = [turn(smooth(shape), place[1]) + place[0] for shape in (body, arch)]
    return outlines, _vertebra_matter(person, place, outlines, arch, level)


def _vertebra_matter(
    person: Person, place: tuple[Points, float], outlines: list[Points], arch: Points, level: int
) -> list[Matter]:
    bone = person.bone
    centre, tilt = place

    def put(points: Points) -> Points:
        return turn(points, tilt) + centre

    pillar = ellipse((12.5 * person.neck, 1.5 * person.neck), (4.6 * person.neck, 8.6 * person.neck), 38)
    tip = smooth_open(arch[[2, 3, 4, 5]] * 0.5 + arch[[9, 8, 7, 6]] * 0.5)
    matter = [
        Matter(outlines[0], 0.22 * bone, rim=0.22 * bone, rim_mm=1.1),
        Matter(outlines[1], 0.10 * bone, rim=0.10 * bone, rim_mm=0.9),
        Matter(put(pillar), 0.14 * bone, rim=0.12 * bone, rim_mm=1.0),
        Matter(put(ribbon(tip, np.linspace(1.5, 2.6, len(tip)))), 0.12 * bone, blur=1),
    ]
    if level == 2:
        n = person.neck
        dens = smooth(np.array(((-4, -8), (-4.6, -16), (-4, -25), (-0.5, -28.5), (3.4, -25), (4, -16), (5, -8))) * n)
        matter.append(Matter(put(dens), 0.2 * bone, rim=0.22 * bone, rim_mm=1.1))
    return matter


def _atlas(person: Person, place: tuple[Points, float], rng: np.random.Generator) -> tuple[list[Points], list[Matter]]:
    centre, tilt = place
    n, bone = person.neck, person.bone
    outline = np.array(_ATLAS) * n
    outline += rng.normal(0, 0.5, outline.shape)

    def put(points: Points) -> Points:
        return turn(points, tilt) + centre

    whole = put(smooth(outline))
    arch = ellipse((-9.6 * n, 0.8 * n), (3.4 * n, 6.2 * n), -12)
    mass = smooth(np.array(((-6, -8), (4, -8.5), (9, -3), (8, 7), (0, 9), (-6, 6))) * n)
    rear = ribbon(smooth_open(np.array(((8, -2), (15, 0), (21, 1), (27, 0.6))) * n), np.full(16, 2.1 * n))
    tubercle = ellipse((28 * n, 0.4 * n), (3.2 * n, 4.6 * n), 20)
    matter = [
        Matter(whole, 0.06 * bone, rim=0.05 * bone, rim_mm=1.0, blur=1),
        Matter(put(arch), 0.26 * bone, rim=0.3 * bone, rim_mm=1.1),
        Matter(put(mass), 0.16 * bone, rim=0.1 * bone, rim_mm=1.0),
        Matter(put(rear), 0.12 * bone, rim=0.14 * bone, rim_mm=0.9),
        Matter(put(tubercle), 0.16 * bone, rim=0.24 * bone, rim_mm=1.0),
    ]
    return [whole], matter
