# SPDX-License-Identifier: Apache-2.0
"""Options that several commands share, and the command line as provenance records it."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

BackboneWeights = Annotated[
    Path | None, typer.Option("--backbone-weights", help="ImageNet weights for the backbone, a .pth file.")
]
Cache = Annotated[Path | None, typer.Option("--cache", help="Folder for rendered frames and teachers' targets.")]
EventsTarget = Annotated[
    str, typer.Option("--events", help="Where progress goes as JSON lines: a file, or - for standard output.")
]
Minutes = Annotated[float | None, typer.Option("--minutes", help="Time limit of the schedule, in minutes.")]
StartingStudent = Annotated[
    str | None, typer.Option("--student", help="Student to start from: a file, an id, or 'default'.")
]
Steps = Annotated[int | None, typer.Option("--steps", help="Optimiser steps; overrides the recipe.")]
TeacherWeights = Annotated[
    Path | None, typer.Option("--teachers", help="Folder with the weights of teachers. Default: your cache folder.")
]
Threads = Annotated[int, typer.Option("--threads", help="Threads to compute with; 0: all processors.")]
Workers = Annotated[int, typer.Option("--workers", help="Processes that prepare batches.")]


def command_line(projects: Sequence[Path] = ()) -> str:
    """Return the command line without folders, which may name patients or people: it goes into the student's file."""
    arguments = ["PROJECT" if Path(argument) in projects else Path(argument).name for argument in sys.argv[1:]]
    return shlex.join(["vfss-train", *arguments])
