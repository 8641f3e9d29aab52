# SPDX-License-Identifier: Apache-2.0
"""Both rows of teeth, near and far: roots, crowns, fillings, bridges, implants, braces, dentures, or none."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vfss.phantom.geometry import Points, ellipse, ribbon, smooth, smooth_open
from vfss.phantom.matter import Matter
from vfss.phantom.surroundings import Arch, Surroundings

# From the incisors back: place along the row, half width of the crown, distance from the middle of the face, and
# by how much the root leans (millimetres at its end, towards the back for the upper row).
_AT = np.array((-97.0, -94.5, -90.5, -84.0, -77.5, -69.0, -59.0, -50.0))
_HALF = np.array((2.2, 2.1, 3.4, 3.3, 3.3, 4.9, 4.8, 4.3))
_OFF = np.array((4.0, 10.0, 16.0, 20.0, 22.0, 25.0, 27.0, 28.0))
_LEAN = np.array((8.0, 7.0, 5.0, 2.0, 1.0, 0.5, 1.5, 3.0))
_ROOT = np.array((13.0, 12.5, 16.0, 13.5, 13.0, 12.0, 11.5, 10.0))
_HEIGHT = np.array((9.5, 8.8, 9.3, 8.0, 7.4, 7.2, 6.8, 6.3))


def row(around: Surroundings, bone: float, *, upper: bool, seed: int) -> list[Matter]:
    """One row of teeth with its gum, in millimetres of the skull, jaw closed."""
    rng = np.random.default_rng((around.seed, seed))
    kind = around.upper if upper else around.lower
    gum, way = (44.5, 1.0) if upper else (62.5, -1.0)
    out: list[Matter] = [] if kind in ("edentulous", "denture") else _ridge(gum, way, bone, rng)
    if kind == "denture":
        out += _denture(around, gum, way, bone, rng)
    if kind in ("edentulous", "denture"):
        return out
    for far in (0.0, 1.0):
        for i in range(8):
            missing = rng.random() > around.present or (i == 7 and rng.random() < 0.5)
            if missing and kind != "implants":
                continue
            shift = np.array(around.parallax) * (2 * far - 1) * _OFF[i] / 90 + rng.normal(0, 0.6, 2)
            jitter = 1 + 0.06 * rng.normal(size=2)
            out += _tooth(around, bone, _Shape(i, gum, way, shift, jitter), kind=kind, rng=rng, missing=missing)
    if kind == "crowned":
        out.append(_bridge(around, gum, way, rng))
    if kind == "braces":
        out += _arch_wires(around, gum, way, rng)
    return out


class _Shape:
    """Where one tooth stands; maps (across, along) from its neck, towards the crown positive, to millimetres."""

    def __init__(self, i: int, gum: float, way: float, shift: Points, jitter: Points) -> None:
        self.half, self.root, self.crown = _HALF[i] * jitter[0], _ROOT[i] * jitter[1], _HEIGHT[i]
        self.put: Callable[[object], Points] = lambda points: _put(points, i, gum, way, shift)


def _put(points: object, i: int, gum: float, way: float, shift: Points) -> Points:
    p = np.array(points, np.float64)
    lean = (_LEAN[i] if way > 0 else 0.7 * _LEAN[i]) * p[:, 1] / _ROOT[i]
    # The lower row stands a little behind the upper one.
    x = _AT[i] + (0.0 if way > 0 else (2.5 if i < 3 else 1.0)) + p[:, 0] - lean
    return np.asarray(np.stack([x, gum + way * p[:, 1]], axis=1) + shift)


def _tooth(
    around: Surroundings, bone: float, shape: _Shape, *, kind: Arch, rng: np.random.Generator, missing: bool
) -> list[Matter]:
    w, root, crown = shape.half, shape.root, shape.crown * around.crown
    if missing:
        screw = ((-1.8, 0), (1.8, 0), (1.3, -0.8 * root), (-1.3, -0.8 * root))
        return [
            Matter(shape.put(screw), 0.9 * around.metal, rim=0.2),
            Matter(smooth(shape.put(((-w, 0), (w, 0), (w, crown), (-w, crown))), 3), 0.3 + 0.5 * rng.random()),
        ]
    molar = w > 4
    feet = (
        ((0.75, -0.8), (0.45, -1.0), (0.1, -0.35), (-0.35, -1.0), (-0.7, -0.85)) if molar else ((0.2, -1), (-0.3, -1))
    )
    lower = [(w * a, root * b) for a, b in feet]
    outline = [
        (-0.72 * w, 0),
        (-w, 0.55 * crown),
        (-0.85 * w, crown),
        (0.8 * w, crown),
        (w, 0.55 * crown),
        (0.72 * w, 0),
    ]
    body = smooth(shape.put([*outline, *lower]), 3)
    enamel = smooth(shape.put([*outline]), 3)
    pulp = ribbon(smooth_open(shape.put(((0, 0.4 * crown), (0, -0.3 * root), (0.0, -0.8 * root)))), 0.45)
    b = 0.6 + 0.4 * bone
    out = [
        Matter(body, 0.14 * b, rim=0.07 * b, rim_mm=0.8),
        Matter(enamel, 0.14 * b),
        Matter(pulp, -0.08 * b, blur=1),
    ]
    return out + _repair(around, shape, enamel, pulp, kind=kind, rng=rng)


def _repair(
    around: Surroundings, shape: _Shape, enamel: Points, pulp: Points, *, kind: Arch, rng: np.random.Generator
) -> list[Matter]:
    """A crown, with or without a filled root, or a filling."""
    w, crown = shape.half, shape.crown * around.crown
    out: list[Matter] = []
    if kind == "crowned" and rng.random() < 0.55:
        out.append(Matter(enamel, around.metal))
        if rng.random() < 0.5:
            out.append(Matter(pulp, 0.5))
    elif kind == "braces":
        out.append(_bracket(around, shape, rng))
    elif rng.random() < 0.6 * around.filled:
        spot = shape.put(((rng.uniform(-0.4, 0.4) * w, rng.uniform(0.4, 0.95) * crown),))[0]
        size = (float(rng.uniform(0.35, 0.95)) * w, float(rng.uniform(1.0, 3.0)))
        out.append(Matter(ellipse((spot[0], spot[1]), size, float(rng.normal(0, 15)), 10), around.metal))
        if rng.random() < 0.25:
            # A filled root is as dense as metal, and seen down to its tip.
            out.append(Matter(pulp, 0.6 * around.metal))
    return out


def _bracket(around: Surroundings, shape: _Shape, rng: np.random.Generator) -> Matter:
    """A bracket on the crown's face; molars wear a band."""
    w, crown = shape.half, shape.crown * around.crown
    half, high = (w, 0.3 * crown) if w > 4 and rng.random() < 0.6 else (1.5, 1.4)
    corners = ((-half, 0.5 * crown - high), (half, 0.5 * crown - high), (half, 0.5 * crown + high))
    box = shape.put((*corners, (-half, 0.5 * crown + high)))
    return Matter(box, 0.5 * around.metal, rim=0.2 * around.metal, rim_mm=0.8)


def _arch_wires(around: Surroundings, gum: float, way: float, rng: np.random.Generator) -> list[Matter]:
    """The wire through the brackets of both sides."""
    out = []
    for far in (0.0, 1.0):
        shift = np.array(around.parallax) * (2 * far - 1) * _OFF[:, None] / 90
        line = np.stack([_AT - 1.0, np.full(len(_AT), gum + way * 4.2)], axis=1) + shift
        line += rng.normal(0, 0.2, line.shape)
        out.append(Matter(ribbon(smooth_open(line), 0.45), 0.6 * around.metal))
    return out


def _ridge(gum: float, way: float, bone: float, rng: np.random.Generator) -> list[Matter]:
    """The bone in which the roots stand."""
    depth = -way * (13 + rng.normal(0, 1.0, 6))
    top = np.stack([np.linspace(-99, -47, 6), gum - way * 1.0 + rng.normal(0, 0.7, 6)], axis=1)
    low = np.stack([np.linspace(-93, -46, 6), gum + depth], axis=1)
    return [Matter(smooth(np.concatenate([top, low[::-1]]), 3), 0.1 * bone, rim=0.05 * bone, rim_mm=1.2, blur=1)]


def _bridge(around: Surroundings, gum: float, way: float, rng: np.random.Generator) -> Matter:
    """Crowns in a block, as wide restorations are: one dark band."""
    first, last = sorted(rng.choice(8, 2, replace=False).tolist())
    xs = np.linspace(_AT[first] - 3, _AT[last] + 4, max(3, last - first + 2))
    neck = np.stack([xs, gum + way * rng.uniform(0, 2.0, len(xs))], axis=1)
    edge = np.stack([xs, gum + way * (7.5 + rng.normal(0, 0.7, len(xs)))], axis=1)
    return Matter(smooth(np.concatenate([neck, edge[::-1]]), 3), around.metal)


def _denture(around: Surroundings, gum: float, way: float, bone: float, rng: np.random.Generator) -> list[Matter]:
    """Plastic that is hardly seen, teeth of plastic or porcelain, at times a metal frame with clasps."""
    base = np.array(((-100.0, 1), (-90, 2), (-70, 2.5), (-50, 2), (-46, -2), (-62, -6), (-82, -8), (-98, -5)))
    plastic = smooth(np.stack([base[:, 0], gum + way * base[:, 1]], axis=1), 3)
    out = [Matter(plastic, 0.04, rim=0.03, blur=1)]
    porcelain = float(rng.choice((0.06, 0.35)))
    for i in range(7):
        shape = _Shape(i, gum, way, rng.normal(0, 0.3, 2), np.ones(2))
        w, h = shape.half, shape.crown
        tooth = smooth(
            shape.put(((-0.8 * w, 1), (-w, 0.6 * h), (-0.8 * w, h), (0.8 * w, h), (w, 0.6 * h), (0.8 * w, 1))), 3
        )
        out.append(Matter(tooth, porcelain, rim=0.4 * porcelain, rim_mm=0.8))
    if rng.random() < 0.4:
        bar = np.stack([np.linspace(-95, -50, 6), gum - way * rng.uniform(0, 5, 6)], axis=1)
        out.append(Matter(ribbon(smooth_open(bar), float(rng.uniform(0.6, 1.8))), around.metal))
    return out
