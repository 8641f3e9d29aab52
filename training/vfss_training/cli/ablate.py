# SPDX-License-Identifier: Apache-2.0
"""vfss-train ablate: ways of training beside each other, in a table and plots."""

from __future__ import annotations

import shlex
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from vfss.errors import TrainingError
from vfss_training.cli.errors import errors_to_stderr

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vfss_training.experiments.ablation import Ablation, Examination, Row

_SHOWN = 2


def ablate(  # noqa: PLR0917  (typer calls it by name)
    recipe: Annotated[list[Path], typer.Argument(help="Recipes to compare, YAML files.")],
    out: Annotated[Path, typer.Option(help="Folder for results, table and plots; the same again goes on.")],
    over: Annotated[Path | None, typer.Option(help="Fields that stand instead of those of every recipe, YAML.")] = None,
    seeds: Annotated[int, typer.Option(help="Trainings of each row, with seeds 1, 2 ...")] = 3,
    labels: Annotated[str, typer.Option(help="Shares of labelled frames, in percent.")] = "5,10,25,100",
    examine: Annotated[str, typer.Option(help="Patients to examine on: style:first seed:number, ...")] = (
        "standard:140000:60,harsh:150000:60"
    ),
    each_teacher: Annotated[bool, typer.Option(help="A recipe of one teacher stands for each teacher.")] = True,
    leave_one_out: Annotated[bool, typer.Option(help="Recipes of several stand without each as well.")] = True,
    backbone_weights: Annotated[Path | None, typer.Option(help="ImageNet weights for the backbone.")] = None,
    teachers: Annotated[Path | None, typer.Option(help="Folder with the weights of teachers.")] = None,
    cache: Annotated[Path | None, typer.Option(help="Folder for rendered frames and targets.")] = None,
    workers: Annotated[int, typer.Option(help="Processes that make batches.")] = 1,
    threads: Annotated[int, typer.Option(help="Threads of torch; 0: all processors.")] = 0,
) -> None:
    """Train each RECIPE with several seeds and shares of labels, examine, and write a table and plots."""
    from vfss_training.config.recipe import load_recipe
    from vfss_training.events import Cancel, Events
    from vfss_training.experiments.ablation import Ablation, rows_of
    from vfss_training.experiments.report import Report, plot_weights
    from vfss_training.loop.run import Run, default_cache

    with errors_to_stderr(), ExitStack() as stack:
        rows = rows_of(
            [load_recipe(path, over) for path in recipe], each_teacher=each_teacher, leave_one_out=leave_one_out
        )
        shares = tuple(sorted(_share(word) for word in labels.split(",")))
        events = stack.enter_context(Events.opened("-"))
        cancel = stack.enter_context(Cancel().listening())
        place = cache if cache is not None else default_cache()
        run = Run(events, cancel, "vfss-train ablate", place, workers=workers, threads=threads, teachers=teachers)
        study = Ablation(out, tuple(_examination(word) for word in examine.split(",")), run, backbone_weights)
        drawn = tuple(range(1, seeds + 1))
        results = {(row, share, seed): found for row, share, seed, found in study.results(rows, drawn, shares)}
        report = Report(tuple(rows), results, shares, drawn)
        words = [Path(word).name for word in sys.argv[1:]]
        report.write(out, {"command": shlex.join(["vfss-train", *words])})
        report.plot(out)
        plot_weights({row.name: study.weights(row, shares[0], drawn[0]) for row in rows}, out / "weights.png")
        _plot_features(study, rows, shares[0], drawn[0], out / "features.png")
        events.tell("done", path=str(out))


def _plot_features(study: Ablation, rows: Sequence[Row], share: float, seed: int, path: Path) -> None:
    """Draw feature maps of the teachers and of the whole recipes' students, two patients of each examination."""
    import torch

    from vfss_training.data.phantoms import draw_phantom
    from vfss_training.experiments.feature_maps import embedded, plot_features
    from vfss_training.studies.sources import loading

    config = rows[0].recipe.student
    frames = [
        draw_phantom(one.first_seed + i, config.input_size, one.style)[0]
        for one in study.examinations
        for i in range(min(_SHOWN, one.patients))
    ]
    names = dict.fromkeys(name for row in rows for name in row.recipe.distill.teachers)
    maps = {name: loading(name, study.run.teachers)().targets(torch.from_numpy(np.stack(frames))) for name in names}
    whole = [row for row in rows if " without " not in row.name]
    maps |= {row.name: embedded(study.student(row, share, seed), config, frames) for row in whole}
    plot_features(frames, maps, path)


def _share(word: str) -> float:
    try:
        share = float(word) / 100
    except ValueError as error:
        raise TrainingError(f"{word!r} is no share of labels", remedy="Give percentages, such as 5,10,100.") from error
    if not 0 < share <= 1:
        raise TrainingError(f"{word} % of the labels", remedy="Give percentages above 0, up to 100.")
    return share


def _examination(words: str) -> Examination:
    from vfss_training.experiments.ablation import Examination

    style, _, rest = words.strip().partition(":")
    first, _, number = rest.partition(":")
    try:
        return Examination(style, int(first), int(number))
    except ValueError as error:
        raise TrainingError(
            f"{words!r} names no patients to examine on", remedy="Write style:first seed:number, say harsh:150000:60."
        ) from error
