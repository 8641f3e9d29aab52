# SPDX-License-Identifier: Apache-2.0
"""What happens in a clip and when: swallows with their timing and extent, drawn from a population.

Times of a swallow are seconds after the burst of the hyoid, at pace 1. They lie within what the literature reports of
healthy adults: opening of the upper sphincter 0.2-0.7 s, closure of the larynx 0.3-1.1 s, motion of the hyoid 0.8-1.4,
transit of the pharynx 0.35-1.2 s, bolus at the ramus 0.2 s before to 0.5 s after the burst (Molfenter and Steele,
"Temporal variability in the deglutition literature", Dysphagia 27:162-177, 2012, PMC3775714; order and spread of events
after Kendall et al., "Timing of events in normal swallowing", Dysphagia 15:74-83, 2000). Excursions after Molfenter and
Steele, "Physiological variability in the deglutition literature", Dysphagia 26:67-74, 2011, PMC3756522.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

Variant = Literal[
    "normal",
    "penetration",
    "aspiration",
    "residue",
    "delayed",
    "incomplete",
    "aspiration_before",
    "aspiration_after",
    "piecemeal",
    "repeated",
    "rest",
]
_SHARES: dict[Variant, float] = {
    "normal": 0.37,
    "penetration": 0.08,
    "aspiration": 0.08,
    "residue": 0.12,
    "delayed": 0.07,
    "incomplete": 0.05,
    "aspiration_before": 0.03,
    "aspiration_after": 0.03,
    "piecemeal": 0.05,
    "repeated": 0.06,
    "rest": 0.06,
}
VARIANTS: tuple[Variant, ...] = tuple(_SHARES)
SWALLOW_S = 1.9  # from the oral hold shown before onset to the oesophagus; shorter clips show the swallow quicker

Consistency = Literal["thin", "thick", "pudding", "solid"]
Phase = tuple[float, float, float, float]  # begins to rise, is up, begins to fall, is back at rest


@dataclass(frozen=True)
class Timing:
    """Phases of one swallow, seconds after the burst of the hyoid at pace 1."""

    velum: Phase = (-0.20, 0.08, 0.64, 0.96)
    hyoid: Phase = (0.0, 0.28, 0.54, 1.0)
    larynx: Phase = (0.03, 0.33, 0.60, 1.05)
    closure: Phase = (0.09, 0.32, 0.70, 0.97)
    inversion: Phase = (0.11, 0.36, 0.70, 1.0)
    squeeze: Phase = (0.10, 0.50, 0.80, 1.15)


@dataclass(frozen=True)
class Swallow:
    """One pharyngeal swallow.

    Attributes:
        onset: Seconds into the clip at which the hyoid bursts.
        pace: Factor on all times; 1 is usual, smaller is quicker.
        timing: Its phases.
        flow: Seconds by which the head of the bolus is quicker than usual, and by which its tail is later.
        early: Seconds by which the bolus runs ahead of the hyoid (late trigger).
        pool: How far it then gets: 1.55 is the vallecula, 1.85 the piriform recess.
        hyoid: Excursion, millimetres forward and up.
        lift: Ascent of the larynx, millimetres.
        inversion: How far the epiglottis turns over, 0..1.
        closure: How far the larynx closes, 0..1.
        squeeze: Constriction of the pharynx behind the tail, 0..1.
        area: Of what is swallowed, in the picture, square millimetres.
        clearing: True where it clears residue of the pharynx and nothing comes from the mouth.
        vallecula: Share of the vallecula filled afterwards.
        piriform: Share of the piriform recess filled afterwards.
        depth: How far contrast gets into the airway, in vertebral levels below its entrance; 0 is not at all.
        enters: Seconds at which it begins to, and at which it is there.
        ejected: True where it comes out again before the larynx reopens.
    """

    onset: float
    pace: float
    timing: Timing
    flow: tuple[float, float]
    early: float
    pool: float
    hyoid: tuple[float, float]
    lift: float
    inversion: float
    closure: float
    squeeze: float
    area: float
    clearing: bool
    vallecula: float
    piriform: float
    depth: float
    enters: tuple[float, float]
    ejected: bool


@dataclass(frozen=True)
class Habits:
    """What moves without a swallow: amplitudes in degrees, rates in hertz.

    Attributes:
        chew: Amplitude of the jaw while there is something to chew; its rate.
        talk: Amplitude of the jaw while talking; 0 is silent.
        sway: Amplitude of the head.
        drift: Degrees per second by which it sinks or rises.
        tuck: Degrees by which it nods for a swallow.
        breath: Rate of breathing.
        deep: Depth of breathing, factor.
        phases: Of jaw, head, breathing and talking.
        lean: Amplitude of the whole patient, degrees, and of a shift, millimetres; their phases.
    """

    chew: tuple[float, float]
    talk: float
    sway: float
    drift: float
    tuck: float
    breath: float
    deep: float
    phases: tuple[float, float, float, float]
    lean: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Course:
    """Everything that happens in a clip.

    Attributes:
        variant: What goes wrong, if anything.
        swallows: In their order; none at rest.
        main: Index of the one that the clip is about.
        habits: Everything but swallowing.
        consistency: Of what is swallowed.
        hold: True where it is in the mouth from the start.
        fed: Seconds before the first onset at which it comes into the mouth otherwise.
        stream: Thickness of contrast in the airway, millimetres.
        coating: Contrast that stays on walls once touched, 0..1.
        seed: Of the shape of what is swallowed.
    """

    variant: Variant
    swallows: tuple[Swallow, ...]
    main: int
    habits: Habits
    consistency: Consistency
    hold: bool
    fed: float
    stream: float
    coating: float
    seed: int
    _never: float = field(default=1e3, repr=False)

    @property
    def onset(self) -> float:
        """Burst of the hyoid of the main swallow, seconds into the clip; far behind its end where there is none."""
        return self.swallows[self.main].onset if self.swallows else self._never

    @property
    def pace(self) -> float:
        """Pace of the main swallow."""
        return self.swallows[self.main].pace if self.swallows else 1.0


def sample_course(
    rng: np.random.Generator, duration: float, variant: Variant | None = None, onset: float | None = None
) -> Course:
    """What happens in a clip of that many seconds."""
    chosen: Variant = variant or VARIANTS[int(rng.choice(len(VARIANTS), p=list(_SHARES.values())))]
    kinds: tuple[Consistency, ...] = ("thin", "thick", "pudding", "solid")
    consistency = kinds[int(rng.choice(4, p=(0.5, 0.25, 0.13, 0.12)))]
    pace = float(rng.uniform(0.85, 1.2)) * min(1.0, duration / SWALLOW_S)
    if consistency in ("pudding", "solid"):
        pace = min(pace * float(rng.uniform(1.0, 1.15)), 1.2 * min(1.0, duration / SWALLOW_S))
    first = float(rng.uniform(0.28, 0.36) * min(duration, 3.0)) if onset is None else onset
    swallow = _swallow(rng, chosen, consistency, pace=pace, onset=first)
    swallows, main = _series(rng, swallow, chosen)
    return Course(
        variant=chosen,
        swallows=swallows,
        main=main,
        habits=_habits(rng, chosen, consistency),
        consistency=consistency,
        hold=bool(rng.random() < 0.8),
        fed=float(rng.uniform(0.55, 1.6)),
        stream=float(rng.uniform(2.0, 6.0)),
        coating=float(rng.beta(1.2, 2.0)),
        seed=int(rng.integers(2**31)),
    )


def dry(course: Course) -> Course:
    """The same without contrast: a swallow of saliva."""
    swallows = tuple(
        replace(swallow, clearing=True, area=0.0, vallecula=0.0, piriform=0.0, depth=0.0) for swallow in course.swallows
    )
    return replace(course, swallows=swallows, hold=True, coating=0.0)


def _swallow(
    rng: np.random.Generator, variant: Variant, consistency: Consistency, *, pace: float, onset: float
) -> Swallow:
    well = variant in ("normal", "piecemeal")
    weak = variant in ("incomplete", "residue", "aspiration_after", "repeated")
    residue = variant in ("residue", "aspiration_after", "repeated")
    late = variant in ("delayed", "aspiration_before")
    reach = {"penetration": 1.0, "aspiration": 2.6, "aspiration_before": 2.6, "aspiration_after": 2.2}.get(variant, 0.0)
    sticky = 0.15 if consistency in ("thick", "pudding") else 0.0
    early = float(rng.uniform(0.45, 1.1) if late else rng.uniform(-0.05, 0.2) if well else rng.uniform(0.0, 0.45))
    return Swallow(
        onset=onset,
        pace=pace,
        timing=_timing(rng),
        flow=(float(np.clip(rng.normal(0, 0.03), -0.06, 0.06)), float(np.clip(rng.normal(0.01, 0.05), -0.08, 0.12))),
        early=early,
        pool=float(rng.uniform(1.6, 1.9) if late else rng.uniform(1.4, 1.6)),
        hyoid=(float(np.clip(rng.normal(11, 3), 3, 20)), float(np.clip(rng.normal(10, 4), 1, 22))),
        lift=float(np.clip(rng.normal(19, 4), 8, 28)),
        inversion=float(rng.uniform(0.93, 1.0) if well or late else rng.uniform(0.3, 1.0)),
        closure=float(rng.uniform(0.9, 1.0) if well or late else rng.uniform(0.3 if weak else 0.6, 1.0)),
        squeeze=float(rng.uniform(0.85, 1.0) if well else rng.uniform(0.45 if weak else 0.6, 0.95)),
        area=float(rng.uniform(200, 850)),
        clearing=False,
        vallecula=_left(rng, residue, sticky),
        piriform=_left(rng, residue, 0.0),
        depth=reach * float(rng.uniform(0.8, 1.25)),
        enters={"aspiration_before": (-0.75 * early, 0.05), "aspiration_after": (1.0, 1.6)}.get(variant, (0.2, 0.75)),
        ejected=bool(variant == "penetration" and rng.random() < 0.35),
    )


def _left(rng: np.random.Generator, residue: bool, sticky: float) -> float:
    """Share of a recess that stays filled."""
    if residue:
        return float(min(rng.uniform(0.35, 0.9) + sticky, 1.0))
    return float(rng.uniform(0, 0.3) * (rng.random() < 0.35 + sticky))


def _timing(rng: np.random.Generator) -> Timing:
    """Phases that differ between swallows, in duration and order."""
    usual = Timing()

    def vary(phase: Phase, spread: float) -> Phase:
        begin, up, fall, rest = np.array(phase) + rng.normal(0, spread) + rng.normal(0, 0.6 * spread, 4)
        up = max(up, begin + 0.12)
        fall = max(fall, up + 0.08)
        return float(begin), float(up), float(fall), float(max(rest, fall + 0.15))

    hyoid = vary(usual.hyoid, 0.05)
    return Timing(
        velum=vary(usual.velum, 0.06),
        # The burst of the hyoid is the origin of time.
        hyoid=(0.0, max(hyoid[1], 0.15), hyoid[2], hyoid[3]),
        larynx=vary(usual.larynx, 0.035),
        closure=vary(usual.closure, 0.035),
        inversion=vary(usual.inversion, 0.035),
        squeeze=vary(usual.squeeze, 0.03),
    )


def _series(rng: np.random.Generator, swallow: Swallow, variant: Variant) -> tuple[tuple[Swallow, ...], int]:
    """The swallows of a clip; any one of several may be the one that the clip is about."""
    if variant == "rest":
        return (), 0
    if variant not in ("piecemeal", "repeated"):
        return (swallow,), 0
    count = int(rng.integers(2, 4))
    main = int(rng.integers(count))
    starts = np.cumsum(rng.uniform(1.5, 2.6, count)) * swallow.pace
    out = []
    for i in range(count):
        own = replace(swallow, onset=swallow.onset + float(starts[i] - starts[main]), timing=_timing(rng))
        left = 0.55**i
        if variant == "repeated":
            own = replace(own, vallecula=swallow.vallecula * left, piriform=swallow.piriform * left)
            if i:
                area = float(rng.uniform(40, 130))
                own = replace(own, clearing=True, area=area, early=0.0, pool=1.55)
        else:
            own = replace(own, area=swallow.area * float(rng.uniform(0.35, 0.7)))
        out.append(own)
    return tuple(out), main


def _habits(rng: np.random.Generator, variant: Variant, consistency: Consistency) -> Habits:
    chews = consistency == "solid" and variant != "rest"
    return Habits(
        chew=(float(rng.uniform(2.5, 8.0) if chews else rng.uniform(0.2, 2.5)), float(rng.uniform(0.7, 1.6))),
        talk=float(rng.uniform(1.0, 6.0)) if rng.random() < (0.4 if variant == "rest" else 0.05) else 0.0,
        sway=float(rng.uniform(0.1, 2.2)),
        drift=float(rng.normal(0, 0.5)),
        tuck=float(rng.normal(0.8, 1.8)),
        breath=float(rng.uniform(0.2, 0.4)),
        deep=float(rng.uniform(0.4, 1.8)),
        phases=tuple(rng.uniform(0, 2 * np.pi, 4).tolist()),
        lean=(min(abs(rng.normal(0, 2.2)), 6.0), rng.uniform(0, 3.5), *rng.uniform(0, 2 * np.pi, 2).tolist()),
    )
