# SPDX-License-Identifier: Apache-2.0
"""Times of the frames of a DICOM recording, and the side that the patient faces."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from itertools import accumulate, pairwise
from statistics import median
from typing import Any

import numpy as np
from pydicom.datadict import dictionary_description, keyword_for_tag

from vfss.clips.clip import Facing
from vfss.clips.dicom.values import DICOM_ERRORS, Written, items, number, numbers
from vfss.wording import count, listed

Milliseconds = tuple[float, ...]

_SHORTEST_MS, _LONGEST_MS = 1e-3, 86_400_000.0
"""Intervals that are computed with at all: up to a million frames a second, and down to one a day."""

_SAME_RATE = 0.1  # relative difference of rates that are rounded differently
_MOST_BAD = 0.5  # share of the intervals of a vector that may be malformed
_MANY = 4  # intervals that all grow are no coincidence
_MOST_NAMED = 3  # malformed items that are named one by one


@dataclass(frozen=True)
class FrameTimes:
    """What a header declares about the times of its frames.

    Attributes:
        ms: Presentation time of each frame in ms, the first at 0; None if nothing usable is declared.
        notes: What is odd about them, one sentence each, without full stop.
    """

    ms: Milliseconds | None
    notes: tuple[str, ...] = ()


def times_ms(dataset: Any, n_frames: int) -> Milliseconds | None:
    """Return the presentation time of each frame in ms, the first at 0; None if the file does not declare any."""
    return frame_times(dataset, n_frames).ms


def frame_times(dataset: Any, n_frames: int) -> FrameTimes:
    """Return the times that a header declares for a number of frames that are really there.

    Frame Increment Pointer decides which attribute holds. Without a usable one the order is: Frame Time Vector,
    acquisition times of the frames (enhanced objects), Frame Time, cine rates, Actual Frame Duration.
    """
    notes: list[str] = []
    pointed = _pointed(dataset)
    for keyword in [*pointed, *(keyword for keyword in _SOURCES if keyword not in pointed)]:
        found = _SOURCES[keyword](dataset, keyword, n_frames)
        notes += found.notes
        if found.ms is not None:
            missing = [_name(other) for other in pointed[:1] if other != keyword]
            if missing and n_frames > 1:
                notes.append(
                    f"Frame Increment Pointer names {missing[0]}, which gives no times: {_name(keyword)} is used"
                )
            return FrameTimes(found.ms, (*notes, *_contradiction(dataset, keyword, found.ms)))
    return FrameTimes(None, tuple(notes))


def _contradiction(dataset: Any, used: str, times: Milliseconds) -> tuple[str, ...]:
    """Return a note where another attribute declares another rate: which is right, only a person can tell."""
    if len(times) < 2:
        return ()
    step = median(b - a for a, b in pairwise(times))
    for other in ("FrameTimeVector", "FrameTime", "CineRate"):
        found = None if other == used else _SOURCES[other](dataset, other, len(times)).ms
        if found is None:
            continue
        its_step = median(b - a for a, b in pairwise(found))
        if abs(its_step / step - 1) > _SAME_RATE:
            rates = f"{1000 / step:.4g} frames a second, {_name(other)} {1000 / its_step:.4g}"
            return (f"{_name(used)} means {rates}: {_name(used)} is used",)
    return ()


def _pointed(dataset: Any) -> list[str]:
    try:
        value = dataset.get("FrameIncrementPointer")
        tags = [] if value is None else [value] if isinstance(value, int) else list(value)
        keywords = [keyword_for_tag(tag) for tag in tags]
    except DICOM_ERRORS:
        return []
    return [keyword for keyword in keywords if keyword in _SOURCES and keyword != _GROUPS]


def _name(keyword: str) -> str:
    return "what the frames themselves declare" if keyword == _GROUPS else str(dictionary_description(keyword))


def _from_vector(dataset: Any, keyword: str, n_frames: int) -> FrameTimes:
    """Return times from intervals; the first is the time before the first frame, which some writers omit."""
    written = numbers(dataset, keyword)
    if not written:
        return FrameTimes(None)
    name = _name(keyword)
    if len(written) not in (n_frames, n_frames - 1):
        return FrameTimes(None, (f"{name} has {len(written)} items for {n_frames} frames: it is not used",))
    offset = len(written) - (n_frames - 1)
    steps = [item.value if _is_usable(item) else None for item in written[offset:]]
    good = [step for step in steps if step is not None]
    if n_frames > 1 and len(good) < (1 - _MOST_BAD) * len(steps):
        return FrameTimes(
            None, (f"{name} has {len(steps) - len(good)} unusable items of {len(steps)}: it is not used",)
        )
    typical = median(good) if good else 0.0
    bad = [i for i, step in enumerate(steps) if step is None]
    notes = _commas(written, name)
    if bad:
        named = ", ".join(f"'{written[offset + i].text[:20]}' before frame {i + 1}" for i in bad[:_MOST_NAMED])
        more = f" and {len(bad) - _MOST_NAMED} more" if len(bad) > _MOST_NAMED else ""
        notes = (*notes, f"{name} holds {named}{more}, where the usual {typical:g} ms are assumed")
    if len(good) >= _MANY and all(b > a for a, b in pairwise(good)):
        doubt = (
            "grows from frame to frame like times since the first frame, but is read as intervals, as the standard says"
        )
        notes = (*notes, f"{name} {doubt}: check the times, or type the rate yourself")
    return FrameTimes(tuple(accumulate((step or typical for step in steps), initial=0.0)), notes)


def _from_interval(dataset: Any, keyword: str, n_frames: int) -> FrameTimes:
    return _constant(dataset, keyword, n_frames, lambda value: value)


def _from_rate(dataset: Any, keyword: str, n_frames: int) -> FrameTimes:
    return _constant(dataset, keyword, n_frames, lambda value: 1000.0 / value)


def _constant(dataset: Any, keyword: str, n_frames: int, step_of: Callable[[float], float]) -> FrameTimes:
    written = number(dataset, keyword)
    if written is None:
        return FrameTimes(None)
    usable = written.value is not None and written.value > 1e-9
    step = step_of(written.value) if written.value is not None and usable else 0.0
    if not _SHORTEST_MS <= step <= _LONGEST_MS:
        # Writers put a zero where they know nothing.
        notes = () if written.value == 0 else (f"{_name(keyword)} is '{written.text[:20]}': it is not used",)
        return FrameTimes(None, notes)
    return FrameTimes(tuple(step * t for t in range(n_frames)), _commas([written], _name(keyword)))


def _is_usable(item: Written) -> bool:
    return item.value is not None and _SHORTEST_MS <= item.value <= _LONGEST_MS


def _commas(written: list[Written], name: str) -> tuple[str, ...]:
    commas = [item for item in written if item.has_comma]
    if not commas:
        return ()
    return (f"{name} is written with a decimal comma ('{commas[0].text[:20]}'): read as {commas[0].value:g}",)


def _from_groups(dataset: Any, keyword: str, n_frames: int) -> FrameTimes:
    """Return the acquisition times of the frames of an enhanced object; a malformed one lies between its neighbours."""
    groups = items(dataset, keyword)
    texts = [_acquired(group) for group in groups]
    if len(groups) != n_frames or n_frames < 2 or not any(texts):
        return FrameTimes(None)
    moments = [_moment(text) for text in texts]
    bad = [i for i, moment in enumerate(moments) if moment is None]
    if len(bad) > _MOST_BAD * n_frames or {0, n_frames - 1} & set(bad):
        what = f"{count(len(bad), 'frame')} of {n_frames} have no readable acquisition time"
        return FrameTimes(None, (f"{what}: acquisition times are not used",))
    known = [i for i in range(n_frames) if moments[i] is not None]
    filled = np.interp(range(n_frames), known, [moment for moment in moments if moment is not None])
    times = tuple(1000.0 * float(moment - filled[0]) for moment in filled)
    if not all(b > a for a, b in pairwise(times)):
        return FrameTimes(None, ("the acquisition times of its frames do not increase: they are not used",))
    named = listed([str(i) for i in bad], _MOST_NAMED)
    note = f"frame {named} has no readable acquisition time: it is taken to lie between its neighbours"
    return FrameTimes(times, (note,) if bad else ())


def _acquired(group: Any) -> str:
    content = items(group, "FrameContentSequence")
    return (
        _text(content[0], "FrameReferenceDateTime") or _text(content[0], "FrameAcquisitionDateTime") if content else ""
    )


_GROUPS = "PerFrameFunctionalGroupsSequence"
_SOURCES: dict[str, Callable[[Any, str, int], FrameTimes]] = {
    "FrameTimeVector": _from_vector,
    _GROUPS: _from_groups,
    "FrameTime": _from_interval,
    "CineRate": _from_rate,
    "RecommendedDisplayFrameRate": _from_rate,
    "RecommendedDisplayFrameRateInFloat": _from_rate,
    "ActualFrameDuration": _from_interval,
}


def _text(dataset: Any, keyword: str) -> str:
    try:
        return str(dataset.get(keyword) or "")
    except DICOM_ERRORS:
        return ""


def _moment(text: str) -> float | None:
    """Return the seconds since 2000 of a DICOM date and time YYYYMMDDHHMMSS.FFFFFF; the time zone is ignored."""
    text = re.split(r"[+-]", text, maxsplit=1)[0]
    try:
        # Counted from a recent year, so that a double still resolves microseconds.
        day = (date(int(text[0:4]), int(text[4:6]), int(text[6:8])) - date(2000, 1, 1)).days
        second = float(text[12:])
        return 86400.0 * day + 3600.0 * int(text[8:10]) + 60.0 * int(text[10:12]) + second if second < 61 else None
    except ValueError:
        return None


def facing_of(dataset: Any) -> Facing:
    """Return the side that the patient faces, from Patient Orientation: rows run to anterior or posterior."""
    try:
        orientation = dataset.get("PatientOrientation")
    except DICOM_ERRORS:
        return "unknown"
    along_row = (
        str(orientation[0])
        if orientation is not None and not isinstance(orientation, str) and len(orientation) == 2
        else ""
    )
    if along_row.startswith("A"):
        return "right"
    if along_row.startswith("P"):
        return "left"
    return "unknown"
