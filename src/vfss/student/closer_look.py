# SPDX-License-Identifier: Apache-2.0
"""A second look at a frame, in which the spine is as large as a student knows it best.

A vertebra is told from its neighbours by its shape and by what lies around it, and both are learnt at some sizes better
than at others. Where the first look finds the spine much smaller or larger than that, or is unsure, the frame is looked
at again, scaled and moved by what was found; that look then counts. What is gained is measured by benchmarks/levels.py.
A patient who faces left is mirrored for it: on film, vertebrae of the same persons are named right more often facing
right, although both facings are equally frequent in training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from vfss.errors import StudentError
from vfss.schema import Structure
from vfss.student.config import LOGIT_STRIDE
from vfss.student.level_chain import SPINE, body_centres
from vfss.student.preprocess import Placement

FloatArray = npt.NDArray[np.float32]

WHEN = ("never", "unsure", "always")
_FORWARD = 0.8  # distances of two vertebrae from the spine to the middle of the second look, towards the face
_MIDDLE = slice(1, 5)  # C2 to C5: what the second look is centred on, as far as it was found
_PLAUSIBLE = (0.02, 0.4)  # distances of two vertebrae, shares of the side


@dataclass(frozen=True)
class CloserLook:
    """Where a frame is looked at again, and how large the spine is then.

    Attributes:
        when: "never", "unsure" (where the first look is unsure or the spine of another size) or "always".
        below: A first look is unsure where its mean quality over the structures is below this, 0..1.
        spacing: Distance of two neighbouring vertebrae in the second look, a share of the input's side.
        tolerance: Factor by which it may be larger or smaller in the first look, at least 1.
    """

    when: str = "unsure"
    below: float = 0.8
    spacing: float = 0.115
    tolerance: float = 1.2

    def __post_init__(self) -> None:
        if self.when not in WHEN:
            raise StudentError(f"no second look {self.when!r}", remedy=f"Use one of {', '.join(WHEN)}.")
        low, high = _PLAUSIBLE
        if not (0.0 <= self.below <= 1.0 and low <= self.spacing <= high and self.tolerance >= 1.0):
            raise StudentError(f"the second look {self.to_dict()} is not possible")

    def changed(self, when: str | None) -> CloserLook:
        """Return a second look in other places, otherwise the same; None: the same."""
        return self if when is None else replace(self, when=when)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {"when": self.when, "below": self.below, "spacing": self.spacing, "tolerance": self.tolerance}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Build from plain data.

        Raises:
            ValueError: A field is missing or of another type.
            StudentError: A value is not possible.
        """
        when, numbers = data.get("when"), [data.get(name) for name in ("below", "spacing", "tolerance")]
        if not isinstance(when, str) or any(isinstance(n, bool) or not isinstance(n, int | float) for n in numbers):
            raise ValueError(f"closer is {dict(data)!r}, not when, below, spacing and tolerance")
        below, spacing, tolerance = (float(n) for n in numbers if n is not None)
        return cls(when, below, spacing, tolerance)


@dataclass(frozen=True)
class Found:
    """Where a frame is to be looked at again.

    Attributes:
        placement: Where it then lies in the input.
        mirrored: Whether it is mirrored in it, so that the patient faces right.
    """

    placement: Placement
    mirrored: bool


class SpineFinder:
    """Finds the placement of the second look from what the first one found."""

    def __init__(self, look: CloserLook, structures: Sequence[Structure]) -> None:
        """Look up the vertebrae.

        Args:
            look: Where there is a second look, and how large the spine is in it.
            structures: One for each plane that the student has learnt, in order; those of a chain from top to bottom.
        """
        self._look = look
        self._spine = np.array([i for i, s in enumerate(structures) if s.chain == SPINE], np.intp)
        self._others = np.setdiff1d(np.arange(len(structures)), self._spine)

    def find(self, logits: FloatArray, quality: FloatArray, first: Placement) -> Found | None:
        """Return where the second look is; None if there is to be none, or hardly a spine was found.

        Args:
            logits: float32 (S, h, w), those of the first look.
            quality: float32 (S,), its quality.
            first: Its placement.
        """
        look = self._look
        if look.when == "never" or len(self._spine) < 2:
            return None
        spine, others = logits[self._spine], logits[self._others]
        centres = body_centres(spine, others) * LOGIT_STRIDE + (LOGIT_STRIDE - 1) / 2
        steps = np.hypot(*np.diff(centres, axis=0).T)[1:]  # without that from C1, which is the largest
        low, high = _PLAUSIBLE
        if not np.isfinite(steps).any() or not low <= (distance := float(np.nanmedian(steps))) / first.size <= high:
            return None
        factor = look.spacing * first.size / distance
        unsure = float(np.mean(quality)) < look.below or max(factor, 1 / factor) > look.tolerance
        if look.when == "unsure" and not unsure:
            return None
        found = centres[np.isfinite(centres[:, 0])]
        upper = centres[_MIDDLE][np.isfinite(centres[_MIDDLE, 0])]
        y, x = (upper if len(upper) else found).mean(axis=0)
        before, behind = (np.nonzero((planes > 0).any(axis=0))[1].mean() for planes in (others, spine))
        forward = float(np.sign(before - behind))
        placement = first.around((float(y), float(x + forward * _FORWARD * distance)), factor)
        return Found(placement, mirrored=bool(forward < 0))
