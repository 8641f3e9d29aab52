# SPDX-License-Identifier: Apache-2.0
"""Surfaces in the beam: how much of a ray runs inside a body and in its cortex, and the body's outline in the picture.

Rays start at a point beside the patient, so that what lies near is larger than what lies far. A body's thickness along
a ray is the sum of the depths at which the ray leaves it less those at which it enters. The cortex is a shell below the
surface, spread over the picture as points that each stand for some of its volume: so plates seen edge on become lines
without the noise that the obliqueness of single triangles has.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from vfss.phantom.geometry import Floats, Points

Solid = npt.NDArray[np.float64]  # (N, 3): x and y in the patient's millimetres, and depth towards the source
_POINTS_MM2, _MOST_POINTS = 7, 400  # points of the cortex below a square millimetre, and below one triangle
_SEQUENCE = 1 << 16  # after so many the places of these points repeat
_FINE = 4  # outlines are taken from a grid so many times finer
_EVERY = 4  # of their points one in so many is kept


@dataclass(frozen=True)
class Grid:
    """Raster on the plane in the middle of the patient.

    Attributes:
        corner: Millimetres (x, y) of the corner of the first pixel.
        step: Millimetres per pixel.
        rows: Pixels down.
        columns: Pixels across.
    """

    corner: tuple[float, float]
    step: float
    rows: int
    columns: int


@dataclass(frozen=True)
class Source:
    """Where rays come from.

    Attributes:
        at: Where the ray that meets the picture at a right angle does so, millimetres (x, y).
        distance: From the source to the plane in the middle of the patient, millimetres.
    """

    at: tuple[float, float]
    distance: float

    def cast(self, solid: Solid) -> Solid:
        """Points where their rays meet the middle plane, with their depths, float64 (N, 3)."""
        centre = np.array(self.at)
        grown = self.distance / (self.distance - solid[:, 2:])
        return np.concatenate([centre + (solid[:, :2] - centre) * grown, solid[:, 2:]], axis=1)


def grid_around(points: Points, step: float, margin: float = 3.0) -> Grid:
    """The raster that holds points (N, 2 or more), millimetres."""
    low, high = points[:, :2].min(0) - margin, points[:, :2].max(0) + margin
    columns, rows = (int(n) for n in np.ceil((high - low) / step))
    return Grid((float(low[0]), float(low[1])), step, rows, columns)


def depth(cast: Solid, faces: npt.NDArray[np.int64], grid: Grid) -> Floats:
    """Millimetres of each ray that run inside a closed surface, float32 (rows, columns).

    Args:
        cast: Vertices as Source.cast gives them, float64 (V, 3).
        faces: Triangles, int64 (F, 3); either sense of turning will do, as long as all have the same.
        grid: Raster; parts of the surface beyond it are left out.
    """
    # The odd shift keeps rays off edges that lie on the grid, which would count twice or not at all.
    flat = (cast[:, :2] - grid.corner) / grid.step - (0.5 + 1.234e-4, 0.5 + 2.345e-4)
    corners = flat[faces]
    low = np.maximum(np.ceil(corners.min(1)), 0).astype(np.int32)
    high = np.minimum(np.floor(corners.max(1)), (grid.columns - 1, grid.rows - 1)).astype(np.int32)
    extent = np.maximum(high - low + 1, 0)
    counts = extent[:, 0] * extent[:, 1]
    reach = np.cumsum(counts, dtype=np.int32)
    owner = np.repeat(np.arange(len(faces), dtype=np.int32), counts)
    place = np.arange(len(owner), dtype=np.int32) - (reach - counts)[owner]
    down, right = np.divmod(place, extent[owner, 0])
    column, row = low[owner, 0] + right, low[owner, 1] + down
    x, y = column.astype(np.float64), row.astype(np.float64)
    # Both triangles at an edge find exactly opposite sides for a pixel, so that none is counted twice or left out.
    sides = [_side(corners[:, k], corners[:, (k + 1) % 3], owner, x, y) for k in range(3)]
    positive = sides[0] > 0
    met = (positive == (sides[1] > 0)) & (positive == (sides[2] > 0))
    owner, pixel = owner[met], (row * grid.columns + column)[met]
    ab, bc, ca = (side[met] for side in sides)
    near = (cast[:, 2] - cast[:, 2].mean())[faces][owner]
    signed = (bc * near[:, 0] + ca * near[:, 1] + ab * near[:, 2]) / np.maximum(np.abs(ab + bc + ca), 1e-12)
    total = np.bincount(pixel, signed, grid.rows * grid.columns).reshape(grid.rows, grid.columns)
    total = -total if total.sum() < 0 else total
    return np.maximum(total, 0).astype(np.float32)


def _side(p: Points, q: Points, owner: npt.NDArray[np.int32], x: Points, y: Points) -> Points:
    """Twice the signed area of pixel and edge, float64 (N,): its sign is the side of the edge where the pixel lies."""
    step = q - p
    return np.asarray((p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0])[owner] + step[owner, 0] * y - step[owner, 1] * x)


def cortex(solid: Solid, cast: Solid, faces: npt.NDArray[np.int64], grid: Grid, *, shell: float) -> Floats:
    """Millimetres of each ray that run in a shell below a surface, float32 (rows, columns).

    Args:
        solid: Vertices before Source.cast, float64 (V, 3).
        cast: The same after it.
        faces: Triangles, int64 (F, 3).
        grid: Raster.
        shell: Thickness of the shell, millimetres.
    """
    corners = solid[faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    twice = np.linalg.norm(across, axis=1)
    outwards = np.sign(np.einsum("ij,ij->", corners[:, 0] - solid.mean(0), across))
    inwards = -outwards * shell / grid.step * across[:, :2] / np.maximum(twice, 1e-12)[:, None]
    counts = np.clip(np.ceil(0.5 * twice * _POINTS_MM2), 1, _MOST_POINTS).astype(np.int64)
    owner = np.repeat(np.arange(len(faces)), counts)
    u, v, below = (np.resize(values, len(owner)) for values in _spread())
    flat = ((cast[:, :2] - grid.corner) / grid.step).astype(np.float32)
    a, b, c = (flat[faces[:, k]] for k in range(3))
    sides = np.concatenate([a, b - a, c - a, inwards], axis=1).astype(np.float32)[owner]
    column, row = (
        np.floor(sides[:, k] + u * sides[:, k + 2] + v * sides[:, k + 4] + below * sides[:, k + 6]).astype(np.int32)
        for k in range(2)
    )
    held = (column >= 0) & (column < grid.columns) & (row >= 0) & (row < grid.rows)
    volume = (0.5 * shell * twice / counts)[owner]
    total = np.bincount(row[held] * grid.columns + column[held], volume[held], grid.rows * grid.columns)
    share = total.reshape(grid.rows, grid.columns).astype(np.float32) / np.float32(grid.step**2)
    return np.asarray(ndimage.gaussian_filter(share, 0.9, truncate=2.5))


@lru_cache(maxsize=1)
def _spread() -> tuple[Floats, Floats, Floats]:
    """Points below triangles: shares along two sides, and depth as a share of the shell, each float32 (_SEQUENCE,)."""
    # Any stretch of this sequence is evenly spread (R3, after Roberts: powers of the root of x^4 = x + 1).
    index = np.arange(_SEQUENCE)
    u, v, below = (
        ((0.5 + index * share) % 1).astype(np.float32) for share in (0.8191725134, 0.6710436067, 0.5497004779)
    )
    over = u + v > 1
    return np.where(over, 1 - u, u), np.where(over, 1 - v, v), below


def outlines(thick: Floats, grid: Grid, least: float) -> list[Points]:
    """Where a body is thicker than `least` millimetres: closed outlines in millimetres, each float64 (N, 2).

    Holes are filled, as a person paints bone; specks below 2 mm2 are left out.
    """
    size = (grid.columns * _FINE, grid.rows * _FINE)
    mask = (cv2.resize(thick, size, interpolation=cv2.INTER_LINEAR) > least).astype(np.uint8)
    found, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    fine = grid.step / _FINE
    lines = []
    for contour in found:
        if cv2.contourArea(contour) * fine**2 < 2.0:
            continue
        line = ndimage.uniform_filter1d(contour[:, 0].astype(np.float64), 2 * _EVERY - 1, axis=0, mode="wrap")
        lines.append(np.asarray((line[::_EVERY] + 0.5) * fine + grid.corner))
    return lines
