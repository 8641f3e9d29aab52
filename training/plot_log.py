# SPDX-License-Identifier: Apache-2.0
"""Draw the log of a training: loss, and Dice on the validation frames by structure and by held-out style.

Run: python training/plot_log.py LOG.jsonl OUT.png
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import matplotlib as mpl


def main() -> None:
    """Read the log and write the picture."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    log, out = Path(sys.argv[1]), Path(sys.argv[2])
    events = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    steps = [entry for entry in events if entry["event"] == "step"]
    validations = [entry for entry in events if entry["event"] == "validation"]
    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 4.5))
    left.semilogy([entry["step"] for entry in steps], [entry["loss"] for entry in steps], lw=0.5, color="#3F7BFF")
    left.set(xlabel="step", ylabel="loss")
    for key in validations[-1]["structures"]:
        dice = [entry["structures"][key] for entry in validations]
        right.plot([entry["step"] for entry in validations], dice, lw=1, label=key)
    mean = [entry["mean_dice"] for entry in validations]
    right.plot([entry["step"] for entry in validations], mean, lw=3, color="black", label=f"mean: {mean[-1]:.3f}")
    for style in validations[-1].get("styles", ()):
        dice = [entry["styles"][style] for entry in validations]
        right.plot([entry["step"] for entry in validations], dice, lw=1.5, ls="--", label=f"style {style}")
    kept = [entry for entry in validations if entry.get("best")]
    if kept:
        right.axvline(kept[-1]["step"], color="grey", lw=1, label=f"kept: step {kept[-1]['step']}")
    right.set(xlabel="step", ylabel="Dice at a quarter of the input's size", ylim=(0, 1))
    right.legend(loc="lower right", ncols=3, fontsize=8)
    figure.tight_layout()
    figure.savefig(out, dpi=90)


if __name__ == "__main__":
    main()
