# SPDX-License-Identifier: Apache-2.0
"""The cervical spine: seven vertebrae with body, arch and spinous process, and the line along their fronts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

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


def vertebra(person: Person, spine: Spine, level: int) -> tuple[list[Points], list[Matter]]:
    """Outlines (their union is the painted vertebra) and matter of one vertebra, 1 is C1."""
    outlines = bones(person, spine, level)
    if level == 1:
        return outlines, _atlas_matter(person, spine, outlines)
    return outlines, _vertebra_matter(person, spine, outlines, level)


def _vertebra_matter(person: Person, spine: Spine, outlines: list[Points], level: int) -> list[Matter]:
    """Pale slabs with end plates as lines: how much of the cortex shows differs from film to film."""
    shape, n = person.vertebrae[level - 2], person.neck
    rng = np.random.default_rng((person.seed, 500))
    slab, plates, cortex, tongue = person.bone * rng.uniform((0.05, 0.06, 0.0, 0.02), (0.22, 0.3, 0.2, 0.11))
    each = np.random.default_rng((person.seed, 500, level)).uniform(0.7, 1.3, 4)

    def put(points: Points) -> Points:
        tilt = float(spine.tilts[level - 1]) + shape.lean
        return np.asarray(turn(points * n, tilt) + spine.centres[level - 1])

    line = put(smooth_open(arch_line(shape, (0.3, 0.5, 0.7, 0.85))))
    upper, lower = outlines[0][1:16], outlines[0][26:40]
    process = ribbon(line, np.linspace(0.36, 0.3, len(line)) * shape.thick_middle * n)
    matter = [
        Matter(outlines[0], slab * each[0], rim=cortex, rim_mm=1.1),
        Matter(outlines[1], 0.7 * tongue * each[1], rim=0.5 * cortex * each[1], rim_mm=0.9, blur=1),
        Matter(process, 0.6 * tongue * each[2], blur=2),
        Matter(ribbon(upper, 0.7), plates * each[2]),
        Matter(ribbon(lower, 0.7), plates * each[3]),
    ]
    if level == 2:
        matter += _axis_matter(person, put)
    return matter


def _axis_matter(person: Person, put: Callable[[Points], Points]) -> list[Matter]:
    """The dens, and the ring that the axis shows from the side."""
    shape, bone = person.vertebrae[0], person.bone
    rng = np.random.default_rng((person.seed, 501))
    top = -0.4 * shape.front - shape.dome
    dens = np.array(((-4, 2), (-4.6, -6), (-4, -15), (-0.5, -18.5), (3.4, -15), (4, -6), (5, 2)), np.float64)
    ring = ellipse((0.8, -1.0), (0.42 * shape.depth, 0.38 * shape.front), 20)
    dark = bone * rng.uniform((0.06, 0.02), (0.22, 0.24))
    return [
        Matter(put(smooth(dens + np.array((0.0, top)))), 0.8 * dark[0], rim=dark[0], rim_mm=1.1, blur=1),
        Matter(put(ring), 0.0, rim=dark[1], rim_mm=1.3),
    ]


def _atlas_matter(person: Person, spine: Spine, outlines: list[Points]) -> list[Matter]:
    """A dark oval in front, a knob behind, and between them a mass over the dens and a thin bar that hardly show."""
    n, shape = person.neck, person.atlas
    rng = np.random.default_rng((person.seed, 502))
    low, high = (0.01, 0.1, 0.03, 0.02, 0.04), (0.08, 0.28, 0.16, 0.14, 0.2)
    veil, front_arch, lateral, bar, knob = person.bone * rng.uniform(low, high)

    def put(points: Points) -> Points:
        return np.asarray(turn(points * n, float(spine.tilts[0])) + spine.centres[0])

    front, rear = shape.front, shape.rear
    oval = ellipse((3.4 - front, 0.8 + 0.5 * shape.nose), (3.4, 0.65 * shape.above), -12)
    mass = smooth(np.array(((-6, -8), (4, -8.5), (0.65 * rear, -3), (0.6 * rear, 7), (0, 9), (-6, 6))))
    bridge = smooth_open(np.array(((0.5 * rear, 0.5 * shape.sag), (rear + 2, shape.sag), (shape.length, shape.sag))))
    tubercle = ellipse((shape.length, shape.sag - shape.rise), (0.8 * shape.knob_width, 0.85 * shape.knob), 20)
    return [
        Matter(outlines[0], veil, rim=0.5 * veil, rim_mm=1.0, blur=1),
        Matter(put(oval), front_arch, rim=front_arch, rim_mm=1.1),
        Matter(put(mass), lateral, rim=0.6 * lateral, rim_mm=1.0, blur=1),
        Matter(put(ribbon(bridge, 0.4 * shape.bridge)), bar, rim=bar, rim_mm=0.9, blur=1),
        Matter(put(tubercle), 0.7 * knob, rim=1.3 * knob, rim_mm=1.0),
    ]
