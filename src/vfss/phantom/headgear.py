# SPDX-License-Identifier: Apache-2.0
"""Hair and tubes through the nose: what a head carries; millimetres as in `skull`."""

from __future__ import annotations

import numpy as np

from vfss.phantom.geometry import Points, ellipse, ribbon, smooth_open
from vfss.phantom.matter import Matter
from vfss.phantom.population import Person
from vfss.phantom.spine import Spine
from vfss.phantom.surroundings import Surroundings


def hair(around: Surroundings) -> list[Matter]:
    """Hair in a bun, a tail or loose over the nape: bundles of strands, at times with a pin."""
    rng = np.random.default_rng((around.seed, 404))
    dense = around.hair_density
    if around.hair == "short":
        return []
    if around.hair == "bun":
        x, y = rng.uniform((85, -110), (125, -10))
        bun = ellipse((x, y), (float(rng.uniform(18, 34)), float(rng.uniform(16, 28))), float(rng.uniform(0, 180)))
        out = [Matter(bun, dense, rim=0.3 * dense, blur=1)]
        spots = [(float(x), float(y), float(rng.uniform(6, 22))) for _ in range(10)]
        out += [
            Matter(ribbon(ellipse((a, c), (r, 0.8 * r))[int(rng.integers(8)) :], 0.8), 0.4 * dense, blur=1)
            for a, c, r in spots
        ]
        if rng.random() < 0.5:
            pin = np.array(((x, y), (x + rng.uniform(-25, 25), y + rng.uniform(-25, 25))))
            out.append(Matter(ribbon(pin, 0.7), 1.4))
        return out
    first = (96.0, -30.0) if around.hair == "tail" else (60.0, -10.0)
    spread = 7.0 if around.hair == "tail" else 22.0
    out = []
    for _ in range(14):
        start = np.array(first) + rng.normal(0, spread, 2)
        end = start + np.array((rng.normal(10, spread), rng.uniform(90, 190)))
        middle = 0.5 * (start + end) + rng.normal(0, 9, 2)
        strand = smooth_open(np.stack([start, middle, end]), 6)
        out.append(Matter(ribbon(strand, float(rng.uniform(1.0, 5.0))), 0.5 * dense, blur=1))
    if around.hair == "tail" and rng.random() < 0.5:
        out.append(Matter(ellipse(first, (7, 4), 70), 0.8 * dense + 0.1, rim=0.3))
    return out


def feeding_tube(person: Person, around: Surroundings, spine: Spine, head: Points) -> list[Matter]:
    """A tube or catheter from the nose to the oesophagus; `head` are its points in the nose, in the patient."""
    if around.tube not in ("feeding", "catheter"):
        return []
    rng = np.random.default_rng((person.seed, 305))
    levels = np.array((2.2, 3.2, 4.2, 5.2, 6.2, 7.5, 9.5))
    wall = np.interp(levels, (1, 4, 5, 7, 10), (5.0, 6.0, 9.5, 8.0, 9.0)) * person.prevertebral
    path = smooth_open(np.concatenate([head, spine.front(levels, wall + rng.normal(1.0, 1.0, 7))]))
    half, dense = float(rng.uniform(0.9, 2.2)), float(rng.uniform(0.1, 0.6))
    tube = Matter(ribbon(path, half), 0.4 * dense, rim=0.5 * dense, rim_mm=0.7)
    return [tube, *_beads(path, half, rng)] if around.tube == "catheter" else [tube]


def _beads(path: Points, half: float, rng: np.random.Generator) -> list[Matter]:
    """Sensors of metal along a catheter, or the weights of a feeding tube: all the way, or over some centimetres."""
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(path, axis=0).T))])
    step, dense = float(rng.choice((5.0, 10.0, 20.0))), float(rng.uniform(0.6, 2.5))
    first = 0.0 if rng.random() < 0.6 else float(rng.uniform(0.3, 0.7)) * along[-1]
    places = np.arange(first + 2.0, along[-1], step)[: int(rng.integers(4, 37))]
    size = (max(0.9, half), float(rng.uniform(0.8, 2.2)))
    out = []
    for place in places:
        x, y = (float(np.interp(place, along, path[:, i])) for i in (0, 1))
        ahead = [float(np.interp(place + 1.0, along, path[:, i])) for i in (0, 1)]
        out.append(Matter(ellipse((x, y), size, float(np.degrees(np.arctan2(ahead[0] - x, ahead[1] - y))), 12), dense))
    return out


NOSE_TO_PHARYNX = np.array(((-117.0, 20), (-108, 16), (-85, 18), (-50, 20), (-25, 20), (-14, 28)))
