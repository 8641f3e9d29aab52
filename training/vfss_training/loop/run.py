# SPDX-License-Identifier: Apache-2.0
"""Run: the settings of a training that are not part of its recipe, and the function that runs a task."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from platformdirs import user_cache_path

from vfss.student.checkpoint import Checkpoint
from vfss.student.network.student import StudentNetwork
from vfss_training.events import Cancel, Events
from vfss_training.loop.distributed import leads
from vfss_training.loop.loop import Loop
from vfss_training.loop.reporting import write_run_files
from vfss_training.loop.task import Task


@dataclass(frozen=True)
class Run:
    """Settings of a training that are not part of its recipe: cache, events, cancellation, processes.

    Attributes:
        events: Receives the progress.
        cancel: Request to cancel.
        command: Command line, for provenance.
        cache: Folder for rendered phantom frames and targets.
        folder: Folder for the state of the run, so that it can be resumed; None: no state is kept.
        minutes: Time limit of the schedule; None: all steps are done.
        allow_recipe_change: Let the folder's run continue under another recipe.
        workers: Processes that make batches.
        threads: Threads of torch; 0: as many as there are processors.
        teachers: File or folder of the teachers' weights; None: the user's cache folder.
        compiled: Compile the network first: minutes for every input size, then a quarter less time per step.
    """

    events: Events
    cancel: Cancel
    command: str
    cache: Path
    folder: Path | None = None
    minutes: float | None = None
    allow_recipe_change: bool = False
    workers: int = 1
    threads: int = 0
    teachers: Path | None = None
    compiled: bool = False


def default_cache() -> Path:
    """Return the user's cache folder for rendered frames."""
    return user_cache_path("napari-vfss") / "phantom"


def train(task: Task, run: Run, parent: Checkpoint | None = None) -> tuple[StudentNetwork, dict[str, Any]]:
    """Train a task's network.

    Args:
        task: The task; where its state is kept, time limit and processes are taken from the run.
        run: Run settings.
        parent: Student that the training starts from, for provenance; None: random weights.

    Returns:
        The trained network, and for its provenance the history of the run and which step's weights these are.
    """
    torch.set_num_threads(run.threads or max(1, os.cpu_count() or 1))
    torch.manual_seed(task.recipe.seed)
    if run.folder is not None and leads():
        parent_id = None if parent is None else parent.id
        write_run_files(
            run.folder, task.recipe, {"command": run.command, "parent": parent_id, "data": dict(task.source)}
        )
    task = replace(
        task,
        run=run.folder,
        cache=run.cache,
        allow_recipe_change=run.allow_recipe_change,
        minutes=run.minutes,
        workers=run.workers,
        compiled=run.compiled,
    )
    loop = Loop(task, run.events, run.cancel)
    network = loop.run()
    return network, {
        "history": loop.history,
        "arithmetic": loop.arithmetic.to_dict(),
        "chosen": loop.choice.to_dict(),
    }
