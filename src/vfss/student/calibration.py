# SPDX-License-Identifier: Apache-2.0
"""Calibration: what a student's word on its masks is worth, as one rising curve for each structure.

A student estimates the Dice of each of its masks. A curve maps what it says to what such masks really had, measured on
patients it has not seen. Where little was measured the curve stays near what the student says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from vfss.errors import StudentError

FloatArray = npt.NDArray[np.float64]

_GRID = np.linspace(0.0, 1.0, 21)
_BELIEFS = (128.0, 32.0, 8.0, 2.0, 0.5)  # masks that the student's own word may count for, at every point of the grid
_PARTS = 6
_OTHERS = 0.05  # what a mask of another structure counts for
_KNOTS = np.linspace(0.0, 1.0, 41)


@dataclass(frozen=True)
class Calibration:
    """Curves that turn a student's own word into the Dice to expect.

    Attributes:
        curves: By structure key, points (said, true) of a rising line, both 0..1; a structure without one is believed.
        measured: How it was made: frames, seeds, expected error before and after.
    """

    curves: Mapping[str, tuple[tuple[float, float], ...]]
    measured: Mapping[str, Any] = field(default_factory=dict)

    def apply(self, said: npt.NDArray[np.float32], keys: Sequence[str]) -> npt.NDArray[np.float32]:
        """The Dice to expect of each structure.

        Args:
            said: float32 (S,) or (N, S), the student's own word, 0..1; NaN stays NaN.
            keys: Structures in the order of the last axis.
        """
        true = np.array(said, np.float32, copy=True)
        for i, key in enumerate(keys):
            if key in self.curves:
                x, y = np.array(self.curves[key]).T
                true[..., i] = np.interp(true[..., i], x, y)
        return true

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        curves = {key: [list(point) for point in points] for key, points in self.curves.items()}
        return {"curves": curves, "measured": dict(self.measured)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Calibration from plain data.

        Raises:
            StudentError: A curve is malformed, falls, or leaves 0..1.
        """
        try:
            curves = {
                str(key): tuple((float(x), float(y)) for x, y in points) for key, points in data["curves"].items()
            }
            measured = dict(data.get("measured", {}))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise StudentError(f"malformed calibration ({error!r})", remedy="Calibrate the student again.") from error
        for key, points in curves.items():
            values = np.array(points)
            inside = len(values) > 0 and np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1
            if not inside or (np.diff(values[:, 0]) <= 0).any() or (np.diff(values[:, 1]) < 0).any():
                raise StudentError(
                    f"the calibration of {key} is no rising line in 0..1", remedy="Calibrate the student again."
                )
        return cls(curves, measured)


def fit_calibration(said: FloatArray, true: FloatArray, keys: Sequence[str]) -> Calibration:
    """Curves that fit what was measured.

    Each is the rising line (isotonic regression) nearest to the masks of its structure, to those of the others with a
    small weight, and to the student's own word, so that a few chance masks do not bend it. How much that word counts
    is what predicts frames best that were left out: a student that is right already stays as it is.

    Args:
        said: float64 (N, S), the student's own word on N frames, 0..1.
        true: float64 (N, S), Dice of the same masks, 1 where truth and mask are both empty; NaN: not to be counted.
        keys: Structures in the order of columns.
    """
    missed = [_missed(said, true, keys, belief) for belief in _BELIEFS]
    return _fitted(said, true, keys, _BELIEFS[int(np.argmin(missed))])


def _missed(said: FloatArray, true: FloatArray, keys: Sequence[str], belief: float) -> float:
    """Mean squared error on frames that were left out, a part of them at a time."""
    part = np.arange(len(said)) % _PARTS
    errors = []
    for out in range(min(_PARTS, len(said))):
        fitted = _fitted(said[part != out], true[part != out], keys, belief)
        found = fitted.apply(said[part == out].astype(np.float32), keys) - true[part == out]
        errors.append(found[np.isfinite(found)])
    every = np.concatenate(errors) if errors else np.zeros(0)
    return float(np.mean(every**2)) if every.size else 0.0


def _fitted(said: FloatArray, true: FloatArray, keys: Sequence[str], belief: float) -> Calibration:
    from scipy.optimize import isotonic_regression  # here, for reading a student does not need it

    counts = np.isfinite(said) & np.isfinite(true)
    curves = {}
    for i, key in enumerate(keys):
        weights = np.where(np.arange(len(keys)) == i, 1.0, _OTHERS) * np.ones_like(said)
        x = np.concatenate([said[counts], _GRID])
        y = np.concatenate([true[counts], _GRID])
        w = np.concatenate([weights[counts], np.full(len(_GRID), belief)])
        order = np.argsort(x, kind="stable")
        risen = isotonic_regression(y[order], weights=w[order]).x
        knots = np.interp(_KNOTS, x[order], risen)
        curves[key] = tuple((round(float(a), 4), round(float(b), 4)) for a, b in zip(_KNOTS, knots, strict=True))
    return Calibration(curves)


def expected_error(said: FloatArray, true: FloatArray, bins: int = 10) -> float:
    """Expected calibration error: how far mean word and mean truth are apart in bins of equal width, by masks.

    Args:
        said: float64 (N,), 0..1.
        true: float64 (N,), Dice; NaN: not counted.
        bins: Number of bins.

    Returns:
        0..1; NaN where nothing counts.
    """
    counts = np.isfinite(said) & np.isfinite(true)
    x, y = said[counts], true[counts]
    if not x.size:
        return float("nan")
    bin_of = np.clip((x * bins).astype(int), 0, bins - 1)
    sums = np.bincount(bin_of, x - y, minlength=bins)
    return float(np.abs(sums).sum() / x.size)
