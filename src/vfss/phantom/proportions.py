# SPDX-License-Identifier: Apache-2.0
"""Shapes as numbers: what is usual, how far people spread around it, and where the spread ends."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
REACH = 3.0  # spreads from the usual value at which the population ends


def part(usual: float, spread: float) -> Any:
    """A field of a shape: its usual value and its standard deviation in the population."""
    return field(default=usual, metadata={"spread": spread})


@dataclass(frozen=True)
class Vertebra:
    """One vertebra from C2 down, in its own frame: millimetres around the middle of the body, x back, y down.

    Attributes:
        depth: Body from front to back.
        front: Height of the front of the body, its lower lip not counted.
        back: Height of the back of the body.
        slant: How much higher the back of the upper end plate lies than its front.
        dome: Bulge of the upper end plate (the base of the dens in C2).
        lip: How far the front lower corner hangs below the front.
        beak: How far that corner stands forward.
        waist: Hollow of the front of the body.
        root: Height of the middle of the arch where it leaves the body.
        length: From there to the tip of the spinous process.
        droop: Direction of the process, degrees below the end plates.
        bend: Sag (positive) or rise of the middle of its centre line.
        thick: Thickness of arch and process near the root, half-way and at the tip (three fields).
        fork: Shape of the tip: forked or flat (positive), drawn out (negative), shares of its thickness.
        facet: Where along the process the lower articular process hangs, 0..1.
        drop: How far it hangs below the arch.
        notch: How far the foramen behind the body cuts into the arch.
        lean: Turn against the line of the spine, degrees, positive lowers the front.
    """

    depth: float = part(16.0, 1.5)
    front: float = part(12.2, 1.1)
    back: float = part(13.9, 0.9)
    slant: float = part(3.6, 1.0)
    dome: float = part(0.0, 1.0)
    lip: float = part(2.0, 1.1)
    beak: float = part(0.9, 0.7)
    waist: float = part(0.3, 0.6)
    root: float = part(-1.9, 1.8)
    length: float = part(26.0, 3.5)
    droop: float = part(19.0, 8.5)
    bend: float = part(0.5, 1.3)
    thick_root: float = part(9.0, 1.3)
    thick_middle: float = part(8.4, 1.4)
    thick_tip: float = part(5.6, 1.5)
    fork: float = part(0.0, 0.15)
    facet: float = part(0.33, 0.05)
    drop: float = part(3.6, 1.5)
    notch: float = part(3.0, 1.5)
    lean: float = part(0.0, 3.0)


@dataclass(frozen=True)
class Atlas:
    """C1 as it is painted: front arch, lateral mass and dens as one, a bridge, and the tubercle behind; millimetres.

    Attributes:
        front: From the middle to the front.
        rear: From the middle to the back of the mass.
        above: From the middle up at the front third.
        crest: The same at the rear third.
        below: From the middle down at the front third.
        keel: The same at the rear third.
        nose: How far the lower front corner hangs down.
        bridge: Thickness of the posterior arch.
        sag: How far below the middle it runs.
        length: From the middle to the middle of the tubercle.
        rise: How far above the bridge the tubercle lies.
        knob: Half the height of the tubercle.
        knob_width: Half its width.
    """

    front: float = part(13.0, 1.4)
    rear: float = part(15.5, 1.8)
    above: float = part(9.5, 1.3)
    crest: float = part(9.0, 1.5)
    below: float = part(8.5, 1.3)
    keel: float = part(9.0, 1.6)
    nose: float = part(0.0, 1.6)
    bridge: float = part(5.4, 1.2)
    sag: float = part(0.0, 1.6)
    length: float = part(28.0, 2.6)
    rise: float = part(1.0, 2.2)
    knob: float = part(5.4, 1.0)
    knob_width: float = part(4.4, 0.9)


@dataclass(frozen=True)
class Jaw:
    """The painted jaw: body, lower ramus and what hangs between its halves; millimetres around the ear canal.

    Attributes:
        corner_x: Place of the angle of the jaw, x.
        corner_y: The same, y.
        length: From the angle to the chin.
        slope: Direction of the lower border, degrees below the Frankfort plane.
        curve: How far the lower border bulges down between angle and chin.
        chin: Height of the front, from the lower border to the incisors.
        prominence: How far the chin stands before the incisors.
        spur: How far the incisors stand forward and up of the alveolar line.
        molar: Height of the body before the ramus.
        ramus: Length of the ramus that is painted, from the angle up.
        ramus_width: Its width.
        ramus_turn: Direction of its rear border, degrees from the upright, positive leans back.
        corner: Rounding of the angle.
        stub: How far the front of the painted ramus stands above its back.
    """

    corner_x: float = part(-14.0, 3.0)
    corner_y: float = part(62.0, 4.0)
    length: float = part(72.0, 5.0)
    slope: float = part(25.0, 6.0)
    curve: float = part(4.0, 3.0)
    chin: float = part(38.5, 3.5)
    prominence: float = part(2.0, 4.0)
    spur: float = part(3.0, 2.5)
    molar: float = part(33.0, 3.0)
    ramus: float = part(21.0, 4.5)
    ramus_width: float = part(22.0, 3.5)
    ramus_turn: float = part(3.0, 7.0)
    corner: float = part(4.0, 2.0)
    stub: float = part(6.5, 4.0)


@dataclass(frozen=True)
class Voice:
    """Airway and epiglottis at rest; depths in millimetres before the front of the spine, levels as C1 = 1.

    Attributes:
        top: Level of the top of the airway.
        taper: Levels over which it widens from its tip.
        gap_top: Depth of its back at the top.
        gap_glottis: The same one level lower.
        gap_trachea: The same at C7.
        gap_chest: The same three levels below.
        tip: Width at the top.
        vestibule: Width one level below the top.
        glottis: Width two levels below the top.
        trachea: Width at C7 and below.
        root_level: Level of the root of the epiglottis.
        root_ahead: How far it lies before the front wall of the airway, millimetres.
        length: Length of the epiglottis.
        base: Its thickness at the root, with the fat before it.
        blade: Its thickness half-way.
        edge: Its thickness near the tip.
        upright: Direction of its stem at rest, degrees, 0 forward, 90 up, 180 back.
        curl: How much more the tip turns back than the stem, degrees (negative for a flat or forward tip).
        omega: Sway of the middle to the front (an omega-shaped one seen from the side), millimetres.
    """

    top: float = part(4.05, 0.2)
    taper: float = part(0.8, 0.25)
    gap_top: float = part(13.0, 2.5)
    gap_glottis: float = part(12.5, 2.5)
    gap_trachea: float = part(12.0, 3.0)
    gap_chest: float = part(14.0, 4.0)
    tip: float = part(2.0, 1.0)
    vestibule: float = part(13.0, 2.2)
    glottis: float = part(16.3, 2.2)
    trachea: float = part(16.5, 2.4)
    root_level: float = part(4.55, 0.2)
    root_ahead: float = part(10.0, 1.8)
    length: float = part(29.0, 4.5)
    base: float = part(9.5, 1.8)
    blade: float = part(4.5, 1.2)
    edge: float = part(3.4, 0.7)
    upright: float = part(137.0, 10.0)
    curl: float = part(-20.0, 22.0)
    omega: float = part(0.0, 1.3)


Shape = TypeVar("Shape", Vertebra, Atlas, Jaw, Voice)


def values(shape: Vertebra | Atlas | Jaw | Voice) -> Doubles:
    """Its numbers in the order of its fields, float64 (F,)."""
    return np.array([getattr(shape, f.name) for f in fields(shape)], np.float64)


def spreads(shape: Vertebra | Atlas | Jaw | Voice) -> Doubles:
    """Standard deviations of its fields in the population, float64 (F,)."""
    return np.array([f.metadata["spread"] for f in fields(shape)], np.float64)


def with_values(shape: Shape, numbers: Doubles) -> Shape:
    """The same kind of shape with other numbers, float64 (F,)."""
    return replace(shape, **{f.name: float(v) for f, v in zip(fields(shape), numbers, strict=True)})


def limits(usual: Vertebra | Atlas | Jaw | Voice) -> tuple[Doubles, Doubles]:
    """Where the population around a usual shape ends, two float64 (F,)."""
    reach = REACH * spreads(usual)
    return values(usual) - reach, values(usual) + reach


def draw(usual: Shape, deviations: Doubles) -> Shape:
    """The shape so many spreads, float64 (F,), from the usual one, within the limits."""
    low, high = limits(usual)
    return with_values(usual, np.clip(values(usual) + deviations * spreads(usual), low, high))
