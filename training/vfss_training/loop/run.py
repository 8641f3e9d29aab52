# SPDX-License-Identifier: Apache-2.0
"""Run: where and under what circumstances a training runs, and running it."""

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
from vfss_training.loop.reporting import write_circumstances
from vfss_training.loop.task import Task


@dataclass(frozen=True)
class Run:
    """Where and under what circumstances a training runs.

    Attributes:
        events: Where it tells.
        cancel: How it is stopped.
        command: Command line, for provenance.
        cache: Folder for rendered phantom frames.
        folder: Folder for the state, to be taken up again; None: none.
        minutes: Time limit of the schedule; None: by steps alone.
        allow_recipe_change: The folder's run may go on under another recipe.
        workers: Processes that make batches.
        threads: Threads of torch; 0: as many as there are processors.
        teachers: File or folder of a teacher's weights; None: the user's cache folder.
        compiled: Compile the network first: minutes for every input size, a quarter less for each step then.
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
    """The user's cache folder for rendered frames."""
    return user_cache_path("napari-vfss") / "phantom"


def train(task: Task, run: Run, parent: Checkpoint | None = None) -> tuple[StudentNetwork, dict[str, Any]]:
    """The trained network, and for its provenance how the run went and which step's weights these are."""
    torch.set_num_threads(run.threads or max(1, os.cpu_count() or 1))
    torch.manual_seed(task.recipe.seed)
    if run.folder is not None and leads():
        told = {"command": run.command, "parent": None if parent is None else parent.id, "data": dict(task.source)}
        write_circumstances(run.folder, task.recipe, told)
    task = replace(
        task,
        run=run.folder,
        allow_recipe_change=run.allow_recipe_change,
        minutes=run.minutes,
        workers=run.workers,
        compiled=run.compiled,
    )
    loop = Loop(task, run.events, run.cancel)
    return loop.run(), {"history": loop.history, "chosen": loop.choice.to_dict()}
