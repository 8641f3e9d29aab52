# SPDX-License-Identifier: Apache-2.0
"""Gain by clip adaptation, by the number of corrected frames: on new phantom clips, with true masks as corrections.

Corrected frames are spaced evenly in each clip; all others are scored: mean Dice of the soft structures, the share of
masks with a Dice of 0.95 or more (a structure that is not visible counts if its mask is empty), and the expected
calibration error of the confidence. Three sources of masks: the original student, the clip-adapted student, and the
masks written into a project, which are blended with masks propagated from the corrected frames.
Seconds are those of `learn_clip` and of the proposals after it, without the start of a process, which is measured once.
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
FIRST_SEED = 240_000  # no setting was chosen on these
TARGET = 0.05  # of the expected calibration error
WAYS = ("student", "learnt", "written")

Rows = dict[tuple[str, int, str], list[tuple[float, float]]]
"""Dice and confidence by way, number of corrected frames and structure."""


def corrected_frames(frames: int, n_corrected: int) -> list[int]:
    """Return evenly spaced frames of a clip, without its ends."""
    return [int(t) for t in np.linspace(0, frames - 1, n_corrected + 2).round()[1:-1]]


def add_scores(one: Scene, way: tuple[str, int], masks: Any, confidence: Any, rows: Rows) -> None:
    """Add Dice and confidence of the frames that were not corrected."""
    for frame in set(range(one.n_frames)) - set(corrected_frames(one.n_frames, way[1])):
        for structure in one.schema.structures:
            if not structure.is_rigid:
                value = agreement(masks[frame][structure.index], one.truth[frame, structure.index])
                rows[*way, structure.key].append((value, float(confidence[frame][structure.index])))


def measure(clip_scene: Scene, n_corrected: int, checkpoint: Any, rows: Rows) -> tuple[float, float]:
    """Score one clip with a number of corrected frames; return seconds of adaptation, and of the proposals after it."""
    one = clip_scene.uncorrected()
    for frame in corrected_frames(one.n_frames, n_corrected):
        one.masks[frame] = one.truth[frame]
        visible = one.truth[frame].any(axis=(1, 2))
        one.state[frame] = np.where(visible, MaskState.ACCEPTED, MaskState.EMPTY)
    add_scores(one, ("student", n_corrected), clip_scene.masks, clip_scene.confidence, rows)
    started = time.monotonic()
    adapted = one.adapted_checkpoint(checkpoint)
    adapted_at = time.monotonic()
    one.propose_adapted(adapted)
    ended = time.monotonic()
    confidence = [proposal.confidence for proposal in one.proposals]
    add_scores(one, ("learnt", n_corrected), [proposal.masks.planes for proposal in one.proposals], confidence, rows)
    add_scores(one, ("written", n_corrected), one.masks, one.confidence, rows)
    return adapted_at - started, ended - adapted_at


def process_start_seconds() -> float:
    """Return the seconds that a process takes to import the clip adaptation."""
    started = time.monotonic()
    subprocess.run(
        [sys.executable, "-c", "import vfss_training.cli, vfss_training.clip_adaptation.project_clip"], check=True
    )
    return time.monotonic() - started


def summary(values: list[tuple[float, float]]) -> dict[str, float]:
    """Return mean Dice, share of masks from 0.95 and expected calibration error."""
    dice, confidence = np.array(values).T
    return {
        "dice": round(float(dice.mean()), 4),
        "share_from_0.95": round(float(np.mean(dice >= ENOUGH)), 3),
        "expected_calibration_error": round(expected_error(confidence, dice), 3),
    }


def draw(table: dict[str, Any], path: Path) -> None:
    """Plot the three measures by the number of corrected frames."""
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
    parser.add_argument("--clips", type=int, default=4, help="Number of clips.")
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--corrected", type=int, nargs="+", default=[2, 3, 6, 12], help="Numbers of corrected frames.")
    parser.add_argument("--seed", type=int, default=FIRST_SEED)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    student = load_student("default", "cpu")
    checkpoint = load_checkpoint(student.path or "")
    start = process_start_seconds()
    rows: Rows = defaultdict(list)
    seconds: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for i in range(arguments.clips):
        clip_scene = scene(student, arguments.seed + i, arguments.frames, 512, "standard")
        for n_corrected in arguments.corrected:
            seconds[n_corrected].append(measure(clip_scene, n_corrected, checkpoint, rows))
            print(f"clip {i}, {n_corrected} corrected: {seconds[n_corrected][-1]}", flush=True)
    table: dict[str, Any] = {}
    keys = student.schema.soft
    for n_corrected in arguments.corrected:
        row: dict[str, Any] = {}
        for way in WAYS:
            each = {key: rows[way, n_corrected, key] for key in keys}
            row[way] = {"all": summary([v for values in each.values() for v in values])}
            row[way] |= {key: summary(values) for key, values in each.items()}
        adapting, proposing = np.median(np.array(seconds[n_corrected]), axis=0)
        table[str(n_corrected)] = row | {"seconds": {"learning": round(adapting, 1), "proposing": round(proposing, 1)}}
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
