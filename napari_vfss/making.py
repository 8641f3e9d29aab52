# SPDX-License-Identifier: Apache-2.0
"""Files made beside the window: datasets and phantom clips. Workers touch no widgets; Qt carries their signals over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari.qt.threading import create_worker
from qtpy.QtCore import QObject, Signal

from napari_vfss.workers import explain
from vfss.datasets import FORMATS
from vfss.phantom.write import write_phantom
from vfss.project import Project


class Making(QObject):
    """Makes one thing at a time, with progress, until it is done or cancelled."""

    progressed = Signal(int, int)
    ended = Signal(str, object)  # message, folder or None where there is nothing to show

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._worker: Any = None
        self._cancelled = False
        self._outcome: tuple[str, Path | None] = ("", None)

    @property
    def running(self) -> bool:
        """True while something is being made."""
        return self._worker is not None

    def cancel(self) -> None:
        """Stop at the next frame."""
        self._cancelled = True

    def _begin(self, make: Callable[..., tuple[str, Path | None]], *arguments: Any) -> None:
        if self.running:
            return
        self._cancelled = False
        # What is told of a worker that returns nothing: napari asks all to quit when its window closes.
        self._outcome = ("Cancelled", None)
        self._worker = create_worker(make, *arguments, _start_thread=False, _ignore_errors=True)
        self._worker.returned.connect(self._on_returned)
        self._worker.errored.connect(self._on_error)
        self._worker.finished.connect(self._on_finished)
        self._worker.start()

    def _on_progress(self, done: int, total: int) -> bool:
        self.progressed.emit(done, total)  # from the worker's thread: Qt queues it
        return not self._cancelled

    def _on_returned(self, result: tuple[str, Path | None]) -> None:
        self._outcome = result

    def _on_error(self, error: Exception) -> None:
        self._outcome = (explain(error), None)

    def _on_finished(self) -> None:
        self._worker = None
        self.ended.emit(*self._outcome)


class Exporting(Making):
    """Writes datasets."""

    def start(self, project: Path, dataset_format: str, folder: Path) -> None:
        """Begin to write the project's annotations as a dataset into a folder; nothing while another is written."""
        self._begin(self._export, project, dataset_format, folder)

    def _export(self, folder: Path, dataset_format: str, target: Path) -> tuple[str, Path | None]:
        with Project.open(folder) as project:
            report = FORMATS[dataset_format].export(project, target, progress=self._on_progress)
        return "\n".join(report.lines()), report.folder


@dataclass(frozen=True)
class PhantomOrder:
    """Which phantom clips to make, and where; see vfss.phantom.write.write_phantom."""

    folder: Path
    clips: int
    frames: int
    seed: int
    size: int
    style: str


class Phantoms(Making):
    """Makes phantom clips; those that are done stay when the rest is cancelled."""

    def start(self, order: PhantomOrder) -> None:
        """Begin to make clips; nothing while others are made."""
        self._begin(self._make, order)

    def _make(self, order: PhantomOrder) -> tuple[str, Path | None]:
        project = write_phantom(
            order.folder,
            clips=order.clips,
            frames=order.frames,
            seed=order.seed,
            size=order.size,
            style=order.style,
            progress=self._on_progress,
        )
        if self._cancelled:
            return "Cancelled. The clips that were done are kept; use another folder for the next.", project
        return f"Made {project.parent}. Their truth is in {project.name}/ as accepted annotations.", project
