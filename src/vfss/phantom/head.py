# SPDX-License-Identifier: Apache-2.0
"""Skull, face and teeth: millimetres around the ear canal, facing left, y down, Frankfort plane level."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from vfss.phantom.geometry import Points, ellipse, ribbon, smooth, smooth_open, turn
from vfss.phantom.matter import Matter
from vfss.phantom.motion import Moment
from vfss.phantom.population import Person

Place = Callable[[npt.ArrayLike], Points]

_ATLAS_AT = np.array((8.0, 35.0))  # the atlas, about which the head nods
_VAULT = (
    (-92, -35),
    (-99, -70),
    (-76, -115),
    (-20, -136),
    (45, -122),
    (86, -75),
    (91, -25),
    (72, 10),
    (46, 27),
    (25, 25),
    (5, 14),
    (-14, -6),
    (-30, -22),
    (-60, -32),
)
_PETROUS = ((-16, -14), (10, -26), (32, -12), (27, 14), (16, 28), (6, 18), (-9, 9))
_SINUS = ((-82, 2), (-52, 0), (-46, 18), (-55, 27), (-80, 24))
_ALVEOLUS = ((-97, 26), (-70, 27), (-50, 27), (-48, 36), (-56, 44), (-75, 47), (-95, 48))
PROFILE = (
    (-107, -80),
    (-104, -55),
    (-101, -33),
    (-112, -12),
    (-124, 8),
    (-119, 15),
    (-108, 20),
    (-114, 34),
    (-108, 46),
)
LOWER_PROFILE = ((-113, 57), (-105, 72), (-107, 88), (-100, 106), (-86, 113))
REAR_PROFILE = ((78, 40), (98, 8), (104, -40), (91, -96), (40, -144), (-25, -152), (-80, -128))


def head_place(person: Person, now: Moment) -> Place:
    """Map from the skull into the patient, whose atlas is the origin."""
    degrees = person.head_pitch + now.tilt

    def place(points: npt.ArrayLike) -> Points:
        return turn((np.asarray(points, np.float64) - _ATLAS_AT) * person.skull, degrees)

    return place


def skull(person: Person, head: Place) -> list[Matter]:
    """Cranium, skull base, face and upper teeth."""
    rng = np.random.default_rng((person.seed, 100))
    b = person.bone
    parts = [
        Matter(head(smooth(_VAULT)), person.cranium, rim=0.5 * b, rim_mm=4.5),
        Matter(head(smooth(np.array(_PETROUS) + rng.normal(0, 2, (7, 2)))), 0.5 * b, rim=0.2 * b, rim_mm=2.5, blur=1),
        Matter(head(smooth(((12, 14), (26, 6), (30, 18), (22, 33), (14, 30)))), 0.18 * b, rim=0.1 * b, blur=1),
        Matter(head(ellipse((0, 0), (4.5, 5.5))), -0.3, rim=0.2 * b, rim_mm=1.4),
        Matter(head(ellipse((5, 23), (8, 5), 20)), 0.22 * b, rim=0.1 * b, blur=1),
        Matter(head(ribbon(smooth_open(((-28, -18), (-14, -2), (-3, 17))), 3.0)), 0.2 * b, blur=1),
        Matter(head(ellipse((-38, -10), (12, 8), -10)), -0.22, rim=0.1 * b, blur=1),
        Matter(head(smooth(np.array(_SINUS) + rng.normal(0, 2, (5, 2)))), -0.22, rim=0.12 * b, rim_mm=1.3, blur=1),
        Matter(head(ribbon(smooth_open(((-97, 27), (-80, 26), (-60, 25.5), (-45, 27.5))), 1.5)), 0.35 * b),
        Matter(head(smooth(_ALVEOLUS)), 0.25 * b, rim=0.12 * b),
        Matter(head(ribbon(smooth_open(((-42, -2), (-45, 14), (-44, 30))), 2.2)), 0.18 * b, blur=1),
        Matter(head(ribbon(smooth_open(((-90, -25), (-66, -22), (-40, -24), (-22, -26))), 1.6)), 0.3 * b),
        Matter(head(ribbon(smooth_open(((-58, -12), (-64, 4), (-54, 18))), 3.4)), 0.28 * b, blur=1),
        Matter(head(ribbon(smooth_open(((-64, 6), (-40, 4), (-16, 0))), 2.2)), 0.16 * b, blur=1),
        Matter(head(ellipse((-86, -14), (16, 15))), -0.1, rim=0.12 * b, rim_mm=1.5, blur=1),
        Matter(head(ellipse((-60, 58), (36, 27), 20)), 0.6 * person.cheek, blur=2),
    ]
    parts += _roughness(person, head, rng)
    return parts + teeth(person, head, 45.0, 1.0, rng)


def _roughness(person: Person, head: Place, rng: np.random.Generator) -> list[Matter]:
    """Air cells, sutures and ridges that have no name: they keep the face from being a blank."""
    out = []
    for _ in range(16):
        spot = rng.uniform((-95, -32), (38, 26))
        radii = rng.uniform(2.0, 8.0, 2)
        out.append(
            Matter(
                head(ellipse((spot[0], spot[1]), (radii[0], radii[1]), float(rng.uniform(0, 180)), 14)),
                float(rng.uniform(-0.16, 0.16)) * person.bone,
                rim=float(rng.uniform(0, 0.12)) * person.bone,
                rim_mm=1.2,
                blur=int(rng.integers(0, 2)),
            )
        )
    for _ in range(7):
        start = rng.uniform((-90, -32), (40, 20))
        line = start + np.cumsum(rng.normal((3.0, 0.5), 7.0, (4, 2)), axis=0)
        out.append(Matter(head(ribbon(smooth_open(line), float(rng.uniform(0.6, 1.6)))), 0.14 * person.bone, blur=1))
    return out


def teeth(person: Person, place: Place, gum: float, way: float, rng: np.random.Generator) -> list[Matter]:
    """One row of teeth, near and far; `way` is 1 for the upper row, -1 for the lower."""
    present, filled = person.teeth
    out = []
    for side in (0.0, 1.0):
        shift = np.array(person.double) * 0.4 * side
        for i, x in enumerate(np.linspace(-94, -53, 7)):
            broad = 2.6 if i < 2 else 3.9
            if rng.random() > present:
                continue
            shape = np.array(
                ((-broad, 0), (-broad * 0.9, 7), (broad * 0.9, 7), (broad, 0), (broad * 0.4, -12), (-broad * 0.4, -12))
            )
            tooth = smooth(shape * (1, way) + (x, gum) + shift + rng.normal(0, 0.5, 2), 3)
            metal = float(rng.uniform(0.6, 2.0)) if rng.random() < filled * 0.6 else 0.0
            out.append(Matter(place(tooth), 0.17 * person.bone, rim=0.08 * person.bone, rim_mm=0.8))
            if metal:
                spot = np.array((x, gum + 5 * way)) + shift
                size = (float(rng.uniform(0.5, 1.05)) * broad, float(rng.uniform(1.2, 3.4)))
                out.append(Matter(place(ellipse((spot[0], spot[1]), size, 0, 12)), metal))
    return out
