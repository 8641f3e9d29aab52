# SPDX-License-Identifier: Apache-2.0
"""What an ablation found: a table in Markdown, the figures in JSON, and plots."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vfss.evaluation.bootstrap import FloatArray
from vfss.schema import Schema
from vfss.student.checkpoint import write_atomically
from vfss_training.experiments.ablation import NOTHING, Row, gathered
from vfss_training.experiments.bootstrap import estimate, gain, mean_dice

Results = Mapping[tuple[str, float, int], Mapping[str, FloatArray]]


@dataclass(frozen=True)
class Report:
    """Results of all rows, shares of labels and seeds.

    Attributes:
        rows: In the order of the table.
        results: Dice by style of each (row, share, seed), float64 (patients, S).
        shares: Of labels, rising.
        seeds: Of training.
    """

    rows: tuple[Row, ...]
    results: Results
    shares: tuple[float, ...]
    seeds: tuple[int, ...]

    def dice(self, row: str, share: float) -> FloatArray:
        """Dice over all styles, float64 (seeds, patients, S)."""
        return gathered(self.results, row, share, self.seeds)

    def style(self, row: str, share: float, style: str) -> float:
        """Mean Dice on one style."""
        return mean_dice(np.stack([self.results[row, share, seed][style] for seed in self.seeds]))

    def best_plain(self, share: float) -> str | None:
        """The best of the rows with one teacher and nothing else; chosen on the examination itself, in its favour."""
        plain = [row.name for row in self.rows if _is_plain(row)]
        return max(plain, key=lambda name: mean_dice(self.dice(name, share)), default=None)

    def figures(self, share: float) -> dict[str, Any]:
        """Figures at one share of labels: Dice of each row, its gain over no distillation and over the best plain."""
        best = self.best_plain(share)
        rows = {}
        for row in self.rows:
            dice = self.dice(row.name, share)
            told = estimate(dice).to_dict()
            rows[row.name] = {
                "dice_mean": told["mean"],
                "dice_by_seed": [round(mean_dice(dice[i : i + 1]), 5) for i in range(len(dice))],
                "ci95": told["ci95"],
                "styles": {
                    style: round(self.style(row.name, share, style), 5)
                    for style in self.results[row.name, share, self.seeds[0]]
                },
                "gain": gain(dice, self.dice(NOTHING, share)).to_dict(),
            }
            if best is not None:
                rows[row.name]["minus_best_plain"] = gain(dice, self.dice(best, share)).to_dict()
        return {"rows": rows, "best_plain": best}

    def to_dict(self) -> dict[str, Any]:
        """All figures as plain data: those at the fewest labels stand first, the others under "by_labels"."""
        by_labels = {f"{share:g}": self.figures(share) for share in self.shares}
        first = dict(by_labels[f"{self.shares[0]:g}"])
        if "full" in first["rows"] and first["best_plain"] is not None:
            first["full_minus_best_plain"] = first["rows"]["full"]["minus_best_plain"]
        return {"labels": self.shares[0], "seeds": list(self.seeds), **first, "by_labels": by_labels}

    def table(self) -> str:
        """Markdown: a row per way of training, a column per share of labels, and gains at the fewest labels."""
        heads = [f"{share:.0%} of the labels" for share in self.shares]
        few = self.figures(self.shares[0])["rows"]
        lines = [
            "| way of training | " + " | ".join(heads) + f" | over {NOTHING} | over the best plain |",
            "|" + "---|" * (len(heads) + 3),
        ]
        for row in self.rows:
            cells = [f"{100 * mean_dice(self.dice(row.name, share)):.1f}" for share in self.shares]
            cells += [_interval(few[row.name]["gain"]), _interval(few[row.name].get("minus_best_plain"))]
            lines.append(f"| {row.name} | " + " | ".join(cells) + " |")
        return "\n".join(lines) + "\n"

    def write(self, folder: Path, besides: Mapping[str, Any]) -> None:
        """Write table.md and ablation.json into a folder.

        Args:
            folder: Where.
            besides: What else the JSON says, such as the command.
        """
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / "table.md", self.table().encode())
        write_atomically(
            folder / "ablation.json", (json.dumps({**besides, **self.to_dict()}, indent=1) + "\n").encode()
        )

    def plot(self, folder: Path) -> None:
        """Draw labels.png, Dice against labels by style, and structures.png, gain of each structure."""
        import matplotlib as mpl

        mpl.use("Agg")
        from matplotlib import pyplot as plt

        styles = list(self.results[NOTHING, self.shares[0], self.seeds[0]])
        figure, axes = plt.subplots(1, len(styles), figsize=(6 * len(styles), 4.5), squeeze=False, sharey=True)
        for axis, style in zip(axes[0], styles, strict=True):
            for row in self.rows:
                found = [estimate(self._of_style(row.name, share, style)) for share in self.shares]
                at = [100 * share for share in self.shares]
                (line,) = axis.plot(at, [one.mean for one in found], "o-", ms=4, label=row.name)
                axis.fill_between(
                    at, [one.low for one in found], [one.high for one in found], alpha=0.12, color=line.get_color()
                )
            axis.set(xscale="log", xlabel="share of the labels", ylabel="Dice", title=f"style {style}")
            axis.set_xticks([100 * share for share in self.shares], [f"{share:.0%}" for share in self.shares])
            axis.minorticks_off()
        axes[0][-1].legend(fontsize=7)
        figure.tight_layout()
        figure.savefig(folder / "labels.png", dpi=100)
        plt.close(figure)
        self._plot_structures(folder / "structures.png")

    def _of_style(self, row: str, share: float, style: str) -> FloatArray:
        return np.stack([self.results[row, share, seed][style] for seed in self.seeds])

    def _plot_structures(self, path: Path) -> None:
        from matplotlib import pyplot as plt

        share, keys = self.shares[0], Schema.load().keys
        before = np.nanmean(self.dice(NOTHING, share), axis=(0, 1))
        others = [row for row in self.rows if row.name != NOTHING]
        figure, axis = plt.subplots(figsize=(11, 4.5))
        for i, row in enumerate(others):
            gains = 100 * (np.nanmean(self.dice(row.name, share), axis=(0, 1)) - before)
            axis.bar(np.arange(len(keys)) + i / (len(others) + 1), gains, 1 / (len(others) + 1), label=row.name)
        axis.axhline(0, color="black", lw=0.8)
        axis.set_xticks(np.arange(len(keys)) + 0.4, keys, rotation=30)
        axis.set(ylabel=f"Dice points over {NOTHING}", title=f"{share:.0%} of the labels")
        axis.legend(fontsize=7)
        figure.tight_layout()
        figure.savefig(path, dpi=100)
        plt.close(figure)


def plot_weights(weights: Mapping[str, Sequence[tuple[int, Mapping[str, float]]]], path: Path) -> bool:
    """Draw what each teacher weighed over the steps, a panel per way of training; False where there is nothing.

    Args:
        weights: Steps and weights of each row, as Ablation.weights gives them.
        path: The picture.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    shown = {name: told for name, told in weights.items() if told}
    if not shown:
        return False
    figure, axes = plt.subplots(1, len(shown), figsize=(5 * len(shown), 3.5), squeeze=False, sharey=True)
    for axis, (name, told) in zip(axes[0], shown.items(), strict=True):
        for teacher in told[0][1]:
            axis.plot([step for step, _ in told], [one[teacher] for _, one in told], ".-", lw=1, ms=3, label=teacher)
        axis.set(title=name, xlabel="step", ylabel="weight", ylim=(0, 1))
    axes[0][-1].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    plt.close(figure)
    return True


def _is_plain(row: Row) -> bool:
    how = row.recipe
    return len(how.distill.teachers) == 1 and how.self_teaching.students == 0 and how.name.startswith("plain")


def _interval(told: Mapping[str, Any] | None) -> str:
    """A gain in Dice points with its interval: +2.1 (1.4 to 2.9)."""
    if told is None:
        return ""
    low, high = told["ci95"]
    return f"{100 * told['mean']:+.1f} ({100 * low:.1f} to {100 * high:.1f})"
