# SPDX-License-Identifier: Apache-2.0
"""The jaw: millimetres around the ear canal, facing left, y down, closed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vfss.phantom.geometry import Points, ellipse, ribbon, smooth, smooth_open, turn
from vfss.phantom.head import Place
from vfss.phantom.matter import Matter
from vfss.phantom.motion import Moment
from vfss.phantom.population import Person
from vfss.phantom.proportions import Jaw

_CONDYLE = (-10.0, 2.0)
# The usual jaw, to which teeth and skin are drawn: angle, lower border at the chin, incisors.
_USUAL_MARKS = np.array(((-14.0, 64.0), (-77.0, 104.0), (-88.0, 67.0)))


@dataclass(frozen=True)
class JawMarks:
    """Points of a jaw in the patient, (x, y), millimetres.

    Attributes:
        condyle: Top of the condyle.
        angle: Angle of the jaw.
        chin: Lower border at the chin.
        incisor: Border of the bone at the lower incisors.
        rear: Upper end of the painted ramus behind.
        front: The same in front.
    """

    condyle: Points
    angle: Points
    chin: Points
    incisor: Points
    rear: Points
    front: Points


def jaw_marks(person: Person, jaw: Place) -> JawMarks:
    """Points of a person's jaw, by which another one is laid over it."""
    points = jaw_points(person.jaw)
    angle, chin, incisor = _marks(person.jaw)
    return JawMarks(*_own(person.jaw, jaw)(np.stack([_CONDYLE, angle, chin, incisor, points[10], points[12]])))


def jaw_place(person: Person, now: Moment, head: Place) -> Place:
    """Map from the usual closed jaw (and teeth and skin around it) to that of the patient."""
    matrix = _affine(_USUAL_MARKS, _marks(person.jaw))

    def place(points: npt.ArrayLike) -> Points:
        own = np.asarray(points, np.float64) @ matrix[:2] + matrix[2]
        return head(turn(own, now.jaw, _CONDYLE))

    return place


def jaw_points(shape: Jaw) -> Points:
    """Control points of the painted half of a jaw, millimetres around the ear canal, float64 (17, 2)."""
    angle, chin, incisor = _marks(shape)
    along = (chin - angle) / np.hypot(*(chin - angle))
    down = np.array((along[1], -along[0]))
    back = np.deg2rad(shape.ramus_turn)
    up, forward = np.array((np.sin(back), -np.cos(back))), np.array((-np.cos(back), -np.sin(back)))
    rear = angle + shape.ramus * up
    front = rear + shape.ramus_width * forward + shape.stub * up
    cheek = angle + 0.36 * shape.length * along - shape.molar * down
    inner = 0.5 * (cheek + incisor) + 0.06 * shape.length * down
    points = (
        incisor,
        incisor + np.array((0.25 * shape.prominence + 0.8 * shape.spur, 0.28 * shape.chin)),
        chin - np.array((0.8 * shape.prominence + 1.0, 0.3 * shape.chin)),
        chin - 2.0 * along - np.array((0.0, 1.5)),
        chin - 7.0 * along + 0.25 * shape.curve * down,
        0.6 * chin + 0.4 * angle + shape.curve * down,
        0.2 * chin + 0.8 * angle + 0.55 * shape.curve * down,
        angle + shape.corner * (along - 0.1 * down),
        angle + shape.corner * up,
        0.4 * angle + 0.6 * rear,
        rear - 0.12 * shape.ramus * up,
        0.75 * rear + 0.25 * front,
        front,
        0.45 * front + 0.55 * cheek + 1.5 * down,
        0.7 * cheek + 0.3 * inner,
        inner,
        0.35 * inner + 0.65 * incisor + (0.5 * shape.spur) * down,
    )
    return np.array(points)


def jaw_outlines(person: Person, jaw: Place) -> list[Points]:
    """What is painted: body and lower ramus of the near and of the far half, in the patient."""
    rng = np.random.default_rng((person.seed, 200))
    points = jaw_points(person.jaw)
    shape = smooth(points + person.rough * rng.normal(0, 0.6, points.shape))
    put = _own(person.jaw, jaw)
    return [put(shape + np.array(person.double) * side) for side in (0.0, 1.0)]


def mandible(person: Person, jaw: Place) -> tuple[list[Points], list[Matter]]:
    """Outlines (painted: body and lower ramus, near and far) and matter of the jaw."""
    put = _own(person.jaw, jaw)
    outlines = jaw_outlines(person, jaw)
    rng = np.random.default_rng((person.seed, 201))
    border = jaw_points(person.jaw)[2:9] + np.array((0.0, -1.2))
    angle, chin, incisor = _marks(person.jaw)
    nerve = np.array((0.75 * angle + 0.25 * chin, 0.5 * (angle + chin), chin)) - np.array(((0, 22), (0, 16), (0, 14)))
    matter = []
    for side in (0.0, 1.0):
        shift = np.array(person.double) * side
        # Of the slab little shows: the lower border and the front are what is seen.
        slab, edge, ramus, canal = person.bone * rng.uniform((0.02, 0.12, 0.03, 0.0), (0.17, 0.42, 0.15, 0.08))
        matter.append(Matter(outlines[int(side)], slab))
        matter.append(Matter(put(ribbon(smooth_open(border + shift), rng.uniform(1.0, 2.0))), edge))
        matter.append(Matter(put(_ramus(person.jaw) + shift), ramus, rim=ramus, rim_mm=1.6))
        matter.append(Matter(put(ribbon(smooth_open(nerve + shift), 1.3)), -canal, blur=1))
    matter.append(floor_of_mouth(person, jaw))
    middle = 0.75 * chin + 0.25 * incisor
    bone = person.bone * float(rng.uniform(0.08, 0.28))
    matter.append(Matter(put(ellipse((middle[0] + 3, middle[1]), (5.5, 7.5), 20)), bone, rim=1.2 * bone, blur=1))
    return outlines, matter


def floor_of_mouth(person: Person, jaw: Place) -> Matter:
    """Muscle between the halves of the jaw."""
    angle, chin, _ = _marks(person.jaw)
    floor = 0.5 * (angle + chin) + np.array((4.0, -6.0))
    outline = _own(person.jaw, jaw)(ellipse((floor[0], floor[1]), (34.0, 11.0), -30))
    return Matter(outline, 0.06 + 0.3 * person.cheek, blur=1)


def _own(shape: Jaw, jaw: Place) -> Callable[[Points], Points]:
    """Map from millimetres around the ear canal into the patient, the stretch from the usual jaw taken back."""
    stretch = np.column_stack([_affine(_USUAL_MARKS, _marks(shape)), (0.0, 0.0, 1.0)])
    back = np.linalg.inv(stretch)
    return lambda points: jaw(points @ back[:2, :2] + back[2, :2])


def _marks(shape: Jaw) -> Points:
    """Angle, lower border at the chin, and incisors, float64 (3, 2)."""
    slope = np.deg2rad(shape.slope)
    angle = np.array((shape.corner_x, shape.corner_y))
    chin = angle + shape.length * np.array((-np.cos(slope), np.sin(slope)))
    incisor = chin + np.array((shape.prominence - 4.0 - shape.spur, -shape.chin))
    return np.stack([angle, chin, incisor])


def _ramus(shape: Jaw) -> Points:
    """The rest of the ramus up to condyle and coronoid process, which is not painted."""
    x, y = shape.corner_x, shape.corner_y
    width = shape.ramus_width
    return smooth(
        np.array(
            (
                (-15, 0),
                (-6, 1),
                (0.5 * x, 0.35 * y),
                (x + 1, y - 16),
                (x, y - 2),
                (x - 9, y + 6),
                (x - width, y),
                (x - width, y - 18),
                (-36, 20),
                (-43, 6),
                (-37, 2),
                (-26, 17),
            )
        )
    )


def _affine(source: Points, target: Points) -> npt.NDArray[np.float64]:
    """The affine map that takes three points to three others, float64 (3, 2), for rows (x, y, 1)."""
    return np.asarray(np.linalg.solve(np.column_stack([source, np.ones(3)]), target))
