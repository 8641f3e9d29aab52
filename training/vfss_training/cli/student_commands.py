# SPDX-License-Identifier: Apache-2.0
"""Commands that plan a training or make one student from another: plan, learn, clicks, average, calibrate, export."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vfss_training.cli.errors import LEFT_OUT, errors_to_stderr, report_outcome
from vfss_training.cli.options import (
    Cache,
    EventsTarget,
    Minutes,
    StartingStudent,
    Steps,
    TeacherWeights,
    Threads,
    Workers,
    command_line,
)

if TYPE_CHECKING:
    from vfss_training.studies.time_plan import Plan

# What takes seconds to import is imported in the commands, as --help need not wait for it.


def plan(  # noqa: PLR0917  (typer calls it by name)
    project: Annotated[Path, typer.Argument(help="Project to train on.")],
    recipe: Annotated[
        list[str] | None, typer.Option(help="Recipe: a file or a name; may be repeated. Default: quick and distil.")
    ] = None,
    student: StartingStudent = None,
    teachers: TeacherWeights = None,
    cache: Cache = None,
    events: EventsTarget = "",
    threads: Threads = 0,
) -> None:
    """Estimate how long recipes take on PROJECT with the teachers on this machine; speeds are measured once a day."""
    from vfss.project import Project
    from vfss.student import load_checkpoint
    from vfss_training.config.recipe import load_recipe
    from vfss_training.events import Cancel, Events
    from vfss_training.loop.run import Run, default_cache
    from vfss_training.studies.time_plan import Planner

    as_text = not events and sys.stdout.isatty()
    with (
        errors_to_stderr(),
        Events.open(events or ("" if as_text else "-")) as stream,
        Cancel().on_signals() as cancel,
        Project.open(project) as opened,
    ):
        folder = default_cache() if cache is None else cache
        run = Run(stream, cancel, "vfss-train plan", folder, threads=threads, teachers=teachers)
        planner = Planner(opened, load_checkpoint(opened.student_path(student)), run)
        for name in recipe or ("quick", "distil"):
            estimate = planner.plan(load_recipe(name))
            stream.emit("plan", **estimate.to_dict())
            if as_text:
                typer.echo(plan_text(estimate))


def plan_text(plan: Plan) -> str:
    """Return a plan as one line for a terminal."""
    teachers = "".join(f", +{one.seconds / 60:.0f} min with {one.name}" for one in plan.teachers)
    frames = f"{plan.frames} labelled frames, {plan.film} without labels"
    warning = f"\n{plan.not_learnt}" if plan.not_learnt else ""
    return f"{plan.recipe}: {frames}, {plan.seconds / 60:.0f} min{teachers}{warning}"


def learn(  # noqa: PLR0917  (typer calls it by name)
    project: Annotated[Path, typer.Argument(help="Project with the clip.")],
    clip: Annotated[str, typer.Argument(help="The clip: its id, or the name of its file.")],
    student: StartingStudent = None,
    steps: Annotated[int | None, typer.Option(help="Optimiser steps. Default: by the number of frames.", min=1)] = None,
    events: EventsTarget = "",
    threads: Threads = 0,
) -> None:
    """Adapt a student to a CLIP from its annotated frames, and propose its soft structures where none is annotated.

    Frames and masks that cannot be read are left out and named; the exit code is then 3.
    """
    from vfss.project import Project
    from vfss_training.clip_adaptation.project_clip import clip_named, learn_project_clip
    from vfss_training.events import Cancel, Events
    from vfss_training.loop.reporting import Notices

    notices = Notices()
    with (
        errors_to_stderr(),
        Events.open(events, notices) as stream,
        Cancel().on_signals() as cancel,
        report_outcome(stream),
        Project.open(project) as opened,
    ):
        record = clip_named(opened, clip)
        masks = learn_project_clip(opened, record.id, stream, cancel, student=student, steps=steps, threads=threads)
        if events != "-":
            typer.echo(f"{record.path.name}: {masks} masks proposed anew")
    if notices.left_out:
        raise typer.Exit(LEFT_OUT)


def clicks(  # noqa: PLR0917  (typer calls it by name)
    student: Annotated[str, typer.Argument(help="Student to train: a file, or 'default'.")],
    out: Annotated[Path, typer.Option(help="Student file to write.")],
    recipe: Annotated[str, typer.Option(help="Recipe: a YAML file, or the name of one that ships.")] = "clicks",
    steps: Steps = None,
    minutes: Minutes = None,
    cache: Cache = None,
    events: EventsTarget = "-",
    workers: Workers = 1,
    threads: Threads = 0,
) -> None:
    """Train a STUDENT to take prompts, on phantom frames; its proposals stay as they are."""
    from vfss_training.config.recipe import load_recipe
    from vfss_training.events import Cancel, Events
    from vfss_training.loop.run import Run, default_cache
    from vfss_training.studies.fit import fit_prompts

    with errors_to_stderr(), Events.open(events) as stream, Cancel().on_signals() as cancel:
        chosen = load_recipe(recipe)
        if steps is not None:
            chosen = chosen.but(clicks=replace(chosen.clicks, steps=steps))
        folder = default_cache() if cache is None else cache
        run = Run(stream, cancel, command_line(), folder, minutes=minutes, workers=workers, threads=threads)
        fit_prompts(chosen, out, run, student=student)


def landmarks(  # noqa: PLR0917  (typer calls it by name)
    student: Annotated[str, typer.Argument(help="Student to train: a file, or 'default'.")],
    out: Annotated[Path, typer.Option(help="Student file to write.")],
    recipe: Annotated[str, typer.Option(help="Recipe: a YAML file, or the name of one that ships.")] = "landmarks",
    steps: Steps = None,
    minutes: Minutes = None,
    cache: Cache = None,
    events: EventsTarget = "-",
    workers: Workers = 1,
    threads: Threads = 0,
) -> None:
    """Train a STUDENT to find landmarks, on phantom frames; its proposals stay as they are."""
    from vfss_training.config.recipe import load_recipe
    from vfss_training.events import Cancel, Events
    from vfss_training.loop.run import Run, default_cache
    from vfss_training.studies.fit import fit_landmarks

    with errors_to_stderr(), Events.open(events) as stream, Cancel().on_signals() as cancel:
        chosen = load_recipe(recipe)
        if steps is not None:
            chosen = chosen.but(steps=steps)
        folder = default_cache() if cache is None else cache
        run = Run(stream, cancel, command_line(), folder, minutes=minutes, workers=workers, threads=threads)
        fit_landmarks(chosen, out, run, student=student)


def average(
    parent: Annotated[str, typer.Argument(help="Student file that CHILD was trained from, or 'default'.")],
    child: Annotated[Path, typer.Argument(help="Student file trained from PARENT.")],
    out: Annotated[Path, typer.Option(help="File to write.")],
    share: Annotated[float, typer.Option(help="Weight of CHILD in the mean, 0 to 1.")] = 0.5,
    recipe: Annotated[str, typer.Option(help="Recipe whose held-out phantoms score the result.")] = "agglomerated",
) -> None:
    """Average the weights of a PARENT and a CHILD that was trained from it."""
    from vfss.student import student_file
    from vfss_training.config.recipe import load_recipe
    from vfss_training.evaluation.averaging import average_files

    with errors_to_stderr():
        written = average_files(student_file(parent), child, out, load_recipe(recipe), share=share)
        styles = {style: round(row["mean_dice"], 3) for style, row in written.scores["styles"].items()}
        typer.echo(f"{written.path}: {written.id}, mean Dice {written.scores['mean_dice']:.3f}, by style {styles}")


def export(
    student: Annotated[str, typer.Argument(help="Student file, or 'default'.")],
    out: Annotated[Path | None, typer.Option(help="File to write. Default: the student's own file.")] = None,
    mirror: Annotated[
        str | None, typer.Option(help="Compute mirror images too: never, always, or unsure. Default: as the file says.")
    ] = None,
    closer: Annotated[
        str | None,
        typer.Option(help="Look at frames again whose spine is small or large: never, always, or unsure."),
    ] = None,
    int8: Annotated[
        bool, typer.Option(help="Also write it in 8-bit integers (needs NNCF: napari-vfss[int8]).")
    ] = False,
) -> None:
    """Export the graphs of a STUDENT of an earlier version again, and measure in which precisions it can be computed.

    Weights, scores and calibration stay; its id changes.
    """
    from vfss.student import student_file
    from vfss.student.closer_look import CloserLook
    from vfss.student.mirror_policy import MirrorPolicy
    from vfss_training.studies.export_again import export_file

    with errors_to_stderr():
        written = export_file(
            student_file(student),
            out,
            None if mirror is None else MirrorPolicy(mirror),
            None if closer is None else CloserLook(closer),
            int8=int8,
        )
        agreement = {name: round(share, 5) for name, share in written.precision.items()}
        typer.echo(f"{written.path}: {written.id}, agreement with f32 {agreement or 'not measured'}")


def calibrate(
    student: Annotated[str, typer.Argument(help="Student file, or 'default'.")],
    out: Annotated[Path | None, typer.Option(help="File to write. Default: the student's own file.")] = None,
    frames: Annotated[int, typer.Option(min=8, help="Number of phantom patients to measure on.")] = 36,
    threads: Threads = 0,
) -> None:
    """Calibrate a STUDENT's confidence to the Dice that its masks reach on phantoms that no student was trained on."""
    from vfss.student import student_file
    from vfss_training.evaluation.calibrate import calibrate_file

    def show(done: int, total: int) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{done} of {total} phantoms" + ("\n" if done == total else ""))

    with errors_to_stderr():
        written = calibrate_file(student_file(student), out, frames=frames, progress=show, threads=threads or None)
        measured = {} if written.calibration is None else written.calibration.measured
        typer.echo(
            f"{written.path}: {written.id}, expected error of its confidence {measured.get('expected_error_before')} "
            f"before and {measured.get('expected_error_after')} after, on the {measured.get('frames')} frames it was "
            "fitted to"
        )
