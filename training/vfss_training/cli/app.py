# SPDX-License-Identifier: Apache-2.0
"""vfss-train: trains students."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vfss_training.cli import teachers as teachers_cli
from vfss_training.cli.ablate import ablate
from vfss_training.cli.errors import errors_to_stderr, report_outcome
from vfss_training.cli.student_commands import average, calibrate, clicks, learn, plan

if TYPE_CHECKING:
    from vfss_training.events import Events

application = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Train the student that proposes masks.",
    pretty_exceptions_enable=False,
)


@application.callback()
def _commands() -> None:
    """Train the student that proposes masks."""


@application.command()
def fit(  # noqa: PLR0917  (typer calls it by name)
    project: Annotated[
        list[Path] | None, typer.Argument(help="Projects whose accepted annotations to learn from; the first gets it.")
    ] = None,
    phantom: Annotated[bool, typer.Option(help="Learn from phantom frames alone.")] = False,
    recipe: Annotated[
        str | None, typer.Option(help="Recipe: a YAML file, or the name of one that ships. [quick, or default]")
    ] = None,
    student: Annotated[str | None, typer.Option(help="Student to go on from: a file, an id, or 'default'.")] = None,
    from_scratch: Annotated[bool, typer.Option(help="Begin with random weights.")] = False,
    backbone_weights: Annotated[Path | None, typer.Option(help="ImageNet weights for the backbone.")] = None,
    out: Annotated[Path | None, typer.Option(help="Student file to write (with --phantom).")] = None,
    run: Annotated[Path | None, typer.Option(help="Folder for the run's state; the same again goes on.")] = None,
    change_recipe: Annotated[bool, typer.Option(help="Let that run go on under another recipe.")] = False,
    steps: Annotated[int | None, typer.Option(help="Optimiser steps, instead of the recipe's.")] = None,
    minutes: Annotated[float | None, typer.Option(help="End the schedule after this time at the latest.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed, instead of the recipe's.")] = None,
    events: Annotated[
        str, typer.Option(help="Where progress goes as JSON lines: a file, or -. In a terminal: a bar.")
    ] = "",
    cache: Annotated[Path | None, typer.Option(help="Folder for rendered phantom frames.")] = None,
    teachers: Annotated[Path | None, typer.Option(help="Weights of the teacher: file or folder.")] = None,
    taught_by: Annotated[str | None, typer.Option(help="Teachers, instead of the recipe's: names with commas.")] = None,
    workers: Annotated[int, typer.Option(help="Processes that make batches.")] = 1,
    compiled: Annotated[bool, typer.Option(help="Compile the network first; needs a C++ compiler.")] = False,
    threads: Annotated[int, typer.Option(help="Threads of torch; 0: all processors.")] = 0,
) -> None:
    """Train on a PROJECT, going on from its current student, or with --phantom on phantom frames."""
    # These take seconds to import, which --help need not wait for.
    from vfss_training.config.recipe import load_recipe
    from vfss_training.events import Cancel
    from vfss_training.loop import run as running
    from vfss_training.studies import fit as fitting

    if phantom in (bool(project), out is None):
        raise typer.BadParameter("name a PROJECT, or give --phantom and --out FILE, one of the two")
    with errors_to_stderr(), _told(events, run) as told, Cancel().listening() as cancel, report_outcome(told):
        chosen = load_recipe(recipe or ("default" if phantom or from_scratch else "quick"))
        chosen = chosen.but(**{k: v for k, v in {"steps": steps, "seed": seed}.items() if v is not None})
        if taught_by is not None:
            names = tuple(name.strip() for name in taught_by.split(",") if name.strip())
            chosen = chosen.but(distill=replace(chosen.distill, teachers=names))
        place = cache if cache is not None else running.default_cache()
        told_how = _command(project or ())
        how = (run, minutes, change_recipe, workers, threads, teachers, compiled)
        circumstances = running.Run(told, cancel, told_how, place, *how)
        if project:
            fitting.fit_project(
                project, chosen, circumstances, student=student, scratch=from_scratch, backbone=backbone_weights
            )
        elif out is not None:
            fitting.fit_phantom(chosen, out, circumstances, backbone=backbone_weights, student=student)


application.command()(ablate)
application.command()(average)
application.command()(calibrate)
application.command()(plan)
application.command()(clicks)
application.command()(learn)


def _command(projects: Sequence[Path]) -> str:
    """The command line without folders, which may name patients or people: it goes into the student's file."""
    words = ["PROJECT" if Path(word) in projects else Path(word).name for word in sys.argv[1:]]
    return shlex.join(["vfss-train", *words])


@contextmanager
def _told(target: str, run: Path | None) -> Iterator[Events]:
    """Where this training tells: as wanted, with a bar in a terminal where nothing else is, and in the run's folder."""
    from vfss_training.events import Events, Listener
    from vfss_training.loop.distributed import leads
    from vfss_training.loop.reporting import Bar, Curves

    with ExitStack() as stack:
        listeners: list[Listener] = []
        if not leads():
            yield Events(None)
            return
        if not target and sys.stdout.isatty():
            listeners.append(stack.enter_context(Bar.shown()))
        elif not target:
            target = "-"
        if run is not None:
            listeners.append(stack.enter_context(Curves.kept(run)))
        yield stack.enter_context(Events.opened(target, *listeners))


teachers_cli.attach(application, errors_to_stderr)


def main() -> None:
    """Run the command line."""
    application()
