# SPDX-License-Identifier: Apache-2.0
"""When the frames of a DICOM recording were taken, and where the patient looks in them."""

from __future__ import annotations

import math
from datetime import date
from itertools import accumulate, pairwise
from typing import Any

from vfss.clips.clip import Facing


def times_ms(dataset: Any, n_frames: int) -> tuple[float, ...] | None:
    """Presentation time of each frame in ms, the first at 0; None where the file does not say.

    Read, in this order: Frame Time Vector, the frames' own acquisition times (enhanced objects), Frame Time, and
    the cine rates. A vector that does not fit the number of frames, or times that do not advance, are passed over.
    """
    vector = dataset.get("FrameTimeVector")
    if vector is not None:
        steps = [float(step) for step in (vector if hasattr(vector, "__iter__") else [vector])]
        # The first step is the time before the first frame, zero by the standard; some writers leave it out.
        if len(steps) == n_frames - 1:
            steps.insert(0, 0.0)
        if len(steps) == n_frames and all(math.isfinite(step) and step > 0 for step in steps[1:]):
            return tuple(accumulate(steps[1:], initial=0.0))
    own = _acquisition_times(dataset, n_frames)
    if own is not None:
        return own
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
    """Seconds of a DICOM date and time YYYYMMDDHHMMSS.FFFFFF since 2000; the time zone is left out."""
    text = str(value or "").split("+")[0].split("-")[0]
    try:
        # Counted from near, so that a double still tells microseconds.
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
    """Where the patient looks, after Patient Orientation: the direction of the rows is anterior or posterior."""
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
