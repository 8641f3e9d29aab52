# SPDX-License-Identifier: Apache-2.0
"""Bones and air of the face: orbit, zygoma, nose, sinuses, palate; millimetres as in `skull`."""

from __future__ import annotations

import numpy as np

from vfss.phantom.geometry import ellipse, ribbon, smooth, smooth_open
from vfss.phantom.matter import Matter
from vfss.phantom.plate import Cells
from vfss.phantom.skull import Parts, line, sides, wobbly
from vfss.phantom.surroundings import Surroundings

_SINUS = ((-84, 0), (-66, -6), (-50, -3), (-46, 10), (-48, 20), (-58, 26), (-74, 24), (-83, 14))
_NOSE = ((-101, 4), (-94, -14), (-70, -20), (-50, -10), (-44, 4), (-45, 22), (-70, 22), (-96, 22))
_ETHMOID = ((-86, -30), (-64, -30), (-46, -26), (-46, -10), (-66, -6), (-86, -12))
_FRONTAL = ((-99, -52), (-93, -60), (-89, -48), (-90, -36), (-97, -34))
_CHEEKBONE = ((-80, -2), (-70, -6), (-58, -2), (-55, 8), (-60, 20), (-67, 26), (-72, 16), (-80, 8))
_PALATE = ((-99, 25), (-90, 25.5), (-72, 25), (-55, 25.5), (-44, 27.5), (-55, 28.5), (-72, 30), (-85, 33), (-94, 38))


def face(around: Surroundings, bone: float, cheek: float) -> Parts:
    """Everything of the face but teeth and jaw."""
    rng = np.random.default_rng((around.seed, 403))
    b = bone * around.face
    out: Parts = [*_air(around, b, rng), *_orbits(around, b, rng), *_palate(around, b, rng)]
    for shift in sides(around, 45):
        bulk = smooth(wobbly(rng, _CHEEKBONE, 1.5) + shift)
        out.append(Matter(bulk, 0.16 * b, rim=0.12 * b, rim_mm=2.0, blur=1))
        arch = wobbly(rng, ((-62, 4), (-48, 6), (-30, 3), (-12, 0)), 1.2) + shift
        out.append(line(arch, rng.uniform(1.2, 2.6), 0.14 * b))
        key = wobbly(rng, ((-62, -10), (-66, 4), (-64, 16), (-57, 22), (-52, 16)), 1.5) + shift * 0.8
        out.append(line(key, rng.uniform(0.8, 2.0), 0.22 * b))
        pterygoid = wobbly(rng, ((-38, -10), (-40, 8), (-41, 20), (-38, 33)), 1.0) + shift * 0.4
        out.append(line(pterygoid, rng.uniform(0.8, 2.0), 0.16 * b))
        fissure = ellipse((-44 + 0.5 * shift[0], 2 + 0.5 * shift[1]), (2.2, 11), 8)
        out.append(Matter(fissure, -0.1, blur=1))
    out += _flesh(cheek, rng)
    return out


def _air(around: Surroundings, b: float, rng: np.random.Generator) -> Parts:
    out: Parts = [Matter(smooth(wobbly(rng, _NOSE, 2.0)), -around.nose, blur=1)]
    for shift in sides(around, 32):
        sinus = smooth(wobbly(rng, _SINUS, 2.5) * (1, rng.uniform(0.8, 1.1)) + shift)
        out.append(Matter(sinus, -around.sinus * rng.uniform(0.6, 1.2), rim=0.13 * b, rim_mm=1.2, blur=0))
        frontal = smooth(wobbly(rng, _FRONTAL, 2.0) + shift * 0.4)
        out.append(Matter(frontal, -0.5 * around.ethmoid, rim=0.1 * b, blur=1))
    cells = smooth(wobbly(rng, _ETHMOID, 2.0))
    out.append(Cells(cells, 1.2 * around.ethmoid, 0.1 * b, float(rng.uniform(4, 9)), int(rng.integers(2**31))))
    for low, high in ((17.0, 1.0), (6.0, 0.9), (-4.0, 0.7)):
        concha = wobbly(rng, ((-92, low - 3), (-78, low - 5), (-62, low - 3), (-48, low)), 1.5)
        out.append(Matter(ribbon(smooth_open(concha), float(rng.uniform(1.5, 4.0))), 0.45 * around.nose * high, blur=1))
    nasal = wobbly(rng, ((-96, -36), (-103, -24), (-109, -10)), 1.0)
    return [*out, line(nasal, 1.4, 0.22 * b), line(wobbly(rng, ((-97, 24), (-93, 10), (-94, -6)), 1.0), 1.5, 0.2 * b)]


def _orbits(around: Surroundings, b: float, rng: np.random.Generator) -> Parts:
    out: Parts = []
    for shift in sides(around, 40):
        roof = wobbly(rng, ((-96, -34), (-80, -40), (-62, -38), (-44, -31), (-28, -27)), 1.5) + shift
        out.append(line(roof, rng.uniform(0.7, 1.8), 0.24 * b))
        rim = wobbly(rng, ((-90, -34), (-83, -24), (-80, -12), (-85, -2)), 1.2) + shift
        out.append(line(rim, rng.uniform(1.2, 2.8), 0.22 * b))
        floor = wobbly(rng, ((-88, -2), (-74, -4), (-58, -10), (-46, -16)), 1.5) + shift
        out.append(line(floor, rng.uniform(0.6, 1.2), 0.16 * b))
    return out


def _palate(around: Surroundings, b: float, rng: np.random.Generator) -> Parts:
    """Hard palate between the floor of the nose and the roof of the mouth, and the spine of the nose before it."""
    shape = wobbly(rng, _PALATE, 0.7)
    out: Parts = [Matter(smooth(shape), 0.14 * b, rim=0.1 * b, rim_mm=1.3)]
    floor = wobbly(rng, ((-101, 24.5), (-85, 25), (-65, 24.5), (-45, 27)), 0.6)
    out.append(line(floor, rng.uniform(0.8, 1.5), 0.32 * b, blur=0))
    roof = wobbly(rng, ((-93, 40), (-86, 34), (-74, 30), (-58, 28.5), (-45, 28)), 0.7)
    out.append(line(roof, rng.uniform(0.7, 1.3), 0.2 * b, blur=0))
    plate = wobbly(rng, ((-98, 26), (-95.5, 33), (-98, 44)), 0.7)
    return [*out, line(plate, 1.0, 0.16 * b)]


def _flesh(cheek: float, rng: np.random.Generator) -> Parts:
    """Cheeks with the chewing muscles: broader than the neck, so that the lower face is darker."""
    muscle = wobbly(rng, ((-40, 0), (-18, 4), (-11, 30), (-10, 58), (-22, 72), (-44, 78), (-66, 66), (-62, 34)), 3.0)
    lips = wobbly(rng, ((-112, 36), (-104, 30), (-96, 48), (-98, 70), (-108, 66), (-112, 50)), 1.5)
    whole = wobbly(rng, ((-92, 28), (-50, 20), (-20, 26), (-14, 60), (-40, 84), (-78, 92), (-96, 70)), 4.0)
    return [
        Matter(smooth(muscle), 0.35 * cheek, blur=2),
        Matter(smooth(whole), 0.55 * cheek, blur=2),
        Matter(smooth(lips), 0.1 * cheek, blur=2),
    ]
