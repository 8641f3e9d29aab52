# SPDX-License-Identifier: Apache-2.0
"""Epiglottis, larynx and trachea with the hyoid above them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vfss.phantom.cartilage import cartilage
from vfss.phantom.geometry import Points, ribbon, smooth_open, turn
from vfss.phantom.matter import Matter
from vfss.phantom.passage import Doubles, Site


@dataclass(frozen=True)
class Larynx:
    """Outlines in millimetres.

    Attributes:
        airway: Air column from the entrance of the larynx downwards.
        epiglottis: Epiglottis.
        folds: Vocal folds where they close; None where they are open.
        stream: Contrast in the airway; None without.
        matter: Hyoid and cartilage.
    """

    airway: Points
    epiglottis: Points
    folds: Points | None
    stream: Points | None
    matter: list[Matter]


def larynx(site: Site, stream_mm: float) -> Larynx:
    """The larynx of a person at one time; contrast that gets into it is so thick."""
    epiglottis = epiglottis_outline(site)
    return Larynx(
        airway=airway_outline(site),
        epiglottis=epiglottis,
        folds=_folds(site) if site.now.closure > 0.4 else None,
        stream=_stream(site, stream_mm) if site.now.depth > 0.1 else None,
        matter=[*cartilage(site), _leaf(site, epiglottis)],
    )


def _leaf(site: Site, outline: Points) -> Matter:
    """The epiglottis: how much its cartilage and its folds show above the tissue differs from person to person."""
    body, edge = np.random.default_rng((site.person.seed, 520)).uniform((0.05, 0.03), (0.15, 0.09))
    return Matter(outline, float(body), rim=float(edge), rim_mm=0.8)


def _walls(site: Site, levels: Doubles) -> tuple[Doubles, Doubles]:
    """Depth of the back and of the front of the airway before the spine, at rest."""
    voice = site.person.voice
    stations = (voice.top, voice.top + 1.1, 7.0, 10.0)
    gaps = (voice.gap_top, voice.gap_glottis, voice.gap_trachea, voice.gap_chest)
    back = np.interp(levels, stations, gaps) + site.wall(levels) * (1 - 1 / site.person.prevertebral)
    across = (voice.tip, voice.vestibule, voice.glottis, voice.trachea)
    width = np.interp(levels, (voice.top, voice.top + voice.taper, voice.top + 2.1, 7.2), across)
    width *= 1 - 0.12 * site.now.closure * np.exp(-(((levels - voice.top - 1.0) / 0.6) ** 2))
    return back, back + width


def airway_outline(site: Site) -> Points:
    """Air column from the entrance of the larynx downwards, closed curve, float64 (N, 2)."""
    voice = site.person.voice
    top = voice.top + 1.1 * site.now.closure
    below = voice.top + np.array((0.35, 0.7, 1.25, 1.85, 2.5, 3.3, 4.5, 6.5, 10.0))
    levels = np.concatenate([[top, top + 0.12], below[below > top + 0.2]])
    back, front = _walls(site, levels)
    rear, front = smooth_open(site.larynx(levels, back)), smooth_open(site.larynx(levels, front))
    across = rear[0] - front[0]
    crown = np.array([[0.3, 0.12], [0.7, 0.12]]) @ np.stack([across, np.array((across[1], -across[0]))]) + front[0]
    return np.concatenate([rear, front[::-1], crown])


def _folds(site: Site) -> Points:
    levels = site.person.voice.top + np.array((1.30, 1.41, 1.52))
    back, front = _walls(site, levels)
    return np.concatenate([site.larynx(levels, back), site.larynx(levels, front)[::-1]])


def _stream(site: Site, thickness: float) -> Points:
    """Contrast along the front wall of the airway, from its entrance downwards."""
    top = site.person.voice.top + 0.6 + 0.4 * site.now.closure
    levels = np.linspace(top, top + site.now.depth, 14)
    back, front = _walls(site, levels)
    front = back + 0.97 * (front - back)
    broad = thickness * np.interp(np.linspace(0, 1, 14), (0, 0.15, 0.4, 0.8, 0.95, 1), (0.3, 0.7, 0.6, 1.0, 0.8, 0.3))
    broad = np.minimum(broad, 0.7 * (front - back))
    return np.concatenate([site.larynx(levels, front), site.larynx(levels, front - broad)[::-1]])


def epiglottis_outline(site: Site) -> Points:
    """It swings backwards and down from its root when the larynx closes."""
    voice, over = site.person.voice, site.now.inversion
    rest = voice.upright + voice.curl * np.array((-0.3, -0.1, 0.3, 1.6))
    turned = np.array((165.0, 200.0, 225.0, 238.0)) + 0.3 * voice.curl
    angle = np.deg2rad(rest * (1 - over) + turned * over)
    steps = (
        np.stack([-np.cos(angle), -np.sin(angle)], axis=1)
        * np.array(((0.28,), (0.26,), (0.26,), (0.2,)))
        * voice.length
    )
    joints = np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)])
    joints[2:4, 0] -= voice.omega * (1 - over)
    tilt = float(np.interp(voice.root_level, np.arange(1, len(site.spine.tilts) + 1), site.spine.tilts))
    root = float(_walls(site, np.array([voice.root_level]))[1][0]) + voice.root_ahead
    line = smooth_open(turn(joints * site.person.neck, tilt) + site.larynx(voice.root_level, root), 6)
    base, blade, edge = voice.base, voice.blade, voice.edge
    thick = (0.35 * base, 0.8 * base, base, 0.75 * base + 0.25 * blade, blade, edge, 0.4 * edge)
    half = 0.5 * np.interp(np.linspace(0, 1, len(line)), (0, 0.05, 0.15, 0.35, 0.6, 0.9, 1), thick)
    return ribbon(line, half * site.person.neck)
