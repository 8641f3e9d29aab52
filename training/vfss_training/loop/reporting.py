# SPDX-License-Identifier: Apache-2.0
"""Reports of a training besides its events: a progress bar, curves, and the files needed to repeat a run."""

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
from vfss.student.checkpoint import write_atomically
from vfss_training.config.recipe import Recipe

VERSIONS = ("napari-vfss", "torch", "timm", "segment-anything", "lightning", "openvino", "onnx", "numpy")
_GIGABYTE = 1e9


class ProgressBar:
    """A progress bar in a terminal, a listener of events."""

    def __init__(self, console: Console) -> None:
        """Show it in a console, from the first event on."""
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[message]}"), TimeElapsedColumn(),
            console=console,
        )  # fmt: skip
        self._task: TaskID | None = None

    @classmethod
    @contextmanager
    def shown(cls, console: Console | None = None) -> Iterator[ProgressBar]:
        """Show a bar while the block runs."""
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
            self._task = self._progress.add_task("Training", total=fields["total_steps"], message="")
        elif event == "step":
            message = f"{_duration(fields['remaining_s'])} left, loss {fields['loss']:.3f}"
            self._move("Training", fields["step"], None, message)
        elif event == "validation":
            self._console.print(f"step {fields['step']}: mean Dice {fields['mean_dice']:.3f} on held-out frames")
        elif event == "done":
            self._console.print(f"The new student: {fields['student']}\n{fields['path']}", markup=False)

    def _move(self, what: str, done: int, total: int | None, message: str) -> None:
        """Show `done` steps of a bar, which is added if the last one is of something else."""
        if self._task is None or self._progress.tasks[self._task].description != what:
            self._task = self._progress.add_task(what, total=total, message=message)
        self._progress.update(self._task, completed=done, message=message)


def _duration(seconds: float) -> str:
    """Return a duration as text: 45 s, 12 min, 2 h 05 min."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


class Notices:
    """Prints what a person must know to standard error, a listener of events.

    Attributes:
        left_out: True once something could not be read and was left out.
    """

    def __init__(self) -> None:
        """Print nothing yet."""
        self.left_out = False

    def __call__(self, event: str, fields: Mapping[str, Any]) -> None:
        """Print a message."""
        if event in ("notice", "left_out"):
            self.left_out = self.left_out or event == "left_out"
            Console(stderr=True).print(fields["message"], style="yellow", markup=False, soft_wrap=True)


class Curves:
    """Writes the events of a run into its folder, as TensorBoard curves and JSON lines."""

    def __init__(self, folder: Path) -> None:
        """Open the files of a folder; what an earlier process wrote there stays.

        Raises:
            TrainingError: The folder cannot be written to.
        """
        # Takes nearly a second to import, so it is imported only if curves are kept.
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
        """Keep curves while the block runs."""
        curves = cls(folder)
        try:
            yield curves
        finally:
            curves._writer.close()
            curves._lines.close()

    def __call__(self, event: str, fields: Mapping[str, Any]) -> None:
        """Write an event."""
        self._lines.write(json.dumps({"event": event, **fields}) + "\n")
        self._lines.flush()
        if event not in ("step", "validation"):
            return
        for name, value in _scalars(fields):
            self._writer.add_scalar(f"{event}/{name}", value, int(fields["step"]))


def _scalars(fields: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield name and value of all numbers in an event, those of nested mappings as outer/inner."""
    for name, value in fields.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}/{inner}", number) for inner, number in _scalars(value))
        elif isinstance(value, (int, float)) and not isinstance(value, bool) and name != "step":
            yield name, float(value)


def versions() -> dict[str, str]:
    """Return the versions of the packages that the results depend on."""
    return {name: metadata.version(name) for name in VERSIONS} | {"python": platform.python_version()}


def write_run_files(folder: Path, recipe: Recipe, origin: Mapping[str, Any]) -> None:
    """Write what is needed to repeat a run: recipe.yaml, and run.json with command, seed, versions and hashes of data.

    Args:
        folder: The run's folder.
        recipe: Training recipe.
        origin: Command, and hashes of the data and of the student that the run starts from.

    Raises:
        TrainingError: The folder cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / "recipe.yaml", yaml.safe_dump(_plain(recipe.to_dict()), sort_keys=False).encode())
        about = {**origin, "seed": recipe.seed, "versions": versions(), "machine": platform.platform()}
        write_atomically(folder / "run.json", (json.dumps(about, indent=1) + "\n").encode())
    except OSError as error:
        raise TrainingError(f"cannot write the run's folder ({error})", path=folder) from error


def _plain(value: Any) -> Any:
    """Return data without tuples, which YAML does not have."""
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, (list, tuple)) else value
