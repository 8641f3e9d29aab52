# SPDX-License-Identifier: Apache-2.0
"""The time axis: where everything is at one time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vfss.phantom.course import SWALLOW_S, VARIANTS, Course, Phase, Swallow, Variant, sample_course

__all__ = [
    "SWALLOW_S",
    "VARIANTS",
    "Course",
    "Moment",
    "Portion",
    "Variant",
    "bump",
    "moment",
    "ramp",
    "sample_course",
]


def ramp(t: float, start: float, end: float) -> float:
    """0 before start, 1 after end, smooth between."""
    u = min(1.0, max(0.0, (t - start) / max(end - start, 1e-6)))
    return u * u * (3 - 2 * u)


def bump(t: float, rise: float, top: float, fall: float, rest: float) -> float:
    """0, rising to 1 between rise and top, back to 0 between fall and rest."""
    return ramp(t, rise, top) * (1.0 - ramp(t, fall, rest))


@dataclass(frozen=True)
class Portion:
    """A part of what is swallowed.

    Attributes:
        tail: Where it ends: 0 teeth, 1 fauces, 2 upper sphincter, 3 below.
        head: Where it begins, same scale.
        area: Square millimetres.
    """

    tail: float
    head: float
    area: float


@dataclass(frozen=True)
class Moment:
    """Where everything is at one time; shares 0..1 unless said otherwise.

    Attributes:
        hyoid: Shift of the hyoid, millimetres (forward, up).
        lift: Ascent of the larynx, millimetres.
        inversion: Epiglottis: 0 upright, 1 turned over.
        closure: Vestibule of the larynx.
        velum: Elevation of the soft palate.
        squeeze: Constriction of the pharynx where the tail has passed.
        tail: How far the tail of the swallow has come, as in Portion.
        portions: What is on its way or waits in the mouth.
        vallecula: Filling of the vallecula by residue.
        piriform: Filling of the piriform recess by residue.
        depth: Contrast in the airway, levels below its entrance.
        coating: Contrast on the walls.
        jaw: Opening, degrees.
        tilt: Turn of the head, degrees.
        breath: Breathing, -1..1.
        lean: Turn of the whole patient, degrees, forward.
        forward: Shift of the whole patient, millimetres.
    """

    hyoid: tuple[float, float]
    lift: float
    inversion: float
    closure: float
    velum: float
    squeeze: float
    tail: float
    portions: tuple[Portion, ...]
    vallecula: float
    piriform: float
    depth: float
    coating: float
    jaw: float
    tilt: float
    breath: float
    lean: float
    forward: float


# Seconds after the burst, and where head and tail of the bolus are then.
_HEAD = (
    (-0.75, 0.62),
    (-0.30, 0.72),
    (-0.05, 1.02),
    (0.10, 1.35),
    (0.28, 1.85),
    (0.45, 2.25),
    (0.75, 2.95),
    (0.95, 3.4),
)
_TAIL = ((-0.75, 0.18), (-0.30, 0.22), (0.05, 0.55), (0.22, 1.0), (0.45, 1.45), (0.65, 1.95), (0.90, 2.6), (1.20, 3.4))
_GONE = 1.15  # seconds after which nothing of it is left above the chest


def _along(track: tuple[tuple[float, float], ...], u: float) -> float:
    return float(np.interp(u, [p[0] for p in track], [p[1] for p in track]))


def head_at(swallow: Swallow, u: float) -> float:
    """A late trigger: the bolus runs ahead, waits in a recess, and goes on when the hyoid comes."""
    if swallow.clearing:
        return max(_along(_HEAD, u), 1.5)
    own = u + swallow.flow[0]
    return max(_along(_HEAD, own), min(_along(_HEAD, own + swallow.early), swallow.pool))


def tail_at(swallow: Swallow, u: float) -> float:
    """Place of the tail, u seconds after the burst at pace 1."""
    tail = _along(_TAIL, u - swallow.flow[1] * ramp(u, -0.3, 0.3))
    return max(tail, 1.2) if swallow.clearing else tail


def moment(course: Course, seconds: float) -> Moment:
    """Where everything is, `seconds` into the clip."""
    times = [(seconds - swallow.onset) / swallow.pace for swallow in course.swallows]

    def most(phase: Callable[[Swallow], Phase], extent: Callable[[Swallow], float]) -> float:
        values = (extent(s) * bump(u, *phase(s)) for s, u in zip(course.swallows, times, strict=True))
        return max(values, default=0.0)

    shift = [np.array(s.hyoid) * bump(u, *s.timing.hyoid) for s, u in zip(course.swallows, times, strict=True)] or [
        np.zeros(2)
    ]
    hyoid = max(shift, key=lambda v: float(np.abs(v).sum()))
    vallecula, piriform, coating = _left(course, times)
    jaw, tilt = _jaw(course, times, seconds), _tilt(course, times, seconds)
    talk = _talk(course, times, seconds)
    breath = _breath(course, times, seconds)
    return Moment(
        hyoid=(float(hyoid[0]) + 0.15 * abs(talk), float(hyoid[1]) + 0.5 * talk - 0.12 * jaw),
        lift=most(lambda s: s.timing.larynx, lambda s: s.lift) + 0.6 * talk,
        inversion=most(lambda s: s.timing.inversion, lambda s: s.inversion),
        closure=max(most(lambda s: s.timing.closure, lambda s: s.closure), 0.05 * abs(talk)),
        velum=max(most(lambda s: s.timing.velum, lambda s: 1.0), min(0.25 * abs(talk), 0.9)),
        squeeze=most(lambda s: s.timing.squeeze, lambda s: s.squeeze),
        tail=max((tail_at(s, u) for s, u in zip(course.swallows, times, strict=True) if -0.3 < u < 1.3), default=0.2),
        portions=_portions(course, times, seconds),
        vallecula=vallecula,
        piriform=piriform,
        depth=max((_depth(s, u) for s, u in zip(course.swallows, times, strict=True)), default=0.0),
        coating=coating,
        jaw=jaw,
        tilt=tilt,
        breath=breath,
        lean=course.habits.lean[0] * _slow(seconds, 0.17, course.habits.lean[2]),
        forward=course.habits.lean[1] * _slow(seconds, 0.23, course.habits.lean[3]),
    )


def _slow(seconds: float, rate: float, phase: float) -> float:
    """A wave that is not quite regular, about -1..1."""
    return float(
        0.7 * np.sin(2 * np.pi * rate * seconds + phase) + 0.4 * np.sin(2 * np.pi * 2.7 * rate * seconds + 2 * phase)
    )


def _portions(course: Course, times: list[float], seconds: float) -> tuple[Portion, ...]:
    """What is in the mouth lies there together until a part of it is swallowed."""
    out = []
    waiting = 0.0
    for swallow, u in zip(course.swallows, times, strict=True):
        if u >= _GONE:
            continue
        if swallow.clearing:
            if u > 0.12:
                out.append(Portion(tail_at(swallow, u), head_at(swallow, u), swallow.area))
        elif u > -0.75 or not out:
            present = _present(course, seconds)
            if present > 0:
                out.append(Portion(tail_at(swallow, u), head_at(swallow, u), swallow.area * present))
        else:
            waiting += swallow.area
    if waiting and out:
        first = out[0]
        if first.tail < 0.25:
            out[0] = Portion(first.tail, first.head, first.area + waiting)
        else:
            out.append(Portion(0.15, min(0.55, first.tail + 0.1), waiting))
    return tuple(out)


def _present(course: Course, seconds: float) -> float:
    """Share of what is swallowed that has come into the mouth."""
    if course.hold:
        return 1.0
    first = course.swallows[0]
    fed = first.onset - course.fed * first.pace
    return ramp(seconds, fed, fed + 0.15)


def _left(course: Course, times: list[float]) -> tuple[float, float, float]:
    """Filling of vallecula and piriform recess, and coating of the walls: each swallow leaves its own behind."""
    vallecula = piriform = coating = 0.0
    for swallow, u in zip(course.swallows, times, strict=True):
        gone, back = 1.0 - ramp(u, 0.1, 0.35), ramp(u, 0.45, 0.8)
        vallecula = vallecula * gone + swallow.vallecula * back * (1 - gone)
        piriform = piriform * gone + swallow.piriform * back * (1 - gone)
        coating = max(coating, course.coating * ramp(u, 0.2, 0.7) * (1 - 0.15 * ramp(u, 1.0, 4.0)))
    return vallecula, piriform, coating


def _depth(swallow: Swallow, u: float) -> float:
    start, end = swallow.enters
    out = 1.0 - (ramp(u, 0.5, 0.9) if swallow.ejected else 0.0)
    return swallow.depth * ramp(u, start, end) * out


def _quiet(times: list[float], before: float, after: float) -> float:
    """0 around swallows, 1 away from them."""
    return min((1.0 - bump(u, -before - 0.2, -before, after, after + 0.4) for u in times), default=1.0)


def _jaw(course: Course, times: list[float], seconds: float) -> float:
    """Chewing before a swallow, opening for a spoon or a cup, talking; degrees."""
    size, rate = course.habits.chew
    jaw_phase, talk_phase = course.habits.phases[0], course.habits.phases[3]
    if course.variant == "rest" or any(u > 0 for u in times[:1]):
        size = min(size, 1.2)
    open_ = abs(size * _quiet(times, 0.3, 0.9) * np.sin(np.pi * rate * seconds + jaw_phase))
    if course.habits.talk:
        voice = 0.6 * np.sin(2 * np.pi * 2.3 * seconds + talk_phase) + 0.4 * np.sin(2 * np.pi * 3.7 * seconds)
        open_ += course.habits.talk * (0.5 + 0.5 * voice) * _quiet(times, 0.4, 1.2)
    if not course.hold and course.swallows:
        u = times[0] + course.fed
        open_ += 9.0 * bump(u, -0.5, -0.1, 0.05, 0.35)
    return float(open_) + 0.3


def _talk(course: Course, times: list[float], seconds: float) -> float:
    """Motion of larynx and palate while talking, millimetres."""
    if not course.habits.talk:
        return 0.0
    wave = np.sin(2 * np.pi * 2.9 * seconds + course.habits.phases[3]) + 0.7 * np.sin(2 * np.pi * 1.3 * seconds)
    return float(wave * 1.6 * _quiet(times, 0.4, 1.2))


def _tilt(course: Course, times: list[float], seconds: float) -> float:
    habits = course.habits
    nod = max((bump(u, -0.7, -0.1, 0.9, 1.7) for u in times), default=0.0)
    sway = habits.sway * np.sin(2 * np.pi * 0.22 * seconds + habits.phases[1])
    return float(sway + np.clip(habits.drift * (seconds - 1.0), -4, 4) + habits.tuck * nod)


def _breath(course: Course, times: list[float], seconds: float) -> float:
    """Breathing pauses for a swallow."""
    wave = np.sin(2 * np.pi * course.habits.breath * seconds + course.habits.phases[2])
    return float(course.habits.deep * wave * _quiet(times, 0.1, 0.9))
