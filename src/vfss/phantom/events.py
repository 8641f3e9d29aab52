# SPDX-License-Identifier: Apache-2.0
"""The events of a swallow as data: what measures taken from masks can be tested against."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from vfss.phantom.course import Course
from vfss.phantom.motion import head_at, tail_at

EventName = Literal["fed", "bpm", "hyb", "lvc", "ueso", "peak", "uesc", "lvo", "rest", "airway"]
_RAMUS, _SPHINCTER = 0.95, 2.0  # places on the way of the bolus


@dataclass(frozen=True)
class Event:
    """Something that happens at a time.

    Attributes:
        name: fed: contrast comes into the mouth; bpm: the bolus passes the ramus of the mandible; hyb: burst of the
            hyoid; lvc, lvo: the vestibule of the larynx closes, opens; ueso, uesc: the upper sphincter opens, closes
            behind the tail; peak: the hyoid is farthest; rest: it is back; airway: contrast enters the larynx.
        swallow: Index of the swallow.
        seconds: Into the clip; may lie before or after it.
    """

    name: EventName
    swallow: int
    seconds: float

    def frame(self, fps: float) -> int:
        """First frame on which it has happened; may lie outside the clip."""
        return int(np.ceil(self.seconds * fps - 1e-6))


def events(course: Course) -> tuple[Event, ...]:
    """Everything that happens in a course, by time."""
    out = []
    for i, swallow in enumerate(course.swallows):
        timing = swallow.timing
        marks: dict[EventName, float | None] = {
            "bpm": None if swallow.clearing else _crossing(partial(head_at, swallow), _RAMUS),
            "hyb": timing.hyoid[0],
            "lvc": timing.closure[1] if swallow.closure > 0.85 else None,
            "lvo": timing.closure[2] if swallow.closure > 0.85 else None,
            "ueso": _crossing(partial(head_at, swallow), _SPHINCTER),
            "uesc": _crossing(partial(tail_at, swallow), _SPHINCTER),
            "peak": timing.hyoid[1],
            "rest": timing.hyoid[3],
            "airway": swallow.enters[0] if swallow.depth > 0 else None,
            "fed": -course.fed if i == 0 and not course.hold else None,
        }
        out += [Event(name, i, swallow.onset + u * swallow.pace) for name, u in marks.items() if u is not None]
    return tuple(sorted(out, key=lambda event: event.seconds))


def _crossing(track: Callable[[float], float], level: float) -> float | None:
    """The first time, in seconds after the burst, at which a track reaches a level; None where it never does."""
    coarse = np.arange(-2.5, 1.5, 0.05)
    after = next((float(u) for u in coarse if track(float(u)) >= level), None)
    if after is None:
        return None
    before = after - 0.05
    for _ in range(8):
        middle = 0.5 * (before + after)
        before, after = (before, middle) if track(middle) >= level else (middle, after)
    return after
