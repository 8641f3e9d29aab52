# SPDX-License-Identifier: Apache-2.0
"""What the history says of a revision and of two masks, in words."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from vfss.masks import BoolArray
from vfss.masks.metrics import dice
from vfss.project import Revision
from vfss.wording import count

HOW = {
    "proposal": "by the student",
    "hand": "by hand",
    "undo": "by undo",
    "redo": "by redo",
    "import": "imported",
    "truth": "drawn by the program",
}
MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class Difference:
    """How one mask differs from another: pixels added and taken away, and their Dice, NaN where both are empty."""

    added: int
    removed: int
    dice: float

    @classmethod
    def between(cls, before: BoolArray | None, after: BoolArray | None) -> Difference:
        """Difference of two planes, bool (H, W); None is a plane without pixels."""
        if before is None or after is None:
            added, removed = (0 if m is None else int(np.count_nonzero(m)) for m in (after, before))
            return cls(added, removed, 0.0 if added or removed else math.nan)
        return cls(int(np.count_nonzero(after & ~before)), int(np.count_nonzero(before & ~after)), dice(before, after))

    @property
    def short(self) -> str:
        """For a cell of a table: "+12 -3", "same" where nothing changed."""
        parts = [f"+{self.added}"] * bool(self.added) + [f"{MINUS}{self.removed}"] * bool(self.removed)
        return " ".join(parts) or "same"

    @property
    def summary(self) -> str:
        """For a sentence: "12 pixels added, 3 taken away"."""
        if not self.added and not self.removed:
            return "no pixel differs"
        first = f"{count(self.added, 'pixel')} added"
        second = f"{self.removed if self.added else count(self.removed, 'pixel')} taken away"
        return ", ".join([first] * bool(self.added) + [second] * bool(self.removed))


def how(revision: Revision) -> str:
    """By which way a revision came."""
    made = revision.provenance
    if revision.origin == "proposal" and made.source_frame is not None:
        return f"carried from frame {made.source_frame + 1}"
    if revision.origin == "proposal" and made.adapted_count is not None:
        return f"learnt from {made.adapted_count} frames of this clip"
    return HOW.get(revision.origin, f"by {revision.origin}")


def who(revision: Revision) -> str:
    """Who wrote it; a student has an id that says nothing to a person."""
    if revision.origin != "proposal":
        return revision.author
    return "propagation" if revision.provenance.method == "propagation" else "student"


def when(time: datetime, now: datetime | None = None) -> str:
    """Local time, with the day where it was not today."""
    local = time.astimezone()
    now = (now or datetime.now().astimezone()).astimezone()
    if local.date() == now.date():
        return f"{local:%H:%M:%S}"
    return f"{local:%d %b %H:%M}" if local.year == now.year else f"{local:%d %b %Y}"


def describe(revision: Revision) -> str:
    """All that is known of a revision, for a tooltip."""
    sure = "" if revision.confidence is None else f", {100 * revision.confidence:.0f}% sure"
    student = "" if revision.student is None else f"\nStudent {revision.student}{sure}"
    return (
        f"{revision.author}, {revision.time.astimezone():%A %d %B %Y, %H:%M:%S}\n"
        f"{revision.state.label}, {how(revision)}{student}"
    )


def compare(then: str, before: BoolArray | None, after: BoolArray | None, *, lead: str = "Since") -> str:
    """Two masks in a sentence: what the second has more and less than the first, and their Dice.

    Args:
        then: What it is compared with, such as "the proposal".
        before: That one's plane, bool (H, W); None without pixels.
        after: The second plane.
        lead: What leads to `then`.
    """
    difference = Difference.between(before, after)
    if math.isnan(difference.dice):
        return "Neither has any pixel."
    return f"{lead} {then}: {difference.summary}. Dice {difference.dice:.3f}."
