# SPDX-License-Identifier: Apache-2.0
"""Bootstrap: intervals of a mean from drawing its units again and again, with replacement."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

RESAMPLES = 2000
_PERCENTILES = (2.5, 97.5)


def draw_counts(units: int, draws: int, random: np.random.Generator) -> FloatArray:
    """Draw so many units from so many, with replacement.

    Args:
        units: Number of units, for example patients.
        draws: Number of times that all are drawn anew.
        random: Source of the draws.

    Returns:
        float64 (draws, units), how often each unit was drawn; each row sums to `units`.
    """
    return random.multinomial(units, np.full(units, 1 / units), draws).astype(np.float64)


def middle_95(values: FloatArray) -> tuple[float, float]:
    """Return the 2.5th and the 97.5th percentile of the values of all draws, float64 (draws,), none of them NaN."""
    low, high = np.percentile(values, _PERCENTILES)
    return float(low), float(high)
