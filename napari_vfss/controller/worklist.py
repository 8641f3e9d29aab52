# SPDX-License-Identifier: Apache-2.0
"""Controller of the worklist: rows of the project's clips, which one comes next, and what other windows have open."""

from __future__ import annotations

import getpass
import platform
import uuid
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QObject, Signal

from napari_vfss import preferences
from napari_vfss.connections import Connections
from napari_vfss.debounce import Debounce
from napari_vfss.jobs.worklist import ClipDetails, Edit, Listing, Presence, Wanted, WorklistDetails, WorklistReading
from napari_vfss.session.host import Host, while_open, while_open_or
from napari_vfss.session.session import Session
from vfss.clips import Facing
from vfss.project.worklist_row import OpenWindow, WorklistRow, next_unfinished
from vfss.wording import count

DOUBTFUL_BELOW = 0.8
"""Confidence below which a proposal counts as doubtful in the list (vfss.consistency.judge.CONFIDENT)."""
CHANGED_MS = 1000
TICKS_PER_BEAT = 2  # of the controller's poll timer: a window says every 4 s that it is there, and is gone after 15
Step = Literal["next", "previous"]


class WorklistHost(Host, Protocol):
    """What the worklist needs of the controller.

    Attributes:
        project_folder: Project that recordings join; None for the one of their folder.
    """

    project_folder: Path | None

    def open_in_project(self, folder: Path, clip_id: str) -> bool:
        """Open a clip of a project; return False if it cannot be opened."""


class WorklistController(QObject):
    """Keeps the worklist of one project up to date while someone looks at it, and walks through it.

    Attributes:
        folder: The project; None while there is none.
        rows: A row per clip, in the order in which they were added.
        windows: Other windows that have a clip of the project open.
        doubtful: Number of doubtful masks by clip; absent where they were not counted yet.
        thumbnails: uint8 (H, W) by clip, in memory only; absent where they were not decoded yet.
        shown_order: Returns the ids of the clips as a person sees them, filtered and sorted; None: as they were added.
    """

    rows_changed = Signal()
    windows_changed = Signal()
    details_changed = Signal(str)  # id of a clip

    def __init__(self, host: WorklistHost, parent: QObject) -> None:
        super().__init__(parent)
        self._host = host
        self.window_id = uuid.uuid4().hex
        self.folder: Path | None = None
        self.rows: tuple[WorklistRow, ...] = ()
        self.windows: tuple[OpenWindow, ...] = ()
        self.doubtful: dict[str, int] = {}
        self.thumbnails: dict[str, npt.NDArray[np.uint8]] = {}
        self.shown_order: Callable[[], Sequence[str]] | None = None
        self._counted: dict[str, int] = {}
        self._watchers = 0
        self._ticks = 0
        self._step: Step | None = None
        self._problem = ""
        self._told: set[tuple[str, str]] = set()
        self._reading = WorklistReading(self.window_id, self)
        self._details = WorklistDetails(self)
        self._later = Debounce(self, self.refresh, CHANGED_MS)
        self._connections, self._session_connections = Connections(), Connections()
        self._connections.add(self._reading.read, self._on_read)
        self._connections.add(self._reading.failed, self._on_failed)
        self._connections.add(self._details.known, self.keep_details)
        self._connections.add(self._details.ended, self._find_details)
        self._connections.add(host.session_changed, self._on_session)

    @property
    def session(self) -> Session | None:
        """The open session."""
        return self._host.session

    @property
    def open_clip_id(self) -> str | None:
        """Id of the clip that is open in this window and belongs to the project of the list; None for none."""
        return self._open_clip_id()

    @property
    def annotator(self) -> str:
        """Name under which this window works."""
        return self._author() or preferences.author()

    @property
    def watched(self) -> bool:
        """True while a list is shown."""
        return self._watchers > 0

    def watch(self, seen: bool) -> None:
        """Note that a list is shown (True), or hidden again (False): rows are read only while one is."""
        self._watchers = max(0, self._watchers + (1 if seen else -1))
        if seen:
            self.refresh()

    def show_project(self, folder: Path) -> None:
        """Make a project the one of the list; its rows are read if someone looks at them."""
        if folder != self.folder:
            self.folder = folder
            self._details.cancel()
            self.rows, self.windows = (), ()
            for known in (self.doubtful, self._counted, self.thumbnails):
                known.clear()
            self.rows_changed.emit()
        self._reading.ask(folder, rows=self.watched, presence=self._presence())

    def refresh(self) -> None:
        """Read the list again, in the background."""
        if self.folder is None:
            self.folder = self._host.project_folder
        if self.folder is not None:
            self._reading.ask(self.folder, presence=self._presence())

    def poll(self) -> None:
        """Say that this window is there, and read what others have open; called by the controller's poll timer."""
        self._ticks += 1
        if self.folder is not None and self._ticks % TICKS_PER_BEAT == 0:
            self._reading.ask(self.folder, rows=self.watched, presence=self._presence())

    def open_clip(self, clip_id: str) -> bool:
        """Open a clip of the list; return False if it is open already, or cannot be opened."""
        if self.folder is None or clip_id == self.open_clip_id:
            return False
        return self._host.open_in_project(self.folder, clip_id)

    def go_to_next_unfinished(self) -> None:
        """Open the next clip that is not finished, not given to somebody else, and not open in another window."""
        self._go("next")

    def go_to_previous(self) -> None:
        """Open the clip before the open one in the list."""
        self._go("previous")

    @while_open
    def finish_and_go_on(self, session: Session) -> None:
        """Declare the open clip finished and open the next unfinished one."""
        self._host.save()
        author = session.author
        self.edit(lambda project, ids: project.worklist.declare_finished(ids, author), {session.clip.id})
        self._go("next")

    def edit(self, change: Callable[..., None], clip_ids: Collection[str]) -> None:
        """Make a change of clips in the background, then read the list again; errors are shown.

        Args:
            change: Called with the project and the ids.
            clip_ids: The clips.
        """
        if self.folder is not None and clip_ids:
            ids = tuple(clip_ids)
            self._ask_edit(lambda project: change(project, ids))

    def assign(self, clip_ids: Collection[str], annotator: str | None) -> None:
        """Give clips to an annotator; None for nobody."""
        self.edit(lambda project, ids: project.worklist.assign(ids, annotator), clip_ids)

    def declare_finished(self, clip_ids: Collection[str], finished: bool) -> None:
        """Declare clips finished in the annotator's name, or withdraw that."""
        author = self.annotator
        if finished:
            self.edit(lambda project, ids: project.worklist.declare_finished(ids, author), clip_ids)
        else:
            self.edit(lambda project, ids: project.worklist.declare_unfinished(ids), clip_ids)

    def set_flags(self, clip_ids: Collection[str], *, case: str | None = None, facing: Facing | None = None) -> None:
        """Set case id or facing of clips; the open one is changed through its session, which shows it at once."""
        others = [clip_id for clip_id in clip_ids if clip_id != self.open_clip_id]
        if len(others) < len(clip_ids):
            self._set_flags_of_open_clip(case, facing)

        def change(project: object, ids: Sequence[str]) -> None:
            for clip_id in ids:
                project.update_clip(clip_id, patient=case, facing=facing)  # type: ignore[attr-defined]

        self.edit(change, others)
        self.refresh()

    def keep_details(self, details: ClipDetails) -> None:
        """Keep what was found out of a clip in the background."""
        if details.doubtful is not None:
            self.doubtful[details.clip] = details.doubtful
            self._counted[details.clip] = details.revision
        if details.thumbnail is not None:
            self.thumbnails[details.clip] = details.thumbnail
        self.details_changed.emit(details.clip)

    def others_at(self, clip_id: str) -> tuple[OpenWindow, ...]:
        """Return the other windows that have a clip open."""
        return tuple(window for window in self.windows if window.clip == clip_id)

    def leave(self) -> None:
        """Tell other windows that the open clip closes; called before its session is closed."""
        self._leave()

    def close(self) -> None:
        """Stop reading."""
        self._session_connections.undo()
        self._connections.undo()
        self._details.cancel()
        self._reading.close()

    def _ask_edit(self, edit: Edit) -> None:
        if self.folder is not None:
            self._reading.ask(self.folder, edit=edit, presence=self._presence())

    def _go(self, step: Step) -> None:
        self._step = step
        if self.folder is None:
            self.folder = self._host.project_folder
        if self.folder is None:
            self._step = None
            self._host.show_message("Open a recording or a project first: there is no worklist yet.")
        else:
            self._reading.ask(self.folder, presence=self._presence(), step=True)

    def _take_step(self) -> None:
        step, self._step = self._step, None
        if step is None:
            return
        clip_id = self._previous() if step == "previous" else self._next()
        if clip_id is not None:
            self.open_clip(clip_id)
        elif step == "next":
            self._host.show_message(self._nothing_left())
        else:
            self._host.show_message("This is the first clip of the list.")

    def ordered_rows(self) -> tuple[WorklistRow, ...]:
        """Return the rows as a person sees them; those that are filtered out come last."""
        shown = list(self.shown_order()) if self.shown_order is not None else []
        place = {clip_id: i for i, clip_id in enumerate(shown)}
        return tuple(sorted(self.rows, key=lambda row: place.get(row.id, len(place))))

    def _next(self) -> str | None:
        taken = {window.clip for window in self.windows}
        return next_unfinished(self.ordered_rows(), self.open_clip_id, self.annotator, taken)

    def _previous(self) -> str | None:
        ids = [row.id for row in self.ordered_rows()]
        here = ids.index(self.open_clip_id) if self.open_clip_id in ids else len(ids)
        return ids[here - 1] if here > 0 else None

    def _nothing_left(self) -> str:
        left = [row for row in self.rows if not row.finished and row.id != self.open_clip_id]
        if not left:
            here = [row for row in self.rows if not row.finished]
            return "This is the only clip that is not finished." if here else "All clips of the list are finished."
        others = sum(row.assigned_to not in (None, self.annotator) for row in left)
        what = count(len(left), "unfinished clip is", "unfinished clips are")
        if others == len(left):
            return f"No clip is left for {self.annotator}: {what} given to others."
        return f"No clip is left for {self.annotator}: {what} given to others or open in another window."

    def _on_read(self, listing: Listing) -> None:
        if listing.folder != self.folder:
            return
        self._problem = ""
        if listing.problem:
            self._step = None
            self._host.show_message(listing.problem, problem=True)
        if listing.windows != self.windows:
            self.windows = listing.windows
            self.windows_changed.emit()
            self._tell_of_others()
        if listing.rows is not None:
            if listing.rows != self.rows:
                self.rows = listing.rows
                self.rows_changed.emit()
            self._find_details()
            if listing.step:  # an earlier one may lack a change that was to be made before
                self._take_step()

    def _on_failed(self, problem: str) -> None:
        asked, self._step = self.watched or self._step is not None, None
        if asked and problem != self._problem:  # once, not at every reading
            self._problem = problem
            self._host.show_message(problem, problem=True)

    def _find_details(self) -> None:
        """Look for what is not known yet of the clips, while a list is shown."""
        if not self.watched or self._reading.project is None:
            return
        wanted = [
            Wanted(row, self._counted.get(row.id) != row.revision, row.id not in self.thumbnails) for row in self.rows
        ]
        self._details.start(
            self._reading.project, [one for one in wanted if one.count or one.thumbnail], DOUBTFUL_BELOW
        )

    def _tell_of_others(self) -> None:
        """Say once that somebody else has the clip open that is open here."""
        for window in self.others_at(self.open_clip_id or ""):
            if (window.window, window.clip) not in self._told:
                self._told.add((window.window, window.clip))
                where = "in another window" if window.author == self.annotator else f"on {window.host}"
                self._host.show_message(f"{window.author} has this clip open too, {where}.")

    def _on_session(self) -> None:
        self._session_connections.undo()
        self._follow()
        self.rows_changed.emit()  # another row is the open one

    @while_open
    def _follow(self, session: Session) -> None:
        for signal in (session.masks_changed, session.flags_changed):
            self._session_connections.add(signal, self._on_changed)
        self.show_project(session.project.folder)

    def _on_changed(self, *_: object) -> None:
        if self.watched:
            self._later.ask()

    @while_open_or(None)
    def _presence(self, session: Session) -> Presence | None:
        if session.project.folder != self.folder:
            return None
        return Presence(self.window_id, session.author, platform.node() or getpass.getuser(), session.clip.id)

    @while_open
    def _leave(self, session: Session) -> None:
        if not session.project.read_only:
            with self._host.showing_errors():
                session.project.open_windows.leave(self.window_id)

    @while_open
    def _set_flags_of_open_clip(self, session: Session, case: str | None, facing: Facing | None) -> None:
        with self._host.showing_errors():
            session.set_flags(patient=case, facing=facing)

    @while_open_or(None)
    def _open_clip_id(self, session: Session) -> str | None:
        return session.clip.id if session.project.folder == self.folder else None

    @while_open_or("")
    def _author(self, session: Session) -> str:
        return session.author
