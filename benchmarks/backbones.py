# SPDX-License-Identifier: Apache-2.0
"""Backbones and input sizes compared: Dice against milliseconds per frame.

An additional row has the first backbone at the smallest size, distilled from MobileSAM and LiteMedSAM (on the first
frames, balanced by dropping): it shows the gain by distillation with the same labels and steps.

Each is trained by training/recipes/ablation/backbones.yaml (same seeds, phantom frames and steps, from ImageNet), one
after the other by `vfss-train` in a separate process, then scored on the held-out styles of that recipe at 512x512.
Times are measured in one loop over all students: preprocessing of a decoded frame of 512x512, the shipped runtime, and
masks at the size of the frame. Few steps show which backbone learns faster, not the final Dice of each. Finished runs
are not repeated. Times in bf16 are measured if the processor supports it.
Writes benchmarks/results/backbones.json and .png.
Run: VFSS_SHARED=FOLDER python benchmarks/backbones.py --work FOLDER (FOLDER/weights holds the files of WEIGHTS)
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import yaml

from vfss.phantom import Phantom
from vfss.student.checkpoint import load_checkpoint
from vfss.student.openvino_runtime import OpenVinoRuntime
from vfss.student.student import Student

RESULTS = Path(__file__).parent / "results" / "backbones"
RECIPE = Path(__file__).parents[1] / "training" / "recipes" / "ablation" / "backbones.yaml"
WEIGHTS = {
    "efficientnet_lite0": "efficientnet-lite0-57934424.pth",
    "mobilenetv2_100": "mobilenet_v2-b0353104.pth",
    "mobilenetv3_small_100": "mobilenet_v3_small.pth",
}
DISTILLED = {
    "distill": {
        "teachers": ["mobile-sam", "lite-medsam"],
        "projector": "mlp",
        "frames": 160,
        "share": 1.0,
        "weight": 0.5,
        "final_weight": 0.05,
        "pool": 2,
    },
    "balance": {"name": "dropping"},
}
TITLES = {"held_out": "styles never trained on", "standard": "standard style"}
FRAME, CLIP_FRAMES, REPEATS = 512, 40, 30


@dataclass(frozen=True)
class Row:
    """One row of the comparison: backbone, input size, and further fields of its recipe."""

    backbone: str
    size: int
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of the row in the table."""
        return f"{self.backbone} {self.size}" + (" taught" if self.extra else "")

    @property
    def file(self) -> str:
        """Stem of the names of its files."""
        return self.name.replace(" ", "_")


FIRST, SECOND, THIRD = WEIGHTS
ROWS = [
    Row(FIRST, 256),
    Row(SECOND, 256),
    Row(THIRD, 256),
    Row(FIRST, 384),
    Row(THIRD, 384),
    Row(FIRST, 256, DISTILLED),
]


def train(row: Row, weights: Path, work: Path, threads: int) -> dict[str, Any]:
    """Train a row unless its student is in the work folder; return the last event, with scores by style."""
    name = row.file
    events = work / f"{name}.jsonl"
    if not (work / f"{name}.safetensors").is_file():
        recipe = yaml.safe_load(RECIPE.read_text("utf-8"))
        recipe["student"] |= {"backbone": row.backbone, "input_size": row.size}
        recipe |= row.extra
        recipe_path = work / f"{name}.yaml"
        recipe_path.write_text(yaml.safe_dump(recipe), "utf-8")
        options = {
            "--recipe": recipe_path,
            "--backbone-weights": weights / WEIGHTS[row.backbone],
            "--teachers": weights,
            "--out": work / f"{name}.safetensors",
            "--run": work / name,
            "--cache": work / "cache",
            "--events": events,
            "--threads": threads,
        }
        arguments = [str(argument) for pair in options.items() for argument in pair]
        subprocess.run([sys.executable, "-m", "vfss_training.cli", "fit", "--phantom", *arguments], check=True)
    done = [json.loads(line) for line in events.read_text("utf-8").splitlines() if '"done"' in line]
    return dict(done[-1])


def median_times(students: dict[str, Student]) -> dict[str, float]:
    """Return the median milliseconds of each student for one frame; the students alternate."""
    frames = [Phantom(400_000 + i, n_frames=CLIP_FRAMES, height=FRAME, width=FRAME).frame(20) for i in range(4)]
    taken: dict[str, list[float]] = {name: [] for name in students}
    for repeat in range(REPEATS + 2):
        for name, student in students.items():
            started = time.perf_counter()
            student.propose(frames[repeat % len(frames)][np.newaxis])
            if repeat >= 2:
                taken[name].append(1000 * (time.perf_counter() - started))
    return {name: round(statistics.median(values), 2) for name, values in taken.items()}


def plot(rows: dict[str, dict[str, Any]], path: Path) -> None:
    """Plot Dice against milliseconds, for held-out styles and the standard style."""
    import matplotlib as mpl  # noqa: PLC0415  (slow to import, and only needed for the plot)

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, axes = plt.subplots(1, 2, figsize=(12, 4.5), sharex=True)
    for axis, styles_column in zip(axes, TITLES, strict=True):
        for name, row in rows.items():
            axis.plot(row["ms_f32"], row[styles_column], "o", ms=8)
            axis.annotate(
                name, (row["ms_f32"], row[styles_column]), xytext=(6, 4), textcoords="offset points", fontsize=8
            )
        axis.set(
            xlabel=f"ms a frame of {FRAME}x{FRAME}, float32",
            ylabel="Dice",
            title=styles_column.replace("_", "-") + " styles",
        )
        axis.margins(x=0.25, y=0.15)
    figure.tight_layout()
    figure.savefig(path, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--work", type=Path, required=True, help="Folder for runs and rendered frames; it is not deleted."
    )
    parser.add_argument("--weights", type=Path, default=Path(os.environ.get("VFSS_SHARED", "")) / "weights")
    parser.add_argument("--threads", type=int, default=0)
    chosen = parser.parse_args()
    chosen.work.mkdir(parents=True, exist_ok=True)
    rows: dict[str, dict[str, Any]] = {}
    for row in ROWS:
        event = train(row, chosen.weights, chosen.work, chosen.threads)
        styles = {style: round(scores["mean_dice"], 4) for style, scores in event["scores"]["styles"].items()}
        checkpoint = load_checkpoint(chosen.work / f"{row.file}.safetensors")
        rows[row.name] = {
            "backbone": row.backbone,
            "input_size": row.size,
            "parameters": sum(int(np.prod(tensor.shape)) for tensor in checkpoint.tensors.values()),
            "held_out": round(statistics.mean(dice for style, dice in styles.items() if style != "standard"), 4),
            "standard": styles["standard"],
            "styles": styles,
        }
    has_bf16 = "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    for precision in ("f32", "bf16") if has_bf16 else ("f32",):
        students = {}
        for row in ROWS:
            checkpoint = load_checkpoint(chosen.work / f"{row.file}.safetensors")
            students[row.name] = Student(checkpoint, OpenVinoRuntime(checkpoint, precision=precision))
        for name, milliseconds in median_times(students).items():
            rows[name][f"ms_{precision}"] = milliseconds
    recipe = yaml.safe_load(RECIPE.read_text("utf-8"))
    result = {"rows": rows, "steps": recipe["steps"], "batch": recipe["batch"], "cores": os.cpu_count()}
    RESULTS.with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    plot(rows, RESULTS.with_suffix(".png"))
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
