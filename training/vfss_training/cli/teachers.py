# SPDX-License-Identifier: Apache-2.0
"""vfss-train teachers, and vfss-train download: what teachers there are, and getting their weights."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table

from vfss_training.teachers.download import download
from vfss_training.teachers.table import TEACHERS, TeacherEntry, teacher_named
from vfss_training.teachers.weights import default_folder, weights_path

_CANCELLED = 130
_Folder = Annotated[Path | None, typer.Option("--folder", help="Folder of the weights. Default: your cache folder.")]


def attach(application: typer.Typer, errors_to_stderr: Callable[[], AbstractContextManager[None]]) -> None:
    """Add the two commands.

    Args:
        application: The command line.
        errors_to_stderr: Shows errors that a person can act on.
    """

    @application.command("teachers")
    def teachers(folder: _Folder = None) -> None:
        """List the teachers, and which of them are on this machine."""
        with errors_to_stderr():
            Console().print(listed(default_folder() if folder is None else folder))

    @application.command("download")
    def fetch(
        names: Annotated[list[str], typer.Argument(help="Teachers, as 'vfss-train teachers' lists them.")],
        folder: _Folder = None,
    ) -> None:
        """Download weights of teachers; the same command again goes on with what was broken off."""
        with errors_to_stderr():
            entries = [teacher_named(name) for name in names]
            for entry in entries:
                _fetched(entry, default_folder() if folder is None else folder)


def listed(folder: Path) -> Table:
    """All teachers as a table.

    Args:
        folder: Where their weights are looked for.
    """
    table = Table("Teacher", "Network", "File", "Licence", "On this machine", caption=f"Folder: {folder}")
    for entry in TEACHERS.values():
        table.add_row(
            entry.name,
            entry.network.split(" (")[0],
            f"{entry.file}\n{entry.size}",
            entry.licence,
            presence(entry, folder),
        )
    return table


def presence(entry: TeacherEntry, folder: Path) -> str:
    """Whether a teacher's file is in a folder, by its size; its hash is checked when it is used."""
    path = weights_path(entry, folder) if folder.is_dir() else folder / entry.file
    parts = [path.with_name(f"{path.name}{end}") for end in (".part", ".zip.part")]
    if path.is_file():
        size = path.stat().st_size
        return "yes" if not entry.bytes or size == entry.bytes else f"another file, {size:,} bytes"
    begun = sum(part.stat().st_size for part in parts if part.is_file())
    return f"begun, {begun:,} bytes" if begun else "no"


def _fetched(entry: TeacherEntry, folder: Path) -> None:
    """Download one, with a bar."""
    console = Console()
    console.print(f"{entry.name}: {entry.file}, {entry.size}, from {entry.source}", markup=False, highlight=False)
    console.print(f"Licence: {entry.licence}", markup=False, highlight=False)
    if not (entry.sha256 or entry.md5):
        console.print("No published hash is known: its sha256 is noted now and checked from then on.")
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    try:
        with Progress(*columns, TimeRemainingColumn(), console=console) as bar:
            task = bar.add_task(entry.name, total=None)

            def tell(done: int, total: int) -> None:
                bar.update(task, completed=done, total=total or None)

            path = download(entry, folder, progress=tell)
    except KeyboardInterrupt as error:
        console.print(f"Stopped: {presence(entry, folder)}. The same command goes on from there.", style="yellow")
        raise typer.Exit(_CANCELLED) from error
    console.print(f"{path}: there, and of the right hash." if entry.sha256 or entry.md5 else f"{path}: there.")
