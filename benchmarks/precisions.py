# SPDX-License-Identifier: Apache-2.0
"""Time and Dice of the network of a student in each precision that this processor and the file have.

Dice is of the first look without rules over the structures that are there, on phantoms of four styles from which no
ranges were taken. The networks compute in turn, so that other programs slow all of them alike.

Run: python benchmarks/precisions.py [--student FILE] [--patients N] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

from vfss.phantom import random_frame
from vfss.student import load_checkpoint, student_file
from vfss.student.openvino_runtime import OpenVinoRuntime, has_bf16, processor_name
from vfss.student.precision import whole_frames
from vfss_training.studies.export_again import INT8_STYLES, mean_dice

RESULTS = Path(__file__).parent / "results" / "precisions.json"
FIRST_SEED = 81_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--student", default="default", help="student file, or default")
    parser.add_argument("--patients", type=int, default=48, help="patients of each style")
    parser.add_argument("--json", type=Path, default=RESULTS)
    options = parser.parse_args()
    checkpoint = load_checkpoint(student_file(options.student))
    names = ["f32", *(["bf16"] if has_bf16() else []), *(["int8"] if checkpoint.int8 else [])]
    runtimes = {name: OpenVinoRuntime(checkpoint, precision=name) for name in names}
    scores: dict[str, list[float]] = {name: [] for name in names}
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for seed in range(FIRST_SEED, FIRST_SEED + options.patients):
        for style in INT8_STYLES:
            picture, planes = random_frame(seed, checkpoint.config.input_size, style)
            frames = whole_frames([picture], checkpoint.config)
            for name, runtime in runtimes.items():
                started = time.perf_counter()
                logits, _ = runtime.run(frames)
                seconds[name].append(time.perf_counter() - started)
                scores[name].append(mean_dice(logits[0], planes))
    exact = np.array(scores["f32"])
    result: dict[str, Any] = {"student": checkpoint.id, "processor": processor_name(), "frames": len(exact)}
    result["precisions"] = {
        name: {
            "dice": round(float(np.mean(scores[name])), 4),
            "loss": round(float(np.mean(exact - scores[name])), 4),
            "loss_se": round(float(np.std(exact - scores[name], ddof=1) / len(exact) ** 0.5), 4),
            "median_ms": round(1000 * statistics.median(seconds[name]), 2),
        }
        for name in names
    }
    options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
