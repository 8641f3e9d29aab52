# SPDX-License-Identifier: Apache-2.0
"""What lies below and behind the neck: shoulders, their bones, ribs, nape, clothes, chair."""

from __future__ import annotations

import numpy as np

from vfss.phantom.geometry import Points, ellipse, ribbon, smooth, smooth_open, turn
from vfss.phantom.matter import Matter
from vfss.phantom.population import Person
from vfss.phantom.spine import Spine
from vfss.phantom.surroundings import Surroundings

# The upper edge of a shoulder around its pivot before the spine, from behind forwards.
_ROUND = ((330, 60), (200, 22), (110, 2), (60, -3), (25, 0), (0, 6), (-22, 19), (-45, 42), (-75, 82), (-120, 160))
_SLOPING = (
    (330, -60),
    (200, -38),
    (110, -22),
    (60, -10),
    (25, 0),
    (0, 10),
    (-22, 24),
    (-45, 42),
    (-75, 70),
    (-120, 115),
)
_PENUMBRA = ((0.0, 0.45), (5.0, 0.3), (12.0, 0.25))  # millimetres inside the edge, share of the density reached there

Layers = list[tuple[Points, float]]


def shoulders(person: Person, around: Surroundings, spine: Spine) -> tuple[Layers, list[Matter]]:
    """Near and far shoulder, thicker inwards from their edge, and the bones in them."""
    rng = np.random.default_rng((person.seed, 300))
    level, slope = person.shoulder
    layers: Layers = []
    matter: list[Matter] = []
    for side in range(2):
        shift = np.array((around.arms * side, 0.0))
        pivot = spine.front(level + side * rng.uniform(0.1, 0.9), 0.0) + shift
        mix = around.shoulder_shape
        edge = mix * np.array(_ROUND, np.float64) + (1 - mix) * np.array(_SLOPING, np.float64)
        edge[:, 1] += rng.normal(0, 2.5, len(edge))
        edge = turn(edge, slope) + pivot
        density = person.shoulder_density * (0.65 if side == 0 else 0.5)
        for inside, share in _PENUMBRA:
            below = edge + np.array((0.0, inside))
            outline = np.concatenate([below, [below[-1] + (0, 300), below[0] + (60, 400)]])
            layers.append((smooth(outline, 4), density * share))
        matter += _shoulder_bones(person, pivot, slope, rng)
    return layers, matter


def _shoulder_bones(person: Person, pivot: Points, slope: float, rng: np.random.Generator) -> list[Matter]:
    b = person.bone

    def put(points: object) -> Points:
        p = np.array(points, np.float64)
        return turn(p + rng.normal(0, 2.5, p.shape), slope) + pivot

    clavicle = smooth_open(put(((-30, 46), (-5, 38), (25, 22), (55, 16), (85, 18))))
    blade = smooth_open(put(((62, 22), (95, 40), (120, 75), (132, 130))))
    spot = put(((52.0, 42.0),))[0]
    out = [
        Matter(ribbon(clavicle, float(rng.uniform(3.5, 6.5))), 0.12 * b, rim=0.14 * b, rim_mm=1.4, blur=1),
        Matter(ribbon(blade, float(rng.uniform(1.5, 4.0))), 0.14 * b, blur=1),
        Matter(ellipse((spot[0], spot[1]), (22, 24)), 0.14 * b, rim=0.14 * b, rim_mm=2.0, blur=1),
    ]
    for i in range(3):
        rib = smooth_open(put(((26, 20 + 22 * i), (38, 26 + 24 * i), (10, 44 + 26 * i), (-35, 66 + 30 * i))))
        out.append(Matter(ribbon(rib, float(rng.uniform(3, 5))), 0.07 * b, rim=0.08 * b, rim_mm=1.2, blur=1))
    return out


def ribs(person: Person, spine: Spine) -> list[Matter]:
    """The first two ribs of both sides: from T1 and T2 back to their angle, then forward and down to the breastbone."""
    rng = np.random.default_rng((person.seed, 305))
    dense = person.bone * rng.uniform(0.04, 0.16)
    out = []
    for level in (8, 9):
        centre, tilt = spine.centres[level - 1], float(spine.tilts[level - 1])
        course = np.array(((6, -3), (14, -7), (22, -2), (16, 8), (-8, 22), (-32, 34), (-52, 42)), np.float64)
        course[3:] *= 1.0 if level == 8 else 1.25
        for side in (-0.5, 0.5):
            shift = side * np.array(person.double) + rng.normal(0, 1.5, 2)
            axis = turn(course + rng.normal(0, 1.2, course.shape), tilt) * person.neck + centre + shift
            half = float(rng.uniform(2.2, 4.2))
            out.append(Matter(ribbon(smooth_open(axis, 4), half), 0.5 * dense, rim=dense, rim_mm=1.2, blur=1))
    return out


def nape(person: Person, around: Surroundings, spine: Spine, back: Points) -> list[Matter]:
    """Layers of muscle and fat under the skin of the back (open line, upwards), folds of skin, strands of trapezius."""
    rng = np.random.default_rng((person.seed, 301))
    out = []
    inward = np.array((-1.0, 0.0))
    for depth in np.cumsum(rng.uniform(7, 16, 4)):
        layer = smooth_open(back + inward * depth + rng.normal(0, 1.5, back.shape))
        fat = float(rng.uniform(-0.12, 0.06))
        out.append(Matter(ribbon(layer, float(rng.uniform(1.5, 5.0))), fat, blur=2))
    levels = np.array((3.0, 4.5, 6.0, 7.5, 9.0))
    for _ in range(2):
        depth = -rng.uniform(18, 55) * person.neck
        strand = spine.front(levels, depth - rng.uniform(0, 25) * np.linspace(0, 1, 5))
        out.append(
            Matter(ribbon(smooth_open(strand), float(rng.uniform(2, 7))), float(rng.uniform(-0.05, 0.1)), blur=2)
        )
    for _ in range(around.folds):
        at = back[int(rng.integers(1, len(back) - 1))]
        length, drop = rng.uniform(12, 40), rng.uniform(-6, 14)
        fold = np.stack([at, at + np.array((-0.5 * length, 0.6 * drop)), at + np.array((-length, drop))])
        out.append(
            Matter(ribbon(smooth_open(fold), float(rng.uniform(0.8, 2.5))), float(rng.uniform(0.05, 0.2)), blur=1)
        )
    return out


def prevertebral(person: Person, spine: Spine) -> list[Matter]:
    """Soft tissue before the spine, and the collapsed oesophagus below the larynx."""
    rng = np.random.default_rng((person.seed, 302))
    levels = np.linspace(1.6, 10.0, 9)
    depth = np.interp(levels, (1.6, 4.0, 5.2, 10.0), (4.0, 5.0, 11.0, 14.0)) * person.prevertebral
    front, rear = spine.front(levels, depth), spine.front(levels, -2.0)
    band = Matter(np.concatenate([front, rear[::-1]]), float(rng.uniform(0, 0.12)), blur=2)
    gullet = smooth_open(spine.front(levels[4:], 0.6 * depth[4:]))
    return [band, Matter(ribbon(gullet, 3.5), float(rng.uniform(-0.06, 0.08)), blur=2)]


def furniture(person: Person, around: Surroundings, spine: Spine) -> list[Matter]:
    """Chair, clothes, tubes in the neck: whatever does not move with the head."""
    rng = np.random.default_rng((person.seed, 303))
    out: list[Matter] = []
    behind = spine.front(3.0, -float(rng.uniform(95, 150)))
    if around.chair == "rest":
        pad = np.array(((0, -120), (22, -118), (26, 0), (22, 140), (0, 142), (-8, 20)))
        out.append(
            Matter(smooth(turn(pad, rng.uniform(-20, 15)) + behind), float(rng.uniform(0.05, 0.3)), rim=0.1, rim_mm=2)
        )
    if around.chair == "pole":
        x = behind + np.array((rng.uniform(-20, 60), 0.0))
        pole = np.array(((0.0, -300.0), (rng.uniform(-40, 40), 300.0))) + x
        out.append(Matter(ribbon(pole, float(rng.uniform(3, 9))), float(rng.uniform(0.3, 1.2)), rim=0.3, rim_mm=1.2))
    for _ in range(around.clothes):
        start = spine.front(float(rng.uniform(6.5, 9.5)), float(rng.uniform(-70, 30)))
        step = rng.normal((rng.choice((-18.0, 18.0)), 8.0), 6.0, (5, 2))
        hem = smooth_open(start + np.cumsum(step, axis=0))
        out.append(
            Matter(
                ribbon(hem, float(rng.uniform(0.5, 2.0))), float(rng.uniform(0.1, 0.9)), blur=int(rng.integers(0, 2))
            )
        )
    if around.tube == "tracheostomy":
        out += _cannula(person, spine, rng)
    return out


def _cannula(person: Person, spine: Spine, rng: np.random.Generator) -> list[Matter]:
    level = float(rng.uniform(6.6, 7.6))
    bend = spine.front((level - 0.1, level, level + 0.35, level + 1.6), np.array((58.0, 36, 22, 18)) * person.neck)
    plate = spine.front((level - 1.0, level - 0.1, level + 0.8), np.array((56.0, 57, 56)) * person.neck)
    dense = float(rng.uniform(0.1, 0.7))
    return [
        Matter(ribbon(smooth_open(bend), 4.8), 0.3 * dense, rim=dense, rim_mm=1.2),
        Matter(ribbon(smooth_open(plate), 1.5), dense),
    ]
