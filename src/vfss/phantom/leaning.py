# SPDX-License-Identifier: Apache-2.0
"""A seated patient leans and shifts as a whole; what he sits on stays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vfss.phantom.geometry import Points, turn
from vfss.phantom.matter import Matter, Scene
from vfss.phantom.plate import Plate

Shares = list[tuple[Points, float]]
# Three points by which a plate is followed, millimetres.
_CORNERS = np.array(((0.0, 0.0), (-90.0, 0.0), (0.0, 90.0)))


def leaned(scene: Scene, degrees: float, forward: float, *, hinge: Points, fixed: Sequence[Plate]) -> Scene:
    """The scene after the patient leaned.

    Args:
        scene: Upright, without what stays.
        degrees: Turn, positive is forward and down.
        forward: Shift, millimetres.
        hinge: Point (x, y) about which he turns, millimetres.
        fixed: Plates of what stays.
    """
    step = np.array((-forward, 0.0))

    def moved(points: Points) -> Points:
        return np.asarray(turn(points, degrees, hinge) + step)

    def shares(found: Shares) -> Shares:
        return [(moved(outline), share) for outline, share in found]

    def matter(part: Matter) -> Matter:
        return replace(part, outline=moved(part.outline))

    after = moved(_CORNERS)
    return replace(
        scene,
        truth={key: [moved(outline) for outline in outlines] for key, outlines in scene.truth.items()},
        matter=[matter(part) for part in scene.matter],
        air=shares(scene.air),
        barium=shares(scene.barium),
        skin=moved(scene.skin),
        trunk=shares(scene.trunk),
        landmarks={key: moved(point) for key, point in scene.landmarks.items()},
        plates=[*(plate.then(_CORNERS, after) for plate in scene.plates), *fixed],
    )
