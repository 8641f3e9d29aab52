# SPDX-License-Identifier: Apache-2.0
"""Curves in the patient, the way from there to the picture, and filled outlines on a pixel grid."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]  # (N, 2), x then y: millimetres in the patient (facing left, y down) or pixels
Floats = npt.NDArray[np.float32]
Window = tuple[slice, slice]

_SHIFT = 6  # binary places of a sub-pixel in OpenCV's whole numbers
# OpenCV fills every sub-pixel that an outline touches. With the touched ones at this value outlines are a third of a
# sub-pixel too wide: as those were with which the ranges of attenuations were fitted.
_TOUCHED = 220
_HALF = 150  # of 255, with which masks are 0.03 pixels too wide


def smooth(points: npt.ArrayLike, per: int = 5) -> Points:
    """Closed Catmull-Rom curve through control points, float64 (N * per, 2)."""
    p = np.asarray(points, np.float64)
    return np.asarray(_closed(len(p), per) @ p)


def smooth_open(points: npt.ArrayLike, per: int = 5) -> Points:
    """Open Catmull-Rom curve through control points, float64 ((N - 1) * per + 1, 2)."""
    p = np.asarray(points, np.float64)
    return np.asarray(_opened(len(p), per) @ p)


@lru_cache(maxsize=128)
def _closed(n: int, per: int) -> Points:
    """What each point of a closed curve takes from each control point, float64 (n * per, n)."""
    out = np.zeros((n, per, n))
    for i in range(n):
        for j, weights in enumerate(_basis(per).T):
            out[i, :, (i + j - 1) % n] += weights
    return out.reshape(-1, n)


@lru_cache(maxsize=128)
def _opened(n: int, per: int) -> Points:
    """What each point of an open curve takes from each control point, float64 ((n - 1) * per + 1, n)."""
    # Beyond both ends the curve goes on as straight as it came.
    ends = np.zeros((n + 2, n))
    ends[1:-1] = np.eye(n)
    ends[0, 0] += 2
    ends[0, 1] -= 1
    ends[-1, -1] += 2
    ends[-1, -2] -= 1
    out = np.zeros(((n - 1) * per + 1, n))
    for i in range(n - 1):
        out[i * per : (i + 1) * per] = _basis(per) @ ends[i : i + 4]
    out[-1, -1] = 1
    return out


def _basis(per: int) -> Points:
    """Weights of four points on the curve between the middle two, float64 (per, 4)."""
    u = np.arange(per) / per
    rows = (-u + 2 * u**2 - u**3, 2 - 5 * u**2 + 3 * u**3, u + 4 * u**2 - 3 * u**3, u**3 - u**2)
    return np.asarray(0.5 * np.stack(rows, axis=1))


def normals(line: Points) -> Points:
    """Unit normals of an open line, to the left of its direction when y points down, float64 (N, 2)."""
    d = np.empty_like(line)  # as numpy.gradient, at a third of its cost for lines this short
    d[1:-1] = (line[2:] - line[:-2]) / 2
    d[0], d[-1] = line[1] - line[0], line[-1] - line[-2]
    long = np.maximum(np.hypot(d[:, 0], d[:, 1]), 1e-9)
    out = np.empty_like(d)
    np.divide(d[:, 1], long, out=out[:, 0])
    np.divide(d[:, 0], -long, out=out[:, 1])
    return out


def ribbon(line: Points, half: npt.ArrayLike) -> Points:
    """Closed outline of a line with half widths, float64 (2 N, 2)."""
    widths: npt.NDArray[np.float64] = np.asarray(half, np.float64)
    off = normals(line)
    off *= widths[:, None] if widths.ndim else widths
    n = len(line)
    out = np.empty((2 * n, 2))
    np.add(line, off, out=out[:n])
    np.subtract(line[::-1], off[::-1], out=out[n:])
    return out


def ellipse(centre: tuple[float, float], radii: tuple[float, float], degrees: float = 0.0, n: int = 28) -> Points:
    """Outline of an ellipse turned by degrees, float64 (n, 2)."""
    return np.asarray(turn(_circle(n) * radii, degrees) + centre)


@lru_cache(maxsize=64)
def _circle(n: int) -> Points:
    """Outline of the unit circle, float64 (n, 2)."""
    a = np.linspace(0, 2 * np.pi, n, endpoint=False)
    return np.stack([np.cos(a), np.sin(a)], axis=1)


def turn(points: npt.ArrayLike, degrees: float, about: tuple[float, float] | Points = (0.0, 0.0)) -> Points:
    """Points turned about a centre; positive lowers what lies in front (facing left, y down), float64 (N, 2)."""
    a = math.radians(degrees)
    c, s = math.cos(a), math.sin(a)
    matrix = np.array(((c, -s), (s, c)))
    x, y = float(about[0]), float(about[1])
    if x == 0 and y == 0:
        return np.asarray(np.asarray(points, np.float64) @ matrix)
    # The centre moves with the points, and is put back.
    off = (x - x * c - y * s, y + x * s - y * c)
    return np.asarray(np.asarray(points, np.float64) @ matrix + off)


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
    (x0, y0), (x1, y1) = outline.min(0).tolist(), outline.max(0).tolist()
    pad = rim + margin
    left, top = max(0, int(x0 - pad)), max(0, int(y0 - pad))
    right, bottom = min(width, int(x1 + pad) + 1), min(height, int(y1 + pad) + 1)
    if right <= left or bottom <= top:
        return None
    share = np.zeros(((bottom - top) * fine, (right - left) * fine), np.uint8)
    draw(share, (outline - (left, top)) * fine, inside, rim * fine)
    if fine > 1:
        share = cv2.resize(share, (right - left, bottom - top), interpolation=cv2.INTER_AREA)
    return (slice(top, bottom), slice(left, right)), share


def draw(image: npt.NDArray[np.uint8], outline: Points, inside: int, rim: float = 0.0) -> None:
    """Fill an outline, in place.

    Args:
        image: uint8 (height, width).
        outline: Pixels (N, 2).
        inside: Value of the filling; 0 without.
        rim: Width in pixels of a line along the outline at 255; 0 without, up to 1 as thin as there is.
    """
    # OpenCV counts from the middle of a pixel.
    corners = [np.rint(outline * (1 << _SHIFT) - (1 << (_SHIFT - 1))).astype(np.int32)]
    if inside:
        cv2.fillPoly(image, corners, inside, cv2.LINE_8, _SHIFT)
    if rim > 0:
        # OpenCV's lines have odd widths: even ones are drawn wider, and less dense by as much.
        wide = max(1, round(rim))
        odd = wide + 1 - wide % 2
        share = 1.0 if wide % 2 else (wide - 0.2) / odd
        value = 255 * share + 0.5 * inside * (1 - share)
        cv2.polylines(image, corners, True, round(value), max(1, odd - 1), cv2.LINE_8, _SHIFT)
    elif inside:
        cv2.polylines(image, corners, True, round(inside * _TOUCHED / 255), 1, cv2.LINE_8, _SHIFT)


def fill(plane: npt.NDArray[np.bool_], outlines: list[Points]) -> Window:
    """Set the pixels at least half covered by any of the outlines (pixels), in place.

    Args:
        plane: bool (height, width).
        outlines: Pixels (N, 2) each.

    Returns:
        A window that holds all of them, empty where there are none.
    """
    windows = []
    for outline in outlines:
        found = coverage(outline, *plane.shape)
        if found is not None:
            window, share = found
            plane[window] |= share >= _HALF
            windows.append(window)
    if not windows:
        return slice(0, 0), slice(0, 0)
    rows, columns = zip(*windows, strict=True)
    return _around(rows), _around(columns)


def plane(outlines: list[Points], height: int, width: int) -> npt.NDArray[np.bool_]:
    """Pixels at least half covered by any of the outlines (pixels), bool (height, width)."""
    out = np.zeros((height, width), np.bool_)
    fill(out, outlines)
    return out


def _around(parts: tuple[slice, ...]) -> slice:
    """The smallest slice that holds all of them."""
    return slice(min(part.start for part in parts), max(part.stop for part in parts))
