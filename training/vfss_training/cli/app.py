# SPDX-License-Identifier: Apache-2.0
"""vfss-train: all its commands."""

from __future__ import annotations

import typer

from vfss_training.cli.ablate import ablate
from vfss_training.cli.fit import fit
from vfss_training.cli.student_commands import average, calibrate, clicks, export, landmarks, learn, plan
from vfss_training.cli.teachers import download_weights, list_teachers

application = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Train the student that proposes masks.",
    pretty_exceptions_enable=False,
)
application.command()(fit)
application.command()(plan)
application.command()(learn)
application.command()(clicks)
application.command()(landmarks)
application.command()(average)
application.command()(calibrate)
application.command()(export)
application.command()(ablate)
application.command("teachers")(list_teachers)
application.command("download")(download_weights)


def main() -> None:
    """Run the command line."""
    application()
