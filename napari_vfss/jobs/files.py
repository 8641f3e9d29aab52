# SPDX-License-Identifier: Apache-2.0
"""Background jobs that make or read files: datasets, previews, phantom clips, search for text.

The work is done in a thread that touches no widgets; Qt passes its signals to the thread of the window.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

import vfss
from napari_vfss.jobs.worker import explain, worker_for
from vfss.errors import VfssError

if TYPE_CHECKING:
    from vfss.datasets import ExportOptions
    from vfss.datasets.preview import ExportPreview
    from vfss.deidentify.suggest_redaction import ProposedRedaction

# The libraries of formats, phantoms and text detection take seconds to import: each job imports its own.


def _standard_options() -> ExportOptions:
    from vfss.datasets import ExportOptions

    return ExportOptions()


class FileJob(QObject):
    """Runs one order at a time, with progress, until it is done or cancelled."""

    started = Signal()
    progressed = Signal(int, int)
    ended = Signal(str, object)  # message; result, mostly a folder; None for no result

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._worker: Any = None
        self._cancelled = False
        self._outcome: tuple[str, object] = ("", None)

    @property
    def running(self) -> bool:
        """True while an order is executed."""
        return self._worker is not None

    def cancel(self) -> None:
        """Stop at the next frame."""
        self._cancelled = True

    def _begin(self, make: Callable[..., tuple[str, object]], *arguments: Any) -> None:
        if self.running:
            return
        self._cancelled = False
        # Outcome if the worker returns nothing, because napari stopped it when its window closed.
        self._outcome = ("Cancelled", None)
        self._worker = worker_for(make, *arguments)
        self._worker.returned.connect(self._on_returned)
        self._worker.errored.connect(self._on_error)
        self._worker.finished.connect(self._on_finished)
        self._worker.start()
        self.started.emit()

    def _on_progress(self, done: int, total: int) -> bool:
        self.progressed.emit(done, total)  # from the worker's thread: Qt queues it
        return not self._cancelled

    def _on_returned(self, result: tuple[str, object]) -> None:
        self._outcome = result

    def _on_error(self, error: Exception) -> None:
        self._outcome = (explain(error), None)

    def _on_finished(self) -> None:
        self._worker = None
        self.ended.emit(*self._outcome)


@dataclass(frozen=True)
class ExportOrder:
    """Format, options and chosen folder of a dataset; see vfss.datasets.export_folder.choose_target."""

    project: Path
    dataset_format: str
    folder: Path
    options: ExportOptions = field(default_factory=_standard_options)


class Exporting(FileJob):
    """Writes datasets."""

    message = Signal(str)  # to be shown while it runs

    def start(self, order: ExportOrder) -> None:
        """Start writing the project's annotations as a dataset; ignored while another one is written."""
        self._begin(self._export, order)

    def _export(self, order: ExportOrder) -> tuple[str, Path | None]:
        from vfss.datasets import FORMATS, run_export
        from vfss.datasets.export_folder import choose_target

        dataset_format = FORMATS[order.dataset_format]
        with vfss.Project.open(order.project) as project:
            target = choose_target(project, dataset_format, order.options, order.folder)
            if target.done:
                self.message.emit(
                    f"Going on with the export that was interrupted in {target.folder}: {target.done} frames."
                )
            report = run_export(dataset_format, project, target.folder, order.options, progress=self._on_progress)
        return "\n".join(report.lines()), report.folder


class LatestOnlyJob(FileJob):
    """Executes orders one after the other; a newer order replaces an older one."""

    def __init__(self) -> None:
        """Create the job without a parent: a dialog that closes deletes its children before the worker has stopped."""
        super().__init__()
        self._next: Any = None

    def ask(self, order: Any) -> None:
        """Execute an order next; a running one is cancelled."""
        self._next = order
        if self.running:
            self.cancel()
        else:
            self._start_next()

    def abandon(self) -> None:
        """Cancel, and drop the waiting order."""
        self._next = None
        self.cancel()

    def _execute(self, order: Any) -> tuple[str, object]:
        raise NotImplementedError

    def _start_next(self) -> None:
        order, self._next = self._next, None
        self._begin(self._execute, order)

    def _on_finished(self) -> None:
        if self._next is None:
            super()._on_finished()
        else:
            self._worker = None
            self._start_next()


class Previewing(LatestOnlyJob):
    """Computes the preview of an export."""

    def _execute(self, order: ExportOrder) -> tuple[str, ExportPreview | None]:
        from vfss.datasets import FORMATS
        from vfss.datasets.preview import preview

        with vfss.Project.open(order.project) as project:
            return "", preview(project, FORMATS[order.dataset_format], order.options, self._on_progress)


@dataclass(frozen=True)
class PhantomOrder:
    """Phantom clips to make, and their folder; see vfss.phantom.phantom_project.write_phantom."""

    folder: Path
    clips: int
    frames: int
    seed: int
    size: int
    style: str


class Phantoms(FileJob):
    """Makes phantom clips; finished ones are kept if the rest is cancelled."""

    def start(self, order: PhantomOrder) -> None:
        """Start making clips; ignored while others are made."""
        self._begin(self._make, order)

    def _make(self, order: PhantomOrder) -> tuple[str, Path | None]:
        from vfss.phantom.phantom_project import write_phantom

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


class PixelSearch(FileJob):
    """Searches one recording for what identifies a patient.

    Ends with a note and a ProposedRedaction, or None if it was cancelled.
    """

    def start(self, project: Path, clip_id: str, *, text: bool) -> None:
        """Start; ignored while another search runs.

        Args:
            project: Folder of the project.
            clip_id: The recording.
            text: True to search for text, which takes longest.
        """
        self._begin(self._search, project, clip_id, text)

    def _search(self, folder: Path, clip_id: str, text: bool) -> tuple[str, ProposedRedaction | None]:
        from vfss.deidentify.suggest_redaction import propose_redaction
        from vfss.deidentify.text_detection import TextDetector

        detector, note = None, ""
        if text:
            try:
                detector = TextDetector()
            except VfssError as error:
                note = str(error)
        with vfss.Project.open(folder) as project, project.open_clip(clip_id) as clip:
            return note, propose_redaction(project, clip, detector, self._on_progress)
