# SPDX-License-Identifier: Apache-2.0
"""What the command line shows: results on stdout, progress and errors on stderr."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column, Table
from rich.text import Text
from typer.core import TyperGroup

from vfss.errors import VfssError

_PIPE_WIDTH = 200
INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


class Commands(TyperGroup):
    """Commands whose errors reach a person as one red message, never as a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was named.

        Raises:
            typer.Exit: With code 1 after an error of ours, 130 after Ctrl-C.
        """
        try:
            return super().invoke(ctx)
        except VfssError as error:
            complain(str(error))
            raise typer.Exit(1) from error
        except KeyboardInterrupt as stop:
            complain("Stopped.")
            raise typer.Exit(INTERRUPTED) from stop


def complain(message: str) -> None:
    """One red message on stderr."""
    # Text, not markup: messages hold brackets, e.g. of paths. soft_wrap keeps a message on one line for grep.
    errors().print(Text(" ".join(message.split()), style="bold red"), soft_wrap=True)


def warn(message: str) -> None:
    """One yellow message on stderr."""
    errors().print(Text(message, style="yellow"), soft_wrap=True)


def say(what: object) -> None:
    """A table or a sentence on stdout."""
    console = Console()
    if not console.is_terminal:  # in a pipe no line need be broken
        console.width = max(console.width, _PIPE_WIDTH)
    console.print(what, soft_wrap=isinstance(what, Text))


def plain_table(*headers: str) -> Table:
    """A table whose cells are folded, never cut: ids stay whole in a narrow window or a pipe."""
    return Table(*(Column(header, overflow="fold") for header in headers))


def errors() -> Console:
    """The console on stderr; made anew, since tests and embedders exchange sys.stderr."""
    return Console(stderr=True)


@contextmanager
def bar(title: str) -> Iterator[Callable[[int, int], bool]]:
    """A progress bar on stderr, as a function of (done, total) that never asks to cancel."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors(), transient=True) as progress:
        task = progress.add_task(title, total=None)

        def show(done: int, total: int) -> bool:
            progress.update(task, completed=done, total=total)
            return True

        yield show
