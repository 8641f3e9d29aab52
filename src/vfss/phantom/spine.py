# SPDX-License-Identifier: Apache-2.0
"""The cervical spine: seven vertebrae with body, arch and spinous process, and the line along their fronts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vfss.phantom.geometry import Points, ellipse, ribbon, smooth, smooth_open, turn
from vfss.phantom.matter import Matter
from vfss.phantom.population import LEVELS, Person
from vfss.phantom.vertebrae import arch, arch_line, atlas, body

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


def vertebra(person: Person, spine: Spine, level: int) -> tuple[list[Points], list[Matter]]:
    """Outlines (their union is the painted vertebra) and matter of one vertebra, 1 is C1."""
    outlines = bones(person, spine, level)
    if level == 1:
        return outlines, _atlas_matter(person, spine, outlines)
    return outlines, _vertebra_matter(person, spine, outlines, level)


def _vertebra_matter(person: Person, spine: Spine, outlines: list[Points], level: int) -> list[Matter]:
    bone, n = person.bone, person.neck
    shape = person.vertebrae[level - 2]

    def put(points: Points) -> Points:
        tilt = float(spine.tilts[level - 1]) + shape.lean
        return np.asarray(turn(points * n, tilt) + spine.centres[level - 1])

    behind = 0.5 * shape.depth
    pillar = ellipse((behind + 4.5, 0.3 * shape.facet_y - 2.4), (4.6, 0.62 * shape.facet_y + 0.5), 38)
    line = smooth_open(arch_line(shape, (0.5, 0.7, 0.9, 1.0)))
    matter = [
        Matter(outlines[0], 0.22 * bone, rim=0.22 * bone, rim_mm=1.1),
        Matter(outlines[1], 0.10 * bone, rim=0.10 * bone, rim_mm=0.9),
        Matter(put(pillar), 0.14 * bone, rim=0.12 * bone, rim_mm=1.0),
        Matter(
            put(ribbon(line, np.linspace(0.2, 0.3, len(line)) * shape.thick_middle)),
            0.12 * bone,
            blur=1,
        ),
    ]
    if level == 2:
        top = -0.4 * shape.front - shape.dome
        dens = ((-4, 2), (-4.6, -6), (-4, -15), (-0.5, -18.5), (3.4, -15), (4, -6), (5, 2))
        matter.append(
            Matter(
                put(smooth(np.array(dens, np.float64) + np.array((0.0, top)))), 0.2 * bone, rim=0.22 * bone, rim_mm=1.1
            )
        )
    return matter


def _atlas_matter(person: Person, spine: Spine, outlines: list[Points]) -> list[Matter]:
    n, bone, shape = person.neck, person.bone, person.atlas

    def put(points: Points) -> Points:
        return np.asarray(turn(points * n, float(spine.tilts[0])) + spine.centres[0])

    front, rear = shape.front, shape.rear
    arch_front = ellipse((3.4 - front, 0.8 + 0.5 * shape.nose), (3.4, 0.65 * shape.above), -12)
    mass = smooth(np.array(((-6, -8), (4, -8.5), (0.65 * rear, -3), (0.6 * rear, 7), (0, 9), (-6, 6))))
    bridge = smooth_open(np.array(((0.5 * rear, 0.5 * shape.sag), (rear + 2, shape.sag), (shape.length, shape.sag))))
    tubercle = ellipse((shape.length, shape.sag - shape.rise), (0.8 * shape.knob_width, 0.85 * shape.knob), 20)
    return [
        Matter(outlines[0], 0.06 * bone, rim=0.05 * bone, rim_mm=1.0, blur=1),
        Matter(put(arch_front), 0.26 * bone, rim=0.3 * bone, rim_mm=1.1),
        Matter(put(mass), 0.16 * bone, rim=0.1 * bone, rim_mm=1.0),
        Matter(put(ribbon(bridge, 0.4 * shape.bridge)), 0.12 * bone, rim=0.14 * bone, rim_mm=0.9),
        Matter(put(tubercle), 0.16 * bone, rim=0.24 * bone, rim_mm=1.0),
    ]
