# SPDX-License-Identifier: Apache-2.0
"""The command `vfss-train calibrate`."""

from __future__ import annotations

import sys
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from vfss_training.cli.errors import complaining


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
    with complaining():
        written = calibrate_file(path, out, frames=frames, progress=show, threads=threads or None)
        how = {} if written.calibration is None else written.calibration.measured
        typer.echo(
            f"{written.path}: {written.id}, expected error of its confidence {how.get('expected_error_before')} "
            f"before and {how.get('expected_error_after')} after, on the {how.get('frames')} frames it was fitted to"
        )
