# SPDX-License-Identifier: Apache-2.0
"""How bones from meshes stand in the beam, how they are varied, and what they are made of: one draw per clip."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vfss.phantom.chance import Span, around, within
from vfss.phantom.meshes import Meshes


@dataclass(frozen=True)
class ScanRange:
    """Ranges of real bones in place of the drawn ones.

    Attributes:
        share: Share of clips that have them.
        yaw: Mean and spread of the neck's turn about the vertical, degrees: no patient stands exactly sideways.
        roll: The same about the axis from front to back.
        twist: Spread of such turns of one vertebra against its neighbours, degrees.
        distance: Nearest and farthest source, millimetres from the middle of the patient.
        stretch: Spread of sizes along the beam and of the parts behind the bodies, factor.
        droop: Spread of the direction of the spinous processes around that of the meshes, degrees.
        warp: Millimetres by which the surfaces are bent.
        spongy: Attenuation of spongy bone above that of soft tissue, nepers per millimetre.
        cortical: The same of cortex above spongy bone.
        shell: Thickness of the cortex, millimetres.
    """

    share: float = 0.0
    yaw: tuple[float, float] = (0.0, 2.5)
    roll: tuple[float, float] = (0.0, 2.5)
    twist: float = 1.5
    distance: Span = (650.0, 1100.0)
    stretch: float = 0.08
    droop: float = 5.0
    warp: float = 0.7
    spongy: Span = (0.002, 0.011)
    cortical: Span = (0.01, 0.035)
    shell: Span = (0.5, 1.1)


@dataclass(frozen=True)
class Scan:
    """One draw; see ScanRange.

    Attributes:
        yaw: Degrees.
        roll: Degrees.
        twist: Spread, degrees.
        distance: Millimetres.
        stretch: Spread, factor.
        droop: Spread, degrees.
        warp: Millimetres.
        spongy: Nepers per millimetre.
        cortical: Nepers per millimetre.
        shell: Millimetres.
        seed: Of what differs between vertebrae.
    """

    yaw: float
    roll: float
    twist: float
    distance: float
    stretch: float
    droop: float
    warp: float
    spongy: float
    cortical: float
    shell: float
    seed: int


@dataclass(frozen=True)
class Scanned:
    """Meshes, and how they stand in the beam.

    Attributes:
        scan: The draw.
        meshes: The bones.
    """

    scan: Scan
    meshes: Meshes


def sample_scan(rng: np.random.Generator, ranges: ScanRange) -> Scan | None:
    """A draw from the ranges; None in clips whose bones are drawn."""
    if rng.random() >= ranges.share:
        return None
    return Scan(
        yaw=_near(rng, ranges.yaw),
        roll=_near(rng, ranges.roll),
        twist=ranges.twist,
        distance=within(rng, ranges.distance),
        stretch=ranges.stretch,
        droop=ranges.droop,
        warp=ranges.warp * float(rng.uniform(0.3, 1.0)),
        spongy=around(rng, ranges.spongy),
        cortical=around(rng, ranges.cortical),
        shell=within(rng, ranges.shell),
        seed=int(rng.integers(2**31)),
    )


def _near(rng: np.random.Generator, spread: tuple[float, float]) -> float:
    """A normal deviate no more than two standard deviations away from its mean."""
    mean, sigma = spread
    return mean + sigma * float(np.clip(rng.normal(), -2, 2))
