# SPDX-License-Identifier: Apache-2.0
"""Correction of one structure by the simulated annotator: one policy for all tools, with interactions counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from annotator import Hand, agreement

from vfss.masks import BoolArray
from vfss.student.prompts import Click

ENOUGH, MOST_CORRECTIONS, CLICKS = 0.95, 12, 3
KEY, EXTRA = 0.97, 2
"""Dice to reach for masks of key frames, as propagation lowers it, and the number of additional corrections for it."""
_GAIN = 0.004  # a click that raised the Dice by less is followed by strokes

Answer = Callable[[Click, BoolArray], BoolArray]
"""Function of a tool that returns the mask, bool (H, W), after one more click, given the current mask."""


@dataclass
class Count:
    """Number of interactions by kind and by structure."""

    kinds: dict[str, int] = field(default_factory=dict)
    structures: dict[str, int] = field(default_factory=dict)
    given_up: int = 0

    def add(self, kind: str, n: int = 1, *, structure: str | None = None) -> None:
        """Add n interactions of a kind."""
        self.kinds[kind] = self.kinds.get(kind, 0) + n
        if structure is not None:
            self.structures[structure] = self.structures.get(structure, 0) + n

    @property
    def total(self) -> int:
        """Number of all interactions."""
        return sum(self.kinds.values())


@dataclass(frozen=True)
class Task:
    """One structure of one frame: its key, its true mask, bool (H, W), and the Dice to reach."""

    key: str
    truth: BoolArray
    enough: float = ENOUGH


def corrected(shown: BoolArray, task: Task, hand: Hand, count: Count, answer: Answer | None) -> BoolArray:
    """Return a mask, bool (H, W), corrected until its Dice is reached: by clicks while they help, then by strokes.

    A correction that lowers the Dice is undone, which counts as one more. After MOST_CORRECTIONS the structure is
    given up.
    """
    clicking, truth, extra = answer is not None, task.truth, 0
    for attempt in range(MOST_CORRECTIONS):
        before = agreement(shown, truth)
        if before >= task.enough or extra > EXTRA:
            return shown
        extra += before >= ENOUGH
        click = hand.click(shown, truth) if clicking and attempt < CLICKS and hand.would_click(shown, truth) else None
        if click is None or answer is None:
            changed = hand.stroke(shown, truth)
            count.add("strokes", structure=task.key)
        else:
            changed = answer(click, shown)
            count.add("clicks", structure=task.key)
            clicking = agreement(changed, truth) > before + _GAIN
        if agreement(changed, truth) < before:
            count.add("undone", structure=task.key)
        else:
            shown = changed
    if agreement(shown, truth) < ENOUGH:
        count.given_up += 1
    return shown


def per_frame(counts: list[Count], frames: int) -> dict[str, Any]:
    """Return the interactions per frame of several clips, in total, by kind and by structure."""
    kinds = sorted({kind for count in counts for kind in count.kinds})
    keys = sorted({key for count in counts for key in count.structures})
    return {
        "interactions": round(sum(count.total for count in counts) / frames, 3),
        "by_kind": {kind: round(sum(count.kinds.get(kind, 0) for count in counts) / frames, 3) for kind in kinds},
        "by_structure": {key: round(sum(count.structures.get(key, 0) for count in counts) / frames, 3) for key in keys},
        "structures_given_up": sum(count.given_up for count in counts),
        "frames": frames,
    }


def draw(table: Mapping[str, Any], path: Path) -> None:
    """Plot interactions per frame by kind, one bar for each way of working."""
    names = {"mobile_sam": "MobileSAM,\nevery structure and frame", "frame_by_frame": "our proposals,\nframe by frame"}
    names["ours"] = "ours: corrected\nand propagated"
    kinds = sorted({kind for row in table.values() for kind in row["by_kind"]})
    figure, axis = plt.subplots(figsize=(8, 4), constrained_layout=True)
    shown = [name for name in names if name in table]
    left = np.zeros(len(shown))
    for kind in kinds:
        widths = np.array([table[name]["by_kind"].get(kind, 0.0) for name in shown])
        axis.barh([names[name] for name in shown], widths, left=left, label=kind)
        left += widths
    for y, total in enumerate(left):
        axis.text(total, y, f" {total:.1f}", va="center")
    axis.set(xlabel="interactions per frame until all structures have a Dice of 0.95", xlim=(0, 1.12 * left.max()))
    axis.legend(fontsize=8)
    figure.savefig(path, dpi=110)
