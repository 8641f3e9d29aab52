# SPDX-License-Identifier: Apache-2.0
"""Mouth, pharynx, larynx, trachea and what is swallowed through them, at one time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vfss.phantom.geometry import Points, ellipse, normals, ribbon, smooth, smooth_open
from vfss.phantom.matter import Matter
from vfss.phantom.motion import Course, Moment
from vfss.phantom.population import Person
from vfss.phantom.spine import Spine

Floats = npt.NDArray[np.float64]

# The way of the bolus: 0 incisors, 1 fauces, 2 upper sphincter, 3 and more oesophagus.
_WAY_END = 3.3
_PALATE = ((-92.0, 48.0), (-87, 38), (-75, 31.5), (-60, 29.5), (-46, 31))
_VELUM_DOWN = ((-36.0, 37.0), (-28.0, 48.0))
_VELUM_UP = ((-34.0, 31.5), (-23.0, 37.0))
# Soft tissue before the spine by level, millimetres.
_WALL = np.array(((1, 4.5), (2, 4.3), (3, 4.4), (4, 5.0), (4.8, 7.5), (6, 10.5), (7, 11.5), (8, 12), (14, 13)))
# Width of the lumen at rest, from behind the soft palate (0) to the upper sphincter (1).
_REST = np.array(
    (
        (0, 4.0),
        (0.12, 8.5),
        (0.24, 11),
        (0.36, 13.5),
        (0.48, 14.5),
        (0.6, 13),
        (0.72, 10.5),
        (0.84, 8),
        (0.94, 4),
        (1, 0.5),
    )
)
_ROOM = np.array(((0, 6.0), (0.3, 13), (0.7, 13), (1, 10), (1.3, 15), (1.7, 14), (2, 8), (2.3, 9), (3.3, 9)))
# Airway: level, distance of its back from the wall of the pharynx, and its width.
_AIRWAY = np.array(((3.95, 9.6, 1.0), (4.3, 8.6, 5.8), (4.65, 7.4, 10.5), (5.2, 4.8, 14.6), (5.8, 3.4, 16.2), (6.5, 2.6, 16.8), (7.3, 2.6, 17), (8.5, 3, 17), (14, 6, 17)))  # fmt: skip


@dataclass(frozen=True)
class Throat:
    """Outlines in millimetres: truth by key, matter, and what is painted as air and as contrast (see Scene)."""

    truth: dict[str, list[Points]]
    matter: list[Matter]
    air: list[tuple[Points, float]]
    barium: list[tuple[Points, float]]


@dataclass(frozen=True)
class _Frame:
    """Where things of the throat are, for one person at one time."""

    person: Person
    spine: Spine
    now: Moment

    def wall(self, level: npt.ArrayLike) -> Floats:
        """Depth of the posterior wall of the pharynx at levels, millimetres."""
        return np.interp(level, _WALL[:, 0], _WALL[:, 1]) * self.person.prevertebral

    def larynx(self, level: npt.ArrayLike, depth: npt.ArrayLike) -> Points:
        """Points of hyoid, larynx and trachea: they ascend and come forward, the less the lower down."""
        level, depth = np.asarray(level, np.float64), np.asarray(depth, np.float64)
        share = np.clip((9.5 - level) / 3.5, 0, 1)
        up = (self.now.lift + 0.8 * self.now.breath) / self.spine.pitch
        return self.spine.front(level - up * share, depth * self.person.neck + 0.45 * self.now.hyoid[0] * share)

    @property
    def sphincter(self) -> float:
        """Level of the upper oesophageal sphincter."""
        return 6.0 - self.now.lift / self.spine.pitch


def throat(
    person: Person, spine: Spine, course: Course, now: Moment, head: Callable[[npt.ArrayLike], Points]
) -> Throat:
    """Mouth, pharynx, larynx and contrast; `head` maps millimetres of the skull into the patient's."""
    frame = _Frame(person, spine, now)
    way, line = _way(frame, head)
    inward = -normals(line)
    thick = _bolus_thickness(frame, course, way, line)
    oral = way < 1.17
    gap = np.maximum(_mouth_gap(frame, way), np.where(thick > 0, thick + 1.0, 0.0))
    mouth = _between(line, inward, oral & (way > 0.04), np.zeros_like(gap), gap)
    levels, wall, width, load = _lumen(frame, way, thick)
    above = levels <= frame.sphincter
    pharynx = [_strip(frame, levels[above], wall[above], (wall + width)[above])]
    vallecula = _vallecula(frame)
    if now.inversion < 0.8:
        pharynx.append(vallecula)
    air: list[tuple[Points, float]] = [(mouth, 0.75), *((outline, 0.62) for outline in pharynx)]
    airway = _airway(frame)
    air.append((airway, 0.68 * person.trachea))
    epiglottis, matter = _larynx(frame)
    folds = frame.larynx((5.25, 5.25, 5.5, 5.5), (8, 30, 30, 8)) if now.closure > 0.4 else None
    if folds is not None:
        air.append((folds, 0.3))
    air.append((epiglottis, 0.18))
    air.append((_velum(head, now), 0.0))
    barium = [] if thick[oral].max() <= 0 else [(_in_mouth(line, inward, way, oral, thick, gap), 1.0)]
    barium += _swallowed(frame, course, levels, wall, width, load, vallecula)
    matter += _tongue(frame, head, line, inward, way, gap)
    truth = {"pharynx": pharynx, "airway": [airway], "epiglottis": [epiglottis], "bolus": [b for b, _ in barium]}
    return Throat(truth, matter, air, barium)


def _way(frame: _Frame, head: Callable[[npt.ArrayLike], Points]) -> tuple[Floats, Points]:
    """Way values and the upper and posterior wall along them."""
    v = frame.now.velum
    velum = np.array(_VELUM_DOWN) * (1 - v) + np.array(_VELUM_UP) * v
    upper = head(np.concatenate([np.array(_PALATE), velum]))
    levels = np.concatenate([np.linspace(2.55, frame.sphincter, 6), np.linspace(frame.sphincter, 9.0, 4)[1:]])
    rear = frame.spine.front(levels, frame.wall(levels))
    knots = np.concatenate(
        [(0, 0.15, 0.35, 0.55, 0.75, 0.88, 1.0), np.linspace(1.15, 2.0, 6), np.linspace(2.0, _WAY_END, 4)[1:]]
    )
    line = smooth_open(np.concatenate([upper, rear]), 6)
    way = np.interp(np.arange(len(line)) / 6, np.arange(len(knots)), knots)
    return way, line


def _mouth_gap(frame: _Frame, way: Floats) -> Floats:
    """Distance of the tongue from the palate along the way, millimetres."""
    now = frame.now
    open_mouth = frame.person.mouth_gap * (1 - 0.7 * now.squeeze) + now.jaw * 0.9
    return np.asarray(np.interp(way, (0, 0.1, 0.3, 0.75, 0.95, 1.05), (0.6, 0.8, 1.0, 0.8, 0.25, 0.1)) * open_mouth)


def _lumen(frame: _Frame, way: Floats, thick: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Levels from the soft palate to the oesophagus with depth of the wall, width of the lumen and of the bolus."""
    person, now = frame.person, frame.now
    top, sphincter = 1.35 + 0.45 * now.velum, frame.sphincter
    levels = np.concatenate([np.linspace(top, sphincter, 40), np.linspace(sphincter, 9.5, 25)[1:]])
    share = (levels - top) / (sphincter - top)
    width = np.interp(share, _REST[:, 0], _REST[:, 1], right=0.0) * person.lumen * person.neck
    width *= 1 - 0.55 * now.velum * np.clip(1 - share / 0.2, 0, 1)
    on_way = np.where(
        levels <= sphincter,
        2 - 0.85 * (sphincter - levels) / (sphincter - 2.55),
        2 + (_WAY_END - 2) * (levels - sphincter) / (9.0 - sphincter),
    )
    passed = 1 / (1 + np.exp(-np.clip((now.tail - 0.12 - on_way) / 0.07, -30, 30)))
    width *= 1 - now.squeeze * passed
    load = np.where(on_way > 1.1, np.interp(on_way, way, thick), 0.0)
    width = np.where(load > 0, np.maximum(width, load + 1.0), width)
    return levels, frame.wall(levels), width, load


def _strip(frame: _Frame, levels: Floats, near: Floats, far: Floats) -> Points:
    """Outline between two depths before the spine."""
    return np.concatenate([frame.spine.front(levels, near), frame.spine.front(levels[::-1], far[::-1])])


def _bolus_thickness(frame: _Frame, course: Course, way: Floats, line: Points) -> Floats:
    now = frame.now
    tail, head = now.tail, min(now.head, _WAY_END)
    if now.bolus <= 0 or tail >= _WAY_END - 0.05:
        return np.zeros_like(way)
    along = np.clip((way - tail) / max(head - tail, 0.05), 0, 1)
    room = np.interp(way, _ROOM[:, 0], _ROOM[:, 1])
    shape = np.sqrt(along * (1 - along)) * room
    steps = np.hypot(*np.gradient(line, axis=0).T)
    area = course.volume * now.bolus * min(1.0, (head - tail) / max(now.head - tail, 0.05))
    thick = shape * (area / max(float((shape * steps).sum()), 1e-6))
    thick = room * (1 - np.exp(-thick / room)) * 1.2 * frame.person.neck
    return np.asarray(np.where(thick > 0.7, thick, 0.0))


def _between(line: Points, inward: Points, where: npt.NDArray[np.bool_], near: Floats, far: Floats) -> Points:
    """Outline between two distances from the wall."""
    first = line[where] + inward[where] * near[where][:, None]
    second = line[where] + inward[where] * far[where][:, None]
    return np.concatenate([first, second[::-1]])


def _vallecula(frame: _Frame) -> Points:
    levels = np.array((3.25, 3.35, 3.68, 3.93, 3.98, 3.8, 3.5))
    depth = np.array((11.0, 18.5, 24.5, 26.0, 24.0, 19.0, 12.5))
    shut = 0.75 * frame.now.inversion
    depth = depth * (1 - shut) + 18.0 * shut
    levels = levels + shut * (3.9 - levels) * 0.6
    return smooth(frame.larynx(levels, depth), 4)


def _airway(frame: _Frame) -> Points:
    top = 3.95 + 0.95 * frame.now.closure
    levels = np.concatenate([[top], _AIRWAY[:, 0][_AIRWAY[:, 0] > top + 0.1]])
    levels = np.concatenate([levels[:1], [levels[0] + 0.12], levels[1:]])
    back = np.interp(levels, _AIRWAY[:, 0], _AIRWAY[:, 1]) + frame.wall(levels)
    width = np.interp(levels, _AIRWAY[:, 0], _AIRWAY[:, 2]) * frame.person.airway
    width = width * (1 - 0.25 * frame.now.closure * np.exp(-(((levels - 5.0) / 0.6) ** 2)))
    back = back * frame.person.airway_gap
    ring = np.concatenate(
        [smooth_open(frame.larynx(levels, back)), smooth_open(frame.larynx(levels, back + width))[::-1]]
    )
    return np.asarray(ring)


def _epiglottis(frame: _Frame) -> Points:
    length, width = frame.person.epiglottis
    turned = frame.now.inversion
    base = frame.larynx(4.5, 30.5)
    tilt = np.interp(4.5, np.arange(1, len(frame.spine.tilts) + 1), frame.spine.tilts)
    upright, over = np.array((138.0, 143.0, 130.0)), np.array((168.0, 215.0, 236.0))
    # Angles from the front, over the top, to the back: the tip swings backwards and down.
    angle = np.deg2rad(upright * (1 - turned) + over * turned)
    steps = np.array((9.5, 9.5, 10.5)) * length * frame.person.neck
    local = np.cumsum(np.stack([-np.cos(angle), -np.sin(angle)], axis=1) * steps[:, None], axis=0)
    local = np.concatenate([[[0, 0]], local])
    a = np.deg2rad(tilt)
    world = local @ np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]) + base
    line = smooth_open(world, 6)
    half = np.interp(np.linspace(0, 1, len(line)), (0, 0.1, 0.35, 0.6, 0.9, 1), (3.6, 4.9, 3.6, 2.0, 1.7, 0.8))
    return ribbon(line, half * width * frame.person.neck)


def _larynx(frame: _Frame) -> tuple[Points, list[Matter]]:
    person, now, n = frame.person, frame.now, frame.person.neck
    epiglottis = _epiglottis(frame)
    forward, up = now.hyoid
    lift = up / frame.spine.pitch
    horn = frame.spine.front(np.array((4.1, 3.95, 3.8)) - lift, np.array((36.0, 27, 19)) * n + forward)
    body = horn[0]
    chalk = person.calcified * person.bone
    plate = frame.larynx((4.45, 4.9, 5.5, 5.7, 5.2, 4.7), (34, 34, 31.5, 28.5, 30, 31))
    cricoid = frame.larynx((5.45, 5.5, 5.95, 6.0), (9.5, 13, 13.5, 9.5))
    matter = [
        Matter(ellipse((body[0], body[1]), (4.4 * n, 3.3 * n), 35), 0.3 * person.bone, rim=0.25 * person.bone),
        Matter(ribbon(smooth_open(horn), np.linspace(1.7, 1.0, 11) * n), 0.16 * person.bone, blur=1),
        Matter(smooth(plate), 0.10 * chalk, rim=0.14 * chalk, rim_mm=1.2, blur=1),
        Matter(smooth(cricoid), 0.14 * chalk + 0.05, rim=0.1 * chalk, blur=1),
        Matter(epiglottis, 0.05, rim=0.03, rim_mm=0.8),
    ]
    return epiglottis, matter


def _velum(head: Callable[[npt.ArrayLike], Points], now: Moment) -> Points:
    low = np.array(((-47.0, 27.5), (-36.5, 33), (-27, 43), (-23.5, 50)))
    high = np.array(((-47.0, 27.0), (-34.5, 26), (-22, 30), (-17, 37)))
    line = smooth_open(head(low * (1 - now.velum) + high * now.velum))
    return ribbon(line, np.interp(np.linspace(0, 1, len(line)), (0, 0.4, 0.75, 1), (1.8, 3.4, 3.6, 1.5)))


def _tongue(
    frame: _Frame, head: Callable[[npt.ArrayLike], Points], line: Points, inward: Points, way: Floats, gap: Floats
) -> list[Matter]:
    surface = (line + inward * gap[:, None])[(way > 0.12) & (way < 1.55)]
    root = frame.spine.front((4.0, 4.2), (30.0, 44.0))
    outline = np.concatenate([surface, root, head(((-66.0, 92.0), (-76, 76)))])
    return [Matter(outline, 0.08 + 0.35 * frame.person.cheek, blur=1)]


def _in_mouth(
    line: Points, inward: Points, way: Floats, oral: npt.NDArray[np.bool_], thick: Floats, gap: Floats
) -> Points:
    """Contrast between tongue and palate; it lies on the tongue."""
    near = (gap - thick) * np.interp(way, (0.8, 1.1), (0.85, 0.5))
    return _between(line, inward, oral & (thick > 0), near, near + thick)


def _swallowed(
    frame: _Frame, course: Course, levels: Floats, wall: Floats, width: Floats, load: Floats, vallecula: Points
) -> list[tuple[Points, float]]:
    """Contrast in pharynx, oesophagus and airway, with its share of the densest."""
    now = frame.now
    found: list[tuple[Points, float]] = []
    full = load > 0
    if full.sum() >= 3:
        near = wall[full] + 0.5 * (width - load)[full]
        found.append((_strip(frame, levels[full], near, near + load[full]), 1.0))
    if now.vallecula > 0.08 and now.inversion < 0.8:
        found.append((_lower_part(vallecula, now.vallecula), 0.7))
    if now.piriform > 0.08:
        low = (levels > frame.sphincter - 1.3 * now.piriform) & (levels <= frame.sphincter)
        near, broad = wall[low] + 0.3, np.maximum(width[low] - 0.6, 0.2)
        found.append((_strip(frame, levels[low], near, near + broad), 0.7))
    if now.depth > 0.1:
        found.append((_stream(frame, course, now.depth), 0.8))
    return found


def _lower_part(outline: Points, share: float) -> Points:
    """The part of an outline that a liquid fills from below; its surface is level."""
    surface = outline[:, 1].max() - share * np.ptp(outline[:, 1])
    out = outline.copy()
    out[:, 1] = np.maximum(out[:, 1], surface)
    return out


def _stream(frame: _Frame, course: Course, depth: float) -> Points:
    """Contrast along the front wall of the airway, from its entrance downwards."""
    top = 4.55 + 0.4 * frame.now.closure
    levels = np.linspace(top, top + depth, 12)
    back = np.interp(levels, _AIRWAY[:, 0], _AIRWAY[:, 1]) + frame.wall(levels)
    width = np.interp(levels, _AIRWAY[:, 0], _AIRWAY[:, 2]) * frame.person.airway
    front = back * frame.person.airway_gap + width * 0.97
    half = np.minimum(
        course.stream * np.interp(np.linspace(0, 1, 12), (0, 0.2, 0.8, 1), (0.4, 0.8, 1.0, 0.3)), width * 0.7
    )
    return np.concatenate([frame.larynx(levels, front), frame.larynx(levels, front - half)[::-1]])
