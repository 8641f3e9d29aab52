# SPDX-License-Identifier: Apache-2.0
"""The time axis of a swallow: what moves when, as functions of time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

Variant = Literal["normal", "penetration", "aspiration", "residue"]
VARIANTS: tuple[Variant, ...] = ("normal", "penetration", "aspiration", "residue")
SWALLOW_S = 1.9  # from the oral hold shown before onset to the oesophagus; shorter clips show the swallow quicker


def ramp(t: float, start: float, end: float) -> float:
    """0 before start, 1 after end, smooth between."""
    u = min(1.0, max(0.0, (t - start) / max(end - start, 1e-6)))
    return u * u * (3 - 2 * u)


def bump(t: float, rise: float, top: float, fall: float, rest: float) -> float:
    """0, rising to 1 between rise and top, back to 0 between fall and rest."""
    return ramp(t, rise, top) * (1.0 - ramp(t, fall, rest))


@dataclass(frozen=True)
class Course:
    """One person's way of swallowing once: times in seconds after the burst of the hyoid, extents as shares.

    Attributes:
        variant: What goes wrong, if anything.
        onset: Seconds into the clip at which the hyoid bursts.
        pace: Factor on all times; 1 is usual, smaller is quicker.
        early: Seconds by which the bolus runs ahead of the hyoid (late trigger).
        hyoid: Excursion, millimetres forward and up.
        lift: Ascent of the larynx, millimetres.
        inversion: How far the epiglottis turns over, 0..1.
        squeeze: Constriction of the pharynx behind the tail, 0..1.
        volume: Area of the bolus in the picture, square millimetres.
        spread: Stretch of the bolus along its way.
        residue_vallecula: Share of the vallecula filled afterwards.
        residue_piriform: Share of the piriform recess filled afterwards.
        depth: How far contrast gets into the airway, in vertebral levels below its entrance; 0 is not at all.
        stream: Thickness of contrast in the airway, millimetres.
        hold: True where the bolus is held in the mouth before; else the mouth is empty until shortly before.
        jaw: Amplitude of jaw motion, degrees.
        sway: Amplitude of head motion, degrees.
        phases: Phases of jaw, head and breathing.
        head_early: True where the bolus waits in the vallecula at onset.
    """

    variant: Variant
    onset: float
    pace: float
    early: float
    hyoid: tuple[float, float]
    lift: float
    inversion: float
    squeeze: float
    volume: float
    spread: float
    residue_vallecula: float
    residue_piriform: float
    depth: float
    stream: float
    hold: bool
    jaw: float
    sway: float
    phases: tuple[float, float, float] = field(default=(0.0, 0.0, 0.0))


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
        tail: Where the bolus ends: 0 teeth, 1 fauces, 2 upper sphincter, 3 below.
        head: Where it begins, same scale.
        bolus: Share of the bolus present.
        vallecula: Filling of the vallecula by residue.
        piriform: Filling of the piriform recess by residue.
        depth: Contrast in the airway, levels below its entrance.
        jaw: Opening, degrees.
        tilt: Turn of the head, degrees.
        breath: Breathing, -1..1.
    """

    hyoid: tuple[float, float]
    lift: float
    inversion: float
    closure: float
    velum: float
    squeeze: float
    tail: float
    head: float
    bolus: float
    vallecula: float
    piriform: float
    depth: float
    jaw: float
    tilt: float
    breath: float


def sample_course(
    rng: np.random.Generator, duration: float, variant: Variant | None = None, onset: float | None = None
) -> Course:
    """A way of swallowing from the population, for a clip of that many seconds."""
    chosen: Variant = variant or str(rng.choice(VARIANTS, p=(0.5, 0.12, 0.18, 0.2)))  # type: ignore[assignment]
    pace = float(rng.uniform(0.85, 1.2)) * min(1.0, duration / SWALLOW_S)
    early = float(rng.uniform(-0.05, 0.2) if chosen == "normal" else rng.uniform(0.0, 0.5))
    residue = chosen == "residue"
    return Course(
        variant=chosen,
        onset=float(rng.uniform(0.28, 0.36) * min(duration, 3.0)) if onset is None else onset,
        pace=pace,
        early=early,
        hyoid=(float(rng.normal(11, 2.5)), float(rng.normal(10, 3))),
        lift=float(np.clip(rng.normal(19, 4), 8, 28)),
        inversion=float(rng.uniform(0.85, 1.0) if chosen == "normal" else rng.uniform(0.35, 1.0)),
        squeeze=float(rng.uniform(0.85, 1.0) if chosen == "normal" else rng.uniform(0.5, 0.95)),
        volume=float(rng.uniform(230, 850)),
        spread=float(rng.uniform(0.8, 1.3)),
        residue_vallecula=float(rng.uniform(0.4, 0.95) if residue else rng.uniform(0, 0.3) * (rng.random() < 0.35)),
        residue_piriform=float(rng.uniform(0.3, 0.95) if residue else rng.uniform(0, 0.3) * (rng.random() < 0.35)),
        depth={"normal": 0.0, "residue": 0.0, "penetration": 1.0, "aspiration": 2.6}[chosen]
        * float(rng.uniform(0.8, 1.25)),
        stream=float(rng.uniform(2.0, 6.0)),
        hold=bool(rng.random() < 0.85),
        jaw=float(rng.uniform(0.2, 2.5)),
        sway=float(rng.uniform(0.1, 1.8)),
        phases=(float(rng.uniform(0, 6.28)), float(rng.uniform(0, 6.28)), float(rng.uniform(0, 6.28))),
    )


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


def _along(track: tuple[tuple[float, float], ...], u: float) -> float:
    return float(np.interp(u, [p[0] for p in track], [p[1] for p in track]))


def moment(course: Course, seconds: float) -> Moment:
    """Where everything is, `seconds` into the clip."""
    u = (seconds - course.onset) / course.pace
    excursion = bump(u, -0.02, 0.28, 0.55, 1.0)
    ascent = bump(u, 0.03, 0.33, 0.62, 1.05)
    # A late trigger: the bolus runs ahead, waits at the vallecula, and goes on when the hyoid comes.
    head_u = u + course.early * (1.0 - ramp(u, 0.0, 0.25))
    present = 1.0 if course.hold else ramp(u, -0.6, -0.45)
    kept = ramp(u, 0.45, 0.8)
    jaw_phase, head_phase, breath_phase = course.phases
    chewing = (1.0 - bump(u, -0.5, -0.3, 0.9, 1.2)) * course.jaw
    return Moment(
        hyoid=(course.hyoid[0] * excursion, course.hyoid[1] * excursion),
        lift=course.lift * ascent,
        inversion=course.inversion * bump(u, 0.12, 0.36, 0.72, 1.0),
        closure=bump(u, 0.1, 0.34, 0.72, 0.98),
        velum=bump(u, -0.2, 0.1, 0.7, 1.0),
        squeeze=course.squeeze * bump(u, 0.1, 0.5, 0.8, 1.15),
        tail=_along(_TAIL, u),
        head=min(_along(_HEAD, head_u), 1.55 if u < -0.02 else 3.4),
        bolus=present if u < 1.15 else 0.0,
        vallecula=course.residue_vallecula * kept,
        piriform=course.residue_piriform * kept,
        depth=course.depth * ramp(u, 0.2, 0.75),
        jaw=abs(chewing * np.sin(2 * np.pi * 0.9 * seconds + jaw_phase)) + 0.3,
        tilt=float(course.sway * np.sin(2 * np.pi * 0.22 * seconds + head_phase)),
        breath=float(np.sin(2 * np.pi * 0.27 * seconds + breath_phase)),
    )
