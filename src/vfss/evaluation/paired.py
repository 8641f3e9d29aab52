# SPDX-License-Identifier: Apache-2.0
"""Two students on the same frames: figures of each with intervals, and the interval of the difference.

Units, the patients where there are enough of them, are drawn with replacement, the same for both students: what is hard
on a patient is hard for both, and cancels in the difference.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from vfss.evaluation.bootstrap import RESAMPLES, FloatArray, draw_counts, middle_95
from vfss.evaluation.evaluate import PlaneScore

Interval = tuple[float, float]
LEAST_PATIENTS = 3
"""Patients from which on they are the units of an interval; with fewer it is frames, and the interval is too narrow."""


@dataclass(frozen=True)
class Figure:
    """A mean with its 95 % interval, both None where there is nothing to average.

    Attributes:
        value: Mean.
        interval: 2.5th and 97.5th percentile of the bootstrap.
        n: Number of values.
    """

    value: float | None
    interval: Interval | None = None
    n: int = 0

    def to_json(self) -> list[Any]:
        """Return plain data for JSON."""
        return [self.value, None if self.interval is None else list(self.interval), self.n]

    @classmethod
    def from_json(cls, data: Any) -> Figure:
        """Read what `to_json` gave; anything else is no figure."""
        if not isinstance(data, list) or len(data) != 3:
            return cls(None)
        value, interval, n = data
        known = isinstance(interval, list) and len(interval) == 2 and all(_is_number(one) for one in interval)
        return cls(
            float(value) if _is_number(value) else None,
            (float(interval[0]), float(interval[1])) if known else None,
            n if isinstance(n, int) else 0,
        )


@dataclass(frozen=True)
class Paired:
    """Two students on the same frames.

    Attributes:
        old: Dice of the old student by key of structure, and "" for the mean over structures.
        new: The same of the new student.
        difference: New less old.
        old_hd95: Mean HD95 of the old student over structures, in heights of a pixel.
        new_hd95: The same of the new student.
        frames: Number of frames.
        units: Number of patients, or of what the frames are of.
        drawn: What was drawn for the intervals.
    """

    old: Mapping[str, Figure]
    new: Mapping[str, Figure]
    difference: Mapping[str, Figure]
    old_hd95: float | None
    new_hd95: float | None
    frames: int
    units: int
    drawn: Literal["patients", "frames"]

    @property
    def keys(self) -> tuple[str, ...]:
        """Keys of the structures that both students propose."""
        return tuple(key for key in self.old if key)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        rows = {
            name: {key: figure.to_json() for key, figure in figures.items()}
            for name, figures in (("old", self.old), ("new", self.new), ("difference", self.difference))
        }
        counts = {"frames": self.frames, "units": self.units, "drawn": self.drawn}
        return {**rows, "old_hd95": self.old_hd95, "new_hd95": self.new_hd95, **counts}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Paired:
        """Read what `to_dict` gave.

        Raises:
            ValueError: It is something else.
        """
        try:
            old, new, difference = (
                {str(key): Figure.from_json(one) for key, one in data[name].items()}
                for name in ("old", "new", "difference")
            )
            before, after = (float(data[n]) if _is_number(data[n]) else None for n in ("old_hd95", "new_hd95"))
            drawn: Literal["patients", "frames"] = "patients" if data["drawn"] == "patients" else "frames"
            return cls(old, new, difference, before, after, int(data["frames"]), int(data["units"]), drawn)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"no comparison of two students ({error!r})") from error


def pair(old: Iterable[PlaneScore], new: Iterable[PlaneScore], keys: Sequence[str], *, seed: int = 0) -> Paired:
    """Compare two students by their scores on the same frames.

    Args:
        old: Scores of the old student.
        new: Scores of the new student.
        keys: Structures to compare, in order. Of other places than those that both have scores of nothing is used.
        seed: Seed of the bootstrap.
    """
    sides = [{(one.place, one.key): one for one in side if one.key in keys} for side in (old, new)]
    both = [[side[place] for place in sides[0] if place in sides[1]] for side in sides]
    of_frame = {one.place: one.unit for one in both[0]}
    patients = sorted(set(of_frame.values()))
    by_patient = len(patients) >= LEAST_PATIENTS
    unit_of = of_frame if by_patient else {place: f"{place}" for place in of_frame}
    units = {unit: i for i, unit in enumerate(sorted(set(unit_of.values())))}
    owner = {place: units[unit] for place, unit in unit_of.items()}
    drawn = draw_counts(len(units), RESAMPLES, np.random.default_rng(seed)) if units else np.zeros((RESAMPLES, 0))
    first, second = (_means(side, owner, keys, drawn, lambda one: one.dice) for side in both)
    near, far = (_means(side, owner, keys, drawn, lambda one: one.hd95)[""] for side in both)
    return Paired(
        {key: mean.figure() for key, mean in first.items()},
        {key: mean.figure() for key, mean in second.items()},
        {key: second[key].less(first[key]).figure() for key in first},
        near.figure().value,
        far.figure().value,
        len(of_frame),
        len(patients),
        "patients" if by_patient else "frames",
    )


@dataclass(frozen=True)
class _Mean:
    """A mean, NaN without any value, and its value in each draw, float64 (draws,)."""

    value: float
    draws: FloatArray
    n: int

    def less(self, other: _Mean) -> _Mean:
        return _Mean(self.value - other.value, self.draws - other.draws, min(self.n, other.n))

    def figure(self) -> Figure:
        if math.isnan(self.value):
            return Figure(None)
        known = self.draws[~np.isnan(self.draws)]
        return Figure(self.value, middle_95(known) if known.size else None, self.n)


def _means(
    scores: Sequence[PlaneScore],
    owner: Mapping[tuple[str, int], int],
    keys: Sequence[str],
    drawn: FloatArray,
    what: Callable[[PlaneScore], float],
) -> dict[str, _Mean]:
    """Return the mean of each structure, and under "" the mean of those; drawn is (draws, units)."""
    means: dict[str, _Mean] = {}
    for key in keys:
        mine = [one for one in scores if one.key == key]
        numbers = np.array([what(one) for one in mine], np.float64)
        units = np.array([owner[one.place] for one in mine], np.int64)
        known = ~np.isnan(numbers)
        sums = np.bincount(units[known], numbers[known], drawn.shape[1])
        n = np.bincount(units[known], minlength=drawn.shape[1]).astype(np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            draws = (drawn @ sums) / (drawn @ n)
        means[key] = _Mean(float(numbers[known].mean()) if known.any() else math.nan, draws, int(known.sum()))
    some = [mean for mean in means.values() if mean.n]
    if not some:
        return {"": _Mean(math.nan, np.full(len(drawn), math.nan), 0), **means}
    # A draw without any value of a structure leaves that structure out, in that draw alone.
    stacked = np.stack([mean.draws for mean in some])
    there = ~np.isnan(stacked)
    with np.errstate(invalid="ignore", divide="ignore"):
        draws = np.where(there, stacked, 0).sum(axis=0) / there.sum(axis=0)
    mean = _Mean(float(np.mean([one.value for one in some])), draws, sum(one.n for one in some))
    return {"": mean, **means}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
