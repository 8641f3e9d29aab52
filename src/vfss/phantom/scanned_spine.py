# SPDX-License-Identifier: Apache-2.0
"""Vertebrae of a real neck in place of the drawn ones: fitted to where, how large and how tilted those are.

The body of each vertebra is laid over that of the drawn one by four corners; the atlas by its front and its posterior
tubercle; the axis by the corners below its body and by its dens, which keeps its place in the ring of the atlas.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from vfss.phantom.geometry import Floats, Points, turn
from vfss.phantom.meshes import Meshes
from vfss.phantom.plate import Plate, mottling
from vfss.phantom.population import Person
from vfss.phantom.scan import Scan, Scanned
from vfss.phantom.scanned_bone import (
    MOTTLE,
    STEP_MM,
    STILL,
    THICK_MM,
    affine,
    midline,
    nepers,
    sideways,
    turned,
    waves,
)
from vfss.phantom.spine import Spine, bones
from vfss.phantom.thickness import Grid, Solid, Source, cortex, depth, grid_around, outlines

LEVELS = 7
_CANAL_MM = 5.0  # the first gap so wide in the midline lies between body and arch
_TOWARDS_DRAWN = 0.7  # share of the difference in direction and length to the drawn spinous process that is taken away
_EVEN_MM = 0.8  # over which thickness is evened out before two vertebrae are compared
_MOST_BEND = np.deg2rad(35.0)


@dataclass(frozen=True)
class Shadow:
    """Bones as the beam shows them.

    Attributes:
        outlines: What is painted of each, by key of its structure, millimetres.
        bodies: Corners of each body, of the atlas its front and its posterior tubercle, by the same keys.
        plate: Attenuation of all.
    """

    outlines: dict[str, list[Points]]
    bodies: dict[str, list[Points]]
    plate: Plate


def spine_shadow(person: Person, spine: Spine, scanned: Scanned) -> Shadow:
    """The cervical vertebrae of a person, their shapes from the meshes."""
    scan, meshes = scanned.scan, scanned.meshes
    source = Source((float(spine.centres[3, 0] - 15), float(spine.centres[3, 1])), scan.distance)
    placed = _placed(person, spine, scan, meshes)
    marks = {f"c{i}": [source.cast(marked)[:, :2]] for i, (_, marked) in enumerate(placed, 1)}
    solids = [solid for solid, _ in placed]
    cast = [source.cast(solid) for solid in solids]
    whole = grid_around(np.concatenate(cast), STEP_MM)
    total = np.zeros((whole.rows, whole.columns), np.float32)
    depths: list[Floats] = []
    for level, solid in enumerate(solids, 1):
        faces = meshes.parts[f"C{level}"].faces
        window, grid = _window(cast[level - 1], whole)
        thick = depth(cast[level - 1], faces, grid)
        depths.append(np.zeros((whole.rows, whole.columns), np.float32))
        depths[-1][window] = thick
        dense = np.minimum(cortex(solid, cast[level - 1], faces, grid, shell=scan.shell), thick)
        total[window] += nepers(thick, dense, scan)
    found = {f"c{i}": outlines(thick, whole, THICK_MM) for i, thick in enumerate(_painted(depths, whole), 1)}
    total *= np.float32(person.bone)
    total *= mottling(whole.rows, whole.columns, np.random.default_rng((scan.seed, 900)), MOTTLE, STEP_MM)
    return Shadow(found, marks, Plate(total, whole.corner, STEP_MM, STILL))


def _painted(depths: list[Floats], whole: Grid) -> list[Floats]:
    """What is painted of each vertebra: as the drawn bones and as people paint, no pixel twice.

    The dens in the ring of the atlas counts as the atlas. Of other vertebrae that lie over each other, as an articular
    process lies over the body above it, the one that is thicker there has the pixel.

    Args:
        depths: Millimetres of C1 to C7 in each ray, float32 (rows, columns) each.
        whole: Their raster.

    Returns:
        The same, in the same order, with 0 where another one is painted.
    """
    solid = np.stack([cv2.GaussianBlur(thick, (0, 0), _EVEN_MM / whole.step) for thick in depths])
    solid[0][_filled(depths[0])] = np.inf
    owner = solid.argmax(axis=0)
    return [_largest(np.where(owner == i, thick, np.float32(0))) for i, thick in enumerate(depths)]


def _filled(thick: Floats) -> npt.NDArray[np.bool_]:
    """Where a body is, holes in it filled, bool (rows, columns)."""
    return np.asarray(ndimage.binary_fill_holes(thick > THICK_MM))


def _largest(thick: Floats) -> Floats:
    """The largest connected part of a body and what is thin around it, 0 elsewhere, float32 (rows, columns)."""
    labels, n = ndimage.label(thick > THICK_MM)
    if n < 2:
        return thick
    largest = labels == 1 + int(np.bincount(labels.ravel())[1:].argmax())
    return np.where(ndimage.binary_dilation(largest), thick, np.float32(0))


def _window(cast: Solid, whole: Grid) -> tuple[tuple[slice, slice], Grid]:
    """The part of a raster that holds some points, as slices and as a raster of its own."""
    low = np.floor((cast[:, :2].min(0) - whole.corner) / whole.step).astype(int) - 3
    high = np.ceil((cast[:, :2].max(0) - whole.corner) / whole.step).astype(int) + 3
    (x0, y0), (x1, y1) = np.maximum(low, 0), np.minimum(high, (whole.columns, whole.rows))
    corner = (whole.corner[0] + x0 * whole.step, whole.corner[1] + y0 * whole.step)
    return (slice(y0, y1), slice(x0, x1)), Grid(corner, whole.step, int(y1 - y0), int(x1 - x0))


def _placed(person: Person, spine: Spine, scan: Scan, meshes: Meshes) -> list[tuple[Solid, Solid]]:
    """Vertices and landmarks of C1 to C7 where they are in the patient, with their depth towards the source."""
    common = np.random.default_rng((scan.seed, 901))
    across = float(np.clip(common.normal(1, scan.stretch), 0.75, 1.3)) * person.neck
    longer, lower = common.normal(0, (scan.stretch, scan.droop))
    out: list[tuple[Solid, Solid]] = []
    for level, fit in enumerate(_fits(person, spine, meshes), 1):
        rng = np.random.default_rng((scan.seed, 902, level))
        marks = _landmarks(meshes)[level - 1].corners
        shape = np.vstack([sideways(meshes.parts[f"C{level}"]), np.column_stack([marks, np.zeros(len(marks))])])
        shape += waves(rng, shape, scan.warp)
        solid = np.column_stack([shape[:, :2] @ fit[:2] + fit[2], across * shape[:, 2]])
        own = 1 + longer + rng.normal(0, 0.5 * scan.stretch), lower + rng.normal(0, 0.5 * scan.droop)
        if level > 1:
            solid[:, :2] = _bent(solid, bones(person, spine, level), float(spine.tilts[level - 1]), *own)
        yaw, roll = np.deg2rad(np.array((scan.yaw, scan.roll)) + rng.normal(0, scan.twist, 2))
        solid = turned(solid, spine.centres[level - 1], yaw, roll)
        out.append((solid[: -len(marks)], solid[-len(marks) :]))
    return out


def _bent(solid: Solid, drawn: list[Points], tilt: float, longer: float, degrees: float) -> Points:
    """A vertebra seen from the side with its arch drawn out and turned, float64 (N, 2).

    Args:
        solid: Vertices, (N, 3).
        drawn: Outlines of the drawn body and arch; the spinous process is turned towards the drawn one.
        tilt: Of the vertebra, degrees.
        longer: Factor.
        degrees: Further turn of the tip downwards.
    """
    level, body, arch = (turn(points, -tilt) for points in (solid[:, :2], drawn[0], drawn[-1]))
    start = 0.5 * (body.min(0) + body.max(0)) + (0.5 * np.ptp(body[:, 0]), 0)
    tips = np.stack([level[level[:, 0].argmax()], arch[arch[:, 0].argmax()]])
    (own, usual), (reach, usual_reach) = np.arctan2(*(tips - start).T[::-1]), np.hypot(*(tips - start).T)
    down = np.tan(np.clip(_TOWARDS_DRAWN * (usual - own) + np.deg2rad(degrees), -_MOST_BEND, _MOST_BEND))
    behind = np.maximum(level[:, 0] - start[0], 0)
    level[:, 0] += (longer * (usual_reach / reach) ** _TOWARDS_DRAWN - 1) * behind
    # The bend begins at the body and is whole at the tip.
    level[:, 1] += down * behind**2 / max(float(behind.max()), 1e-6)
    return turn(level, tilt)


@dataclass(frozen=True)
class _Landmarks:
    """Points of one mesh seen from the side: corners of the body (C1: front and back of the ring), top of the body."""

    corners: Points
    top: Points


@lru_cache(maxsize=2)
def _landmarks(meshes: Meshes) -> list[_Landmarks]:
    """Landmarks of C1 to C7 of the meshes, from their sections in the midline."""
    lines = [midline(meshes.parts[f"C{level}"]) for level in range(1, LEVELS + 1)]
    ring = np.stack([lines[0][lines[0][:, 0].argmin()], lines[0][lines[0][:, 0].argmax()]])
    found = [_Landmarks(ring, ring[0])]
    middles = [_front_middle(line) for line in lines]
    for i in range(1, LEVELS):
        step = middles[min(i + 1, LEVELS - 1)] - middles[max(i - 1, 1)]
        order = np.sort(lines[i][:, 0])
        gaps = np.flatnonzero(np.diff(order) > _CANAL_MM)
        front = lines[i][lines[i][:, 0] <= order[gaps[0]]] if len(gaps) else lines[i]
        body = corners(front, float(np.rad2deg(np.arctan2(step[0], step[1]))))
        found.append(_Landmarks(body, front[front[:, 1].argmin()]))
    return found


def _front_middle(line: Points) -> Points:
    front = line[line[:, 0] < line[:, 0].min() + 12.0]
    return np.asarray(0.5 * (front.min(0) + front.max(0)))


def corners(points: Points, degrees: float) -> Points:
    """Corners of a vertebral body tilted by degrees: front above, back above, back below, front below, (4, 2)."""
    level = turn(points, -degrees)
    middle, half = 0.5 * (level.min(0) + level.max(0)), 0.5 * np.ptp(level, axis=0)
    shares = (level - middle) / np.maximum(half, 1e-6)
    directions = np.array(((-1, -1), (1, -1), (1, 1), (-1, 1)))
    return np.asarray(points[(shares @ directions.T).argmax(0)])


def _fits(person: Person, spine: Spine, meshes: Meshes) -> list[npt.NDArray[np.float64]]:
    """Maps from the meshes seen from the side to the drawn vertebrae, float64 (3, 2) for rows (x, y, 1), C1 to C7."""
    landmarks = _landmarks(meshes)
    atlas_line = np.concatenate(bones(person, spine, 1))
    level = turn(atlas_line, -float(spine.tilts[0]))
    drawn_ends = np.stack([atlas_line[level[:, 0].argmin()], atlas_line[level[:, 0].argmax()]])
    atlas = _similar(landmarks[0].corners, drawn_ends)
    axis = landmarks[1]
    dens = axis.top @ atlas[:2] + atlas[2]
    below = corners(bones(person, spine, 2)[0], float(spine.tilts[1]))[2:]
    fits = [atlas, affine(np.vstack([axis.corners[2:], axis.top]), np.vstack([below, dens]))]
    for number in range(3, LEVELS + 1):
        drawn = corners(bones(person, spine, number)[0], float(spine.tilts[number - 1]))
        fits.append(affine(landmarks[number - 1].corners, drawn))
    return fits


def _similar(before: Points, after: Points) -> npt.NDArray[np.float64]:
    """The turn, size and shift that take two points to two others, float64 (3, 2)."""
    p, q = before[1] - before[0], after[1] - after[0]
    a, b = np.array((p @ q, p[0] * q[1] - p[1] * q[0])) / (p @ p)
    matrix = np.array(((a, b), (-b, a)))
    return np.vstack([matrix, after[0] - before[0] @ matrix])
