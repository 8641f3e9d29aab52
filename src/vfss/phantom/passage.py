# SPDX-License-Identifier: Apache-2.0
"""The way of what is swallowed: mouth, pharynx and oesophagus with their walls, widths and contents."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from vfss.phantom.course import Course
from vfss.phantom.geometry import Points, normals, ribbon, smooth, smooth_open
from vfss.phantom.motion import Moment, Portion
from vfss.phantom.population import Person
from vfss.phantom.spine import Spine

Doubles = npt.NDArray[np.float64]
Place = Callable[[npt.ArrayLike], Points]

# The way: 0 incisors, 1 fauces, 2 upper sphincter, 3 and more oesophagus.
_WAY_END = 3.3
_PER = 6  # points of the way between two knots
_KNOTS = np.concatenate(
    [(0, 0.15, 0.35, 0.55, 0.75, 0.88, 1.0), np.linspace(1.15, 2.0, 6), np.linspace(2.0, _WAY_END, 7)[1:]]
)
_PALATE = ((-92.0, 48.0), (-87, 38), (-75, 31.5), (-60, 29.5), (-46, 31))
_VELUM_DOWN = ((-36.0, 36.0), (-28.0, 46.0))
_VELUM_UP = ((-34.0, 31.5), (-23.0, 37.0))
# Soft tissue before the spine by level, millimetres.
_WALL = np.array(((1, 4.5), (2, 4.3), (3, 4.4), (4, 5.0), (4.8, 7.5), (6, 10.5), (7, 11.5), (8, 12), (14, 13)))
# Width of the lumen at rest, from behind the soft palate (0) to the upper sphincter (1), millimetres.
_REST_SHARE = (0, 0.12, 0.24, 0.36, 0.48, 0.6, 0.72, 0.84, 0.94, 1)
_REST_WIDTH = (5.0, 9.0, 11.5, 14, 15.5, 14.5, 12, 9, 5, 0.5)
# Most that the lumen opens for the bolus, by way, millimetres.
_ROOM = np.array(((0, 6.0), (0.3, 13), (0.7, 13), (1, 10), (1.3, 15), (1.7, 14), (2, 8), (2.3, 9), (3.3, 9)))


@dataclass(frozen=True)
class Site:
    """One person at one time, and where things of the neck are then."""

    person: Person
    spine: Spine
    now: Moment

    def wall(self, level: npt.ArrayLike) -> Doubles:
        """Depth of the posterior wall of the pharynx before the spine at levels, millimetres."""
        return np.asarray(
            np.interp(np.asarray(level, np.float64) - self.person.descent, _WALL[:, 0], _WALL[:, 1])
            * self.person.prevertebral
        )

    def larynx(self, level: npt.ArrayLike, depth: npt.ArrayLike) -> Points:
        """Points of hyoid, larynx and trachea: they ascend and come forward, the less the lower down."""
        level, depth = np.asarray(level, np.float64), np.asarray(depth, np.float64)
        share = np.clip((9.5 - level) / 3.5, 0, 1)
        up = (self.now.lift + 0.8 * self.now.breath) / self.spine.pitch
        return self.spine.front(
            level + self.person.descent - up * share, depth * self.person.neck + 0.45 * self.now.hyoid[0] * share
        )

    def airway_back(self, level: npt.ArrayLike) -> Doubles:
        """Depth before the spine of the back of the airway, where the larynx now stands at that level, millimetres."""
        voice = self.person.voice
        own = np.asarray(level, np.float64) - self.person.descent + self.now.lift / self.spine.pitch
        gaps = (voice.gap_top, voice.gap_glottis, voice.gap_trachea, voice.gap_chest)
        gap = np.interp(own, (voice.top, voice.top + 1.1, 7.0, 10.0), gaps)
        depth = (
            gap + self.wall(own + self.person.descent) * (1 - 1 / self.person.prevertebral)
        ) * self.person.neck + 0.45 * self.now.hyoid[0]
        return np.asarray(np.where(own > voice.top + 0.95 * self.now.closure - 0.1, depth, 99.0))

    @property
    def sphincter(self) -> float:
        """Level of the upper oesophageal sphincter."""
        return 6.0 + self.person.descent - self.now.lift / self.spine.pitch


@dataclass(frozen=True)
class Passage:
    """Mouth and pharynx at one time; millimetres.

    Attributes:
        mouth: Outline of the space between tongue and palate.
        tongue: Its lower border, open line from the front of the mouth to the root of the tongue.
        pharynx: Outlines of the lumen, that of the bolus in it included.
        vallecula: Outline of the recess before the epiglottis.
        bolus: Outlines of the bolus from mouth to oesophagus; none where there is no bolus.
        recess: Outline of residue in the piriform recess; None without.
    """

    mouth: Points
    tongue: Points
    pharynx: list[Points]
    vallecula: Points
    bolus: list[Points]
    recess: Points | None


def passage(site: Site, course: Course, head: Place) -> Passage:
    """The passage of a person at one time; `head` maps millimetres of the skull into the patient's."""
    line = _wall_line(site, head)
    way = np.interp(np.arange(len(line)) / _PER, np.arange(len(_KNOTS)), _KNOTS)
    inward = -normals(line)
    each = [_bolus_thickness(site, course, portion, way=way, line=line) for portion in site.now.portions]
    thick = np.max([np.zeros_like(way), *each], axis=0)
    gap = np.maximum(_mouth_gap(site, way), np.where(thick > 0, thick + 1.0, 0.0))
    levels, width = _lumen(site, way, thick)
    wall = site.wall(levels)
    oral, throat = (way > 0.04) & (way < 1.17), levels <= site.sphincter
    bolus = [piece for one in each for piece in _bolus(way, line, inward, thick=one, gap=gap)]
    vallecula = _vallecula(site)
    pharynx = [_strip(site, levels[throat], wall[throat], (wall + width)[throat])]
    if site.now.inversion < 0.8:
        pharynx.append(vallecula)
    pharynx += [outline for middle, outline in bolus if 1.06 < middle < 2.0]
    border = line + inward * gap[:, None]
    return Passage(
        mouth=np.concatenate([line[oral], border[oral][::-1]]),
        tongue=border[(way > 0.12) & (way < 1.5)],
        pharynx=pharynx,
        vallecula=vallecula,
        bolus=[outline for _, outline in bolus],
        recess=_recess(site, levels, wall, width),
    )


def _wall_line(site: Site, head: Place) -> Points:
    """Palate, soft palate, posterior wall of pharynx and oesophagus as one line along the way."""
    v = site.now.velum
    velum = np.array(_VELUM_DOWN) * (1 - v) + np.array(_VELUM_UP) * v
    levels = np.concatenate([np.linspace(2.55, site.sphincter, 6), np.linspace(site.sphincter, 9.0, 7)[1:]])
    # The oesophagus lies between spine and trachea.
    room = np.clip(site.airway_back(levels) - 8.5, 1.0, None)
    depth = np.where(levels > site.sphincter + 0.05, np.minimum(site.wall(levels), room), site.wall(levels))
    rear = site.spine.front(levels, depth)
    return smooth_open(np.concatenate([head(np.concatenate([np.array(_PALATE), velum])), rear]), _PER)


def _mouth_gap(site: Site, way: Doubles) -> Doubles:
    """Distance of the tongue from the palate along the way, millimetres."""
    now = site.now
    opened = site.person.mouth_gap * (1 - 0.7 * now.squeeze) + now.jaw * 0.9
    return np.asarray(np.interp(way, (0, 0.1, 0.3, 0.75, 0.95, 1.05), (0.6, 0.8, 1.0, 0.8, 0.25, 0.1)) * opened)


def _bolus_thickness(site: Site, course: Course, portion: Portion, *, way: Doubles, line: Points) -> Doubles:
    """Extent of a portion across the way: its area is kept as far as the lumen can open for it."""
    tail, head = portion.tail, min(portion.head, _WAY_END)
    if portion.area <= 0 or tail >= _WAY_END - 0.2:
        return np.zeros_like(way)
    along = np.clip((way - tail) / max(head - tail, 0.05), 0, 1)
    room = np.interp(way, _ROOM[:, 0], _ROOM[:, 1])
    shape = np.sqrt(along * (1 - along)) * room * _lumps(course, way, along)
    steps = np.hypot(*np.gradient(line, axis=0).T)
    area = portion.area * min(1.0, (head - tail) / max(portion.head - tail, 0.05))
    thick = shape * (area / max(float((shape * steps).sum()), 1e-6))
    thick = room * (1 - np.exp(-thick / room)) * 1.2 * site.person.neck
    return np.asarray(np.where(thick > 0.7, np.minimum(thick, _before_airway(site, way)), 0.0))


def _before_airway(site: Site, way: Doubles) -> Doubles:
    """Room between the posterior wall and the airway along the way, millimetres: no more is swallowed past it."""
    levels = np.interp(way, (1.15, 2.0, _WAY_END), (2.55, site.sphincter, 9.0))
    back = site.airway_back(levels)
    wall = np.where(way > 2.0, np.minimum(site.wall(levels), np.clip(back - 8.5, 1.0, None)), site.wall(levels))
    return np.asarray(np.where(way > 1.15, np.maximum(back - wall - 1.5, 2.0), 99.0))


def _lumps(course: Course, way: Doubles, along: Doubles) -> Doubles:
    """No bolus is a smooth sausage: a factor around 1 along it; liquids run ahead thinly, solids are lumpy."""
    rng = np.random.default_rng((course.seed, 420))
    height, fine = {"thin": (0.22, 0.1), "thick": (0.18, 0.05), "pudding": (0.2, 0.08), "solid": (0.3, 0.16)}[
        course.consistency
    ]
    turns, phases = rng.uniform(4, 9, 2), rng.uniform(0, 2 * np.pi, 4)
    wave = height * (np.sin(turns[0] * way + phases[0]) + 0.6 * np.sin(2.3 * turns[1] * way + phases[1]))
    wave += fine * (np.sin(31 * way + phases[2]) + np.sin(47 * way + phases[3]))
    lean = float(rng.uniform(-0.5, 0.9)) * (0.5 - along)
    return np.asarray(np.clip(1 + wave + lean, 0.15, 2.0))


def _lumen(site: Site, way: Doubles, thick: Doubles) -> tuple[Doubles, Doubles]:
    """Levels from the soft palate to the upper sphincter, and the width of the lumen there."""
    person, now = site.person, site.now
    top, sphincter = 1.35 + 0.45 * now.velum, site.sphincter
    levels = np.linspace(top, sphincter, 40)
    share = (levels - top) / (sphincter - top)
    width = np.interp(share, _REST_SHARE, _REST_WIDTH) * person.lumen * person.neck
    width *= 1 - 0.55 * now.velum * np.clip(1 - share / 0.2, 0, 1)
    on_way = 2 - 0.85 * (sphincter - levels) / (sphincter - 2.55)
    passed = 1 / (1 + np.exp(-np.clip((now.tail - 0.12 - on_way) / 0.07, -30, 30)))
    width *= 1 - now.squeeze * passed
    load = np.where(on_way > 1.1, np.interp(on_way, way, thick), 0.0)
    return levels, np.where(load > 0, np.maximum(width, load + 1.0), width)


def _bolus(way: Doubles, line: Points, inward: Points, *, thick: Doubles, gap: Doubles) -> list[tuple[float, Points]]:
    """Outlines of pieces of the bolus with their place on the way; in the mouth it lies on the tongue."""
    near = (gap - thick) * np.interp(way, (0.8, 1.1), (0.85, 0.5))
    middle = line + inward * (near + 0.5 * thick)[:, None]
    # It turns around the tongue in a curve, not in the corner where soft palate and posterior wall meet.
    middle = ndimage.gaussian_filter1d(middle, 2.2, axis=0, mode="nearest", truncate=2.5)
    full = np.flatnonzero(thick > 0)
    if full.size < 3:
        return []
    # Both ends are round: half as thick one step further on.
    ends = np.array([max(full[0] - 1, 0), min(full[-1] + 1, len(way) - 1)])
    thick = thick.copy()
    thick[ends] = np.maximum(thick[ends], 0.45 * thick[[full[0], full[-1]]])
    full = np.arange(ends[0], ends[1] + 1)
    out = []
    for first in range(0, len(full) - 2, 5):
        piece = full[first : first + 7]
        out.append((float(way[piece].mean()), ribbon(middle[piece], 0.5 * thick[piece])))
    return out


def _strip(site: Site, levels: Doubles, near: Doubles, far: Doubles) -> Points:
    """Outline between two depths before the spine."""
    return np.concatenate([site.spine.front(levels, near), site.spine.front(levels[::-1], far[::-1])])


def _vallecula(site: Site) -> Points:
    levels = np.array((3.25, 3.35, 3.68, 3.93, 3.98, 3.8, 3.5))
    depth = np.array((11.0, 18.5, 24.5, 26.0, 24.0, 19.0, 12.5))
    # The recess is as narrow as the pharynx that it opens into, and begins where that ends.
    narrow = min(site.person.lumen, 1.2)
    depth = 4.5 + 6.5 * min(1.0, 0.4 + 0.6 * narrow) + (depth - 11.0) * (0.4 + 0.5 * narrow)
    shut = 0.75 * site.now.inversion
    depth = depth * (1 - shut) + 18.0 * shut
    return smooth(site.larynx(levels + shut * (3.9 - levels) * 0.6, depth), 4)


def _recess(site: Site, levels: Doubles, wall: Doubles, width: Doubles) -> Points | None:
    filling = site.now.piriform
    low = levels > site.sphincter - 1.3 * filling
    if filling <= 0.08 or low.sum() < 3:
        return None
    far = np.minimum(wall[low] + np.maximum(width[low] - 0.3, 0.5), site.airway_back(levels[low]) - 1.0)
    return _strip(site, levels[low], np.minimum(wall[low] + 0.3, far - 0.5), far)
