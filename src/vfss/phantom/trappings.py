# SPDX-License-Identifier: Apache-2.0
"""What goes with a patient and misleads a reader: metal in teeth, catheters, discs on the spine, rods in the ears.

They are drawn by style, not by person: the same persons are shown with and without them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from vfss.phantom.chance import NEVER, Chance, drawn
from vfss.phantom.geometry import Floats, Points, ellipse, ribbon, smooth_open
from vfss.phantom.matter import Matter
from vfss.phantom.plate import Plate
from vfss.phantom.spine import Spine
from vfss.phantom.surroundings import Arch, Surroundings, Tube

_METAL: tuple[Arch, ...] = ("crowned", "braces", "implants", "natural")
_TUBES: tuple[Tube, ...] = ("feeding", "catheter")


@dataclass(frozen=True)
class TrappingsRange:
    """Shares of clips.

    Attributes:
        dental: Mouths full of metal: crowns, bridges, braces, implants, amalgam in most teeth.
        catheter: A feeding tube or a catheter with beads through pharynx and oesophagus.
        discs: One to three discs, rings, clips or chains that lie on the vertebrae.
        twist: Patients not quite in profile, whose vertebrae have two contours, and the millimetres between these.
        cephalostat: Rods in the ears and a holder before the forehead.
    """

    dental: float = 0.0
    catheter: float = 0.0
    discs: float = 0.0
    twist: Chance = NEVER
    cephalostat: float = 0.0


@dataclass(frozen=True)
class Trappings:
    """Those of one clip.

    Attributes:
        around: The patient's surroundings with its teeth and tube.
        on_spine: What lies on the vertebrae, millimetres.
        twist: Millimetres between two contours of the vertebrae; 0 is exact profile.
        cephalostat: True with a holder of the head.
    """

    around: Surroundings
    on_spine: tuple[Matter, ...] = ()
    twist: float = 0.0
    cephalostat: bool = False


def sample_trappings(rng: np.random.Generator, ranges: TrappingsRange, around: Surroundings, spine: Spine) -> Trappings:
    """Trappings from their ranges."""
    there = rng.random(4) < (ranges.dental, ranges.catheter, ranges.discs, ranges.cephalostat)
    twist = drawn(rng, ranges.twist)
    if there[0]:
        upper, lower = (_METAL[int(i)] for i in rng.choice(len(_METAL), 2, p=(0.4, 0.25, 0.1, 0.25)))
        lower = upper if "braces" in (upper, lower) else lower
        filled, metal = float(rng.uniform(0.7, 1.0)), float(rng.uniform(0.9, 3.0))
        around = replace(around, upper=upper, lower=lower, filled=filled, metal=metal, present=max(around.present, 0.8))
    if there[1]:
        around = replace(around, tube=_TUBES[int(rng.integers(2))])
    things = _on_spine(rng, spine) if there[2] else ()
    return Trappings(around, things, twist, bool(there[3]))


def doubled(part: Plate, apart: float) -> Plate:
    """A part whose near and far half are shown so many millimetres apart along the raster's rows."""
    values: Floats = part.values
    half = round(0.5 * apart / part.step)
    if half == 0 or values.size == 0:
        return part
    wide = np.pad(values, ((0, 0), (half, half)))
    return replace(part, values=np.float32(0.5) * (wide[:, 2 * half :] + wide[:, : -2 * half]))


def cephalostat(around: Surroundings) -> list[Matter]:
    """Ear rods, rarely in line, and the holder before the forehead; millimetres as in `skull`."""
    rng = np.random.default_rng((around.seed, 407))
    out = []
    for _ in range(2):
        x, y = rng.normal(0, 1.5, 2)
        radius, hollow = float(rng.uniform(2.5, 5.5)), rng.random() < 0.6
        rod = ellipse((float(x), float(y)), (radius, radius))
        dense = float(rng.uniform(0.5, 2.0))
        out.append(Matter(rod, 0.0 if hollow else dense, rim=dense if hollow else 0.0, rim_mm=0.4 * radius))
    x, top, low = float(rng.uniform(-138, -112)), float(rng.uniform(-170, -110)), float(rng.uniform(-55, -25))
    half, dense = float(rng.uniform(0.8, 2.5)), float(rng.uniform(0.3, 1.2))
    out.append(Matter(ribbon(smooth_open(((x, top), (x, low))), half), dense))
    pad = ((x, low), (x + rng.uniform(4, 16), low + rng.uniform(-3, 3)))
    out.append(Matter(ribbon(smooth_open(pad), float(rng.uniform(1.5, 4))), dense))
    ticks = np.arange(top, low, 5.0) if rng.random() < 0.5 else ()
    out += [Matter(ribbon(smooth_open(((x, y), (x - 5, y))), 0.4), dense) for y in ticks]
    return out


def _on_spine(rng: np.random.Generator, spine: Spine) -> tuple[Matter, ...]:
    """One to three things, at C2 as often as at C6."""
    found: list[Matter] = []
    for _ in range(int(rng.choice((1, 2, 3), p=(0.6, 0.3, 0.1)))):
        level = float(rng.uniform(0.8, 7.2))
        at = spine.front(level, float(rng.normal(-8, 7)))
        found += _THINGS[int(rng.choice(len(_THINGS), p=_WEIGHTS))](at, rng)
    return tuple(found)


def _disc(at: Points, rng: np.random.Generator) -> list[Matter]:
    """A coin or a lead marker, with or without a hole."""
    radius = float(rng.uniform(3.0, 12.5))
    flat = (radius, radius * float(rng.uniform(0.75, 1.0)))
    out = [Matter(ellipse((at[0], at[1]), flat, float(rng.uniform(0, 180))), float(rng.uniform(1.0, 4.0)))]
    if rng.random() < 0.25:
        out.append(Matter(ellipse((at[0], at[1]), (0.35 * radius, 0.35 * radius)), -out[0].nepers))
    return out


def _ring(at: Points, rng: np.random.Generator) -> list[Matter]:
    radius = float(rng.uniform(3.0, 10.0))
    outline = ellipse((at[0], at[1]), (radius, radius * float(rng.uniform(0.5, 1.0))), float(rng.uniform(0, 180)))
    return [Matter(outline, 0.0, rim=float(rng.uniform(0.8, 2.5)), rim_mm=float(rng.uniform(0.8, 2.5)))]


def _chain(at: Points, rng: np.random.Generator) -> list[Matter]:
    """A short chain: beads or links in a row."""
    way = rng.normal(0, 1, 2)
    step, radius = float(rng.uniform(2.0, 5.0)), float(rng.uniform(0.7, 1.8))
    places = at + np.arange(int(rng.integers(3, 9)))[:, None] * step * way / max(float(np.hypot(*way)), 1e-6)
    return [Matter(ellipse((x, y), (radius, radius), n=10), float(rng.uniform(0.8, 2.5))) for x, y in places.tolist()]


def _clip(at: Points, rng: np.random.Generator) -> list[Matter]:
    """A zip, clip or screw: a short straight bar, with an eye at times."""
    angle, long = float(rng.uniform(0, np.pi)), float(rng.uniform(5, 16))
    line = at + np.linspace(-0.5, 0.5, 4)[:, None] * long * np.array((np.cos(angle), np.sin(angle)))
    out = [Matter(ribbon(line, float(rng.uniform(0.5, 2.2))), float(rng.uniform(1.0, 3.0)))]
    return out + (_ring(line[0], rng) if rng.random() < 0.4 else [])


def _wires(at: Points, rng: np.random.Generator) -> list[Matter]:
    """One or two leads across the neck."""
    angle, dense = float(rng.normal(0, 0.6)), float(rng.uniform(0.5, 2.5))
    along = np.linspace(-150, 150, 7)[:, None] * np.array((np.cos(angle), np.sin(angle)))
    line = smooth_open(at + along + rng.normal(0, 6, (7, 2)), 6)
    half = float(rng.uniform(0.3, 1.0))
    return [Matter(ribbon(line + np.array((0.0, 6.0 * i)), half), dense) for i in range(int(rng.integers(1, 3)))]


_THINGS: tuple[Callable[[Points, np.random.Generator], list[Matter]], ...] = (_disc, _ring, _chain, _clip, _wires)
_WEIGHTS = (0.4, 0.15, 0.15, 0.15, 0.15)
