# SPDX-License-Identifier: Apache-2.0
"""Dice before and after retraining on 20 corrected frames, in a style that the student was never trained on.

Phantom clips of the style "harsh", which the shipped student was not trained on, become a project without annotations.
A simulated annotator accepts the true masks on 20 frames of five patients; `vfss-train fit PROJECT` runs as a separate
process, as the Retrain button starts it; then the default and the retrained student are scored on other patients of
that style, and on patients of the standard style to show what is forgotten.
Writes benchmarks/results/adapt_style.json and .png; needs matplotlib for the latter.
Run: python benchmarks/adapt_style.py
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from vfss.evaluation.evaluate import evaluate
from vfss.phantom import write_phantom
from vfss.project import Edit, Project
from vfss.student import load_student

RESULTS = Path(__file__).parent / "results" / "adapt_style"
STYLE = "harsh"
LEARN_SEED, OTHER_SEED, STANDARD_SEED = 300_000, 310_000, 320_000
LEARN_CLIPS, CORRECTED_PER_CLIP, LEARN_FRAMES = 5, 4, 40
EXAMINED_CLIPS, EXAMINED_FRAMES = 8, 24


def correct_frames(truth: Project, folder: Path) -> int:
    """Create a project of the clips in which 20 frames are accepted; return their number."""
    corrected = 0
    with Project.create(folder) as project:
        for record in truth.clips():
            project.assign_split(record.patient, "train")
            project.add_clip(record.path, patient=record.patient)
            for i in range(CORRECTED_PER_CLIP):
                t = round((i + 0.5) * record.n_frames / CORRECTED_PER_CLIP)
                edits = [
                    Edit(record.id, t, key, revision.mask, revision.state)
                    for key, revision in truth.newest(record.id, t).items()
                ]
                project.write(edits, author="simulated person", origin="hand")
                corrected += 1
    return corrected


def retrain(project: Path, student: str, minutes: float, threads: int) -> dict[str, Any]:
    """Run the trainer as a separate process; return its last event, with the losses and the duration."""
    command = [sys.executable, "-m", "vfss_training.cli", "fit", str(project)]
    started = time.monotonic()
    done = subprocess.run(
        [*command, "--student", student, "--minutes", str(minutes), "--threads", str(threads)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    losses = [[event["step"], event["loss"]] for event in events if event["event"] == "step"]
    return {**events[-1], "losses": losses, "seconds": round(time.monotonic() - started, 1)}


def score(projects: dict[str, Path], student: str) -> dict[str, Any]:
    """Return the Dice of a student by style: number of frames, mean, and by structure."""
    loaded_student = load_student(student, "cpu")
    by_style = {}
    for name, folder in projects.items():
        with Project.open(folder) as project:
            scores = evaluate(project, loaded_student)
        by_style[name] = {
            "frames": scores["frames"],
            "mean_dice": scores["mean_dice"],
            "dice": {key: row["dice"] for key, row in scores["structures"].items()},
        }
    return by_style


def plot(result: dict[str, Any], path: Path) -> None:
    """Plot the Dice of both students by structure, and the loss."""
    import matplotlib as mpl  # noqa: PLC0415  (slow to import, and only needed for the plot)

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, axes = plt.subplots(1, 3, figsize=(15, 4.5), gridspec_kw={"width_ratios": [3, 3, 2]})
    for axis, name in zip(axes, (STYLE, "standard"), strict=False):
        before, after = result["default"][name], result["retrained"][name]
        keys = list(before["dice"])
        for offset, row, label, colour in ((-0.2, before, "default", "#8899AA"), (0.2, after, "retrained", "#FF8C1A")):
            heights = [row["dice"][key] or 0.0 for key in keys]
            axis.bar(
                [i + offset for i in range(len(keys))],
                heights,
                0.38,
                label=f"{label}: {row['mean_dice']:.3f}",
                color=colour,
            )
        axis.set_xticks(range(len(keys)), keys, rotation=60)
        axis.set_ylim(0, 1)
        axis.set_ylabel("Dice")
        axis.set_title(f"other patients, style {name!r}")
        axis.legend(loc="lower right")
    steps, losses = zip(*result["training"]["losses"], strict=True)
    axes[2].plot(steps, losses, color="#3F7BFF")
    axes[2].set_xlabel("step")
    axes[2].set_title(f"loss, {result['training']['seconds']:.0f} s")
    figure.tight_layout()
    figure.savefig(path, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--student", default="default", help="Student file, or default.")
    parser.add_argument("--minutes", type=float, default=8.0, help="Time limit of the training.")
    parser.add_argument("--threads", type=int, default=0, help="Threads of the training; 0: all cores.")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="adapt-style-") as name:
        work = Path(name)
        learn = write_phantom(work / "learn", clips=LEARN_CLIPS, frames=LEARN_FRAMES, seed=LEARN_SEED, style=STYLE)
        sizes = {"clips": EXAMINED_CLIPS, "frames": EXAMINED_FRAMES}
        projects = {
            STYLE: write_phantom(work / "other", **sizes, seed=OTHER_SEED, style=STYLE),
            "standard": write_phantom(work / "standard", **sizes, seed=STANDARD_SEED),
        }
        with Project.open(learn) as truth:
            corrected = correct_frames(truth, work / "project")
        training = retrain(work / "project", arguments.student, arguments.minutes, arguments.threads)
        result = {
            "corrected_frames": corrected,
            "training_patients": LEARN_CLIPS,
            "default": score(projects, arguments.student),
            "retrained": score(projects, training["path"]),
            "training": {name: training[name] for name in ("student", "previous", "seconds", "losses")},
        }
    for style in projects:
        gain = result["retrained"][style]["mean_dice"] - result["default"][style]["mean_dice"]
        result[f"gain_{style}"] = round(gain, 4)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    plot(result, RESULTS.with_suffix(".png"))
    print(json.dumps({name: result[name] for name in result if name.startswith("gain")}))


if __name__ == "__main__":
    main()
