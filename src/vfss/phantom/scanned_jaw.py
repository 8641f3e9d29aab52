# SPDX-License-Identifier: Apache-2.0
"""The jaw of a real person in place of the drawn one: laid over it by condyle, angle, chin and incisors."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from vfss.phantom.geometry import Points
from vfss.phantom.head import Place
from vfss.phantom.mandible import JawMarks, jaw_marks
from vfss.phantom.meshes import Mesh
from vfss.phantom.plate import Plate, mottling
from vfss.phantom.population import Person
from vfss.phantom.scan import Scanned
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
from vfss.phantom.thickness import Grid, Source, cortex, depth, grid_around, outlines

_FADE = (0.4, 1.0)  # of the jaw less is seen than of vertebrae of the same thickness: teeth and tongue lie over it
_FRONT_MM = 14.0  # how far before the painted ramus the coronoid process may lean


def jaw_shadow(person: Person, jaw: Place, scanned: Scanned, middle: Points) -> tuple[list[Points], Plate]:
    """The jaw of a person, its shape from the meshes: what is painted (body and lower ramus), and its attenuation.

    Args:
        person: The anatomy.
        jaw: Map from the usual closed jaw to that of the patient.
        scanned: The meshes, and how they stand in the beam.
        middle: Where the middle ray meets the patient, (x, y), millimetres.
    """
    scan, mesh = scanned.scan, scanned.meshes.parts["jaw"]
    rng = np.random.default_rng((scan.seed, 903))
    marks = jaw_marks(person, jaw)
    shape = sideways(mesh)
    fit = affine(_marks(mesh), np.stack([marks.condyle, marks.angle, marks.chin, marks.incisor]))
    across = person.skull * float(np.clip(rng.normal(1, scan.stretch), 0.8, 1.25))
    shape += waves(rng, shape, scan.warp)
    solid = np.column_stack([shape[:, :2] @ fit[:2] + fit[2], across * shape[:, 2]])
    yaw, roll = np.deg2rad(np.array((scan.yaw, scan.roll)) + rng.normal(0, scan.twist, 2))
    solid = turned(solid, 0.5 * (marks.angle + marks.chin), yaw, roll)
    source = Source((float(middle[0]), float(middle[1])), scan.distance)
    cast = source.cast(solid)
    grid = grid_around(cast, STEP_MM)
    thick = depth(cast, mesh.faces, grid)
    dense = np.minimum(cortex(solid, cast, mesh.faces, grid, shell=scan.shell), thick)
    total = nepers(thick, dense, scan) * np.float32(person.bone * rng.uniform(*_FADE))
    total *= mottling(grid.rows, grid.columns, rng, MOTTLE, STEP_MM)
    thick[_above(marks, grid)] = 0
    return outlines(thick, grid, THICK_MM), Plate(total, grid.corner, STEP_MM, STILL)


def _marks(mesh: Mesh) -> Points:
    """Condyle, angle, chin and incisors of a mesh seen from the side, float64 (4, 2)."""
    flat, line = sideways(mesh)[:, :2], midline(mesh)
    rear = flat[flat[:, 0] > np.median(flat[:, 0])]
    condyle, angle = rear[rear[:, 1].argmin()], flat[(flat[:, 0] + flat[:, 1]).argmax()]
    return np.stack([condyle, angle, line[line[:, 1].argmax()], line[line[:, 1].argmin()]])


def _above(marks: JawMarks, grid: Grid) -> tuple[np.ndarray, ...]:
    """Pixels above the painted part of the ramus."""
    along = (marks.front - marks.rear) / np.hypot(*(marks.front - marks.rear))
    low, high = marks.front + _FRONT_MM * along, marks.rear - 40.0 * along
    up = marks.condyle - marks.angle
    outline = (np.stack([low, high, high + 2 * up, low + 2 * up]) - grid.corner) / grid.step
    image = Image.new("1", (grid.columns, grid.rows))
    ImageDraw.Draw(image).polygon(outline.ravel().tolist(), fill=1)
    return np.nonzero(np.asarray(image))
