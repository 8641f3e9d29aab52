# SPDX-License-Identifier: Apache-2.0
"""Calibration of a student's confidence: one monotonic curve for each structure.

A student estimates the Dice of each of its masks. A curve maps that estimate to the Dice that such masks had, measured
on patients it was not trained on. Where little was measured the curve stays near the student's estimate.
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
_PRIOR_WEIGHTS = (128.0, 32.0, 8.0, 2.0, 0.5)  # of the student's own estimate at each grid point, in masks
_FOLDS = 6
_OTHERS_WEIGHT = 0.05  # of a mask of another structure
_KNOTS = np.linspace(0.0, 1.0, 41)


@dataclass(frozen=True)
class Calibration:
    """Curves that map a student's estimated Dice to the Dice to expect.

    Attributes:
        curves: By structure key, points (estimated, true) of a rising line, both 0..1; without a curve it is kept.
        measured: Frames, seeds, and the expected error before and after.
    """

    curves: Mapping[str, tuple[tuple[float, float], ...]]
    measured: Mapping[str, Any] = field(default_factory=dict)

    def apply(self, estimated: npt.NDArray[np.float32], keys: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return the Dice to expect of each structure.

        Args:
            estimated: float32 (S,) or (N, S), the student's own estimate, 0..1; NaN stays NaN.
            keys: Structures in the order of the last axis.
        """
        true = np.array(estimated, np.float32, copy=True)
        for i, key in enumerate(keys):
            if key in self.curves:
                x, y = np.array(self.curves[key]).T
                true[..., i] = np.interp(true[..., i], x, y)
        return true

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        curves = {key: [list(point) for point in points] for key, points in self.curves.items()}
        return {"curves": curves, "measured": dict(self.measured)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Build a calibration from plain data.

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
                    f"the calibration of {key} is not a rising line within 0..1", remedy="Calibrate the student again."
                )
        return cls(curves, measured)


def fit_calibration(estimated: FloatArray, true: FloatArray, keys: Sequence[str]) -> Calibration:
    """Fit one curve per structure to measured Dice.

    Each is the rising line (isotonic regression) nearest to the masks of its structure, to those of the others with a
    small weight, and to the student's own estimate, so that a few chance masks do not bend it. The weight of that
    estimate is chosen by cross-validation: a student whose estimates are right already stays as it is.

    Args:
        estimated: float64 (N, S), the student's estimates on N frames, 0..1.
        true: float64 (N, S), Dice of the same masks, 1 where truth and mask are both empty; NaN: not counted.
        keys: Structures in the order of columns.
    """
    errors = [_held_out_error(estimated, true, keys, weight) for weight in _PRIOR_WEIGHTS]
    return _fit(estimated, true, keys, _PRIOR_WEIGHTS[int(np.argmin(errors))])


def _held_out_error(estimated: FloatArray, true: FloatArray, keys: Sequence[str], prior_weight: float) -> float:
    """Return the mean squared error on held-out frames, by cross-validation."""
    fold = np.arange(len(estimated)) % _FOLDS
    errors = []
    for i in range(min(_FOLDS, len(estimated))):
        held_out = fold == i
        calibration = _fit(estimated[~held_out], true[~held_out], keys, prior_weight)
        error = calibration.apply(estimated[held_out].astype(np.float32), keys) - true[held_out]
        errors.append(error[np.isfinite(error)])
    all_errors = np.concatenate(errors) if errors else np.zeros(0)
    return float(np.mean(all_errors**2)) if all_errors.size else 0.0


def _fit(estimated: FloatArray, true: FloatArray, keys: Sequence[str], prior_weight: float) -> Calibration:
    from scipy.optimize import isotonic_regression  # imported here: loading a student does not need it

    counts = np.isfinite(estimated) & np.isfinite(true)
    curves = {}
    for i, key in enumerate(keys):
        weights = np.where(np.arange(len(keys)) == i, 1.0, _OTHERS_WEIGHT) * np.ones_like(estimated)
        x = np.concatenate([estimated[counts], _GRID])
        y = np.concatenate([true[counts], _GRID])
        w = np.concatenate([weights[counts], np.full(len(_GRID), prior_weight)])
        order = np.argsort(x, kind="stable")
        rising = isotonic_regression(y[order], weights=w[order]).x
        knots = np.interp(_KNOTS, x[order], rising)
        curves[key] = tuple((round(float(a), 4), round(float(b), 4)) for a, b in zip(_KNOTS, knots, strict=True))
    return Calibration(curves)


def expected_error(estimated: FloatArray, true: FloatArray, bins: int = 10) -> float:
    """Return the expected calibration error: mean estimate against mean truth in bins of equal width.

    Args:
        estimated: float64 (N,), 0..1.
        true: float64 (N,), Dice; NaN: not counted.
        bins: Number of bins.

    Returns:
        0..1; NaN where nothing counts.
    """
    counts = np.isfinite(estimated) & np.isfinite(true)
    x, y = estimated[counts], true[counts]
    if not x.size:
        return float("nan")
    bin_of = np.clip((x * bins).astype(int), 0, bins - 1)
    sums = np.bincount(bin_of, x - y, minlength=bins)
    return float(np.abs(sums).sum() / x.size)
