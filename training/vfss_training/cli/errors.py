# SPDX-License-Identifier: Apache-2.0
"""How errors reach the person at the terminal, and the readers of events."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from vfss.errors import VfssError

if TYPE_CHECKING:
    from vfss_training.events import Events

CANCELLED = 130
"""Exit status after Ctrl+C or SIGTERM, as shells have it."""
LEFT_OUT = 3
"""Exit status where the student is trained, but something could not be read and was left out, as `vfss` has it."""


@contextmanager
def errors_to_stderr() -> Iterator[None]:
    """Print an error that a person can act on in red, without a traceback, and exit with status 1."""
    try:
        yield
    except VfssError as error:
        Console(stderr=True).print(str(error), style="red", markup=False)
        raise typer.Exit(1) from error


@contextmanager
def report_outcome(events: Events) -> Iterator[None]:
    """Write a last event if the command is cancelled or fails."""
    from vfss_training.events import TrainingCancelledError

    try:
        yield
    except TrainingCancelledError as error:
        events.emit("cancelled", message=str(error))
        raise typer.Exit(CANCELLED) from error
    except VfssError as error:
        events.emit("error", message=str(error))
        raise
