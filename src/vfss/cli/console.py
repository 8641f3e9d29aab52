# SPDX-License-Identifier: Apache-2.0
"""Output of the command line: results on stdout, progress and errors on stderr."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column, Table
from rich.text import Text
from typer.core import TyperGroup

from vfss.errors import VfssError, printable

_PIPE_WIDTH = 200  # characters; tables are not folded earlier in a pipe
INTERRUPTED = 130
"""Exit code after Ctrl-C, as in shells."""
LEFT_OUT = 3
"""Exit code where the work is done, but something could not be read and was left out; messages name it."""


class CommandGroup(TyperGroup):
    """Commands whose errors are shown as one red message, never as a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command.

        Raises:
            typer.Exit: With code 1 after a VfssError, 130 after Ctrl-C.
        """
        _print_any_name()
        try:
            return super().invoke(ctx)
        except VfssError as error:
            print_error(str(error))
            raise typer.Exit(1) from error
        except KeyboardInterrupt as stop:
            print_error("Stopped.")
            raise typer.Exit(INTERRUPTED) from stop


def _print_any_name() -> None:
    """Let names be printed that are not Unicode, as disks of other systems hold them: their bytes are escaped."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def print_error(message: str) -> None:
    """Print one red message on stderr."""
    # Text, not markup: messages hold brackets, e.g. of paths. soft_wrap keeps a message on one line for grep.
    error_console().print(Text(printable(" ".join(message.split())), style="bold red"), soft_wrap=True)


def print_warning(message: str) -> None:
    """Print one yellow message on stderr."""
    error_console().print(Text(printable(message), style="yellow"), soft_wrap=True)


def print_result(content: object) -> None:
    """Print a table or a sentence on stdout."""
    console = Console()
    if not console.is_terminal:  # in a pipe no line has to be broken
        console.width = max(console.width, _PIPE_WIDTH)
    console.print(content, soft_wrap=isinstance(content, Text))


def plain_table(*headers: str) -> Table:
    """Return a table whose cells are folded, never cut: ids stay complete in a narrow window or a pipe."""
    return Table(*(Column(header, overflow="fold") for header in headers))


def error_console() -> Console:
    """Return a console on stderr; a new one, since tests and embedders replace sys.stderr."""
    return Console(stderr=True)


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[int, int], bool]]:
    """Show a progress bar on stderr; yields a function of (done, total) that never asks to cancel."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=error_console(), transient=True) as progress:
        task = progress.add_task(title, total=None)

        def show(done: int, total: int) -> bool:
            progress.update(task, completed=done, total=total)
            return True

        yield show
