# SPDX-License-Identifier: Apache-2.0
"""Errors as a person at a terminal gets them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

from vfss.errors import VfssError


@contextmanager
def complaining() -> Iterator[None]:
    """An error that a person can act on: one red line, no traceback."""
    try:
        yield
    except VfssError as error:
        Console(stderr=True).print(str(error), style="red", markup=False)
        raise typer.Exit(1) from error
