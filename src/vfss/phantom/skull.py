# SPDX-License-Identifier: Apache-2.0
"""Brain case and skull base: millimetres around the ear canal, facing left, y down, Frankfort plane level.

Landmarks after cephalometric norms: sella 20 mm before and 27 mm above the ear canal, basion at the end of the clivus
about 45 mm from sella, mastoid tip 30 mm below the canal. What lies off the middle is drawn near and far.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vfss.phantom.geometry import Points, ellipse, ribbon, smooth, smooth_open
from vfss.phantom.matter import Matter
from vfss.phantom.plate import Cells
from vfss.phantom.surroundings import Surroundings

Parts = list[Matter | Cells]

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
_MASTOID = ((4, 6), (16, -6), (34, -6), (36, 8), (28, 22), (17, 33), (9, 26))
_SELLA = (
    (-38, -29),
    (-31, -32),
    (-29, -27),
    (-25, -22),
    (-20, -22),
    (-16.5, -26),
    (-17, -32),
    (-14, -28),
    (-4, 2),
    (1, 18),
)
_SPHENOID = ((-44, -24), (-30, -23), (-25, -19), (-16, -17), (-14, -6), (-24, -2), (-42, -4))


def sides(around: Surroundings, off_mm: float) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Shifts (x, y) of the near and of the far one of two things so far off the middle of the head."""
    half = 0.5 * np.array(around.parallax) * off_mm / 45.0
    return -half, half


def wobbly(rng: np.random.Generator, points: object, spread: float) -> Points:
    """Points each moved by chance, float64 (N, 2)."""
    p = np.array(points, np.float64)
    return np.asarray(p + rng.normal(0, spread, p.shape))


def line(points: Points, half_mm: float, nepers: float, blur: int = 1) -> Matter:
    """A plate of bone seen edge on."""
    return Matter(ribbon(smooth_open(points, 4), half_mm), nepers, blur=blur)


def braincase(around: Surroundings, cranium: float, bone: float) -> Parts:
    """Vault, occiput and the fossae of the base."""
    rng = np.random.default_rng((around.seed, 401))
    vault = wobbly(rng, _VAULT, 2.0)
    thick = around.vault_mm
    outer = smooth(vault)
    middle = vault.mean(axis=0)
    inner = smooth(middle + (vault - middle) * (1 - 1.6 * thick / 90))
    out: Parts = [
        Matter(outer, cranium, rim=0.42 * bone, rim_mm=0.65 * thick),
        Matter(inner, 0.05 * bone, rim=0.2 * bone, rim_mm=1.3),
    ]
    occiput = wobbly(rng, ((88, -32), (74, 5), (56, 22), (40, 28), (26, 24)), 1.5)
    out.append(line(occiput, rng.uniform(1.5, 4.0), 0.4 * bone))
    for shift in sides(around, 50):
        fossa = wobbly(rng, ((92, -30), (60, -8), (38, 12), (18, 10)), 2.0) + shift
        out.append(line(fossa, rng.uniform(0.7, 1.6), 0.16 * bone))
        floor = wobbly(rng, ((-14, -20), (-26, -12), (-42, -14), (-52, -24), (-56, -38)), 2.0) + shift
        out.append(line(floor, rng.uniform(0.8, 1.5), 0.22 * bone))
    lambda_suture = wobbly(rng, ((60, -100), (66, -80), (60, -60), (70, -40), (64, -20)), 3.0)
    out.append(line(lambda_suture, 0.7, -0.08 * bone))
    hollow = ellipse((45, -20), (26, 24), float(rng.uniform(0, 180)))
    out.append(Matter(hollow, -float(rng.uniform(0, 0.25)) * cranium, blur=2))
    return out


def base(around: Surroundings, bone: float) -> Parts:
    """Petrous bones with the ear canals, mastoids, clivus, sella, occipital condyles, styloid processes, ears."""
    rng = np.random.default_rng((around.seed, 402))
    out: Parts = []
    for shift in sides(around, 52):
        petrous = smooth(wobbly(rng, _PETROUS, 4.0) + shift)
        out.append(Matter(petrous, 0.35 * around.petrous * bone, rim=0.1 * bone, rim_mm=2.5, blur=1))
        spot = rng.normal((6, -5), 4.0) + shift
        core = ellipse(
            (spot[0], spot[1]), (float(rng.uniform(6, 15)), float(rng.uniform(6, 15))), float(rng.uniform(0, 180))
        )
        out.append(Matter(core, 0.5 * around.petrous * bone, blur=2 if rng.random() < 0.5 else 1))
        apex = wobbly(rng, ((8, -16), (-12, -14), (-28, -6), (-36, -12)), 4.0) + shift
        out.append(line(apex, rng.uniform(1.5, 4.0), 0.3 * around.petrous * bone))
        mastoid = smooth(wobbly(rng, _MASTOID, 2.0) + shift * 1.1)
        out.append(Matter(mastoid, 0.16 * bone, rim=0.12 * bone, rim_mm=1.4, blur=1))
        if around.mastoid:
            seed = int(rng.integers(2**31))
            out.append(Cells(mastoid, around.mastoid, 0.08 * bone, float(rng.uniform(2.0, 4.5)), seed))
        x, y = shift * 1.15 + rng.normal(0, 1.2, 2)
        canal = ellipse(
            (x, y), (float(rng.uniform(3.0, 5.0)), float(rng.uniform(3.5, 6.0))), float(rng.uniform(-30, 30))
        )
        out.append(Matter(canal, -float(rng.uniform(0.1, 0.5)), rim=0.2 * bone, rim_mm=1.6))
        out += _styloid(around, bone, rng, shift)
        out += _ear(around, rng, shift * 1.5)
        condyle = ellipse((6 + 0.3 * shift[0], 22 + 0.3 * shift[1]), (8.5, 5), 20)
        out.append(Matter(condyle, 0.16 * bone, rim=0.1 * bone, blur=1))
    clivus = wobbly(rng, _SELLA, 0.8)
    out.append(line(clivus, rng.uniform(0.8, 1.5), 0.3 * bone, blur=0))
    wedge = smooth(np.concatenate([clivus[-4:], clivus[-4:][::-1] + np.array((-9.0, 3.0))]), 3)
    out.append(Matter(wedge, 0.2 * bone, rim=0.1 * bone, rim_mm=1.5, blur=1))
    sphenoid = smooth(wobbly(rng, _SPHENOID, 2.0))
    out.append(Matter(sphenoid, -around.ethmoid, rim=0.12 * bone, rim_mm=1.2, blur=1))
    return out + _nameless(rng, bone)


def _styloid(around: Surroundings, bone: float, rng: np.random.Generator, shift: Points) -> Parts:
    start = np.array((5.0, 18.0)) + shift
    angle = np.deg2rad(rng.uniform(95, 130))
    along = np.array((np.cos(angle), np.sin(angle))) * around.styloid_mm
    points = start + np.outer((0, 0.35, 0.7, 1.0), along) + rng.normal(0, 0.7, (4, 2))
    axis = smooth_open(points, 4)
    return [Matter(ribbon(axis, np.linspace(2.0, 0.7, len(axis))), float(rng.uniform(0.06, 0.18)) * bone)]


def _ear(around: Surroundings, rng: np.random.Generator, shift: Points) -> Parts:
    """The external ear: a fold of skin and cartilage that stands off the head."""
    size = rng.uniform(0.85, 1.2)
    helix = wobbly(rng, ((-4, -8), (0, -30), (14, -35), (24, -22), (20, 2), (10, 18), (2, 26), (-4, 20)), 1.5)
    whole = smooth(helix * size + shift)
    out: Parts = [
        Matter(whole, 0.5 * around.ear, blur=1),
        Matter(ribbon(smooth_open(helix[1:7] * size + shift), 1.8), around.ear, blur=1),
    ]
    if around.earring:
        x, y = helix[6] * size + shift
        ring = ellipse((x, y + 3), (2.0, 2.0)) if around.seed % 2 else ellipse((x, y + 6), (5.0, 7.0))
        out.append(Matter(ring, 1.2 if around.seed % 2 else 0.0, rim=1.2, rim_mm=1.2))
    return out


def _nameless(rng: np.random.Generator, bone: float) -> Parts:
    """Ridges, canals and grooves without a name: no base of a skull is smooth."""
    out: Parts = []
    for _ in range(14):
        spot, radii = rng.uniform((-45, -30), (42, 26)), rng.uniform(1.5, 7.0, 2)
        shape = ellipse((spot[0], spot[1]), (radii[0], radii[1]), float(rng.uniform(0, 180)), 14)
        out.append(Matter(shape, float(rng.uniform(-0.18, 0.2)) * bone, rim=float(rng.uniform(0, 0.12)) * bone, blur=1))
    for _ in range(9):
        start = rng.uniform((-50, -32), (40, 20))
        path = start + np.cumsum(rng.normal((2.0, 0.5), 7.0, (4, 2)), axis=0)
        out.append(line(path, float(rng.uniform(0.5, 1.6)), float(rng.uniform(0.06, 0.2)) * bone))
    return out
