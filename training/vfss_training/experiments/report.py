# SPDX-License-Identifier: Apache-2.0
"""Report of an ablation: a table in Markdown, figures in JSON, and plots."""

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
from vfss_training.experiments.ablation import NOTHING, Row, stack_dice
from vfss_training.experiments.bootstrap import estimate, gain, mean_dice

Results = Mapping[tuple[str, float, int], Mapping[str, FloatArray]]


@dataclass(frozen=True)
class Report:
    """Results of all rows, shares of labels and seeds.

    Attributes:
        rows: Rows in the order of the table.
        results: Dice by style of each (row, share, seed), float64 (patients, S).
        shares: Shares of labels, ascending.
        seeds: Training seeds.
    """

    rows: tuple[Row, ...]
    results: Results
    shares: tuple[float, ...]
    seeds: tuple[int, ...]

    def dice(self, row: str, share: float) -> FloatArray:
        """Return the Dice over all styles, float64 (seeds, patients, S)."""
        return stack_dice(self.results, row, share, self.seeds)

    def style(self, row: str, share: float, style: str) -> float:
        """Return the mean Dice on one style."""
        return mean_dice(self._dice_of_style(row, share, style))

    def best_plain(self, share: float) -> str | None:
        """Return the best row with one teacher and nothing else; chosen on the test patients, which favours it."""
        plain = [row.name for row in self.rows if _is_plain(row)]
        return max(plain, key=lambda name: mean_dice(self.dice(name, share)), default=None)

    def figures(self, share: float) -> dict[str, Any]:
        """Return figures at one share of labels: Dice, gain over no distillation, and gain over the best plain row."""
        best = self.best_plain(share)
        rows = {}
        for row in self.rows:
            dice = self.dice(row.name, share)
            interval = estimate(dice).to_dict()
            rows[row.name] = {
                "dice_mean": interval["mean"],
                "dice_by_seed": [round(mean_dice(dice[i : i + 1]), 5) for i in range(len(dice))],
                "ci95": interval["ci95"],
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
        """Return all figures as plain data: those at the fewest labels at the top, all under "by_labels"."""
        by_labels = {f"{share:g}": self.figures(share) for share in self.shares}
        first = dict(by_labels[f"{self.shares[0]:g}"])
        if "full" in first["rows"] and first["best_plain"] is not None:
            first["full_minus_best_plain"] = first["rows"]["full"]["minus_best_plain"]
        return {"labels": self.shares[0], "seeds": list(self.seeds), **first, "by_labels": by_labels}

    def table(self) -> str:
        """Return Markdown: a line per row, a column per share of labels, and gains at the fewest labels."""
        heads = [f"{share:.0%} of the labels" for share in self.shares]
        few = self.figures(self.shares[0])["rows"]
        lines = [
            "| recipe | " + " | ".join(heads) + f" | over {NOTHING} | over the best plain |",
            "|" + "---|" * (len(heads) + 3),
        ]
        for row in self.rows:
            cells = [f"{100 * mean_dice(self.dice(row.name, share)):.1f}" for share in self.shares]
            cells += [_interval(few[row.name]["gain"]), _interval(few[row.name].get("minus_best_plain"))]
            lines.append(f"| {row.name} | " + " | ".join(cells) + " |")
        return "\n".join(lines) + "\n"

    def write(self, folder: Path, extra: Mapping[str, Any]) -> None:
        """Write table.md and ablation.json into a folder.

        Args:
            folder: The folder; made if it is missing.
            extra: Further entries of the JSON, such as the command.
        """
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / "table.md", self.table().encode())
        write_atomically(folder / "ablation.json", (json.dumps({**extra, **self.to_dict()}, indent=1) + "\n").encode())

    def plot(self, folder: Path) -> None:
        """Draw labels.png, Dice against labels by style, and structures.png, gain of each structure."""
        import matplotlib as mpl

        mpl.use("Agg")
        from matplotlib import pyplot as plt

        styles = list(self.results[NOTHING, self.shares[0], self.seeds[0]])
        figure, axes = plt.subplots(1, len(styles), figsize=(6 * len(styles), 4.5), squeeze=False, sharey=True)
        for axis, style in zip(axes[0], styles, strict=True):
            for row in self.rows:
                estimates = [estimate(self._dice_of_style(row.name, share, style)) for share in self.shares]
                at = [100 * share for share in self.shares]
                (line,) = axis.plot(at, [one.mean for one in estimates], "o-", ms=4, label=row.name)
                axis.fill_between(
                    at,
                    [one.low for one in estimates],
                    [one.high for one in estimates],
                    alpha=0.12,
                    color=line.get_color(),
                )
            axis.set(xscale="log", xlabel="share of the labels", ylabel="Dice", title=f"style {style}")
            axis.set_xticks([100 * share for share in self.shares], [f"{share:.0%}" for share in self.shares])
            axis.minorticks_off()
        axes[0][-1].legend(fontsize=7)
        figure.tight_layout()
        figure.savefig(folder / "labels.png", dpi=100)
        plt.close(figure)
        self._plot_structures(folder / "structures.png")

    def _dice_of_style(self, row: str, share: float, style: str) -> FloatArray:
        """Return the Dice on one style, float64 (seeds, patients, S)."""
        return np.stack([self.results[row, share, seed][style] for seed in self.seeds])

    def _plot_structures(self, path: Path) -> None:
        """Draw the gain of each structure over no distillation, at the fewest labels."""
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
    """Draw each teacher's weight over the steps, one panel per row; return False if there is nothing to draw.

    Args:
        weights: Steps and weights of each row, as Ablation.weights gives them.
        path: File to write.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    shown = {name: steps for name, steps in weights.items() if steps}
    if not shown:
        return False
    figure, axes = plt.subplots(1, len(shown), figsize=(5 * len(shown), 3.5), squeeze=False, sharey=True)
    for axis, (name, steps) in zip(axes[0], shown.items(), strict=True):
        for teacher in steps[0][1]:
            axis.plot([step for step, _ in steps], [one[teacher] for _, one in steps], ".-", lw=1, ms=3, label=teacher)
        axis.set(title=name, xlabel="step", ylabel="weight", ylim=(0, 1))
    axes[0][-1].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    plt.close(figure)
    return True


def _is_plain(row: Row) -> bool:
    """Return whether a row is plain distillation from one teacher."""
    recipe = row.recipe
    single = len(recipe.distill.teachers) == 1 and recipe.self_teaching.students == 0
    return single and recipe.name.startswith("plain")


def _interval(gain: Mapping[str, Any] | None) -> str:
    """Return a gain in Dice points with its interval: +2.1 (1.4 to 2.9)."""
    if gain is None:
        return ""
    low, high = gain["ci95"]
    return f"{100 * gain['mean']:+.1f} ({100 * low:.1f} to {100 * high:.1f})"
