# SPDX-License-Identifier: Apache-2.0
"""Gain and cost of a student's further passes: a closer look and the mirror image, of a frame or of a median of three.

One frame each of some patients of every style, with the frames before and after it, proposed on in several ways: one
pass; the mirror image of it too; a closer look, as the student's file says; that of the median of three frames where
they are noisy, which is what the program does; and the mirror image of that look too. Mean Dice over the structures
that are there or proposed, its gain on one pass with standard error, the same of the bolus, and passes a frame.
Patients 97,000 on chose what the code says; those from 150,000 on report. Writes benchmarks/results/second_pass.json.
Run: python benchmarks/second_pass.py [--student FILE] [--seed N] [--patients N] [--styles A,B] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vfss.masks.metrics import dice
from vfss.phantom import Phantom
from vfss.student import Student, load_checkpoint, student_file
from vfss.student.openvino_runtime import OpenVinoRuntime
from vfss.student.temporal_median import Picture, Steadied, temporal_median

RESULTS = Path(__file__).parent / "results" / "second_pass.json"
STYLES = ("standard", "sharpened", "intensifier", "capture", "harsh")
SIZE, CLIP_FRAMES = 512, 60
WAYS = {
    "one pass": ("never", "never", False),
    "mirror image": ("always", "never", False),
    "closer look": ("never", None, False),
    "closer look at the median": (None, None, True),
    "and its mirror image": ("always", None, True),
}
"""Of each: where the mirror image counts, where a closer look (None: as the file says), and whether of a median."""

Floats = npt.NDArray[np.float64]


class CountedRuntime(OpenVinoRuntime):
    """Counts its passes.

    Attributes:
        passes: Passes so far.
    """

    passes = 0

    def run(self, inputs: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Return logits and quality of inputs, and count them."""
        self.passes += len(inputs)
        return super().run(inputs)


def median_of(pictures: Sequence[Picture]) -> Steadied:
    """Return what gives the median of three successive pictures, uint8 (H, W) each, where they are noisy."""
    before, frame, after = pictures
    return lambda _: temporal_median(before, frame, after)


def overlaps(student: Student, truth: Any, planes: Any, visible: Any) -> Floats:
    """Return the Dice of each structure, float64 (S,); NaN where it is neither there nor proposed."""
    values = np.full(len(student.keys), np.nan)
    for i in range(len(student.keys)):
        if visible[i] or truth[i].any() or planes[i].any():
            value = dice(truth[i], planes[i])
            values[i] = 1.0 if math.isnan(value) else value
    return values


def measure(students: dict[str, Student], runtime: CountedRuntime, style: str, seeds: range) -> dict[str, Any]:
    """Return the figures of one style."""
    scores: dict[str, list[Floats]] = {name: [] for name in WAYS}
    passes = dict.fromkeys(WAYS, 0)
    seconds = dict.fromkeys(WAYS, 0.0)
    for seed in seeds:
        phantom = Phantom(seed, n_frames=CLIP_FRAMES, height=SIZE, width=SIZE, style=style)
        t = int(np.random.default_rng((seed, 1)).integers(1, CLIP_FRAMES - 1))
        (before, *_), (frame, truth, visible), (after, *_) = (phantom.sample(i) for i in (t - 1, t, t + 1))
        steadied = median_of((before, frame, after))
        for name, (*_, with_median) in WAYS.items():
            started, n = time.process_time(), runtime.passes
            (proposal,) = students[name].propose(frame[None], steadied=steadied if with_median else None)
            seconds[name] += time.process_time() - started
            passes[name] += runtime.passes - n
            scores[name].append(overlaps(students[name], truth, proposal.masks.planes, visible))
    return {
        name: summary(np.stack(scores[name]), np.stack(scores["one pass"]))
        | {
            "passes": round(passes[name] / len(seeds), 3),
            "cpu_ms_a_frame": round(1000 * seconds[name] / len(seeds), 1),
        }
        for name in WAYS
    }


def summary(scores: Floats, alone: Floats) -> dict[str, float]:
    """Return mean Dice in points and the gain on one pass, from Dice (N, S) of both."""
    gains = np.nanmean(scores, axis=1) - np.nanmean(alone, axis=1)
    return {
        "mean_dice": round(100 * float(np.nanmean(np.nanmean(scores, axis=1))), 2),
        "gain": round(100 * float(gains.mean()), 2),
        "standard_error": round(100 * float(gains.std(ddof=1) / math.sqrt(len(gains))), 2),
        "gain_bolus": round(100 * float(np.nanmean(scores[:, 0]) - np.nanmean(alone[:, 0])), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--student", default="default", help="student file, or default")
    parser.add_argument("--seed", type=int, default=150_000, help="seed of the first patient")
    parser.add_argument("--patients", type=int, default=16, help="patients of each style")
    parser.add_argument("--styles", default=",".join(STYLES))
    parser.add_argument("--threads", type=int, help="threads to compute with")
    parser.add_argument("--json", type=Path, default=RESULTS)
    options = parser.parse_args()
    checkpoint = load_checkpoint(student_file(options.student))
    runtime = CountedRuntime(checkpoint, threads=options.threads)
    students = {
        name: Student(checkpoint, runtime, mirror=mirror, closer=closer) for name, (mirror, closer, _) in WAYS.items()
    }
    seeds = range(options.seed, options.seed + options.patients)
    result: dict[str, Any] = {"student": checkpoint.id, "device": runtime.device, "first_seed": options.seed}
    result |= {"patients": options.patients, "mirror": checkpoint.mirror and checkpoint.mirror.to_dict()}
    result |= {"closer": checkpoint.closer and checkpoint.closer.to_dict(), "styles": {}}
    for style in options.styles.split(","):
        result["styles"][style] = measure(students, runtime, style, seeds)
        print(style, json.dumps(result["styles"][style], indent=1), flush=True)
    options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
