# SPDX-License-Identifier: Apache-2.0
"""Calibration error of a student's confidence: its difference from the true Dice, on phantoms not used for fitting.

Patients have seeds from 170,000 on; the calibration is fitted on seeds from 160,000 on, training uses seeds below
100,000, evaluation those from 100,000 and 130,000 on. Half of the frames have a style of the training, the others have
styles that the student never saw. A student file without a calibration is calibrated in memory first.

    python benchmarks/calibration.py [--student FILE]

Writes benchmarks/results/calibration.json and calibration.png.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib import pyplot

from vfss.student import Checkpoint, load_checkpoint
from vfss_training.evaluation.calibrate import (
    COMMON,
    FIRST_SEED,
    FRAMES,
    TEST_SEED,
    Measured,
    calibration_errors,
    fit_measured,
    measure,
)

matplotlib.use("Agg")
RESULTS = Path(__file__).parent / "results"
TARGET = 0.05


def print_progress(label: str) -> Any:
    """Return a progress function that prints every sixth step."""
    return lambda done, total: print(f"{label}: {done} of {total}", flush=True) if done % 6 == 0 else None


def bins(confidence: np.ndarray, dice: np.ndarray, n: int = 10) -> list[dict[str, float]]:
    """Return the points of a reliability plot: mean confidence, mean Dice and number of masks of each bin."""
    bin_of = np.clip((confidence * n).astype(int), 0, n - 1)
    return [
        {
            "said": round(float(confidence[bin_of == b].mean()), 4),
            "true": round(float(dice[bin_of == b].mean()), 4),
            "masks": int((bin_of == b).sum()),
        }
        for b in range(n)
        if (bin_of == b).any()
    ]


def plot(path: Path, before: list[dict[str, float]], after: list[dict[str, float]], report: dict[str, Any]) -> None:
    """Plot the reliability before and after calibration, and the expected error by structure."""
    figure, (reliability, structures) = pyplot.subplots(1, 2, figsize=(11, 4.6))
    reliability.plot([0, 1], [0, 1], color="0.6", linewidth=1, label="perfect")
    for points, marker, name in ((before, "s", "uncalibrated"), (after, "o", "calibrated")):
        x, y = [p["said"] for p in points], [p["true"] for p in points]
        reliability.plot(x, y, marker=marker, markersize=4, linewidth=1, label=name)
        if name == "calibrated":
            for p in points:
                reliability.annotate(str(p["masks"]), (p["said"], p["true"]), (4, -11), textcoords="offset points")
    reliability.set(xlabel="confidence", ylabel="true Dice (mean of each bin)", xlim=(0, 1), ylim=(0, 1))
    reliability.set_title(f"Held-out phantoms: expected error {report['expected_calibration_error']:.3f}")
    reliability.legend()
    keys = list(report["structures"])
    rows = np.arange(len(keys))
    structures.barh(rows + 0.2, [report["structures"][k]["before"] for k in keys], 0.4, label="before")
    structures.barh(rows - 0.2, [report["structures"][k]["after"] for k in keys], 0.4, label="calibrated", hatch="//")
    structures.axvline(TARGET, color="0.4", linestyle=":", label=f"target for all structures together, {TARGET}")
    structures.set_yticks(rows, keys)
    structures.invert_yaxis()
    structures.set(xlabel="expected error by structure")
    structures.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def report_on(checkpoint: Checkpoint, fresh: Measured, *, in_file: bool) -> dict[str, Any]:
    """Return the report: expected errors before and after, by structure and by style, and the points of the plot."""
    calibration, raw = checkpoint.calibration, fresh.confidence
    calibrated = calibration.apply(raw.astype(np.float32), fresh.keys).astype(np.float64)
    in_training = [style in COMMON for style in fresh.styles]
    before, after = calibration_errors(raw, fresh), calibration_errors(calibrated, fresh)
    counts = np.isfinite(fresh.dice)
    return {
        "student": checkpoint.id,
        "calibration": "in the file" if in_file else "fitted in memory, the file has none",
        "fitted_on": dict(calibration.measured),
        "frames": len(raw),
        "first_seed": TEST_SEED,
        "masks": int(counts.sum()),
        "expected_calibration_error": after["expected_error"],
        "expected_calibration_error_before": before["expected_error"],
        "target": TARGET,
        "styles_learnt": calibration_errors(calibrated, fresh, in_training)["expected_error"],
        "styles_never_seen": calibration_errors(calibrated, fresh, [not u for u in in_training])["expected_error"],
        "structures": {
            key: {"before": before["structures"][key], "after": after["structures"][key]} for key in fresh.keys
        },
        "reliability_before": bins(raw[counts], fresh.dice[counts]),
        "reliability": bins(calibrated[counts], fresh.dice[counts]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--student", default="default", help="student file, or default")
    parser.add_argument("--frames", type=int, default=FRAMES, help="frames to measure on")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=RESULTS / "calibration.json")
    arguments = parser.parse_args()
    shipped = str(resources.files("vfss.student") / "default.safetensors")
    checkpoint = load_checkpoint(shipped if arguments.student == "default" else arguments.student)
    in_file = checkpoint.calibration is not None
    if not in_file:
        fitted_on = measure(
            checkpoint,
            first_seed=FIRST_SEED,
            frames=arguments.frames,
            progress=print_progress("fit"),
            threads=arguments.threads,
        )
        checkpoint = replace(checkpoint, calibration=fit_measured(fitted_on, first_seed=FIRST_SEED))
    fresh = measure(
        checkpoint,
        first_seed=TEST_SEED,
        frames=arguments.frames,
        progress=print_progress("test"),
        threads=arguments.threads,
    )
    report = report_on(checkpoint, fresh, in_file=in_file)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(report, indent=2) + "\n", "utf-8")
    plot(arguments.out.with_suffix(".png"), report["reliability_before"], report["reliability"], report)
    print(json.dumps({k: v for k, v in report.items() if not k.startswith("reliability")}, indent=2))


if __name__ == "__main__":
    main()
