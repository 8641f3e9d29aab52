# SPDX-License-Identifier: Apache-2.0
"""Where the landmarks of a person are, millimetres in the patient."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vfss.phantom.cartilage import hyoid_middle
from vfss.phantom.geometry import Points
from vfss.phantom.passage import Passage, Place, Site
from vfss.phantom.spine import Spine

_POSTERIOR_NASAL_SPINE = (-46.0, 31.0)
_TURNED_OVER = 0.8  # inversion of the epiglottis from which there is no recess before it


def vertebral_landmarks(spine: Spine, bones: Mapping[str, list[Points]]) -> dict[str, Points]:
    """Corners of C2 and C4, and the front of the atlas, by key, each float64 (1, 2).

    Args:
        spine: Where the vertebrae stand.
        bones: Outlines of each vertebra; the first one is that of its body, of the atlas that of its mass.
    """
    found = {"c1_tubercle": _farthest(bones["c1"][0], spine.tilts[0], (-1.0, 0.2))}
    for level in (2, 4):
        body, tilt = bones[f"c{level}"][0], spine.tilts[level - 1]
        found[f"c{level}_front"] = _farthest(body, tilt, (-1.0, 1.2))
        found[f"c{level}_back"] = _farthest(body, tilt, (1.0, 1.0))
    return found


def _farthest(outline: Points, tilt: float, way: tuple[float, float]) -> Points:
    """The point of an outline farthest along a way (back, down) of a vertebra that is tilted so, float64 (1, 2)."""
    angle = np.deg2rad(tilt)
    back, down = np.array((np.cos(angle), -np.sin(angle))), np.array((np.sin(angle), np.cos(angle)))
    return outline[[int(np.argmax(outline @ (way[0] * back + way[1] * down)))]]


def symphysis(jaw: list[Points]) -> Points:
    """The lowest point of the front of the jaw, the mean of both halves, float64 (1, 2)."""
    marks = []
    for outline in jaw:
        front = outline[outline[:, 0] < outline[:, 0].min() + 0.3 * np.ptp(outline[:, 0])]
        marks.append(front[int(np.argmax(front[:, 1]))])
    return np.asarray(np.mean(marks, axis=0, keepdims=True))


def throat_landmarks(site: Site, way: Passage, head: Place) -> dict[str, Points]:
    """Hyoid, upper sphincter, valleculae and hard palate, by key, each float64 (1, 2)."""
    sphincter = site.spine.front(site.sphincter, float(site.wall(site.sphincter)) + 0.25)
    found = {
        "hyoid": hyoid_middle(site).reshape(1, 2),
        "ues": sphincter.reshape(1, 2),
        "hard_palate": head((_POSTERIOR_NASAL_SPINE,)),
    }
    if site.now.inversion < _TURNED_OVER:
        found["valleculae"] = way.vallecula[[int(np.argmax(way.vallecula[:, 1]))]]
    return found
