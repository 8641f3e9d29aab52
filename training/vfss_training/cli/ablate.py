# SPDX-License-Identifier: Apache-2.0
"""vfss-train ablate: compare recipes in a table and plots."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from vfss.errors import TrainingError
from vfss_training.cli.errors import errors_to_stderr
from vfss_training.cli.options import BackboneWeights, Cache, TeacherWeights, Threads, Workers, command_line

if TYPE_CHECKING:
    from vfss_training.experiments.ablation import Ablation, Examination, Row

_PATIENTS_DRAWN = 2
"""Patients of each examination whose feature maps are drawn."""


def ablate(  # noqa: PLR0917  (typer calls it by name)
    recipe: Annotated[list[Path], typer.Argument(help="Recipes to compare: YAML files, or names of shipped ones.")],
    out: Annotated[Path, typer.Option(help="Folder for results, table and plots; the same command again resumes.")],
    over: Annotated[
        Path | None, typer.Option(help="YAML file with fields that override those of every recipe.")
    ] = None,
    seeds: Annotated[int, typer.Option(help="Number of trainings of each row, with seeds 1, 2 ...")] = 3,
    labels: Annotated[str, typer.Option(help="Comma-separated shares of labelled frames, in percent.")] = "5,10,25,100",
    examine: Annotated[
        str, typer.Option(help="Comma-separated patients to score on, each STYLE:FIRST_SEED:NUMBER.")
    ] = "standard:140000:60,harsh:150000:60",
    each_teacher: Annotated[bool, typer.Option(help="Run a recipe of one teacher once for each teacher.")] = True,
    leave_one_out: Annotated[bool, typer.Option(help="Run a recipe of several teachers also without each.")] = True,
    backbone_weights: BackboneWeights = None,
    teachers: TeacherWeights = None,
    cache: Cache = None,
    workers: Workers = 1,
    threads: Threads = 0,
) -> None:
    """Train each RECIPE with several seeds and shares of labels, score the students, and write a table and plots."""
    # These take seconds to import, which --help need not wait for.
    from vfss_training.config.recipe import load_recipe
    from vfss_training.events import Cancel, Events
    from vfss_training.experiments.ablation import Ablation, rows_of
    from vfss_training.experiments.report import Report, plot_weights
    from vfss_training.loop.run import Run, default_cache

    with errors_to_stderr(), ExitStack() as stack:
        recipes = [load_recipe(path, over) for path in recipe]
        rows = rows_of(recipes, each_teacher=each_teacher, leave_one_out=leave_one_out)
        shares = tuple(sorted(_share(text) for text in labels.split(",")))
        events = stack.enter_context(Events.open("-"))
        cancel = stack.enter_context(Cancel().on_signals())
        folder = default_cache() if cache is None else cache
        run = Run(events, cancel, "vfss-train ablate", folder, workers=workers, threads=threads, teachers=teachers)
        study = Ablation(out, tuple(_examination(text) for text in examine.split(",")), run, backbone_weights)
        drawn = tuple(range(1, seeds + 1))
        results = {(row, share, seed): dice for row, share, seed, dice in study.results(rows, drawn, shares)}
        report = Report(tuple(rows), results, shares, drawn)
        report.write(out, {"command": command_line()})
        report.plot(out)
        plot_weights({row.name: study.weights(row, shares[0], drawn[0]) for row in rows}, out / "weights.png")
        _plot_features(study, rows, shares[0], drawn[0], out / "features.png")
        events.emit("done", path=str(out))


def _plot_features(study: Ablation, rows: Sequence[Row], share: float, seed: int, path: Path) -> None:
    """Draw feature maps of the teachers and of the complete recipes' students on a few patients of each examination."""
    import torch

    from vfss_training.data.phantoms import draw_phantom
    from vfss_training.experiments.feature_maps import embeddings, plot_features
    from vfss_training.studies.sources import teacher_loader

    config = rows[0].recipe.student
    frames = [
        draw_phantom(examination.first_seed + i, config.input_size, examination.style)[0]
        for examination in study.examinations
        for i in range(min(_PATIENTS_DRAWN, examination.patients))
    ]
    names = dict.fromkeys(name for row in rows for name in row.recipe.distill.teachers)
    maps = {
        name: teacher_loader(name, study.run.teachers)().targets(torch.from_numpy(np.stack(frames))) for name in names
    }
    complete = [row for row in rows if " without " not in row.name]
    maps |= {row.name: embeddings(study.student(row, share, seed), config, frames) for row in complete}
    plot_features(frames, maps, path)


def _share(text: str) -> float:
    """Return a percentage as a share, 0..1."""
    try:
        share = float(text) / 100
    except ValueError as error:
        raise TrainingError(
            f"--labels has {text!r}, which is not a number", remedy="Give percentages, such as 5,10,100."
        ) from error
    if not 0 < share <= 1:
        raise TrainingError(f"--labels has {text} %", remedy="Give percentages above 0, up to 100.")
    return share


def _examination(text: str) -> Examination:
    """Return the examination that STYLE:FIRST_SEED:NUMBER names."""
    from vfss_training.experiments.ablation import Examination

    style, _, rest = text.strip().partition(":")
    first, _, number = rest.partition(":")
    try:
        return Examination(style, int(first), int(number))
    except ValueError as error:
        raise TrainingError(
            f"--examine has {text!r}", remedy="Write STYLE:FIRST_SEED:NUMBER, e.g. harsh:150000:60."
        ) from error
