# SPDX-License-Identifier: Apache-2.0
"""What stands in the beam: outlines with an attenuation, and a scene made of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vfss.phantom.geometry import Points

if TYPE_CHECKING:
    from vfss.phantom.plate import Plate


@dataclass(frozen=True)
class Matter:
    """One object of roughly even thickness along the beam.

    Attributes:
        outline: Millimetres (N, 2).
        nepers: Attenuation added inside; negative where it displaces tissue.
        rim: Attenuation added along the outline: cortical bone seen edge on.
        rim_mm: Width of that line.
        blur: 0 for sharp edges, 1 for edges slanting through the beam, 2 for soft shading.
    """

    outline: Points
    nepers: float
    rim: float = 0.0
    rim_mm: float = 1.0
    blur: int = 0


@dataclass(frozen=True)
class Scene:
    """The patient at one time, in millimetres.

    Attributes:
        truth: Outlines of every structure by key; their union is its mask.
        matter: Bone, cartilage, metal and shading, all adding up.
        air: Outlines with the share (0..1) of their depth that is air, painted one over another.
        barium: Outlines with the share (0..1) of the densest contrast, painted one over another.
        skin: Outline of head, neck and trunk.
        trunk: Shoulders, near and far, with their attenuation in nepers.
        soft: Attenuation of the thickest soft tissue, nepers.
        plates: Rigid parts drawn once per clip, adding up with the matter.
        landmarks: Single points (1, 2) by key (vfss.landmarks); what is not there at that time has none.
    """

    truth: dict[str, list[Points]]
    matter: list[Matter]
    air: list[tuple[Points, float]]
    barium: list[tuple[Points, float]]
    skin: Points
    trunk: list[tuple[Points, float]]
    soft: float
    plates: list[Plate] = field(default_factory=list)
    landmarks: dict[str, Points] = field(default_factory=dict)
