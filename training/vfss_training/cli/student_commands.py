# SPDX-License-Identifier: Apache-2.0
"""vfss-train plan: what a training on a project would take, before it begins."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vfss_training.cli.errors import complaining

if TYPE_CHECKING:
    from vfss_training.studies.time_plan import Plan


def plan(  # noqa: PLR0917  (typer calls it by name)
    project: Annotated[Path, typer.Argument(help="Project that would be learnt from.")],
    recipe: Annotated[list[str] | None, typer.Option(help="Recipe: a file or a name. [quick and distil]")] = None,
    student: Annotated[str | None, typer.Option(help="Student to go on from: a file, an id, or 'default'.")] = None,
    teachers: Annotated[Path | None, typer.Option(help="Folder with the weights of teachers.")] = None,
    cache: Annotated[Path | None, typer.Option(help="Folder for rendered frames and speeds.")] = None,
    events: Annotated[str, typer.Option(help="Where the plan goes as JSON lines: a file, or -.")] = "",
    threads: Annotated[int, typer.Option(help="Threads of torch; 0: all processors.")] = 0,
) -> None:
    """Say how long recipes would take on PROJECT, with the teachers on this machine; measured once, then kept."""
    from vfss.project import Project
    from vfss.project.parents import previous_student
    from vfss.student import load_checkpoint
    from vfss_training.config.recipe import load_recipe
    from vfss_training.events import Cancel, Events
    from vfss_training.loop.run import Run, default_cache
    from vfss_training.studies.time_plan import Planner

    shown = not events and sys.stdout.isatty()
    with (
        complaining(),
        Events.opened(events or ("" if shown else "-")) as told,
        Cancel().listening() as cancel,
        Project.open(project) as opened,
    ):
        place = default_cache() if cache is None else cache
        run = Run(told, cancel, "vfss-train plan", place, threads=threads, teachers=teachers)
        planner = Planner(opened, load_checkpoint(previous_student(opened, student)), run)
        for name in recipe or ("quick", "distil"):
            found = planner.plan(load_recipe(name))
            told.tell("plan", **found.to_dict())
            if shown:
                typer.echo(in_words(found))


def in_words(plan: Plan) -> str:
    """A plan as one line for a terminal."""
    teachers = "".join(f", +{one.seconds / 60:.0f} min with {one.name}" for one in plan.teachers)
    frames = f"{plan.frames} labelled frames, {plan.film} without labels"
    return f"{plan.recipe}: {frames}, {plan.seconds / 60:.0f} min{teachers}"
