# SPDX-License-Identifier: Apache-2.0
"""Things in the beam that are no anatomy: coins, clips, wires, tubes, necklaces, buttons, lead letters, chair, hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from vfss.phantom.blur import gaussian
from vfss.phantom.geometry import Floats, Points, View, coverage, ellipse, ribbon, smooth, smooth_open
from vfss.phantom.overlays import font

Maker = Callable[[Floats, View, np.random.Generator], None]


def draw_objects(layer: Floats, view: View, number: int, rng: np.random.Generator) -> None:
    """Add the attenuation of so many objects to a layer of the picture, float32 (height, width), in place."""
    names = list(_MAKERS)
    weights = np.array([weight for _, weight in _MAKERS.values()])
    for name in rng.choice(names, number, p=weights / weights.sum()):
        _MAKERS[str(name)][0](layer, view, rng)


def _add(layer: Floats, outline: Points, nepers: float, rim: float = 0.0) -> None:
    found = coverage(outline, layer.shape[0], layer.shape[1], fine=2, rim=rim, inside=0 if rim else 255)
    if found is not None:
        layer[found[0]] += found[1] * np.float32(nepers / 255)


def _spot(view: View, rng: np.random.Generator) -> Points:
    """Somewhere, mostly rather towards the border than in the middle, float64 (2,)."""
    x, y = rng.uniform(0.02, 0.98, 2)
    if abs(x - 0.5) < 0.2 and abs(y - 0.5) < 0.25 and rng.random() < 0.5:
        x = x + 0.4 if x > 0.5 else x - 0.4
    return np.array((x * view.width, y * view.height))


def _ring(at: Points, radius: float, rng: np.random.Generator) -> Points:
    flat = (radius, radius * float(rng.uniform(0.6, 1)))
    return ellipse((float(at[0]), float(at[1])), flat, float(rng.uniform(0, 180)))


def _coin(layer: Floats, view: View, rng: np.random.Generator) -> None:
    radius = float(rng.uniform(3, 12)) * view.scale
    outline = _ring(_spot(view, rng), radius, rng)
    if rng.random() < 0.3:
        _add(layer, outline, 1.5, rim=max(1.0, 0.25 * radius))
    else:
        _add(layer, outline, float(rng.uniform(1.0, 4.0)))


def _button(layer: Floats, view: View, rng: np.random.Generator) -> None:
    """Snap buttons of a gown: a ring, a middle, spokes; often two."""
    at, radius = _spot(view, rng), float(rng.uniform(3, 7)) * view.scale
    for _ in range(int(rng.integers(1, 4))):
        _add(layer, _ring(at, radius, rng), float(rng.uniform(0.8, 2.5)), rim=max(1.0, 0.3 * radius))
        for a in np.linspace(0, 2 * np.pi, 6, endpoint=False):
            dot = at + 0.75 * radius * np.array((np.cos(a), np.sin(a)))
            _add(layer, ellipse((float(dot[0]), float(dot[1])), (0.18 * radius, 0.18 * radius), n=8), 0.8)
        at = at + rng.normal(0, 4 * radius, 2)


def _course(view: View, rng: np.random.Generator) -> Points:
    """A line from the border into or through the picture, float64 (N, 2)."""
    size = np.array((view.width, view.height))
    start = np.array((rng.choice((-0.05, 1.05)), rng.uniform(0.3, 1.0))) * size
    goal = np.array((rng.uniform(0.1, 0.9), rng.choice((rng.uniform(0.3, 1.0), 1.1)))) * size
    line = start + np.linspace(0, 1, 6)[:, None] * (goal - start) * rng.uniform(0.6, 1.6)
    return smooth_open(line + np.cumsum(rng.normal(0, 0.03, (6, 2)) * size, axis=0), 8)


def _wire(layer: Floats, view: View, rng: np.random.Generator) -> None:
    """A wire or cable, often a pair side by side."""
    line, half = _course(view, rng), float(rng.uniform(0.3, 1.3)) * view.scale
    dense = float(rng.uniform(0.4, 2.5))
    for i in range(2 if rng.random() < 0.4 else 1):
        apart = np.linspace(0, 1, len(line))[:, None] * rng.normal(0, 8, 2) * view.scale
        _add(layer, ribbon(line + i * (apart + 4 * view.scale), max(0.4, half)), dense)


def _tube(layer: Floats, view: View, rng: np.random.Generator) -> None:
    """Two walls with a little less between: oxygen tube, or a feeding tube with its line."""
    line, half = _course(view, rng), float(rng.uniform(1.2, 3.5)) * view.scale
    dense = float(rng.uniform(0.15, 0.6))
    _add(layer, ribbon(line, half), 0.4 * dense)
    _add(layer, ribbon(line, half), dense, rim=max(1.0, 0.3 * half))


def _necklace(layer: Floats, view: View, rng: np.random.Generator) -> None:
    a, b = np.sort(rng.uniform(0.05, 0.95, 2)) * view.width
    y, sag = rng.uniform(0.5, 0.9) * view.height, rng.uniform(0.02, 0.2) * view.height
    x = np.linspace(a, b, int(rng.integers(12, 45)))
    depth = y + rng.uniform(-0.4, 0.4) * (x - x[0]) + sag * (1 - ((x - x.mean()) / (0.5 * (b - a) + 1)) ** 2)
    radius = max(0.6, float(rng.uniform(0.5, 1.6)) * view.scale)
    for bead in zip(x.tolist(), depth.tolist(), strict=True):
        _add(layer, ellipse(bead, (radius, radius), n=10), 1.2)


def _clip(layer: Floats, view: View, rng: np.random.Generator) -> None:
    """A clip, pin or hook: a short bent line, with an eye at times."""
    at, reach, turn = _spot(view, rng), rng.uniform(4, 14) * view.scale, rng.uniform(0, np.pi)
    line = at + np.outer(np.linspace(-1, 1, 4), (np.cos(turn), np.sin(turn))) * reach
    line += rng.normal(0, 0.12, line.shape) * reach
    half, dense = max(0.4, float(rng.uniform(0.5, 2.0)) * view.scale), float(rng.uniform(1.0, 3.0))
    _add(layer, ribbon(smooth_open(line), half), dense)
    if rng.random() < 0.4:
        _add(layer, _ring(line[0], 0.3 * reach, rng), dense, rim=max(1.0, half))


def _coil(layer: Floats, view: View, rng: np.random.Generator) -> None:
    at, reach, turn = _spot(view, rng), rng.uniform(5, 20) * view.scale, rng.uniform(0, np.pi)
    u = np.linspace(-1, 1, 90)
    wave = np.stack([u * reach, 0.25 * reach * np.sin(u * rng.uniform(8, 30))], axis=1)
    c, s = np.cos(turn), np.sin(turn)
    _add(
        layer, ribbon(wave @ np.array(((c, s), (-s, c))) + at, max(0.4, 0.4 * view.scale)), float(rng.uniform(0.5, 1.5))
    )


def _letter(layer: Floats, view: View, rng: np.random.Generator) -> None:
    """A lead letter or number."""
    size = max(8, int(rng.uniform(8, 18) * view.scale))
    image = Image.new("L", (size, size))
    ImageDraw.Draw(image).text((1, 0), str(rng.choice(tuple("RLJ1234"))), fill=255, font=font(size))
    x, y = (int(v) for v in _spot(view, rng))
    target = layer[y : y + size, x : x + size]
    target += np.asarray(image)[: target.shape[0], : target.shape[1]] * np.float32(1.6 / 255)


def _ruler(layer: Floats, view: View, rng: np.random.Generator) -> None:
    """A ruler of lead: a line and its ticks."""
    x = float(rng.uniform(0.03, 0.97)) * view.width
    top, bottom = (float(v) * view.height for v in (rng.uniform(0.05, 0.4), rng.uniform(0.6, 0.95)))
    half = 0.35 * view.scale
    _add(layer, np.array(((x - half, top), (x + half, top), (x + half, bottom), (x - half, bottom))), 1.0)
    for y in np.arange(top, bottom, 10 * view.scale):
        _add(layer, np.array(((x, y), (x + 4 * view.scale, y), (x + 4 * view.scale, y + 1), (x, y + 1))), 1.0)


def _chair(layer: Floats, view: View, rng: np.random.Generator) -> None:
    """Back of a chair or a headrest: a broad soft-edged band along one border."""
    x, tilt = rng.choice((0.0, 1.0)) * view.width, rng.normal(0, 0.15) * view.width
    broad = rng.uniform(0.04, 0.22) * view.width
    band = np.array(((x - broad, 0), (x + broad, 0), (x + broad + tilt, view.height), (x - broad + tilt, view.height)))
    plate = np.zeros_like(layer)
    _add(plate, band, float(rng.uniform(0.1, 0.9)))
    if rng.random() < 0.5:
        _add(plate, band, 0.4, rim=max(1.0, 2 * view.scale))
    layer += gaussian(plate, 0.8 * view.scale, truncate=2.5)


def _hand(layer: Floats, view: View, rng: np.random.Generator) -> None:
    """Fingers of someone who holds a cup or a head, from a border: soft with a bone in each."""
    side = rng.choice((0.0, 1.0))
    at = np.array((side * view.width, rng.uniform(0.1, 0.9) * view.height))
    way = np.array((1 - 2 * side, rng.uniform(-0.6, 0.6)))
    long = rng.uniform(25, 60) * view.scale
    for i in range(int(rng.integers(1, 5))):
        root = at + np.array((0.0, i * 17 * view.scale))
        line = root + np.linspace(-0.3, 1, 5)[:, None] * way * long + rng.normal(0, 0.02, (5, 2)) * long
        half = np.array((9.0, 9, 8.5, 7.5, 4)) * view.scale
        _add(layer, smooth(ribbon(line, half), 3), 0.35)
        _add(layer, ribbon(line, 0.45 * half), 0.25)


_MAKERS: dict[str, tuple[Maker, float]] = {
    "coin": (_coin, 2.0),
    "button": (_button, 1.0),
    "wire": (_wire, 2.5),
    "tube": (_tube, 1.0),
    "necklace": (_necklace, 0.6),
    "clip": (_clip, 1.5),
    "coil": (_coil, 0.5),
    "letter": (_letter, 0.8),
    "ruler": (_ruler, 0.6),
    "chair": (_chair, 0.8),
    "hand": (_hand, 0.6),
}
