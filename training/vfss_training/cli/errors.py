# SPDX-License-Identifier: Apache-2.0
"""Errors as a person at a terminal gets them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from vfss.errors import VfssError

if TYPE_CHECKING:
    from vfss_training.events import Events

_CANCELLED = 130


@contextmanager
def errors_to_stderr() -> Iterator[None]:
    """An error that a person can act on: one red line, no traceback."""
    try:
        yield
    except VfssError as error:
        Console(stderr=True).print(str(error), style="red", markup=False)
        raise typer.Exit(1) from error


@contextmanager
def report_outcome(told: Events) -> Iterator[None]:
    """Tell how it ended, where that is not well."""
    from vfss_training.events import TrainingCancelledError

    try:
        yield
    except TrainingCancelledError as error:
        told.tell("cancelled", message=str(error))
        raise typer.Exit(_CANCELLED) from error
    except VfssError as error:
        told.tell("error", message=str(error))
        raise
