# SPDX-License-Identifier: Apache-2.0
"""The command `vfss-train average`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vfss_training.cli.errors import complaining


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

    with complaining():
        written = average_files(student_file(parent), child, out, load_recipe(recipe), share=share)
        styles = {style: round(row["mean_dice"], 3) for style, row in written.scores["styles"].items()}
        typer.echo(f"{written.path}: {written.id}, mean Dice {written.scores['mean_dice']:.3f}, by style {styles}")
