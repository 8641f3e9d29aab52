# SPDX-License-Identifier: Apache-2.0
"""How a style says what varies: spans of values, and shares of clips that have a thing at all."""

from __future__ import annotations

import numpy as np

Span = tuple[float, float]
Chance = tuple[float, float, float]  # share of clips that have a thing, and the span of its strength there
NEVER: Chance = (0.0, 1.0, 1.0)


def within(rng: np.random.Generator, span: Span) -> float:
    """A value of a span, all alike."""
    return float(rng.uniform(*span))


def around(rng: np.random.Generator, span: Span) -> float:
    """A value of a span, all factors alike."""
    return float(np.exp(rng.uniform(*np.log(span))))


def drawn(rng: np.random.Generator, chance: Chance) -> float:
    """Strength for one clip, 0 where the thing is not there; takes as many random numbers either way."""
    share, low, high = chance
    there, strength = rng.random() < share, float(rng.uniform(low, high))
    return strength if there else 0.0
