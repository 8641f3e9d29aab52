# SPDX-License-Identifier: Apache-2.0
"""Mouth, pharynx, larynx, trachea and what is swallowed through them, put together for one time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vfss.phantom.geometry import Points, ribbon, smooth, smooth_open
from vfss.phantom.larynx import larynx
from vfss.phantom.matter import Matter
from vfss.phantom.motion import Course, Moment
from vfss.phantom.passage import Passage, Place, Site, passage
from vfss.phantom.points import throat_landmarks
from vfss.phantom.population import Person
from vfss.phantom.spine import Spine

_NASAL = ((-50, 8), (-32, 2), (-20, 8), (-12, 18), (-9.5, 30), (-9, 42), (-17, 44), (-24, 38), (-32, 29), (-48, 26))
_MOUTH_AIR, _NASAL_AIR, _PHARYNX_AIR, _AIRWAY_AIR, _FOLDS_AIR, _EPIGLOTTIS_AIR = 0.75, 0.35, 0.62, 0.68, 0.3, 0.18
_POOLED = 0.7  # share of the densest contrast in residue, thinner along the beam than the bolus


@dataclass(frozen=True)
class Throat:
    """Outlines in millimetres: truth by key, matter, what is painted as air and as contrast, landmarks (see Scene)."""

    truth: dict[str, list[Points]]
    matter: list[Matter]
    air: list[tuple[Points, float]]
    barium: list[tuple[Points, float]]
    landmarks: dict[str, Points]


def throat(person: Person, spine: Spine, course: Course, now: Moment, *, head: Place) -> Throat:
    """Mouth, pharynx, larynx and contrast; `head` maps millimetres of the skull into the patient's."""
    site = Site(person, spine, now)
    way = passage(site, course, head)
    voice = larynx(site, course.stream)
    air: list[tuple[Points, float]] = [(head(smooth(_NASAL)), _NASAL_AIR), (way.mouth, _MOUTH_AIR)]
    air += [(outline, _PHARYNX_AIR) for outline in way.pharynx]
    air.append((voice.airway, _AIRWAY_AIR * person.trachea))
    if voice.folds is not None:
        air.append((voice.folds, _FOLDS_AIR * person.trachea))
    air.append((voice.epiglottis, _EPIGLOTTIS_AIR))
    air.append((_velum(head, now), 0.0))
    barium = _contrast(way, now)
    if voice.stream is not None:
        barium.append((voice.stream, 0.8))
    truth = {
        "bolus": [outline for outline, _ in barium],
        "pharynx": way.pharynx,
        "epiglottis": [voice.epiglottis],
        "airway": [voice.airway],
    }
    return Throat(truth, [*voice.matter, _tongue(site, way, head)], air, barium, throat_landmarks(site, way, head))


def _contrast(way: Passage, now: Moment) -> list[tuple[Points, float]]:
    """Bolus and residue with their share of the densest contrast."""
    found = [(outline, 1.0) for outline in way.bolus]
    if now.vallecula > 0.08 and now.inversion < 0.8:
        found.append((_lower_part(way.vallecula, now.vallecula), _POOLED))
    if way.recess is not None:
        found.append((way.recess, _POOLED))
    return found


def _lower_part(outline: Points, share: float) -> Points:
    """The part of an outline that a liquid fills from below; its surface is level."""
    surface = outline[:, 1].max() - share * np.ptp(outline[:, 1])
    return np.stack([outline[:, 0], np.maximum(outline[:, 1], surface)], axis=1)


def _velum(head: Place, now: Moment) -> Points:
    low = np.array(((-47.0, 27.5), (-36.5, 32.5), (-27, 42), (-23.5, 49)))
    high = np.array(((-47.0, 27.0), (-34.5, 26), (-22, 30), (-17, 37)))
    line = smooth_open(head(low * (1 - now.velum) + high * now.velum))
    return ribbon(line, np.interp(np.linspace(0, 1, len(line)), (0, 0.4, 0.75, 1), (1.8, 3.4, 3.6, 1.5)))


def _tongue(site: Site, way: Passage, head: Place) -> Matter:
    root = site.spine.front((4.0, 4.2), (30.0, 44.0))
    outline = np.concatenate([way.tongue, root, head(((-66.0, 92.0), (-76, 76)))])
    return Matter(outline, 0.08 + 0.35 * site.person.cheek, blur=1)
