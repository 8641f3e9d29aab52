# SPDX-License-Identifier: Apache-2.0
"""What a vertebra adds to a film: body and end plates, lamina and process, the dens in its ring, arches of the atlas.

How much of it shows differs from film to film, from rectangles with clear discs to a band without edges; the joints
beside the bodies are drawn by `pillars`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vfss.phantom.geometry import Points, ellipse, ribbon, smooth, smooth_open, turn
from vfss.phantom.matter import Matter
from vfss.phantom.population import Person
from vfss.phantom.proportions import Atlas, Vertebra
from vfss.phantom.spine import Spine
from vfss.phantom.vertebrae import arch_line

Put = Callable[[Points], Points]
_PER = 5  # points of an outline between two control points of `vertebrae.body`
_SEAMS = 0.4  # share of persons in whom a line shows where the dens has grown on
_CRISP = 0.6  # share of persons whose vertebrae stand square to the beam


@dataclass(frozen=True)
class _Look:
    """How dense the parts of all vertebrae of one person are, nepers, and how sharp their edges."""

    slab: float
    plates: float
    cortex: float
    lamina: float
    process: float
    blur: int


def _look(person: Person) -> _Look:
    rng = np.random.default_rng((person.seed, 500))
    crisp = bool(rng.random() < _CRISP)
    low = (0.1, 0.04, 0.05, 0.05, 0.04) if crisp else (0.06, 0.01, 0.02, 0.02, 0.02)
    high = (0.32, 0.24, 0.2, 0.22, 0.15) if crisp else (0.22, 0.16, 0.12, 0.16, 0.1)
    slab, plates, cortex, lamina, process = person.bone * rng.uniform(low, high)
    return _Look(slab, plates, cortex, lamina, process, blur=0 if crisp else 1)


def vertebra_matter(person: Person, spine: Spine, outlines: list[Points], level: int) -> list[Matter]:
    """Matter of a vertebra, 1 is C1, with the outlines that `spine.bones` gives of it."""
    lean = person.vertebrae[level - 2].lean if level > 1 else 0.0
    tilt, centre = float(spine.tilts[level - 1]) + lean, spine.centres[level - 1]

    def put(points: Points) -> Points:
        return np.asarray(turn(points * person.neck, tilt) + centre)

    if level == 1:
        return _atlas(person, outlines, put)
    look = _look(person)
    each = np.random.default_rng((person.seed, 500, level)).uniform(0.7, 1.3, 5)
    shape = person.vertebrae[level - 2]
    slab = outlines[0]
    if level == 2:
        slab = put(_tapered(np.asarray(turn(slab - centre, -tilt) / person.neck), shape, person.seed))
    upper, lower = slab[1 : 3 * _PER + 1], slab[5 * _PER + 1 : 8 * _PER]
    sides = np.concatenate([slab[3 * _PER :], slab[:1]])
    matter = [
        Matter(slab, look.slab * each[0]),
        Matter(ribbon(sides, 0.55), look.cortex, blur=look.blur),
        # The dens goes on where other bodies end.
        Matter(ribbon(upper, 0.6), look.plates * each[2] * (0.1 if level == 2 else 1.0), blur=look.blur),
        Matter(ribbon(lower, 0.6), look.plates * each[3], blur=look.blur),
        # Those of the chest lie under the shoulder.
        *_arch(shape, look, each, outlines[1], put)[: 3 if level < 9 else 1],
    ]
    if level == 2:
        matter += _axis(person, spine, put)
    return matter


def _tapered(body: Points, shape: Vertebra, seed: int) -> Points:
    """The body of the axis as it stands in the beam: it narrows towards the dens, which goes on where others end.

    Args:
        body: Its outline, upright around its middle, millimetres.
        shape: Its proportions.
        seed: Of the person: how much it narrows.
    """
    narrow = np.random.default_rng((seed, 503)).uniform(0.1, 0.5)
    share = np.clip(-body[:, 1] / (0.4 * shape.front) + 0.25, 0, 1.25)
    out = body.copy()
    out[:, 0] *= 1 - narrow * share
    return out


def _arch(shape: Vertebra, look: _Look, each: Points, outline: Points, put: Put) -> list[Matter]:
    """Laminae up to the line in which they meet, and the thinner process behind it."""
    ends = shape.facet - 0.2, shape.facet + 0.22
    line = smooth_open(arch_line(shape, (ends[0], shape.facet, ends[1])))
    half = 0.5 * np.interp(np.linspace(ends[0], ends[1], len(line)), (0, 0.5, 0.9), _thickness(shape))
    laminae = ribbon(put(line), np.maximum(half - 0.7, 1.0))
    meet, off = line[-1], np.array((-(line[-1] - line[-2])[1], (line[-1] - line[-2])[0]))
    off = off / np.hypot(*off) * (half[-1] - 1.6)
    front = smooth_open(np.stack([meet - off, meet + np.array((-1.8, 0.0)), meet + off]))
    return [
        Matter(outline, look.process * each[1], rim=0.7 * look.cortex * each[1], rim_mm=0.9, blur=look.blur),
        Matter(laminae, look.lamina * each[4], blur=1),
        Matter(put(ribbon(front, 0.7)), (look.lamina + look.cortex) * 0.45 * each[4], blur=1),
    ]


def _thickness(shape: Vertebra) -> tuple[float, float, float]:
    return shape.thick_root, shape.thick_middle, shape.thick_tip


def _axis(person: Person, spine: Spine, put: Put) -> list[Matter]:
    """The dens within the ring of the atlas, and the ring that the axis shows from the side (Harris)."""
    shape, bone = person.vertebrae[0], person.bone
    rng = np.random.default_rng((person.seed, 501))
    inside, edge, ring, open_share = rng.uniform((0.06, 0.05, 0.03, 0.0), (0.3, 0.3, 0.28, 0.4))
    base = put(np.array(((-0.6, 0.25 * shape.front), (-0.2, -0.4 * shape.front))))
    tip = _in_atlas(person, spine, np.array(((_dens_x(person.atlas), -1.05 * person.atlas.above),)))
    line = smooth_open(np.concatenate([base, 0.5 * (base[1:] + tip), tip]), 6)
    half = np.interp(np.linspace(0, 1, len(line)), (0, 0.35, 0.6, 0.85, 0.95, 1), (5.0, 4.9, 4.4, 4.6, 3.6, 1.6))
    dens = ribbon(line, half * person.neck)
    turns = np.linspace(0, 2 * np.pi * (1 - open_share), 20) + np.pi * (0.75 + open_share)
    # The ring lies in the upper part of the body, of which a plain rectangle is left below it.
    wide, high, ahead, up = rng.uniform((0.3, 0.22, -0.5, 0.0), (0.44, 0.38, 2.0, 0.26))
    radii = np.array((wide * shape.depth, high * shape.front))
    circle = np.stack([np.cos(turns), np.sin(turns)], axis=1) * radii + np.array((ahead, -up * shape.front))
    blur = int(rng.integers(0, 2))
    # Between dens and body a gap closes at about six years, and a pale line stays in many.
    seam = put(np.array(((-0.42 * shape.depth, -0.3 * shape.front), (0.42 * shape.depth, -0.36 * shape.front))))
    pale = float(rng.uniform(0.05, 0.25)) if rng.random() < _SEAMS else 0.0
    return [
        Matter(ribbon(seam, float(rng.uniform(0.4, 0.9))), -pale * bone, blur=1),
        Matter(dens, inside * bone, rim=edge * bone, rim_mm=1.0, blur=blur),
        Matter(put(ribbon(circle, 0.65)), ring * bone, blur=blur),
    ]


def _dens_x(shape: Atlas) -> float:
    """Middle of the dens behind the anterior arch and the joint between them."""
    return -shape.front + 6.6 + 1.4 + 4.4


def _in_atlas(person: Person, spine: Spine, points: Points) -> Points:
    return np.asarray(turn(points * person.neck, float(spine.tilts[0])) + spine.centres[0])


def _atlas(person: Person, outlines: list[Points], put: Put) -> list[Matter]:
    """A dense bead in front, the lateral masses over the dens, a thin bar that hardly shows, and the knob behind."""
    n, shape, bone = person.neck, person.atlas, person.bone
    rng = np.random.default_rng((person.seed, 502))
    low, high = (0.0, 0.14, 0.05, 0.06, 0.08, 0.04), (0.05, 0.4, 0.3, 0.22, 0.3, 0.2)
    veil, front_arch, lateral, bar, knob, joint = bone * rng.uniform(low, high)
    blur, shift = int(rng.integers(0, 2)), rng.uniform((-1.2, -0.8), (1.2, 0.8))
    front, rear = shape.front, shape.rear
    bead = ellipse((3.3 - front, 0.6 + 0.5 * shape.nose), (3.2, 0.64 * shape.above), -10)
    gap = smooth_open(np.array(((7.2 - front, -5.0), (7.4 - front, 0.0), (7.2 - front, 5.0))))
    mass = np.array(((-5, -6.5), (-1, -5.5), (4, -8.5), (0.7 * rear, -4), (0.62 * rear, 6), (3, 9.5), (-4, 7)))
    bridge = smooth_open(
        np.array(((0.45 * rear, 0.3 * shape.sag - 1.0), (rear + 1, shape.sag + 0.4), (shape.length, shape.sag)))
    )
    thick = np.interp(np.linspace(0, 1, len(bridge)), (0, 0.3, 0.7, 1), (4.2, 2.4, 2.2, 2.8)) * shape.bridge / 5.4
    tubercle = ellipse((shape.length, shape.sag - shape.rise), (0.9 * shape.knob_width, 0.95 * shape.knob), 20)
    out = [
        Matter(outlines[0], veil, blur=1),
        Matter(put(bead), front_arch, rim=0.6 * front_arch, rim_mm=1.1, blur=blur),
        Matter(put(ribbon(gap, 0.6)), -joint, blur=1),
        Matter(put(ribbon(bridge, thick)), 0.8 * bar, rim=bar, rim_mm=0.9 * n, blur=blur),
        Matter(put(tubercle), 0.5 * knob, rim=knob, rim_mm=1.1, blur=blur),
    ]
    # Left and right lie beside each other by the turn of the head.
    for side in (-1.0, 1.0):
        outline = put(smooth(mass + side * shift, 4))
        out.append(Matter(outline, 0.5 * lateral, rim=0.4 * lateral, rim_mm=1.0, blur=1))
    return out
