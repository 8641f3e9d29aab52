# SPDX-License-Identifier: Apache-2.0
"""Rigid parts of the patient drawn once per clip, and laid into every frame where they are then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import numpy.typing as npt

from vfss.phantom.blur import gaussian, resized
from vfss.phantom.geometry import Floats, Points, coverage
from vfss.phantom.matter import Matter

STEP_MM = 0.55  # finer than what focus and detector leave of an edge
_SLANT_MM, _SHADE_MM = 0.8, 3.5  # spread of edges that slant through the beam, and of shading
_STILL = np.array(((1.0, 0.0, 0.0), (0.0, 1.0, 0.0)))


@dataclass(frozen=True)
class Cells:
    """Bone full of air cells: a honeycomb of walls.

    Attributes:
        outline: Millimetres (N, 2).
        air: Attenuation that the air of a cell takes away, nepers, positive.
        walls: Attenuation of the walls between them, nepers.
        cell_mm: Size of a cell.
        seed: Of their pattern.
    """

    outline: Points
    air: float
    walls: float
    cell_mm: float
    seed: int


@dataclass(frozen=True)
class Plate:
    """A raster of attenuation that moves as a whole.

    Attributes:
        values: Nepers, float32 (rows, columns).
        corner: Millimetres (x, y) of the raster's first corner, before it moves.
        step: Millimetres per raster pixel.
        place: Affine map (2, 3) from there to where the part is now, millimetres.
    """

    values: Floats
    corner: tuple[float, float]
    step: float
    place: npt.NDArray[np.float64]
    # The raster with fewer pixels, by how many times fewer a side: shared by all places of one part.
    _coarser: dict[int, Floats] = field(default_factory=dict, repr=False, compare=False)

    def moved(self, before: Points, after: Points) -> Plate:
        """The same part after a motion that took three points, float64 (3, 2), to three others."""
        return self._at(_motion(before, after))

    def then(self, before: Points, after: Points) -> Plate:
        """The same part after one more motion, given as in `moved`."""
        return self._at((_square(_motion(before, after)) @ _square(self.place))[:2])

    def carried(self, points: Points) -> Points:
        """Where points of the plate, millimetres (N, 2) before it moved, are now."""
        return np.asarray(points @ self.place[:, :2].T + self.place[:, 2])

    def _at(self, place: npt.NDArray[np.float64]) -> Plate:
        return replace(self, place=place)

    def onto(self, matrix: npt.NDArray[np.float64], height: int, width: int, straight: Floats | None = None) -> Floats:
        """Its attenuation in a picture, float32 (height, width).

        Args:
            matrix: Affine map (2, 3) from the patient's millimetres to pixels.
            height: Rows of the picture.
            width: Columns.
            straight: Where the middle of each pixel of a distorted picture would be without distortion, pixels
                (x, y) as `matrix` gives them, float32 (height, width, 2); None without distortion.
        """
        raster = np.array(((self.step, 0, self.corner[0]), (0, self.step, self.corner[1]), (0, 0, 1.0)))
        whole = _square(matrix) @ _square(self.place) @ raster
        values, coarse = self.values, int(1 / np.sqrt(abs(np.linalg.det(whole))) + 0.3)
        if coarse > 1:
            values = self._reduced(coarse)
            whole = whole @ np.diag((coarse, coarse, 1.0))
        back = np.linalg.inv(whole)[:2]
        # OpenCV counts from the middle of a pixel.
        if straight is None:
            back[:, 2] += 0.5 * (back[:, 0] + back[:, 1]) - 0.5
            laid = cv2.warpAffine(values, back, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        else:
            back[:, 2] -= 0.5
            laid = cv2.remap(values, cv2.transform(straight, back), None, cv2.INTER_LINEAR)
        return np.asarray(laid, np.float32)

    def _reduced(self, coarse: int) -> Floats:
        if coarse not in self._coarser:
            rows, columns = (-(-side // coarse) for side in self.values.shape)
            missing = rows * coarse - self.values.shape[0], columns * coarse - self.values.shape[1]
            filled = np.pad(self.values, ((0, missing[0]), (0, missing[1])), mode="edge")
            self._coarser[coarse] = cv2.resize(filled, (columns, rows), interpolation=cv2.INTER_AREA)
        return self._coarser[coarse]


def _motion(before: Points, after: Points) -> npt.NDArray[np.float64]:
    """Affine map (2, 3) that takes three points to three others."""
    return np.asarray(np.linalg.solve(np.concatenate([before, np.ones((3, 1))], axis=1), after).T)


def _square(matrix: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.concatenate([matrix, [[0.0, 0.0, 1.0]]])


def plate(
    parts: Sequence[Matter | Cells],
    seed: int,
    *,
    mottle: float = 0.07,
    step: float = STEP_MM,
    within: tuple[Points, Points] | None = None,
) -> Plate:
    """Draw parts (millimetres, in the patient) into a plate.

    Args:
        parts: What it is made of; everything adds up.
        seed: Of the mottling.
        mottle: Unevenness of bone, a share of its attenuation.
        step: Millimetres per raster pixel.
        within: Lowest and highest (x, y) that are of interest; None without bounds.
    """
    if not parts:
        return Plate(np.zeros((2, 2), np.float32), (0.0, 0.0), step, _STILL)
    points = np.concatenate([part.outline for part in parts])
    low, high = points.min(0) - 8, points.max(0) + 8
    if within is not None:
        low, high = np.maximum(low, within[0]), np.minimum(high, within[1])
    columns, rows = (max(2, int(n)) for n in np.ceil((high - low) / step))
    sharp, slanted = (np.zeros((rows, columns), np.float32) for _ in range(2))
    shade = np.zeros((-(-rows // 4), -(-columns // 4)), np.float32)
    ends = np.cumsum([len(part.outline) for part in parts])[:-1]
    for part, outline in zip(parts, np.split((points - low) / step, ends), strict=True):
        if isinstance(part, Cells):
            _add_cells(sharp, outline, part, step)
        elif part.blur == 0:
            _add(sharp, outline, part, step)
        elif part.blur == 1:
            _add(slanted, outline, part, step)
        else:
            _add(shade, outline / 4, part, step * 4)
    sharp += gaussian(slanted, _SLANT_MM / step, truncate=2.0)
    sharp *= mottling(rows, columns, np.random.default_rng((seed, 900)), mottle, step)
    sharp += resized(gaussian(shade, _SHADE_MM / step / 4, truncate=2.5), rows, columns)
    return Plate(sharp, (float(low[0]), float(low[1])), step, _STILL)


def _add(layer: Floats, outline: Points, part: Matter, step: float) -> None:
    height, width = layer.shape
    # What is blurred afterwards needs no finer steps.
    fine = 2 if part.blur == 0 else 1
    if part.nepers:
        found = coverage(outline, height, width, fine=fine)
        if found is not None:
            layer[found[0]] += found[1] * np.float32(part.nepers / 255)
    if part.rim:
        found = coverage(outline, height, width, fine=fine, rim=max(0.6, part.rim_mm / step), inside=0)
        if found is not None:
            layer[found[0]] += found[1] * np.float32(part.rim / 255)


def _add_cells(layer: Floats, outline: Points, part: Cells, step: float) -> None:
    found = coverage(outline, *layer.shape, fine=1, margin=3)
    if found is None:
        return
    window, share = found
    rng = np.random.default_rng((part.seed, 901))
    cells = gaussian(rng.standard_normal(share.shape, dtype=np.float32), 0.5 * part.cell_mm / step, truncate=3.0)
    cells *= np.float32(1 / max(float(cells.std()), 1e-6))
    # Where a smooth random field crosses zero its level line closes around cells of one size.
    wall = np.exp(-((cells / np.float32(0.45)) ** 2))
    inside = gaussian(share * np.float32(1 / 255), 1.0, truncate=2.0)
    layer[window] += inside * (wall * np.float32(part.walls + part.air) - np.float32(part.air))


def mottling(rows: int, columns: int, rng: np.random.Generator, strength: float, step: float) -> Floats:
    """A factor around 1 that varies over one to six millimetres, float32 (rows, columns)."""
    out = np.ones((rows, columns), np.float32)
    for size, weight in ((1.2, 0.7), (2.5, 0.8), (6.0, 0.8)):
        shape = (max(2, round(rows * step / size)), max(2, round(columns * step / size)))
        coarse = rng.standard_normal(shape, dtype=np.float32)
        coarse *= np.float32(weight * strength)
        out += resized(coarse, rows, columns)
    return np.maximum(out, 0, out=out)
