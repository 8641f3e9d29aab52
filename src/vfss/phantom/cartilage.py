# SPDX-License-Identifier: Apache-2.0
"""Hyoid and the cartilages of the larynx, which turn to bone with age, and the folds and wedges of flesh inside.

Ossification begins at the lower and rear border of the thyroid cartilage and the rear of the cricoid (Mupparapu and
Vuppalapati, "Ossification of laryngeal cartilages on lateral cephalometric radiographs", Angle Orthod 75, 2005).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vfss.phantom.geometry import Points, ellipse, ribbon, smooth, smooth_open
from vfss.phantom.matter import Matter
from vfss.phantom.passage import Site

_SEED = 410
_USUAL_TOP = 3.95  # level of the entrance of the larynx to which the numbers here belong


def cartilage(site: Site) -> list[Matter]:
    """Everything of hyoid and larynx that is neither air nor epiglottis, in the patient's millimetres."""
    rng = np.random.default_rng((site.person.seed, _SEED))
    return [*hyoid(site, rng), *_thyroid(site, rng), *_cricoid(site, rng), *_flesh(site, rng)]


def hyoid(site: Site, rng: np.random.Generator) -> list[Matter]:
    """Body, and greater horns of both sides, which reach back towards the spine."""
    person, n, bone = site.person, site.person.neck, site.person.bone
    forward = site.now.hyoid[0]
    level, off = _hyoid_place(site, rng)
    dense = float(rng.uniform(0.5, 1.3)) * bone
    body = site.spine.front(level, (36.0 + off[1]) * n + forward)
    tilt = 35 + rng.normal(0, 12)
    out = [Matter(ellipse((body[0], body[1]), (4.6 * n, 2.8 * n), tilt), 0.2 * dense, rim=0.2 * dense)]
    for side in (-0.5, 0.5):
        shift = np.array(person.double) * side * 0.35
        bend = rng.normal(0, 0.06, 3)
        levels = np.array((level, level - 0.14 + bend[0], level - 0.3 + bend[1], level - 0.34 + bend[2]))
        depths = (36.0 + off[1] - off[2] * np.array((0.1, 0.45, 0.85, 1.1))) * n + forward
        horn = smooth_open(site.spine.front(levels, depths) + shift)
        half = np.interp(np.linspace(0, 1, len(horn)), (0, 0.3, 0.85, 1), (1.7, 1.2, 1.0, 1.5)) * n
        out.append(Matter(ribbon(horn, half), 0.13 * dense, rim=0.06 * dense, blur=1))
    return out


def hyoid_middle(site: Site) -> Points:
    """Middle of the body of the hyoid, float64 (2,)."""
    level, off = _hyoid_place(site, np.random.default_rng((site.person.seed, _SEED)))
    return site.spine.front(level, (36.0 + off[1]) * site.person.neck + site.now.hyoid[0])


def _hyoid_place(site: Site, rng: np.random.Generator) -> tuple[float, npt.NDArray[np.float64]]:
    """Level of the hyoid, and how it differs from the usual one: level, depth of the body, length of the horns."""
    off = np.array((rng.normal(0, 0.15), rng.normal(0, 2.5), rng.uniform(14, 23)))
    return 4.1 + site.person.descent + float(off[0]) - site.now.hyoid[1] / site.spine.pitch, off


def _at(site: Site, levels: object, depths: object) -> Points:
    """Points of the larynx by the levels and depths (millimetres) of the usual neck."""
    off = site.person.voice.top - _USUAL_TOP
    return site.larynx(np.asarray(levels, np.float64) + off, np.asarray(depths, np.float64))


def _thyroid(site: Site, rng: np.random.Generator) -> list[Matter]:
    bone, chalk = site.person.bone, site.person.calcified * site.person.bone
    plate = smooth(_at(site, (4.5, 4.55, 4.95, 5.45, 5.7, 5.6, 5.1, 4.7), (33, 35.5, 34.5, 31.5, 27, 17, 15, 22)))
    out = [Matter(plate, 0.03 + 0.05 * chalk, rim=0.04 + 0.06 * chalk, rim_mm=1.2, blur=1)]
    horn = smooth_open(_at(site, (5.0, 4.7, 4.4, 4.15), (15.5, 14.5, 15.5, 17)))
    out.append(Matter(ribbon(horn, 1.1), 0.16 * chalk, blur=1))
    for _ in range(round(9 * site.person.calcified)):
        # The lower and rear border first.
        along = rng.beta(1.2, 2.0)
        level = np.interp(along, (0, 0.5, 1), (5.66, 5.55, 4.8)) + rng.normal(0, 0.06)
        depth = np.interp(along, (0, 0.5, 1), (29, 19, 15)) + rng.normal(0, 1.5)
        spot = _at(site, (level,), (depth,))[0]
        size = (float(rng.uniform(1.0, 4.0)), float(rng.uniform(0.6, 1.6)))
        fleck = ellipse((spot[0], spot[1]), size, float(rng.uniform(0, 180)), 10)
        out.append(Matter(fleck, float(rng.uniform(0.1, 0.35)) * bone, blur=1))
    return out


def _cricoid(site: Site, rng: np.random.Generator) -> list[Matter]:
    chalk = site.person.calcified * site.person.bone
    signet = _at(site, (5.45, 5.4, 5.65, 6.0, 6.05, 5.75), (10, 13, 14, 13.5, 10.5, 9.5))
    arch = _at(site, (5.85, 5.85, 6.05, 6.05), (25.5, 29, 29, 25.5))
    out = [
        Matter(smooth(signet), 0.16 * chalk + 0.05, rim=0.12 * chalk, blur=1),
        Matter(smooth(arch), 0.14 * chalk + 0.02, rim=0.06 * chalk, blur=1),
    ]
    rings = np.arange(6.3, 9.0, 0.27)
    for level in rings[rng.random(len(rings)) < 0.7 * site.person.calcified]:
        front = _at(site, (level, level + 0.02, level + 0.12), (27, 28.5, 27.5)) + rng.normal(0, 0.3, 2)
        out.append(Matter(ribbon(smooth_open(front), 0.7), 0.1 * chalk, blur=1))
    return out


def _flesh(site: Site, rng: np.random.Generator) -> list[Matter]:
    """Arytenoids and folds stand in the air of the larynx, prevertebral tissue behind it: no even pale column."""
    strong = float(rng.uniform(0.4, 1.4))
    shut = site.now.closure
    tip = 17.5 + 9.0 * shut
    wedge = smooth(_at(site, (4.62, 4.66, 5.0, 5.35, 5.4, 5.0), (11, tip - 1, tip, 16.0, 11, 10)))
    folds = smooth(_at(site, (5.2, 5.28, 5.45, 5.5, 5.42, 5.28), (13, 23, 27, 25, 15, 12)))
    ventricle = ribbon(smooth_open(_at(site, (5.12, 5.14, 5.16), (19.0, 23, 26.5))), 1.1)
    return [
        Matter(wedge, 0.2 * strong, blur=1),
        Matter(folds, 0.14 * strong + 0.1 * shut, blur=1),
        Matter(ventricle, -0.12 * strong * (1 - shut), blur=1),
        Matter(smooth(_at(site, (5.5, 5.6, 6.3, 6.3), (17, 26, 26, 16))), 0.06 * strong, blur=1),
    ]
