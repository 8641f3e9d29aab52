# SPDX-License-Identifier: Apache-2.0
"""vfss-train teachers and vfss-train download: list the teachers, and download their weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table

from vfss_training.cli.errors import CANCELLED, errors_to_stderr
from vfss_training.teachers.download import download
from vfss_training.teachers.table import TEACHERS, TeacherEntry, teacher_named
from vfss_training.teachers.weights import default_folder, weights_path

_Folder = Annotated[Path | None, typer.Option("--folder", help="Folder of the weights. Default: your cache folder.")]


def list_teachers(folder: _Folder = None) -> None:
    """List the teachers, their licences, and which of them are on this machine."""
    with errors_to_stderr():
        Console().print(teacher_table(default_folder() if folder is None else folder))


def download_weights(
    names: Annotated[list[str], typer.Argument(help="Names of teachers, as 'vfss-train teachers' lists them.")],
    folder: _Folder = None,
) -> None:
    """Download the weights of teachers; the same command again resumes an interrupted download."""
    with errors_to_stderr():
        entries = [teacher_named(name) for name in names]
        for entry in entries:
            _download_with_bar(entry, default_folder() if folder is None else folder)


def teacher_table(folder: Path) -> Table:
    """Return all teachers as a table, with what a folder holds of their weights."""
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
    """Return whether a teacher's file is in a folder, judged by its size; its hash is checked when it is used."""
    path = weights_path(entry, folder) if folder.is_dir() else folder / entry.file
    parts = [path.with_name(f"{path.name}{end}") for end in (".part", ".zip.part")]
    if path.is_file():
        size = path.stat().st_size
        return "yes" if not entry.bytes or size == entry.bytes else f"another file, {size:,} bytes"
    begun = sum(part.stat().st_size for part in parts if part.is_file())
    return f"begun, {begun:,} bytes" if begun else "no"


def _download_with_bar(entry: TeacherEntry, folder: Path) -> None:
    """Download the weights of one teacher; source and licence are printed first."""
    console = Console()
    console.print(f"{entry.name}: {entry.file}, {entry.size}, from {entry.source}", markup=False, highlight=False)
    console.print(f"Licence: {entry.licence}", markup=False, highlight=False)
    if not (entry.sha256 or entry.md5):
        console.print("No published hash is known: the file's sha256 is recorded now and checked from then on.")
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    try:
        with Progress(*columns, TimeRemainingColumn(), console=console) as bar:
            task = bar.add_task(entry.name, total=None)

            def show(done: int, total: int) -> None:
                bar.update(task, completed=done, total=total or None)

            path = download(entry, folder, progress=show)
    except KeyboardInterrupt as error:
        console.print(f"Stopped: {presence(entry, folder)}. The same command resumes the download.", style="yellow")
        raise typer.Exit(CANCELLED) from error
    checked = "; it has the right hash" if entry.sha256 or entry.md5 else ""
    console.print(f"{path}: downloaded{checked}.")
