# SPDX-License-Identifier: Apache-2.0
"""Text that describes a revision, and the difference between two masks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from vfss.masks import BoolArray
from vfss.masks.metrics import dice
from vfss.wording import count

if TYPE_CHECKING:
    from vfss.project import Revision

HOW = {
    "proposal": "student's proposal",
    "hand": "drawn by hand",
    "undo": "by undo",
    "redo": "by redo",
    "import": "imported",
    "truth": "phantom truth",
}
MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class Difference:
    """How one mask differs from another: pixels added and removed, and their Dice, NaN if both are empty."""

    added: int
    removed: int
    dice: float

    @classmethod
    def between(cls, before: BoolArray | None, after: BoolArray | None) -> Difference:
        """Compare two planes, bool (H, W); None is a plane without pixels."""
        if before is None or after is None:
            added, removed = (0 if m is None else int(np.count_nonzero(m)) for m in (after, before))
            return cls(added, removed, 0.0 if added or removed else math.nan)
        return cls(int(np.count_nonzero(after & ~before)), int(np.count_nonzero(before & ~after)), dice(before, after))

    @property
    def short(self) -> str:
        """Text for a table cell: "+12 -3", or "same" if nothing changed."""
        parts = [f"+{self.added}"] * bool(self.added) + [f"{MINUS}{self.removed}"] * bool(self.removed)
        return " ".join(parts) or "same"

    @property
    def summary(self) -> str:
        """Text for a sentence: "12 pixels added, 3 removed"."""
        if not self.added and not self.removed:
            return "no difference"
        first = f"{count(self.added, 'pixel')} added"
        second = f"{self.removed if self.added else count(self.removed, 'pixel')} removed"
        return ", ".join([first] * bool(self.added) + [second] * bool(self.removed))


def how(revision: Revision) -> str:
    """Return how a revision was made."""
    provenance = revision.provenance
    if revision.origin == "proposal" and provenance.source_frame is not None:
        return f"propagated from frame {provenance.source_frame + 1}"
    if revision.origin == "proposal" and provenance.adapted_count is not None:
        return f"student adapted to {count(provenance.adapted_count, 'frame')}"
    return HOW.get(revision.origin, f"by {revision.origin}")


def who(revision: Revision) -> str:
    """Return who wrote a revision; the id of a student would tell a person nothing."""
    if revision.origin != "proposal":
        return revision.author
    return "propagation" if revision.provenance.method == "propagation" else "student"


def when(time: datetime, now: datetime | None = None) -> str:
    """Return the local time, with the day unless it is today."""
    local = time.astimezone()
    now = (now or datetime.now().astimezone()).astimezone()
    if local.date() == now.date():
        return f"{local:%H:%M:%S}"
    return f"{local:%d %b %H:%M}" if local.year == now.year else f"{local:%d %b %Y}"


def describe(revision: Revision) -> str:
    """Return everything that is known of a revision, for a tooltip."""
    confidence = "" if revision.confidence is None else f", confidence {100 * revision.confidence:.0f}%"
    student = "" if revision.student is None else f"\nStudent {revision.student}{confidence}"
    return (
        f"{revision.author}, {revision.time.astimezone():%A %d %B %Y, %H:%M:%S}\n"
        f"{revision.state.label}, {how(revision)}{student}"
    )


def compare(then: str, before: BoolArray | None, after: BoolArray | None, *, lead: str = "Since") -> str:
    """Describe in a sentence what the second mask has more and less than the first, and their Dice.

    Args:
        then: Name of the first mask, such as "the proposal".
        before: Plane of the first mask, bool (H, W); None without pixels.
        after: Plane of the second mask.
        lead: Word before `then`.
    """
    difference = Difference.between(before, after)
    if math.isnan(difference.dice):
        return "Both masks are empty."
    return f"{lead} {then}: {difference.summary}. Dice {difference.dice:.3f}."
