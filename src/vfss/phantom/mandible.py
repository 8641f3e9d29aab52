# SPDX-License-Identifier: Apache-2.0
"""The jaw: millimetres around the ear canal, facing left, y down, closed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vfss.phantom.geometry import Points, ellipse, ribbon, smooth, smooth_open, turn
from vfss.phantom.head import Place, teeth
from vfss.phantom.matter import Matter
from vfss.phantom.motion import Moment
from vfss.phantom.population import Person

_CONDYLE = (-10.0, 2.0)
_JAW = (
    (-88, 67),
    (-85, 80),
    (-85, 93),
    (-82, 102),
    (-75, 105),
    (-62, 99),
    (-40, 86),
    (-21, 75),
    (-11, 67),
    (-11, 57),
    (-19, 50),
    (-29, 44),
    (-35, 46),
    (-39, 56),
    (-52, 63),
    (-68, 68),
)
_FLOOR = ((-80, 100), (-73, 106), (-61, 107.5), (-37, 99), (-19, 83), (-9, 70), (-22, 66), (-50, 80))
_RAMUS = (
    (-15, 0),
    (-6, 1),
    (-7, 22),
    (-11, 46),
    (-11, 62),
    (-20, 70),
    (-38, 62),
    (-37, 45),
    (-36, 20),
    (-43, 6),
    (-37, 2),
    (-26, 17),
)


def jaw_place(person: Person, now: Moment, head: Place) -> Place:
    """Map from the closed jaw into the patient."""

    def place(points: npt.ArrayLike) -> Points:
        scaled = np.array(points, np.float64)
        front = np.clip(-20.0 - scaled[:, 0], 0, None)
        scaled[:, 0] -= front * (person.jaw_length - 1.0)
        return head(turn(scaled, now.jaw, _CONDYLE))

    return place


def mandible(person: Person, jaw: Place) -> tuple[list[Points], list[Matter]]:
    """Outlines (painted: body, lower ramus and floor of the mouth, near and far) and matter of the jaw."""
    rng = np.random.default_rng((person.seed, 200))
    b = person.bone
    shape = np.array(_JAW, np.float64) + rng.normal(0, 0.7, (len(_JAW), 2))
    floor = np.array(_FLOOR, np.float64)
    floor[:6, 1] -= (1 - person.floor) * np.array((2, 6, 9, 12, 8, 1))
    outlines, matter = [], []
    for side in (0.0, 1.0):
        shift = np.array(person.double) * side
        body = jaw(smooth(shape + shift))
        outlines.append(body)
        matter.append(Matter(body, 0.2 * b, rim=0.0))
        lower = smooth_open(shape[[1, 2, 3, 4, 5, 6, 7, 8]] + shift + (0.0, -1.2))
        matter.append(Matter(jaw(ribbon(lower, 1.7)), 0.3 * b))
        matter.append(Matter(jaw(smooth(np.array(_RAMUS) + shift)), 0.14 * b, rim=0.14 * b, rim_mm=1.6))
        canal = smooth_open(np.array(((-30, 55), (-38, 74), (-60, 84), (-76, 84))) + shift)
        matter.append(Matter(jaw(ribbon(canal, 1.3)), -0.05 * b, blur=1))
    bulge = jaw(smooth(floor))
    outlines.append(bulge)
    matter.append(Matter(bulge, 0.06 + 0.3 * person.cheek, blur=1))
    chin = jaw(ellipse((-79, 96), (5.5, 7.5), 20))
    matter.append(Matter(chin, 0.2 * b, rim=0.2 * b, blur=1))
    return outlines, matter + teeth(person, jaw, 63.0, -1.0, rng)
