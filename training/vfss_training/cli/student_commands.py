# SPDX-License-Identifier: Apache-2.0
"""vfss-train plan: what a training on a project would take, before it begins."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vfss_training.cli.errors import errors_to_stderr, report_outcome

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
    from vfss.student import load_checkpoint
    from vfss_training.config.recipe import load_recipe
    from vfss_training.events import Cancel, Events
    from vfss_training.loop.run import Run, default_cache
    from vfss_training.studies.time_plan import Planner

    shown = not events and sys.stdout.isatty()
    with (
        errors_to_stderr(),
        Events.opened(events or ("" if shown else "-")) as told,
        Cancel().listening() as cancel,
        Project.open(project) as opened,
    ):
        place = default_cache() if cache is None else cache
        run = Run(told, cancel, "vfss-train plan", place, threads=threads, teachers=teachers)
        planner = Planner(opened, load_checkpoint(opened.student_path(student)), run)
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


def average(
    parent: Annotated[str, typer.Argument(help="Student file that the other went on from, or 'default'.")],
    child: Annotated[Path, typer.Argument(help="Student file of the other.")],
    out: Annotated[Path, typer.Option(help="File to write.")],
    share: Annotated[float, typer.Option(help="Share of the other's weights.")] = 0.5,
    recipe: Annotated[str, typer.Option(help="Recipe whose held-out phantoms score it.")] = "agglomerated",
) -> None:
    """Make one student of a PARENT and a CHILD that went on from it: the mean of their weights."""
    # These take seconds to import, which --help need not wait for.
    from vfss.student import student_file
    from vfss_training.config.recipe import load_recipe
    from vfss_training.evaluation.averaging import average_files

    with errors_to_stderr():
        written = average_files(student_file(parent), child, out, load_recipe(recipe), share=share)
        styles = {style: round(row["mean_dice"], 3) for style, row in written.scores["styles"].items()}
        typer.echo(f"{written.path}: {written.id}, mean Dice {written.scores['mean_dice']:.3f}, by style {styles}")


def calibrate(
    student: Annotated[str, typer.Argument(help="Student file, or 'default'.")],
    out: Annotated[Path | None, typer.Option(help="File to write, instead of the same one.")] = None,
    frames: Annotated[int, typer.Option(min=8, help="Phantom patients to measure on.")] = 36,
    threads: Annotated[int, typer.Option(help="Threads to compute with; 0: all processors.")] = 0,
) -> None:
    """Fit a STUDENT's confidence to the Dice its masks really have, on phantoms that nothing learnt from."""
    # These take seconds to import, which --help need not wait for.
    from vfss_training.evaluation.calibrate import calibrate_file

    def show(done: int, total: int) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{done} of {total} phantoms" + ("\n" if done == total else ""))

    path = Path(str(resources.files("vfss.student") / "default.safetensors")) if student == "default" else Path(student)
    with errors_to_stderr():
        written = calibrate_file(path, out, frames=frames, progress=show, threads=threads or None)
        how = {} if written.calibration is None else written.calibration.measured
        typer.echo(
            f"{written.path}: {written.id}, expected error of its confidence {how.get('expected_error_before')} "
            f"before and {how.get('expected_error_after')} after, on the {how.get('frames')} frames it was fitted to"
        )


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
    with errors_to_stderr(), Events.opened(events) as told, Cancel().listening() as cancel:
        chosen = load_recipe(recipe)
        if steps is not None:
            chosen = chosen.but(clicks=replace(chosen.clicks, steps=steps))
        command = shlex.join(["vfss-train", *words])
        run = Run(told, cancel, command, cache or default_cache(), None, minutes, False, workers, threads)
        fit.teach(chosen, out, run, student=student)


def learn(  # noqa: PLR0917  (typer calls it by name)
    project: Annotated[Path, typer.Argument(help="Project with the clip.")],
    clip: Annotated[str, typer.Argument(help="The clip: its id, or the name of its file.")],
    student: Annotated[str | None, typer.Option(help="Student to begin from: a file, an id, or 'default'.")] = None,
    steps: Annotated[int | None, typer.Option(help="Optimiser steps; by default by the frames.", min=1)] = None,
    events: Annotated[str, typer.Option(help="Where progress goes as JSON lines: a file, or -.")] = "",
    threads: Annotated[int, typer.Option(help="Threads to compute with; 0: all processors.")] = 0,
) -> None:
    """Learn a CLIP from what people corrected on it, and propose its soft structures anew where nobody has spoken."""
    from vfss.project import Project
    from vfss_training.clip_adaptation.project_clip import clip_named, learn_project_clip
    from vfss_training.events import Cancel, Events

    with (
        errors_to_stderr(),
        Events.opened(events) as told,
        Cancel().listening() as cancel,
        report_outcome(told),
        Project.open(project) as opened,
    ):
        record = clip_named(opened, clip)
        masks = learn_project_clip(opened, record.id, told, cancel, student=student, steps=steps, threads=threads)
        if events != "-":
            typer.echo(f"{record.path.name}: {masks} masks proposed anew")
