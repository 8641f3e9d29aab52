# SPDX-License-Identifier: Apache-2.0
"""How else a training tells: a progress bar in a terminal, and curves and all it takes to repeat it in its folder."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from vfss.errors import TrainingError
from vfss.student.checkpoint import write_whole
from vfss_training.config.recipe import Recipe

VERSIONS = ("napari-vfss", "torch", "timm", "segment-anything", "lightning", "openvino", "onnx", "numpy")
_GIGABYTE = 1e9


class Bar:
    """A progress bar in a terminal."""

    def __init__(self, console: Console) -> None:
        """Show it there once something has been told."""
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[told]}"), TimeElapsedColumn(),
            console=console,
        )  # fmt: skip
        self._task: TaskID | None = None

    @classmethod
    @contextmanager
    def shown(cls, console: Console | None = None) -> Iterator[Bar]:
        """A bar as long as the block lasts."""
        bar = cls(Console() if console is None else console)
        with bar._progress:
            yield bar

    def __call__(self, event: str, fields: Mapping[str, Any]) -> None:
        """Show an event."""
        if event == "disk":
            size = fields["bytes"] / _GIGABYTE
            self._console.print(f"{fields['of']}: up to {size:.1f} GB in {fields['folder']}", markup=False)
        elif event == "prepare":
            self._move("Preparing", fields["done"], fields["total"], "")
        elif event == "start":
            self._task = self._progress.add_task("Training", total=fields["total_steps"], told="")
        elif event == "step":
            left = f"{_minutes(fields['remaining_s'])} left, loss {fields['loss']:.3f}"
            self._move("Training", fields["step"], None, left)
        elif event == "validation":
            self._console.print(f"step {fields['step']}: mean Dice {fields['mean_dice']:.3f} on what is held out")
        elif event == "done":
            self._console.print(f"The new student: {fields['student']}\n{fields['path']}", markup=False)

    def _move(self, what: str, done: int, total: int | None, told: str) -> None:
        if self._task is None or self._progress.tasks[self._task].description != what:
            self._task = self._progress.add_task(what, total=total, told=told)
        self._progress.update(self._task, completed=done, told=told)


def _minutes(seconds: float) -> str:
    """Time in words: 45 s, 12 min, 2 h 05 min."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


class Curves:
    """Events of a run as TensorBoard curves and JSON lines, in its folder."""

    def __init__(self, folder: Path) -> None:
        """Write into that folder, after what an earlier process wrote there.

        Raises:
            TrainingError: It cannot be written to.
        """
        # Nearly a second to import, for those who keep curves.
        from tensorboardX import SummaryWriter

        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lines = (folder / "events.jsonl").open("a", encoding="utf-8")
            self._writer = SummaryWriter(str(folder / "tensorboard"))
        except OSError as error:
            raise TrainingError(f"cannot write the run's folder ({error})", path=folder) from error

    @classmethod
    @contextmanager
    def kept(cls, folder: Path) -> Iterator[Curves]:
        """Curves as long as the block lasts."""
        curves = cls(folder)
        try:
            yield curves
        finally:
            curves._writer.close()
            curves._lines.close()

    def __call__(self, event: str, fields: Mapping[str, Any]) -> None:
        """Keep an event."""
        self._lines.write(json.dumps({"event": event, **fields}) + "\n")
        self._lines.flush()
        if event not in ("step", "validation"):
            return
        for name, value in _scalars(fields):
            self._writer.add_scalar(f"{event}/{name}", value, int(fields["step"]))


def _scalars(fields: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Names and values of all numbers in an event, those of inner mappings as outer/inner."""
    for name, value in fields.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}/{inner}", number) for inner, number in _scalars(value))
        elif isinstance(value, (int, float)) and not isinstance(value, bool) and name != "step":
            yield name, float(value)


def versions() -> dict[str, str]:
    """Versions of what the numbers depend on."""
    return {name: metadata.version(name) for name in VERSIONS} | {"python": platform.python_version()}


def write_circumstances(folder: Path, recipe: Recipe, told: Mapping[str, Any]) -> None:
    """All it takes to repeat a run: recipe.yaml, and run.json with command, seed, versions and hashes of the data.

    Args:
        folder: The run's folder.
        recipe: How.
        told: Command, and hashes of what is learnt from and gone on from.

    Raises:
        TrainingError: The folder cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / "recipe.yaml", yaml.safe_dump(_plain(recipe.to_dict()), sort_keys=False).encode())
        about = {**told, "seed": recipe.seed, "versions": versions(), "machine": platform.platform()}
        write_whole(folder / "run.json", (json.dumps(about, indent=1) + "\n").encode())
    except OSError as error:
        raise TrainingError(f"cannot write the run's folder ({error})", path=folder) from error


def _plain(value: Any) -> Any:
    """Data without tuples, as YAML has it."""
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, (list, tuple)) else value
