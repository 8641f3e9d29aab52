# SPDX-License-Identifier: Apache-2.0
"""What learning a clip brings, by the number of corrected frames: on fresh phantom clips, from true masks.

Corrected frames lie evenly in each clip; all others are scored: mean Dice of the soft structures, the share of masks
with a Dice of 0.95 or more (an absent structure counts where nothing is shown), and how far confidence is from Dice
(expected calibration error). Three ways: the student as it is, the one that has learnt the clip, and what is written
into a project, which is blended with what is carried from the corrected frames.
Seconds are those of `learn_clip` and of all that follows, without the start of a process, which is measured once.
Writes benchmarks/results/learning.json and .png.
Run: python benchmarks/learning.py
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from annotator import agreement
from correcting import ENOUGH
from scene import Scene, scene

from vfss.masks import MaskState
from vfss.student import load_checkpoint, load_student
from vfss.student.calibration import expected_error

RESULTS = Path(__file__).parent / "results" / "learning.json"
FIRST_SEED = 240_000  # nothing was tried on these
TARGET = 0.05  # of the expected calibration error
WAYS = ("student", "learnt", "written")

Rows = dict[tuple[str, int, str], list[tuple[float, float]]]
"""Dice and confidence by way, number of corrected frames and structure."""


def corrected_frames(frames: int, wanted: int) -> list[int]:
    """Evenly in a clip, its ends left out."""
    return [int(t) for t in np.linspace(0, frames - 1, wanted + 2).round()[1:-1]]


def note(one: Scene, way: tuple[str, int], masks: Any, confidence: Any, rows: Rows) -> None:
    """Score the frames that were not corrected."""
    for frame in set(range(one.n_frames)) - set(corrected_frames(one.n_frames, way[1])):
        for structure in one.schema.structures:
            if not structure.is_rigid:
                found = agreement(masks[frame][structure.index], one.truth[frame, structure.index])
                rows[*way, structure.key].append((found, float(confidence[frame][structure.index])))


def measure(made: Scene, wanted: int, checkpoint: Any, rows: Rows) -> tuple[float, float]:
    """One clip with so many corrected frames; seconds of learning, and of what follows."""
    one = made.again()
    for frame in corrected_frames(one.n_frames, wanted):
        one.masks[frame] = one.truth[frame]
        there = one.truth[frame].any(axis=(1, 2))
        one.state[frame] = np.where(there, MaskState.ACCEPTED, MaskState.EMPTY)
    note(one, ("student", wanted), made.masks, made.sure, rows)
    began = time.monotonic()
    learnt = one.learnt(checkpoint)
    between = time.monotonic()
    one.spread(learnt)
    ended = time.monotonic()
    said = [proposal.confidence for proposal in one.proposals]
    note(one, ("learnt", wanted), [proposal.masks.planes for proposal in one.proposals], said, rows)
    note(one, ("written", wanted), one.masks, one.sure, rows)
    return between - began, ended - between


def start_of_a_process() -> float:
    """Seconds until a process has all that it needs to learn."""
    began = time.monotonic()
    subprocess.run(
        [sys.executable, "-c", "import vfss_training.cli, vfss_training.clip_adaptation.project_clip"], check=True
    )
    return time.monotonic() - began


def summary(values: list[tuple[float, float]]) -> dict[str, float]:
    found, sure = np.array(values).T
    return {
        "dice": round(float(found.mean()), 4),
        "share_from_0.95": round(float(np.mean(found >= ENOUGH)), 3),
        "expected_calibration_error": round(expected_error(sure, found), 3),
    }


def draw(table: dict[str, Any], path: Path) -> None:
    figure, axes = plt.subplots(1, 3, figsize=(12, 3.6), constrained_layout=True)
    names = {
        "dice": "mean Dice",
        "share_from_0.95": "share from 0.95",
        "expected_calibration_error": "confidence: expected error",
    }
    for axis, (name, title) in zip(axes, names.items(), strict=True):
        for way in WAYS:
            counts = [int(n) for n in table]
            axis.plot(counts, [table[str(n)][way]["all"][name] for n in counts], marker="o", label=way)
        axis.set(xlabel="corrected frames in the clip", ylabel=title, title="soft structures of other frames")
    axes[0].legend()
    axes[2].axhline(TARGET, color="0.4", linestyle=":")
    axes[2].set_ylim(0, None)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=4)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--corrected", type=int, nargs="+", default=[2, 3, 6, 12])
    parser.add_argument("--seed", type=int, default=FIRST_SEED)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    student = load_student("default", "cpu")
    checkpoint = load_checkpoint(student.path or "")
    start = start_of_a_process()
    rows: Rows = defaultdict(list)
    seconds: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for i in range(arguments.clips):
        made = scene(student, arguments.seed + i, arguments.frames, 512, "standard")
        for wanted in arguments.corrected:
            seconds[wanted].append(measure(made, wanted, checkpoint, rows))
            print(f"clip {i}, {wanted} corrected: {seconds[wanted][-1]}", flush=True)
    table: dict[str, Any] = {}
    keys = student.schema.soft
    for wanted in arguments.corrected:
        row: dict[str, Any] = {}
        for way in WAYS:
            each = {key: rows[way, wanted, key] for key in keys}
            row[way] = {"all": summary([v for values in each.values() for v in values])}
            row[way] |= {key: summary(values) for key, values in each.items()}
        learning, spreading = np.median(np.array(seconds[wanted]), axis=0)
        table[str(wanted)] = row | {"seconds": {"learning": round(learning, 1), "proposing": round(spreading, 1)}}
    result = {
        "command": f"python benchmarks/learning.py --seed {arguments.seed} --clips {arguments.clips} "
        f"--frames {arguments.frames}",
        "student_id": student.id,
        "threads": torch.get_num_threads(),
        "seconds_to_start_a_process": round(start, 1),
        "by_corrected_frames": table,
    }
    arguments.out.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    draw(table, arguments.out.with_suffix(".png"))
    print(json.dumps({n: {way: row[way]["all"] for way in WAYS} for n, row in table.items()}, indent=1))


if __name__ == "__main__":
    main()
