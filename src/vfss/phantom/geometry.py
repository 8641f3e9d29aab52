# SPDX-License-Identifier: Apache-2.0
"""Curves in the patient, the way from there to the picture, and filled outlines on a pixel grid."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

Points = npt.NDArray[np.float64]  # (N, 2), x then y: millimetres in the patient (facing left, y down) or pixels
Floats = npt.NDArray[np.float32]
Window = tuple[slice, slice]

# Pillow fills every sub-pixel that an outline touches, about half a sub-pixel too much along the border.
_HALF = 156


@lru_cache(maxsize=16)
def _basis(per: int) -> npt.NDArray[np.float64]:
    u = np.arange(per) / per
    rows = (-u + 2 * u**2 - u**3, 2 - 5 * u**2 + 3 * u**3, u + 4 * u**2 - 3 * u**3, u**3 - u**2)
    return np.asarray(0.5 * np.stack(rows, axis=1))


def smooth(points: npt.ArrayLike, per: int = 5) -> Points:
    """Closed Catmull-Rom curve through control points, float64 (N * per, 2)."""
    p = np.asarray(points, np.float64)
    return np.asarray(np.einsum("uk,nkd->nud", _basis(per), p[_neighbours(len(p))])).reshape(-1, 2)


@lru_cache(maxsize=64)
def _neighbours(n: int) -> npt.NDArray[np.intp]:
    """The point before each of a closed curve, itself, and the two after it, (n, 4)."""
    return np.asarray((np.arange(n)[:, None] + np.array((-1, 0, 1, 2))) % n, np.intp)


def smooth_open(points: npt.ArrayLike, per: int = 5) -> Points:
    """Open Catmull-Rom curve through control points, float64 ((N - 1) * per + 1, 2)."""
    p = np.asarray(points, np.float64)
    p = np.concatenate([p[:1] * 2 - p[1:2], p, p[-1:] * 2 - p[-2:-1]])
    four = np.stack([p[:-3], p[1:-2], p[2:-1], p[3:]], axis=1)
    curve = np.asarray(np.einsum("uk,nkd->nud", _basis(per), four))
    return np.concatenate([curve.reshape(-1, 2), p[-2:-1]])


def normals(line: Points) -> Points:
    """Unit normals of an open line, to the left of its direction when y points down, float64 (N, 2)."""
    d = np.empty_like(line)  # as numpy.gradient, at a third of its cost for lines this short
    d[1:-1] = (line[2:] - line[:-2]) / 2
    d[0], d[-1] = line[1] - line[0], line[-1] - line[-2]
    unit = d / np.maximum(np.hypot(d[:, :1], d[:, 1:]), 1e-9)
    return np.stack([unit[:, 1], -unit[:, 0]], axis=1)


def ribbon(line: Points, half: npt.ArrayLike) -> Points:
    """Closed outline of a line with half widths, float64 (2 N, 2)."""
    widths: npt.NDArray[np.float64] = np.asarray(half, np.float64)
    off = normals(line) * np.broadcast_to(widths, (len(line),))[:, None]
    return np.concatenate([line + off, (line - off)[::-1]])


def ellipse(centre: tuple[float, float], radii: tuple[float, float], degrees: float = 0.0, n: int = 28) -> Points:
    """Outline of an ellipse turned by degrees, float64 (n, 2)."""
    a = np.linspace(0, 2 * np.pi, n, endpoint=False)
    level = np.stack([radii[0] * np.cos(a), radii[1] * np.sin(a)], axis=1)
    return np.asarray(turn(level, degrees) + np.asarray(centre))


def turn(points: npt.ArrayLike, degrees: float, about: npt.ArrayLike = (0.0, 0.0)) -> Points:
    """Points turned about a centre; positive lowers what lies in front (facing left, y down), float64 (N, 2)."""
    a = np.deg2rad(degrees)
    c, s = np.cos(a), np.sin(a)
    centre = np.asarray(about, np.float64)
    return np.asarray((np.asarray(points, np.float64) - centre) @ np.array([[c, -s], [s, c]]) + centre)


@dataclass(frozen=True)
class View:
    """From millimetres in the patient to pixels: size of the picture, scale, turn, place and side.

    Attributes:
        height: Rows.
        width: Columns.
        scale: Pixels per millimetre.
        degrees: Turn of the patient in the picture.
        focus: Point of the patient (x, y) in millimetres shown at `centre`.
        centre: Pixel (x, y) where the focus lies, before mirroring.
        mirrored: True where the patient faces right.
    """

    height: int
    width: int
    scale: float
    degrees: float
    focus: tuple[float, float]
    centre: tuple[float, float]
    mirrored: bool

    def pixels(self, points: Points) -> Points:
        """Millimetres (N, 2) to pixel edges coordinates (N, 2): pixel (0, 0) spans 0..1."""
        out: Points = (turn(points, self.degrees, self.focus) - np.asarray(self.focus)) * self.scale + np.asarray(
            self.centre
        )
        if self.mirrored:
            out[:, 0] = self.width - out[:, 0]
        return out

    @property
    def matrix(self) -> npt.NDArray[np.float64]:
        """The same as an affine map, float64 (2, 3)."""
        base = self.pixels(np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
        return np.stack([base[1] - base[0], base[2] - base[0], base[0]], axis=1)


def to_pixels(matrix: npt.NDArray[np.float64], points: Points) -> Points:
    """Millimetres (N, 2) to pixels (N, 2) by an affine map (2, 3)."""
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2])


def coverage(
    outline: Points, height: int, width: int, *, fine: int = 4, rim: float = 0.0, inside: int = 255, margin: int = 2
) -> tuple[Window, npt.NDArray[np.uint8]] | None:
    """Share of every pixel inside an outline, 0..255, on the smallest window; None where it misses the picture.

    Args:
        outline: Pixels (N, 2).
        height: Rows of the picture.
        width: Columns of the picture.
        fine: Sub-pixels per pixel and axis.
        rim: Width in pixels of a line along the outline, drawn at 255 over the filling.
        inside: Value of the filling.
        margin: Pixels around the outline that the window keeps.
    """
    low, high = outline.min(0), outline.max(0)
    pad = rim + margin
    x0, y0 = max(0, int(low[0] - pad)), max(0, int(low[1] - pad))
    x1, y1 = min(width, int(high[0] + pad) + 1), min(height, int(high[1] + pad) + 1)
    if x1 <= x0 or y1 <= y0:
        return None
    image = Image.new("L", ((x1 - x0) * fine, (y1 - y0) * fine))
    draw = ImageDraw.Draw(image)
    flat = ((outline - (x0, y0)) * fine).ravel().tolist()
    if inside:
        draw.polygon(flat, fill=inside)
    if rim > 0:
        draw.line([*flat, flat[0], flat[1]], fill=255, width=max(1, round(rim * fine)))
    if fine > 1:
        image = image.reduce(fine)
    share = np.frombuffer(image.tobytes(), np.uint8).reshape(y1 - y0, x1 - x0)
    return (slice(y0, y1), slice(x0, x1)), share


def plane(outlines: list[Points], height: int, width: int) -> npt.NDArray[np.bool_]:
    """Pixels at least half covered by any of the outlines (pixels), bool (height, width)."""
    out = np.zeros((height, width), np.bool_)
    for outline in outlines:
        found = coverage(outline, height, width)
        if found is not None:
            window, share = found
            out[window] |= share >= _HALF
    return out
