# SPDX-License-Identifier: Apache-2.0
"""Background jobs of the worklist: read its rows, make changes of many clips, count doubtful masks, decode thumbnails.

The worklist has a connection to the project of its own: the one of the open clip is closed with the clip.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QObject, Signal

from napari_vfss.jobs.worker import explain, worker_for
from vfss.errors import VfssError
from vfss.project.worklist_row import OpenWindow, WorklistRow

if TYPE_CHECKING:
    from vfss.project import Project

Edit = Callable[["Project"], None]
PAUSE_S = 0.02  # between clips, in which the window draws
PATIENCE_S = 10.0


@dataclass(frozen=True)
class Presence:
    """What a window says of itself: its id, who works in it, on which computer, on which clip."""

    window: str
    author: str
    host: str
    clip: str


@dataclass(frozen=True)
class Listing:
    """What was read of a project.

    Attributes:
        folder: The project.
        rows: A row per clip; None where only open windows were asked for.
        windows: Other windows that have a clip of the project open.
        problem: Why an edit could not be made, for the person; empty for none.
        step: True if it includes everything that was asked for before a step to another clip was.
    """

    folder: Path
    rows: tuple[WorklistRow, ...] | None
    windows: tuple[OpenWindow, ...]
    problem: str = ""
    step: bool = False


@dataclass
class _Order:
    """What to do in the next run of the worker, collected while it is busy."""

    folder: Path
    window: str
    presence: Presence | None = None
    rows: bool = False
    step: bool = False
    edits: list[Edit] = field(default_factory=list)


class WorklistReading(QObject):
    """Reads the worklist of a project, after the changes that were asked for; one order at a time.

    Attributes:
        project: The project that was read last; None before, and after `close`.
    """

    read = Signal(object)  # Listing
    failed = Signal(str)

    def __init__(self, window: str, parent: QObject | None = None) -> None:
        """Read for a window, by its id."""
        super().__init__(parent)
        self._window = window
        self.project: Project | None = None
        self._worker: Any = None
        self._next: _Order | None = None
        self._closed = False

    @property
    def running(self) -> bool:
        """True while the project is read."""
        return self._worker is not None

    def ask(
        self,
        folder: Path,
        *,
        rows: bool = True,
        presence: Presence | None = None,
        edit: Edit | None = None,
        step: bool = False,
    ) -> None:
        """Read a project soon; requests that come while it is read are joined.

        Args:
            folder: The project.
            rows: Whether to read a row per clip; else only which windows are open.
            presence: What to say of this window first; None for nothing.
            edit: Change to make before, in the background; each is made, in the order of the requests.
            step: Whether the listing is to be marked, for a step to another clip.
        """
        if self._closed:
            return
        order = self._next
        if order is None or order.folder != folder:
            order = _Order(folder, self._window)
        order.rows, order.presence = order.rows or rows, presence or order.presence
        order.edits += [] if edit is None else [edit]
        order.step = order.step or step
        self._next = order
        if self._worker is None:
            self._start()

    def close(self) -> None:
        """Close the project; a worker that still reads ends by itself."""
        self._closed, self._next = True, None
        if self.project is not None:
            self.project.close()
            self.project = None

    def _start(self) -> None:
        order, self._next = self._next, None
        self._worker = worker_for(self._read, order)
        self._worker.returned.connect(self._on_read)
        self._worker.errored.connect(self._on_error)
        self._worker.finished.connect(self._on_finished)
        self._worker.start()

    def _read(self, order: _Order) -> Listing:
        project = self._opened(order.folder)
        problems = [problem for edit in order.edits if (problem := _made(edit, project))]
        if order.presence is not None and not project.read_only:
            say = order.presence
            project.open_windows.say(say.window, author=say.author, host=say.host, clip_id=say.clip)
        windows = tuple(project.open_windows.others(order.window))
        rows = tuple(project.worklist.rows()) if order.rows else None
        return Listing(order.folder, rows, windows, "\n".join(dict.fromkeys(problems)), order.step)

    def _opened(self, folder: Path) -> Project:
        from vfss.project import Project

        if self.project is None or self.project.folder != folder.absolute():
            if self.project is not None:
                self.project.close()
            self.project = Project.open(folder, patience_s=PATIENCE_S)
        return self.project

    def _on_read(self, listing: Listing) -> None:
        if not self._closed:
            self.read.emit(listing)

    def _on_error(self, error: Exception) -> None:
        if not self._closed:
            self.failed.emit(explain(error))

    def _on_finished(self) -> None:
        self._worker = None
        if self._next is not None:
            self._start()
        elif self._closed and self.project is not None:  # it was opened while it was to be closed
            self.project.close()


def _made(edit: Edit, project: Project) -> str:
    try:
        edit(project)
    except VfssError as error:
        return str(error)
    return ""


@dataclass(frozen=True, eq=False)
class ClipDetails:
    """What takes longer to find out of a clip than its row.

    Attributes:
        clip: Content id.
        revision: Newest revision that the count includes.
        doubtful: Proposals with low confidence; None where they were not counted.
        thumbnail: uint8 (H, W); None where it was not decoded.
    """

    clip: str
    revision: int
    doubtful: int | None = None
    thumbnail: npt.NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class Wanted:
    """A clip of which details are wanted: its row, and whether a thumbnail is missing."""

    row: WorklistRow
    count: bool
    thumbnail: bool


def details(project: Project, wanted: Iterable[Wanted], below: float) -> Generator[ClipDetails, None, None]:
    """Count the doubtful masks of clips, which is quick, then decode their thumbnails one by one.

    A recording that cannot be read has no thumbnail; opening it tells why.
    """
    wanted = list(wanted)
    for one in wanted:
        if one.count:
            yield ClipDetails(one.row.id, one.row.revision, doubtful=project.worklist.doubtful(one.row.id, below))
            time.sleep(PAUSE_S / 10)
    for one in wanted:
        if one.thumbnail:
            yield ClipDetails(one.row.id, one.row.revision, thumbnail=_thumbnail(project, one.row.id))
            time.sleep(PAUSE_S)


def _thumbnail(project: Project, clip_id: str) -> npt.NDArray[np.uint8]:
    from vfss.clips.thumbnail import HEIGHT, WIDTH, thumbnail

    try:
        with project.open_clip(clip_id) as clip:
            return thumbnail(clip)
    except (VfssError, OSError):
        return np.zeros((HEIGHT, WIDTH), np.uint8)


class WorklistDetails(QObject):
    """Finds out details of clips, one run at a time."""

    known = Signal(object)  # ClipDetails
    ended = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._worker: Any = None

    @property
    def running(self) -> bool:
        """True while details are looked for."""
        return self._worker is not None

    def start(self, project: Project, wanted: list[Wanted], below: float) -> None:
        """Start; ignored while a run is going on, or if nothing is wanted.

        Args:
            project: The project, open for this job.
            wanted: Clips and what is wanted of each.
            below: Confidence below which a proposal counts as doubtful, 0..1.
        """
        if self.running or not wanted:
            return
        self._worker = worker_for(details, project, wanted, below)
        self._worker.yielded.connect(self.known)
        self._worker.finished.connect(self._on_finished)
        self._worker.start()

    def cancel(self) -> None:
        """Stop after the present clip."""
        if self._worker is not None:
            self._worker.quit()

    def _on_finished(self) -> None:
        self._worker = None
        self.ended.emit()
