# SPDX-License-Identifier: Apache-2.0
"""vfss-train fit: train a student on projects, or on phantom frames alone."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vfss_training.cli.errors import LEFT_OUT, errors_to_stderr, report_outcome
from vfss_training.cli.options import (
    BackboneWeights,
    Cache,
    Minutes,
    StartingStudent,
    Steps,
    TeacherWeights,
    Threads,
    Workers,
    command_line,
)

if TYPE_CHECKING:
    from vfss_training.config.recipe import Recipe
    from vfss_training.events import Events, Listener


def fit(  # noqa: PLR0917  (typer calls it by name)
    project: Annotated[
        list[Path] | None, typer.Argument(help="Projects with accepted annotations; the first one gets the student.")
    ] = None,
    phantom: Annotated[bool, typer.Option(help="Train on phantom frames alone.")] = False,
    recipe: Annotated[
        str | None,
        typer.Option(
            help="Recipe: a YAML file, or the name of one that ships. Default: quick; default with --phantom."
        ),
    ] = None,
    student: StartingStudent = None,
    from_scratch: Annotated[bool, typer.Option(help="Start from random weights.")] = False,
    backbone_weights: BackboneWeights = None,
    out: Annotated[Path | None, typer.Option(help="Student file to write (with --phantom).")] = None,
    run: Annotated[
        Path | None, typer.Option(help="Folder for the run's state; the same command again resumes it.")
    ] = None,
    change_recipe: Annotated[bool, typer.Option(help="Let a resumed run continue under another recipe.")] = False,
    steps: Steps = None,
    minutes: Minutes = None,
    seed: Annotated[int | None, typer.Option(help="Seed; overrides the recipe.")] = None,
    events: Annotated[
        str, typer.Option(help="Where progress goes as JSON lines: a file, or -. Default: a bar in a terminal, else -.")
    ] = "",
    cache: Cache = None,
    teachers: TeacherWeights = None,
    taught_by: Annotated[str | None, typer.Option(help="Comma-separated teacher names; overrides the recipe.")] = None,
    workers: Workers = 1,
    compiled: Annotated[bool, typer.Option(help="Compile the network first; needs a C++ compiler.")] = False,
    threads: Threads = 0,
    choose: Annotated[
        bool | None,
        typer.Option(
            "--choose/--no-choose",
            help="Whether the new student proposes from now on. Default: if the project has none of its own and "
            "the gate offers the new one.",
        ),
    ] = None,
) -> None:
    """Train on a PROJECT, starting from its current student, or with --phantom on phantom frames.

    Recordings, frames and masks that cannot be read are left out and named; the exit code is then 3.
    """
    # These take seconds to import, which --help need not wait for.
    from vfss_training.config.recipe import load_recipe
    from vfss_training.events import Cancel
    from vfss_training.loop.reporting import Notices
    from vfss_training.loop.run import Run, default_cache
    from vfss_training.studies.fit import fit_phantom, fit_project

    if phantom in (bool(project), out is None):
        raise typer.BadParameter("name a PROJECT, or give --phantom and --out FILE, one of the two")
    notices = Notices()
    with (
        errors_to_stderr(),
        _open_events(events, run, notices) as stream,
        Cancel().on_signals() as cancel,
        report_outcome(stream),
    ):
        loaded = load_recipe(recipe or ("default" if phantom or from_scratch else "quick"))
        chosen = _overridden(loaded, steps, seed, taught_by)
        settings = Run(
            events=stream,
            cancel=cancel,
            command=command_line(project or ()),
            cache=default_cache() if cache is None else cache,
            folder=run,
            minutes=minutes,
            allow_recipe_change=change_recipe,
            workers=workers,
            threads=threads,
            teachers=teachers,
            compiled=compiled,
        )
        if project:
            fit_project(
                project,
                chosen,
                settings,
                student=student,
                scratch=from_scratch,
                backbone=backbone_weights,
                choose=choose,
            )
        elif out is not None:
            fit_phantom(chosen, out, settings, backbone=backbone_weights, student=student)
    if notices.left_out:
        raise typer.Exit(LEFT_OUT)


def _overridden(recipe: Recipe, steps: int | None, seed: int | None, taught_by: str | None) -> Recipe:
    """Return the recipe with the values that the command line overrides."""
    recipe = recipe.but(**{name: value for name, value in {"steps": steps, "seed": seed}.items() if value is not None})
    if taught_by is None:
        return recipe
    names = tuple(name.strip() for name in taught_by.split(",") if name.strip())
    return recipe.but(distill=replace(recipe.distill, teachers=names))


@contextmanager
def _open_events(target: str, run: Path | None, notices: Listener) -> Iterator[Events]:
    """Open the events of this training; they also go to the run's folder, and to a bar if nothing else was asked for.

    Of several processes only the first one writes events.
    """
    from vfss_training.events import Events
    from vfss_training.loop.distributed import leads
    from vfss_training.loop.reporting import Curves, ProgressBar

    with ExitStack() as stack:
        listeners: list[Listener] = [notices]
        if not leads():
            yield Events(None)
            return
        if not target and sys.stdout.isatty():
            listeners.append(stack.enter_context(ProgressBar.shown()))
        elif not target:
            target = "-"
        if run is not None:
            listeners.append(stack.enter_context(Curves.kept(run)))
        yield stack.enter_context(Events.open(target, *listeners))
