# SPDX-License-Identifier: Apache-2.0
"""Gain by clicks: Dice after 0 to 5 clicks for each structure on new phantoms, and the time of a refinement.

A simulated annotator (benchmarks/annotator.py) clicks in the largest wrong area of each structure, starting from the
student's proposal. Every frame is of another patient. MobileSAM, given a box and then clicks of the same annotator, is
the comparison. Times are of Student.refine with encoder features given, at 1024 x 1024, and of encoding a frame.
Writes benchmarks/results/clicks.json and .png.
Run: VFSS_SHARED=FOLDER python benchmarks/clicks.py     (FOLDER/weights/mobile_sam.pt; or --mobile-sam FILE)
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from annotator import Hand, agreement
from propose import timed

from vfss.masks import BoolArray
from vfss.phantom import Phantom
from vfss.student import Student, load_student
from vfss.student.prompts import Prompts
from vfss_training.teachers.loading import load_teacher

RESULTS = Path(__file__).parent / "results" / "clicks.json"
FIRST_SEED, SIZE, LARGE = 170_000, 512, 1024
CLICKS = 5


def draw_frames(frames: int, size: int) -> list[tuple[Any, BoolArray, BoolArray]]:
    """Return frame uint8 (H, W), truth bool (S, H, W) and visible bool (S,) of each patient."""
    samples = []
    for i in range(frames):
        phantom = Phantom(FIRST_SEED + i, n_frames=60, height=size, width=size)
        t = (17 * i) % 60
        samples.append(phantom.sample(t))
    return samples


def by_student(student: Student, frame: Any, truths: dict[str, BoolArray], seed: int) -> dict[str, list[float]]:
    """Return the Dice of every structure after 0, 1, ... clicks."""
    encoded, proposal = student.encode(frame), student.propose(frame[None])[0]
    curves = {}
    for key, truth in truths.items():
        hand, prompts = Hand(np.random.default_rng((seed, student.schema[key].index))), Prompts()
        shown = proposal.masks.planes[student.schema[key].index]
        curves[key] = [agreement(shown, truth)]
        for _ in range(CLICKS):
            click = hand.click(shown, truth)
            if click is not None:
                prompts = prompts.with_click(click)
                shown = student.refine(encoded, key, prompts, shown).mask
            curves[key].append(agreement(shown, truth))
    return curves


def by_mobile_sam(teacher: Any, frame: Any, truths: dict[str, BoolArray], seed: int) -> dict[str, list[float]]:
    """Return the Dice of every visible structure after a box and 0, 1, ... clicks."""
    encoded = teacher.encode(frame)
    curves = {}
    for i, (key, truth) in enumerate(truths.items()):
        if not truth.any():
            continue
        hand, logits, clicks = Hand(np.random.default_rng((seed, i))), None, []
        box = hand.box(truth)
        curves[key] = []
        for _ in range(CLICKS + 1):
            shown, logits = teacher.refined(encoded, box, clicks, logits)
            curves[key].append(agreement(shown, truth))
            click = hand.click(shown, truth)
            clicks = clicks if click is None else [*clicks, click]
    return curves


def milliseconds(student: Student, repeats: int) -> dict[str, float]:
    """Return the median milliseconds of a refinement and of encoding, at 1024 x 1024."""
    phantom = Phantom(FIRST_SEED, n_frames=60, height=LARGE, width=LARGE)
    frame, truth = phantom.frame(20), phantom.planes(20)[student.schema["mandible"].index]
    encoded = student.encode(frame)
    click = Hand(np.random.default_rng(0)).click(np.zeros_like(truth), truth)
    prompts = Prompts() if click is None else Prompts().with_click(click)
    calls: dict[str, Callable[[], object]] = {
        "refine_ms": lambda: student.refine(encoded, "mandible", prompts, truth),
        "encode_ms": lambda: student.encode(frame),
    }
    return {
        name: round(statistics.median(elapsed for elapsed, _ in timed(call, repeats)), 2)
        for name, call in calls.items()
    }


def mean_curves(frames: list[dict[str, list[float]]]) -> dict[str, Any]:
    """Return the mean Dice by number of clicks, overall and by structure, and the share of clicks that lowered it."""
    every = np.array([curve for frame in frames for curve in frame.values()])
    keys = sorted({key for frame in frames for key in frame})
    steps = np.diff(every, axis=1)
    return {
        "structures_corrected": len(every),
        "mean_dice": every.mean(axis=0).round(4).tolist(),
        "share_of_clicks_that_made_it_worse": (steps < -0.001).mean(axis=0).round(4).tolist(),
        "by_structure": {
            key: np.mean([frame[key] for frame in frames if key in frame], axis=0).round(4).tolist() for key in keys
        },
    }


def draw(result: dict[str, Any], path: Path) -> None:
    """Plot the mean Dice by number of clicks, overall and by structure."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), constrained_layout=True)
    left.plot(result["student"]["mean_dice"], "o-", label="student: its proposal, then clicks")
    if "mobile_sam" in result:
        left.plot(result["mobile_sam"]["mean_dice"], "s--", label="MobileSAM: a box, then clicks")
    left.set(xlabel="clicks for each structure", ylabel="mean Dice", ylim=(0.5, 1.0), title="All structures")
    left.legend(loc="lower right")
    for key, curve in result["student"]["by_structure"].items():
        right.plot(curve, "-", label=key)
    right.set(xlabel="clicks", title="Student, by structure", ylim=(0.5, 1.0))
    right.legend(fontsize=7, ncol=2, loc="lower right")
    for axis in (left, right):
        axis.grid(alpha=0.3)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--student", default="default")
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--repeats", type=int, default=40)
    parser.add_argument(
        "--mobile-sam", type=Path, default=Path(os.environ.get("VFSS_SHARED", ".")) / "weights/mobile_sam.pt"
    )
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    student = load_student(arguments.student, "cpu")
    cases = draw_frames(arguments.frames, SIZE)
    truths = [
        {s.key: truth[s.index] for s in student.schema.structures if visible[s.index]} for _, truth, visible in cases
    ]
    curves = [
        by_student(student, frame, truth, i) for i, ((frame, _, _), truth) in enumerate(zip(cases, truths, strict=True))
    ]
    result: dict[str, Any] = {
        "command": f"python benchmarks/clicks.py --frames {arguments.frames}",
        "load_before": os.getloadavg()[0],
        "student_id": student.id,
        "frames": len(cases),
        "size": SIZE,
        "student": mean_curves(curves),
        f"milliseconds_at_{LARGE}": milliseconds(student, arguments.repeats),
        "targets": {"refine_ms": 50, "mean_dice": "does not fall from 0 to 1, 2, 3 clicks"},
    }
    if arguments.mobile_sam.is_file():
        teacher = load_teacher("mobile-sam", arguments.mobile_sam)
        sam_curves = [
            by_mobile_sam(teacher, frame, truth, i)
            for i, ((frame, _, _), truth) in enumerate(zip(cases, truths, strict=True))
        ]
        result["mobile_sam"] = mean_curves(sam_curves)
    mean_dice = result["student"]["mean_dice"]
    result["never_falls"] = all(later >= earlier for earlier, later in itertools.pairwise(mean_dice[:4]))
    arguments.out.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    draw(result, arguments.out.with_suffix(".png"))
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
