# SPDX-License-Identifier: Apache-2.0
"""Things in the picture that are no anatomy: coins, clips, rulers, electrode wires, letters, burned-in text."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from vfss.phantom.geometry import Floats, Points, View, coverage, ellipse, ribbon, smooth_open
from vfss.phantom.style import Apparatus


def draw_objects(layer: Floats, view: View, apparatus: Apparatus, rng: np.random.Generator) -> None:
    """Add the attenuation of metal and plastic objects to a layer, float32 (height, width), in place."""
    makers = (_coin, _wire, _clip, _letter, _ruler)
    for _ in range(apparatus.objects):
        makers[int(rng.integers(len(makers)))](layer, view, rng)


def _add(layer: Floats, outline: Points, nepers: float, rim: float = 0.0) -> None:
    found = coverage(outline, layer.shape[0], layer.shape[1], fine=2, rim=rim, inside=0 if rim else 255)
    if found is not None:
        layer[found[0]] += found[1] * np.float32(nepers / 255)


def _spot(view: View, rng: np.random.Generator) -> tuple[float, float]:
    """Somewhere, rather towards the border than in the middle."""
    x, y = rng.uniform(0.02, 0.98, 2)
    if abs(x - 0.5) < 0.2 and abs(y - 0.5) < 0.25:
        x = x + 0.4 if x > 0.5 else x - 0.4
    return float(x * view.width), float(y * view.height)


def _coin(layer: Floats, view: View, rng: np.random.Generator) -> None:
    radius = float(rng.uniform(4, 12)) * view.scale
    outline = ellipse(_spot(view, rng), (radius, radius * float(rng.uniform(0.6, 1))), float(rng.uniform(0, 180)))
    if rng.random() < 0.3:
        _add(layer, outline, 1.5, rim=max(1.0, 0.25 * radius))
    else:
        _add(layer, outline, float(rng.uniform(1.0, 3.0)))


def _wire(layer: Floats, view: View, rng: np.random.Generator) -> None:
    start = np.array((rng.choice((-0.05, 1.05)) * view.width, rng.uniform(0.4, 1.0) * view.height))
    step = (np.array((0.5, 0.9)) * (view.width, view.height) - start) * rng.uniform(0.1, 0.25)
    line = start + np.cumsum(step + rng.normal(0, 0.04, (5, 2)) * (view.width, view.height), axis=0)
    _add(layer, ribbon(smooth_open(line, 8), float(rng.uniform(0.5, 1.3)) * view.scale), float(rng.uniform(0.6, 2.0)))


def _clip(layer: Floats, view: View, rng: np.random.Generator) -> None:
    x, y = _spot(view, rng)
    reach = rng.uniform(4, 14) * view.scale
    turn = rng.uniform(0, np.pi)
    line = np.array((x, y)) + np.outer(np.linspace(-1, 1, 4), (np.cos(turn), np.sin(turn))) * reach
    line += rng.normal(0, 0.12, line.shape) * reach
    _add(layer, ribbon(smooth_open(line), float(rng.uniform(0.6, 2.0)) * view.scale), float(rng.uniform(1.0, 3.0)))


def _letter(layer: Floats, view: View, rng: np.random.Generator) -> None:
    """A lead letter or number."""
    size = max(8, int(rng.uniform(8, 18) * view.scale))
    image = Image.new("L", (size, size))
    ImageDraw.Draw(image).text((1, 0), str(rng.choice(tuple("RLJ1234"))), fill=255, font=_font(size))
    x, y = (int(v) for v in _spot(view, rng))
    target = layer[y : y + size, x : x + size]
    target += np.asarray(image)[: target.shape[0], : target.shape[1]] * np.float32(1.6 / 255)


def _ruler(layer: Floats, view: View, rng: np.random.Generator) -> None:
    x = float(rng.uniform(0.03, 0.97)) * view.width
    top, bottom = (float(v) * view.height for v in (rng.uniform(0.05, 0.4), rng.uniform(0.6, 0.95)))
    half = 0.35 * view.scale
    _add(layer, np.array(((x - half, top), (x + half, top), (x + half, bottom), (x - half, bottom))), 1.0)
    for y in np.arange(top, bottom, 10 * view.scale):
        _add(layer, np.array(((x, y), (x + 4 * view.scale, y), (x + 4 * view.scale, y + 1), (x, y + 1))), 1.0)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def burn_text(picture: npt.NDArray[np.uint8], rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Picture with lines of text in a corner, as a capture device writes them, uint8 (height, width)."""
    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image)
    size = max(7, int(min(picture.shape) * rng.uniform(0.022, 0.04)))
    at = [int(rng.choice((0.02, 0.7)) * picture.shape[1]), int(rng.choice((0.02, 0.85)) * picture.shape[0])]
    for _ in range(int(rng.integers(1, 4))):
        digits = rng.integers(0, 10, 6)
        line = str(rng.choice(("PHANTOM", "kV {}{}", "{}{}:{}{}:{}{}", "FR {}{}{}", "LAT {}"))).format(*digits)
        draw.text((at[0], at[1]), line, fill=int(rng.choice((255, 220, 0))), font=_font(size))
        at[1] += size + 2
    return np.array(image, np.uint8)
