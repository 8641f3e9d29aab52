# SPDX-License-Identifier: Apache-2.0
"""How a style says what varies: spans of values, and shares of clips that have a thing at all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Span = tuple[float, float]


def within(rng: np.random.Generator, span: Span) -> float:
    """A value of a span, all alike."""
    return float(rng.uniform(*span))


def around(rng: np.random.Generator, span: Span) -> float:
    """A value of a span, all factors alike."""
    return float(np.exp(rng.uniform(*np.log(span))))


@dataclass(frozen=True)
class Chance:
    """A share of clips that have a thing, and how strong it is there.

    Attributes:
        share: 0 for none, 1 for all.
        span: Strength where it is there.
    """

    share: float = 0.0
    span: Span = (1.0, 1.0)

    def draw(self, rng: np.random.Generator) -> float:
        """Strength for one clip, 0 where it is not there; takes as many random numbers either way."""
        there, strength = rng.random() < self.share, within(rng, self.span)
        return strength if there else 0.0
