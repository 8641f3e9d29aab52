# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from vfss.phantom.course import VARIANTS, Course, Variant, sample_course
from vfss.phantom.events import EventName, events
from vfss.phantom.motion import moment

SEEDS = range(15)


def drawn(seed: int, variant: Variant = "normal", duration: float = 3.0) -> Course:
    return sample_course(np.random.default_rng(seed), duration, variant)


def seconds(course: Course, name: EventName, swallow: int = 0) -> float:
    """Return the time of an event."""
    return next(e.seconds for e in events(course) if e.name == name and e.swallow == swallow)


def spans(first: EventName, last: EventName) -> list[float]:
    """Return the seconds between two events at pace 1."""
    return [(seconds(c, last) - seconds(c, first)) / c.pace for c in map(drawn, SEEDS)]


def test_same_seed_same_course() -> None:
    assert drawn(3, "residue") == drawn(3, "residue")
    assert drawn(3) != drawn(4)


def test_old_variants_are_still_there_and_all_are_drawn() -> None:
    assert VARIANTS[:4] == ("normal", "penetration", "aspiration", "residue")
    rng = np.random.default_rng(0)
    assert {sample_course(rng, 2.0).variant for _ in range(400)} == set(VARIANTS)


@pytest.mark.parametrize(
    ("first", "last", "low", "high"),
    [
        ("ueso", "uesc", 0.2, 0.7),  # opening of the upper oesophageal sphincter
        ("lvc", "lvo", 0.2, 1.1),  # closure of the laryngeal vestibule
        ("hyb", "rest", 0.75, 1.4),  # motion of the hyoid
        ("bpm", "hyb", -0.25, 0.55),  # stage transition, seen from the other side
        ("bpm", "uesc", 0.35, 1.2),  # transit of the pharynx
    ],
)
def test_durations_lie_within_what_is_reported_of_healthy_adults(
    first: EventName, last: EventName, low: float, high: float
) -> None:
    durations = spans(first, last)
    assert low <= min(durations)
    assert max(durations) <= high
    assert np.std(durations) > 0.005


def test_events_of_a_normal_swallow_come_in_order() -> None:
    for seed in SEEDS:
        course = drawn(seed)
        at = {e.name: e.seconds for e in events(course)}
        assert at["hyb"] < at["lvc"] < at["lvo"]
        assert at["hyb"] < at["ueso"] < at["uesc"]
        assert at["hyb"] < at["peak"] < at["rest"]
        assert at["lvc"] < at["uesc"]
        assert "airway" not in at


@pytest.mark.parametrize("fps", [12.0, 15.0, 25.0, 30.0])
def test_event_frame_is_the_first_on_which_it_has_happened(fps: float) -> None:
    course = drawn(5)
    for event in events(course):
        assert (event.frame(fps) - 1) / fps < event.seconds <= event.frame(fps) / fps + 1e-6


def test_events_are_what_moves() -> None:
    for seed in range(8):
        course = replace(drawn(seed), habits=replace(drawn(seed).habits, talk=0.0, chew=(0.0, 1.0)))
        burst, peak, rest = (seconds(course, name) for name in ("hyb", "peak", "rest"))
        rise = [moment(course, t).hyoid[0] for t in (burst - 0.01, burst + 0.05, peak, rest + 0.01)]
        assert rise[0] == pytest.approx(0.0, abs=1e-6)
        assert 0 < rise[1] < rise[2]
        assert rise[3] == pytest.approx(0.0, abs=1e-6)
        opened = seconds(course, "ueso")
        heads = [max(p.head for p in moment(course, opened + d).portions) for d in (-0.02, 0.02)]
        assert heads[0] < 2.0 <= heads[1]
        closed = seconds(course, "lvc")
        assert moment(course, closed).closure == pytest.approx(course.swallows[0].closure, abs=0.02)


def test_breathing_pauses_and_the_palate_is_up_while_the_bolus_passes() -> None:
    course = drawn(7)
    now = moment(course, seconds(course, "ueso"))
    assert abs(now.breath) < 0.02
    assert now.velum > 0.9
    assert moment(course, course.onset - 1.5).velum < 0.6


def test_at_rest_nothing_is_swallowed() -> None:
    course = drawn(1, "rest")
    assert events(course) == ()
    for t in np.linspace(0, 3, 7):
        now = moment(course, float(t))
        assert now.portions == ()
        assert now.inversion == now.vallecula == now.depth == 0.0
    assert course.onset > 100


def test_contrast_enters_the_airway_before_during_or_after() -> None:
    for seed in SEEDS:
        before, during, after = (drawn(seed, v) for v in ("aspiration_before", "aspiration", "aspiration_after"))
        at = [{e.name: e.seconds for e in events(course)} for course in (before, during, after)]
        assert at[0]["airway"] < at[0]["hyb"]
        assert at[1]["hyb"] < at[1]["airway"] < at[1]["uesc"]
        assert at[2]["uesc"] < at[2]["airway"]
        assert moment(before, at[0]["hyb"] + 0.2).depth > 1.5


def test_late_trigger_lets_the_bolus_wait_in_the_pharynx() -> None:
    for seed in SEEDS:
        late, normal = drawn(seed, "delayed"), drawn(seed)
        waits = [max(p.head for p in moment(c, c.onset - 0.05 * c.pace).portions) for c in (late, normal)]
        assert waits[0] > 1.3
        assert waits[0] >= waits[1]
        assert seconds(late, "hyb") - seconds(late, "bpm") > 0.2


def test_piecemeal_swallows_empty_the_mouth_bit_by_bit() -> None:
    for seed in SEEDS:
        course = drawn(seed, "piecemeal", 12.0)
        course = replace(course, hold=True)
        first, last = course.swallows[0], course.swallows[-1]
        held = sum(p.area for p in moment(course, first.onset - 1.2 * first.pace).portions)
        assert held == pytest.approx(sum(s.area for s in course.swallows))
        rest = sum(p.area for p in moment(course, first.onset + 1.16 * first.pace).portions)
        assert 0 < rest < held
        assert moment(course, last.onset + 1.3 * last.pace).portions == ()


def test_repeated_swallows_clear_residue() -> None:
    for seed in SEEDS:
        course = drawn(seed, "repeated", 12.0)
        ends = [s.onset + 0.95 * s.pace for s in course.swallows]
        left = [moment(course, t).vallecula + moment(course, t).piriform for t in ends]
        assert (np.diff(left) < 0).all()


def test_short_clips_hold_a_quicker_swallow() -> None:
    short, long = drawn(2, duration=0.6), drawn(2, duration=3.0)
    assert short.pace < 0.5 * long.pace
    assert 0 < short.onset < 0.6
