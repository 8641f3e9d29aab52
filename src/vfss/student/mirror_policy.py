# SPDX-License-Identifier: Apache-2.0
"""Where a student computes the mirror image of a frame too.

That steadies a student on film that it finds difficult and doubles the time, so it is usually done where the first
pass is unsure. What is gained where is measured by benchmarks/second_pass.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from vfss.errors import StudentError

FloatArray = npt.NDArray[np.float32]

WHEN = ("never", "unsure", "always")


@dataclass(frozen=True)
class MirrorPolicy:
    """Where the mirror image is computed too.

    Attributes:
        when: "never", "unsure" (where the first pass is unsure and no closer look is made) or "always". After a
            closer look the mirror image gains little for its time (benchmarks/second_pass.py).
        below: A first pass is unsure where its mean quality over the structures is below this, 0..1.
    """

    when: str = "unsure"
    below: float = 0.8

    def __post_init__(self) -> None:
        if self.when not in WHEN:
            raise StudentError(f"no mirror pass {self.when!r}", remedy=f"Use one of {', '.join(WHEN)}.")
        if not 0.0 <= self.below <= 1.0:
            raise StudentError(f"the quality {self.below} below which a pass is unsure is not within 0 and 1")

    def wants(self, quality: FloatArray, *, closer: bool = False) -> bool:
        """Return whether a pass is to be followed by one over the mirror image.

        Args:
            quality: float32 (S,), that of the pass.
            closer: Whether it is a closer look.
        """
        return self.when == "always" or (self.when == "unsure" and not closer and float(np.mean(quality)) < self.below)

    def changed(self, when: str | None) -> MirrorPolicy:
        """Return a pass that is computed in other places, with the same threshold; None: the same."""
        return self if when is None else replace(self, when=when)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {"when": self.when, "below": self.below}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Build from plain data.

        Raises:
            ValueError: A field is missing or of another type.
            StudentError: A value is not possible.
        """
        when, below = data.get("when"), data.get("below")
        if not isinstance(when, str) or isinstance(below, bool) or not isinstance(below, int | float):
            raise ValueError(f"mirror is {dict(data)!r}, not when and below")
        return cls(when, float(below))
