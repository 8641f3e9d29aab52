# SPDX-License-Identifier: Apache-2.0
"""Several teachers compared with one, with few labels: is `full` two Dice points above the best single teacher?

Runs `vfss-train ablate` on the shipped recipes, made small by benchmarks/agglomeration.yaml so that two cores are
enough: trains on phantom patients of the standard style, a few of them labelled, and scores on patients of that style
and of another. The teachers are the two whose weights are public and small, with extra students. Finished runs are
not repeated. Writes benchmarks/results/agglomeration.json, .md and plots.
Run: VFSS_SHARED=FOLDER python benchmarks/agglomeration.py --work FOLDER   (FOLDER/weights holds mobile_sam.pt,
lite_medsam.pth and mobilenet_v3_small.pth)
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
RESULTS = HERE / "results"
RECIPES = ("plain-single", "single-abd", "paper-mlp", "paper-attention", "full")
BACKBONE = "mobilenet_v3_small.pth"
PLOTS = ("labels", "structures", "weights", "features")


def main() -> None:
    """Run the ablation and copy its results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for runs and rendered frames")
    parser.add_argument("--weights", type=Path, default=Path(os.environ.get("VFSS_SHARED", "")) / "weights")
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds of each row")
    parser.add_argument("--labels", default="5", help="labelled share in percent; comma-separated for several")
    parser.add_argument("--recipes", nargs="+", default=RECIPES, help="recipes of the table")
    parser.add_argument("--leave-one-out", action=argparse.BooleanOptionalAction, default=True)
    chosen = parser.parse_args()
    out = chosen.work / "out"
    command = [
        "ablate", *chosen.recipes,
        "--leave-one-out" if chosen.leave_one_out else "--no-leave-one-out",
        "--over", str(HERE / "agglomeration.yaml"),
        "--labels", chosen.labels,
        "--seeds", str(chosen.seeds),
        "--examine", "standard:140000:60,harsh:150000:60",
        "--backbone-weights", str(chosen.weights / BACKBONE),
        "--teachers", str(chosen.weights),
        "--cache", str(chosen.work / "cache"),
        "--workers", "0",
        "--threads", "1",
        "--out", str(out),
    ]  # fmt: skip
    subprocess.run([sys.executable, "-m", "vfss_training.cli", *command], check=True)
    figures = json.loads((out / "ablation.json").read_text("utf-8"))
    command_line = shlex.join(["python", "benchmarks/agglomeration.py", *sys.argv[1:]])
    figures["benchmark"] = f"VFSS_SHARED=FOLDER {command_line.replace(str(chosen.work), 'FOLDER')}"
    (RESULTS / "agglomeration.json").write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
    shutil.copy(out / "table.md", RESULTS / "agglomeration.md")
    for name in PLOTS:
        if (out / f"{name}.png").is_file():
            shutil.copy(out / f"{name}.png", RESULTS / f"agglomeration_{name}.png")
    print((out / "table.md").read_text("utf-8"))


if __name__ == "__main__":
    main()
