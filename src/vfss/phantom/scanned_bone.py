# SPDX-License-Identifier: Apache-2.0
"""What all bones of the meshes have in common: how they are seen from the side, bent, turned and made dense."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vfss.phantom.geometry import Floats, Points
from vfss.phantom.meshes import Mesh
from vfss.phantom.scan import Scan
from vfss.phantom.thickness import Solid

THICK_MM = 0.8  # bone of which more is in the beam is painted
STEP_MM = 0.5  # of the rasters
MOTTLE = 0.07  # unevenness of bone, a share of its attenuation
STILL = np.array(((1.0, 0.0, 0.0), (0.0, 1.0, 0.0)))


def sideways(mesh: Mesh) -> Solid:
    """Vertices as seen from the side, patient facing left: to the back, down, lateral."""
    return mesh.vertices[:, [1, 2, 0]] * (1.0, -1.0, 1.0)


def midline(mesh: Mesh) -> Points:
    """Points at most a millimetre apart where a mesh meets the middle plane, seen from the side, float64 (N, 2)."""
    flat = sideways(mesh)
    flat[:, 2] += 1e-7  # no vertex lies on the plane
    triangles = flat[mesh.faces]
    side = triangles[:, :, 2] > 0
    met = triangles[side.any(1) & ~side.all(1)]
    # The corner that is alone on its side, and the other two.
    odd = np.sign(met[:, :, 2])
    alone = np.argmax(odd == -np.sign(odd.sum(1, keepdims=True)), axis=1)
    tip, *others = (met[np.arange(len(met)), (alone + k) % 3] for k in range(3))
    ends = [tip + tip[:, 2:] / (tip[:, 2:] - other[:, 2:]) * (other - tip) for other in others]
    steps = max(2, int(np.ceil(np.linalg.norm(ends[1] - ends[0], axis=1).max(initial=0.0))) + 1)
    share = np.linspace(0, 1, steps)[:, None, None]
    return np.asarray((ends[0] + share * (ends[1] - ends[0]))[:, :, :2].reshape(-1, 2))


def waves(rng: np.random.Generator, points: Solid, millimetres: float) -> Solid:
    """Shifts of points by smooth waves, float64 (N, 3)."""
    out = np.zeros_like(points)
    for _ in range(3):
        direction = rng.normal(size=3)
        along = points @ (direction / np.linalg.norm(direction)) * (2 * np.pi / rng.uniform(22, 60))
        out += np.sin(along + rng.uniform(0, 2 * np.pi))[:, None] * rng.normal(0, millimetres / np.sqrt(3), 3)
    return out


def turned(solid: Solid, centre: Points, yaw: float, roll: float) -> Solid:
    """Turned about the vertical and then about the axis from front to back, through a point in the middle plane."""
    x, y, z = (solid - np.array((centre[0], centre[1], 0.0))).T
    x, z = x * np.cos(yaw) + z * np.sin(yaw), z * np.cos(yaw) - x * np.sin(yaw)
    y, z = y * np.cos(roll) + z * np.sin(roll), z * np.cos(roll) - y * np.sin(roll)
    return np.stack([x + centre[0], y + centre[1], z], axis=1)


def affine(before: Points, after: Points) -> npt.NDArray[np.float64]:
    """The affine map closest to taking some points to others, float64 (3, 2)."""
    return np.asarray(np.linalg.lstsq(np.column_stack([before, np.ones(len(before))]), after, rcond=None)[0])


def nepers(thick: Floats, dense: Floats, scan: Scan) -> Floats:
    """Attenuation of bone above that of the soft tissue whose place it takes, float32 of the same shape."""
    return np.asarray(np.float32(scan.spongy) * thick + np.float32(scan.cortical) * dense)
