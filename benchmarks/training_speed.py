# SPDX-License-Identifier: Apache-2.0
"""Pictures an hour that a training of the shipped student takes in, by this program and by an earlier one.

Both train from the student that ships, in the same order, on the same cores, each in a process of its own: by the
recipe of the November student, 384 px, batches of 8, once with frames that are rendered on the way and once with those
that are kept. The earlier program is that of a commit, in a worktree of this repository; it renders its own phantom.
A run's time is that of its last steps: the first ones load and warm up.

Run: python benchmarks/training_speed.py [--before COMMIT] [--steps N] [--rounds N] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
NOVEMBER = "9b9d0f0"
BATCH = 8
RECIPE = """
name: speed
student:
  {{backbone: efficientnet_lite0, input_size: 384, width: 128, heads: 8, depth: 2, mlp_width: 256, mirrored: true}}
styles: {{standard: 0.6, wide: 0.4}}
held_out: {{standard: {{weight: 0.0, first_seed: 95000, frames: 1}}}}
first_seed: 40000
phantom_frames: {frames}
steps: {steps}
validate_steps: {steps}
batch: 8
frozen_blocks: 2
frozen_depthwise: 5
"""


@contextmanager
def worktree(commit: str, folder: Path) -> Iterator[Path]:
    """Check a commit out beside this tree, and remove it again."""
    tree = folder / "before"
    subprocess.run(["git", "worktree", "add", "--detach", str(tree), commit], cwd=REPOSITORY, check=True)
    try:
        yield tree
    finally:
        subprocess.run(["git", "worktree", "remove", "--force", str(tree)], cwd=REPOSITORY, check=True)


def seconds_a_step(tree: Path, folder: Path, *, steps: int, kept: bool) -> float:
    """Train for some steps with the program of a tree; return the median time of a step of the last two thirds, s.

    Args:
        tree: Repository.
        folder: Of its frames and results.
        steps: Number of steps.
        kept: All frames are there already.
    """
    recipe, log, cache = folder / "speed.yaml", folder / "events.jsonl", folder / "frames"
    recipe.write_text(RECIPE.format(frames=BATCH * steps, steps=steps), encoding="utf-8")
    out = folder / "student.safetensors"
    command = ["vfss-train", "fit", "--phantom", "--recipe", str(recipe), "--student", "default", "--out", str(out)]
    environment = {**os.environ, "PYTHONPATH": f"{tree / 'src'}{os.pathsep}{tree / 'training'}"}
    program = [sys.executable, "-m", "vfss_training.cli", *command[1:], "--cache", str(cache)]
    if kept and not cache.exists():
        subprocess.run([*program, "--events", "-"], env=environment, check=True, stdout=subprocess.DEVNULL)
    with subprocess.Popen([*program, "--events", "-"], env=environment, stdout=subprocess.PIPE, text=True) as process:
        times = _times_of_steps(process)
    if process.returncode:
        raise SystemExit(f"the training of {tree} failed with {process.returncode}")
    log.write_text(json.dumps(times), encoding="utf-8")
    late = [(step, at) for step, at in times if step > steps // 3]
    (first, began), (last, ended) = late[0], late[-1]
    return (ended - began) / (last - first)


def _times_of_steps(process: subprocess.Popen[str]) -> list[tuple[int, float]]:
    """Return the numbers of steps that a training tells, and when it told them."""
    times = []
    for line in process.stdout or ():
        if line.startswith("{") and (event := json.loads(line))["event"] == "step":
            times.append((int(event["step"]), time.monotonic()))
    return times


def main(argv: list[str] | None = None) -> None:
    """Time both programs in turns, and print and write the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--before", default=NOVEMBER, help="commit of the earlier program")
    parser.add_argument("--steps", type=int, default=36)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args(argv)
    figures: dict[str, dict[str, list[float]]] = {"rendered": {}, "kept": {}}
    with tempfile.TemporaryDirectory() as name, worktree(options.before, Path(name)) as before:
        for number in range(options.rounds):
            for program, tree in (("before", before), ("now", REPOSITORY)):
                folder = Path(name) / f"{program}{number}"
                folder.mkdir()
                for way in ("rendered", "kept"):
                    taken = seconds_a_step(tree, folder, steps=options.steps, kept=way == "kept")
                    figures[way].setdefault(program, []).append(taken)
    result: dict[str, Any] = {"before": options.before, "steps": options.steps, "rounds": options.rounds}
    for way, of in figures.items():
        hourly = {program: 3600 * BATCH / statistics.median(values) for program, values in of.items()}
        result[way] = {
            **{f"pictures_an_hour_{program}": round(value) for program, value in hourly.items()},
            "ratio": round(hourly["now"] / hourly["before"], 2),
        }
        print(way, result[way])
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
