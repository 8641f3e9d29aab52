# SPDX-License-Identifier: Apache-2.0
"""Epiglottis, larynx and trachea with the hyoid above them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vfss.phantom.geometry import Points, ellipse, ribbon, smooth, smooth_open, turn
from vfss.phantom.matter import Matter
from vfss.phantom.passage import Doubles, Site

# Airway: level, distance of its back from the wall of the pharynx, and its width, millimetres.
_AIRWAY_LEVEL = (3.95, 4.3, 4.65, 5.2, 5.8, 6.5, 7.3, 8.5, 14)
_AIRWAY_BACK = (9.6, 8.6, 7.4, 4.8, 3.4, 2.6, 2.6, 3, 6)
_AIRWAY_WIDTH = (1.0, 5.8, 10.5, 14.6, 16.2, 16.8, 17, 17, 17)
# Segments of the epiglottis from its root: length, direction upright and turned over (0 front, 90 up, 180 back).
_EPIGLOTTIS = np.array(((9.5, 138.0, 168.0), (9.5, 143.0, 215.0), (10.5, 130.0, 236.0)))


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
    epiglottis = _epiglottis(site)
    return Larynx(
        airway=_airway(site),
        epiglottis=epiglottis,
        folds=_folds(site) if site.now.closure > 0.4 else None,
        stream=_stream(site, stream_mm) if site.now.depth > 0.1 else None,
        matter=[*_cartilage(site), Matter(epiglottis, 0.05, rim=0.03, rim_mm=0.8)],
    )


def _walls(site: Site, levels: Doubles) -> tuple[Doubles, Doubles]:
    """Depth of the back and of the front of the airway before the spine, at rest."""
    back = (np.interp(levels, _AIRWAY_LEVEL, _AIRWAY_BACK) + site.wall(levels)) * site.person.airway_gap
    width = np.interp(levels, _AIRWAY_LEVEL, _AIRWAY_WIDTH) * site.person.airway
    width *= 1 - 0.25 * site.now.closure * np.exp(-(((levels - 5.0) / 0.6) ** 2))
    return back, back + width


def _airway(site: Site) -> Points:
    top = 3.95 + 0.95 * site.now.closure
    below = np.array(_AIRWAY_LEVEL)
    levels = np.concatenate([[top, top + 0.12], below[below > top + 0.2]])
    back, front = _walls(site, levels)
    return np.concatenate([smooth_open(site.larynx(levels, back)), smooth_open(site.larynx(levels, front))[::-1]])


def _folds(site: Site) -> Points:
    levels = np.array((5.25, 5.36, 5.47))
    back, front = _walls(site, levels)
    return np.concatenate([site.larynx(levels, back), site.larynx(levels, front)[::-1]])


def _stream(site: Site, thickness: float) -> Points:
    """Contrast along the front wall of the airway, from its entrance downwards."""
    top = 4.55 + 0.4 * site.now.closure
    levels = np.linspace(top, top + site.now.depth, 14)
    back, front = _walls(site, levels)
    front = back + 0.97 * (front - back)
    broad = thickness * np.interp(np.linspace(0, 1, 14), (0, 0.15, 0.4, 0.8, 0.95, 1), (0.3, 0.7, 0.6, 1.0, 0.8, 0.3))
    broad = np.minimum(broad, 0.7 * (front - back))
    return np.concatenate([site.larynx(levels, front), site.larynx(levels, front - broad)[::-1]])


def _epiglottis(site: Site) -> Points:
    """It swings backwards and down from its root when the larynx closes."""
    length, width = site.person.epiglottis
    neck, over = site.person.neck, site.now.inversion
    angle = np.deg2rad(_EPIGLOTTIS[:, 1] * (1 - over) + _EPIGLOTTIS[:, 2] * over)
    steps = np.stack([-np.cos(angle), -np.sin(angle)], axis=1) * (_EPIGLOTTIS[:, :1] * length * neck)
    tilt = float(np.interp(4.5, np.arange(1, len(site.spine.tilts) + 1), site.spine.tilts))
    joints = np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)])
    line = smooth_open(turn(joints, tilt) + site.larynx(4.5, 30.5), 6)
    half = np.interp(np.linspace(0, 1, len(line)), (0, 0.1, 0.35, 0.6, 0.9, 1), (3.6, 4.9, 3.6, 2.0, 1.7, 0.8))
    return ribbon(line, half * width * neck)


def _cartilage(site: Site) -> list[Matter]:
    person, neck, bone = site.person, site.person.neck, site.person.bone
    forward, up = site.now.hyoid
    lift = up / site.spine.pitch
    horn = site.spine.front(np.array((4.1, 3.95, 3.8)) - lift, np.array((36.0, 27, 19)) * neck + forward)
    chalk = person.calcified * bone
    plate = site.larynx((4.45, 4.9, 5.5, 5.7, 5.2, 4.7), (34, 34, 31.5, 28.5, 30, 31))
    cricoid = site.larynx((5.45, 5.5, 5.95, 6.0), (9.5, 13, 13.5, 9.5))
    arytenoid = site.larynx((4.75, 4.8, 5.3, 5.3), (10.5, 14.5, 15.5, 11))
    return [
        Matter(ellipse((horn[0, 0], horn[0, 1]), (4.4 * neck, 3.3 * neck), 35), 0.26 * bone, rim=0.22 * bone),
        Matter(ribbon(smooth_open(horn), np.linspace(1.7, 1.0, 11) * neck), 0.16 * bone, blur=1),
        Matter(smooth(plate), 0.10 * chalk, rim=0.14 * chalk, rim_mm=1.2, blur=1),
        Matter(smooth(cricoid), 0.14 * chalk + 0.05, rim=0.1 * chalk, blur=1),
        Matter(smooth(arytenoid), 0.08, blur=1),
    ]
