# SPDX-License-Identifier: Apache-2.0
"""Meshes of a neck made of boxes, where the real ones may not be kept: laid out as those, millimetres."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt

Part = tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]


def box(low: tuple[float, float, float], high: tuple[float, float, float]) -> Part:
    """Return vertices (8, 3) and outward triangles (12, 3) of a box."""
    vertices = np.array(list(product(*zip(low, high, strict=True))), np.float64)
    quads = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))
    return vertices, np.array([t for a, b, c, d in quads for t in ((a, b, c), (a, c, d))], np.int64)


def joined(parts: list[Part]) -> Part:
    """Return several surfaces as one mesh."""
    starts = np.cumsum([0, *(len(vertices) for vertices, _ in parts)])
    faces = [faces + start for (_, faces), start in zip(parts, starts, strict=False)]
    return np.concatenate([vertices for vertices, _ in parts]), np.concatenate(faces)


def made_up_neck(path: Path, *, height: float = 13.0) -> Path:
    """Write a file of meshes: bodies of that height, each with a spinous process, a ring, and a dens in it."""
    found: dict[str, Part] = {"C1": joined([box((-20, 34, 46), (20, 42, 58)), box((-6, 80, 44), (6, 88, 54))])}
    dens = box((-5, 43, 33), (5, 53, 62))
    found["C2"] = joined([dens, box((-12, 38, 16), (12, 55, 33)), box((-5, 66, 20), (5, 90, 30))])
    for level in range(3, 8):
        top = 14.0 - 18.0 * (level - 3)
        body = box((-13, 40, top - height), (13, 57, top))
        found[f"C{level}"] = joined([body, box((-4, 68, top - 14), (4, 92, top - 8))])
    arrays = {f"{name}_v": vertices.astype(np.float32) for name, (vertices, _) in found.items()}
    arrays |= {f"{name}_f": faces.astype(np.int32) for name, (_, faces) in found.items()}
    np.savez_compressed(path, **arrays)
    return path
