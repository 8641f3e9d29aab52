# SPDX-License-Identifier: Apache-2.0
"""Times of the frames of a DICOM recording, and the side that the patient faces."""

from __future__ import annotations

import math
from datetime import date
from itertools import accumulate, pairwise
from typing import Any

from vfss.clips.clip import Facing


def times_ms(dataset: Any, n_frames: int) -> tuple[float, ...] | None:
    """Return the presentation time of each frame in ms, the first at 0; None if the file does not declare any.

    Sources in this order: Frame Time Vector, acquisition times of the frames (enhanced objects), Frame Time, cine
    rates. A vector that does not fit the number of frames, or times that do not increase, are ignored.
    """
    vector = dataset.get("FrameTimeVector")
    if vector is not None:
        steps = [float(step) for step in (vector if hasattr(vector, "__iter__") else [vector])]
        # The first step is the time before the first frame, zero by the standard; some writers omit it.
        if len(steps) == n_frames - 1:
            steps.insert(0, 0.0)
        if len(steps) == n_frames and all(math.isfinite(step) and step > 0 for step in steps[1:]):
            return tuple(accumulate(steps[1:], initial=0.0))
    acquired = _acquisition_times(dataset, n_frames)
    if acquired is not None:
        return acquired
    step = _step_ms(dataset)
    return None if step is None else tuple(step * t for t in range(n_frames))


def _step_ms(dataset: Any) -> float | None:
    for key, per_second in (
        ("FrameTime", False),
        ("CineRate", True),
        ("RecommendedDisplayFrameRate", True),
    ):
        value = _number(dataset.get(key))
        if value is not None and value > 0:
            return 1000.0 / value if per_second else value
    return None


def _acquisition_times(dataset: Any, n_frames: int) -> tuple[float, ...] | None:
    groups = dataset.get("PerFrameFunctionalGroupsSequence")
    if not groups or len(groups) != n_frames or n_frames < 2:
        return None
    moments = []
    for group in groups:
        content = group.get("FrameContentSequence")
        if not content:
            return None
        moment = _moment(content[0].get("FrameReferenceDateTime") or content[0].get("FrameAcquisitionDateTime"))
        if moment is None:
            return None
        moments.append(moment)
    times = tuple(1000.0 * (moment - moments[0]) for moment in moments)
    return times if all(b > a for a, b in pairwise(times)) else None


def _moment(value: Any) -> float | None:
    """Return the seconds since 2000 of a DICOM date and time YYYYMMDDHHMMSS.FFFFFF; the time zone is ignored."""
    text = str(value or "").split("+")[0].split("-")[0]
    try:
        # Counted from a recent year, so that a double still resolves microseconds.
        day = (date(int(text[0:4]), int(text[4:6]), int(text[6:8])) - date(2000, 1, 1)).days
        return 86400.0 * day + 3600.0 * int(text[8:10]) + 60.0 * int(text[10:12]) + float(text[12:])
    except ValueError:
        return None


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def facing_of(dataset: Any) -> Facing:
    """Return the side that the patient faces, from Patient Orientation: rows run to anterior or posterior."""
    orientation = dataset.get("PatientOrientation")
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
