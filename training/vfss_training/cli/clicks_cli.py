# SPDX-License-Identifier: Apache-2.0
"""vfss-train clicks: teaches a student to take clicks, boxes and a neighbour frame's masks."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from vfss_training.cli.errors import complaining


def clicks(  # noqa: PLR0917  (typer calls it by name)
    student: Annotated[str, typer.Argument(help="Student to teach: a file, or 'default'.")],
    out: Annotated[Path, typer.Option(help="Student file to write.")],
    recipe: Annotated[str, typer.Option(help="Recipe: a YAML file, or the name of one that ships.")] = "clicks",
    steps: Annotated[int | None, typer.Option(help="Optimiser steps, instead of the recipe's.")] = None,
    minutes: Annotated[float | None, typer.Option(help="End the schedule after this time at the latest.")] = None,
    cache: Annotated[Path | None, typer.Option(help="Folder for rendered phantom frames.")] = None,
    events: Annotated[str, typer.Option(help="Where progress goes as JSON lines: a file, or -.")] = "-",
    workers: Annotated[int, typer.Option(help="Processes that make batches.")] = 1,
    threads: Annotated[int, typer.Option(help="Threads of torch; 0: all processors.")] = 0,
) -> None:
    """Teach a STUDENT to take prompts, from phantom frames; its proposals stay as they are."""
    from vfss_training.config.recipe import load_recipe
    from vfss_training.events import Cancel, Events
    from vfss_training.loop.run import Run, default_cache
    from vfss_training.studies import fit

    words = [Path(word).name for word in sys.argv[1:]]
    with complaining(), Events.opened(events) as told, Cancel().listening() as cancel:
        chosen = load_recipe(recipe)
        if steps is not None:
            chosen = chosen.but(clicks=replace(chosen.clicks, steps=steps))
        command = shlex.join(["vfss-train", *words])
        run = Run(told, cancel, command, cache or default_cache(), None, minutes, False, workers, threads)
        fit.teach(chosen, out, run, student=student)
