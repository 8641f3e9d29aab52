# SPDX-License-Identifier: Apache-2.0
"""Lateral head films with end plates of C2 to C4 set by people, cut as videofluoroscopy shows a neck.

The films (ISBI 2015 cephalometric benchmark) and the points (public annotations of cervical maturation) show patients
and are not part of the repository: a folder with *.jpg and levels.json, by default $VFSS_SHARED/data/cephalograms.
All face right, bone is white, there is no barium, and most end below C5.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from vfss.errors import VfssError

LEVELS = ("c2", "c3", "c4")
WINDOWS = {"tight": 2.9, "middle": 4.6, "wide": 6.9}
"""Sides in C2-C4 lengths, about 35 mm in an adult: 100, 160 and 240 mm."""
SIDE_PX = 512
_FORWARD = 0.35  # C2-C4 lengths from the front of the spine to the middle of the picture: 12 mm
_LOWER_END = 0.6  # share of a body's height that counts as the lower end of C2

Grey = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Neck:
    """What people marked on a film, (x, y) in pixels of the film; pixel (0, 0) has its centre there.

    Attributes:
        bodies: Corners of the bodies of C3 and C4 and of the lower end of C2, float64 (4, 2) by level, around the body.
        corners: Lower front corner of C2 and C4, float64 (2,) by level.
        middle: Front of the spine between C3 and C4, float64 (2,).
        length: Distance of the two corners, px.
    """

    bodies: Mapping[str, Points]
    corners: Mapping[str, Points]
    middle: Points
    length: float

    @classmethod
    def of(cls, points: Mapping[str, list[float]]) -> Neck:
        """Read the thirteen points of one film."""
        at = {name: np.array(xy, np.float64) for name, xy in points.items()}
        up = _LOWER_END * (at["C3up"] + at["C3ua"] - at["C3lp"] - at["C3la"]) / 2
        bodies = {
            "c2": np.stack([at["C2p"] + up, at["C2a"] + up, at["C2a"], at["C2p"]]),
            "c3": np.stack([at["C3up"], at["C3ua"], at["C3la"], at["C3lp"]]),
            "c4": np.stack([at["C4up"], at["C4ua"], at["C4la"], at["C4lp"]]),
        }
        corners = {"c2": at["C2a"], "c4": at["C4la"]}
        length = float(np.hypot(*(corners["c4"] - corners["c2"])))
        return cls(bodies, corners, (at["C3la"] + at["C4ua"]) / 2, length)


@dataclass(frozen=True)
class Film:
    """One film, uint8 (H, W), and what is marked on it; None where nothing is."""

    name: str
    grey: Grey
    neck: Neck | None


@dataclass(frozen=True)
class Look:
    """How a film is cut and shown.

    Attributes:
        window: Name of the window.
        down: Shift of the window downwards, in vertebrae.
        forward: Shift towards the face, in vertebrae.
        facing: "right" as the film, or "left".
        bone: "white" as the film, or "dark" as fluoroscopy is mostly shown.
    """

    window: str
    down: float = 0.0
    forward: float = 0.0
    facing: str = "right"
    bone: str = "white"


@dataclass(frozen=True)
class View:
    """A film as a frame.

    Attributes:
        look: How it was cut.
        frame: uint8 (h, w), its longer side SIDE_PX.
        bodies: As Neck.bodies, in pixels of the frame; only bodies that lie completely within it.
        corners: As Neck.corners, in pixels of the frame; only those within it.
        length: C2-C4 length in pixels of the frame.
    """

    look: Look
    frame: Grey
    bodies: Mapping[str, Points]
    corners: Mapping[str, Points]
    length: float


def read_films(folder: Path) -> list[Film]:
    """Read all films of a folder, in order of their names.

    Raises:
        VfssError: The folder lacks films or points.
    """
    annotations = folder / "levels.json"
    paths = sorted(folder.glob("*.jpg"))
    if not annotations.is_file() or not paths:
        raise VfssError(
            f"no levels.json, or none of its films ({len(paths)} pictures)",
            path=folder,
            remedy="Give their folder by --films, or set VFSS_SHARED.",
        )
    points = json.loads(annotations.read_text("utf-8"))["points"]
    return [
        Film(
            path.name,
            np.asarray(Image.open(path).convert("L")),
            Neck.of(points[path.name]) if path.name in points else None,
        )
        for path in paths
    ]


def usual_neck(films: list[Film]) -> tuple[Points, float]:
    """Return the median middle and length of the marked necks, for films that have no marks."""
    necks = [film.neck for film in films if film.neck is not None]
    return np.median([neck.middle for neck in necks], axis=0), float(np.median([neck.length for neck in necks]))


def looks(
    windows: tuple[str, ...] = tuple(WINDOWS),
    down: tuple[float, ...] = (-1.5, 0.0, 1.5),
    forward: tuple[float, ...] = (-0.4, 0.4),
) -> Iterator[Look]:
    """Yield every look: windows, shifts, facings and polarities."""
    for window, dy, dx, facing, bone in product(windows, down, forward, ("right", "left"), ("white", "dark")):
        yield Look(window, dy, dx, facing, bone)


def cut(film: Film, look: Look, middle: Points | None = None, length: float | None = None) -> View:
    """Cut a film. What would lie outside it is left out, so that frames near its border are not square.

    Args:
        film: The film.
        look: How to cut it.
        middle: Front of the spine between C3 and C4, (x, y); that of its marks if None.
        length: C2-C4 length, px; that of its marks if None.

    Raises:
        VfssError: The film has no marks, and none are given instead.
    """
    neck = film.neck
    if neck is not None:
        middle, length = neck.middle if middle is None else middle, neck.length if length is None else length
    if middle is None or length is None:
        raise VfssError(f"film {film.name} has no marks", remedy="Give the middle and the length of its neck.")
    half = WINDOWS[look.window] * length / 2
    centre = middle + length * (np.array((_FORWARD, 0.0)) + np.array((look.forward, look.down)) / 2)
    height, width = film.grey.shape
    left, top = (max(0, round(float(v - half))) for v in centre)
    right, bottom = (min(edge, round(float(v + half))) for v, edge in zip(centre, (width, height), strict=True))
    part = film.grey[top:bottom, left:right]
    scale = SIDE_PX / max(part.shape)
    size = (round(part.shape[1] * scale), round(part.shape[0] * scale))
    frame = np.asarray(Image.fromarray(part).resize(size, Image.Resampling.BICUBIC))
    frame = 255 - frame if look.bone == "dark" else frame

    def placed(points: Points) -> Points:
        moved = (points - (left, top) + 0.5) * (size[0] / part.shape[1], size[1] / part.shape[0]) - 0.5
        if look.facing == "left":
            moved[..., 0] = size[0] - 1 - moved[..., 0]
        return np.asarray(moved)

    def inside(points: Points) -> bool:
        return bool((points >= -0.5).all() and (points <= np.array(size) - 0.5).all())

    bodies = {} if neck is None else {level: placed(points) for level, points in neck.bodies.items()}
    corners = {} if neck is None else {level: placed(point) for level, point in neck.corners.items()}
    return View(
        look,
        np.ascontiguousarray(frame[:, ::-1] if look.facing == "left" else frame),
        {level: points for level, points in bodies.items() if inside(points)},
        {level: point for level, point in corners.items() if inside(point)},
        length * scale,
    )
