# SPDX-License-Identifier: Apache-2.0
"""Controller of one viewer: the open session, its layers and background jobs. No widgets."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject, QTimer, Signal

from napari_vfss import preferences
from napari_vfss.connections import Connections
from napari_vfss.controller.adoption import LayerAdoption
from napari_vfss.controller.label_walk import LabelWalk
from napari_vfss.controller.open_many import OpenMany
from napari_vfss.controller.renaming import NameCorrections
from napari_vfss.controller.student_jobs import StudentJobs
from napari_vfss.controller.timeline import TimelineController
from napari_vfss.controller.unsaved import UnsavedGuard
from napari_vfss.controller.viewed import ViewedTracker
from napari_vfss.controller.worklist import WorklistController
from napari_vfss.jobs.files import Exporting, ExportOrder
from napari_vfss.jobs.training import Retraining
from napari_vfss.keys.action import Action
from napari_vfss.keys.bindings import KeyBindings
from napari_vfss.keys.book import KeyBook
from napari_vfss.prompting.tool import ClickTool
from napari_vfss.session.corrections import Corrections
from napari_vfss.session.host import NothingOpenError, while_open, while_open_or
from napari_vfss.session.nesting import NestingWatch
from napari_vfss.session.opening import is_project, open_project_session, open_session, recall_view, remember_view
from napari_vfss.session.session import Session
from napari_vfss.viewer.guard import LayerGuard
from napari_vfss.viewer.layers import READ_ONLY, ClipLayers
from vfss.errors import ProjectError, SeveralRecordingsError, VfssError
from vfss.schema import Schema
from vfss.wording import count, sentences

ActionsOf = Callable[[Schema], tuple[Action[Any], ...]]
POLL_MS = 2000
REMEMBER_MS = 1500
MOST_NOTES = 3  # on a recording, in the message on opening it


@dataclass(frozen=True, eq=False)
class OpenClip:
    """What exists while a clip is open: created together and closed together."""

    session: Session
    layers: ClipLayers
    guard: LayerGuard
    corrections: Corrections
    click_tool: ClickTool
    nesting: NestingWatch
    keys: KeyBindings

    def close(self) -> None:
        """Unbind the keys, remove the layers, close file and project."""
        self.keys.close()
        self.click_tool.close()
        self.nesting.close()
        self.guard.close()
        self.layers.close()
        self.session.close()


class AnnotationController(QObject):
    """Opens and closes clips in a viewer; starts jobs on the open clip, exports and retraining.

    Attributes:
        viewer: The napari viewer.
        key_book: Which key does what.
        project_folder: Project that recordings join; None for the one of their folder.
        unsaved_guard: Asks before unsaved changes are lost.
        student_jobs: Proposing, propagating and adapting to the clip.
        exporting: Writes datasets.
        retraining: Trains new students.
        timeline: The open clip in time: survey, marks, playback.
        label_walk: Accepted masks that look wrong, and the walk through them.
        names: Corrects names and pieces of masks on many frames.
        viewed_tracker: Records which masks were on the screen.
        adoption: Opens sessions on layers of recordings that napari itself opened.
        worklist: The clips of the project, and what other windows have open.
        opening_many: Adds recordings to the project in the background.
    """

    session_changed = Signal()
    message = Signal(str, bool)  # message, True for a problem
    recording_asked = Signal(object)  # SeveralRecordingsError of a folder: a person must choose one of them
    action_requested = Signal(str)  # id of a request that an action makes of the window; the panel fulfils it

    def __init__(self, viewer: Any, actions_of: ActionsOf, parent: QObject | None = None) -> None:
        """Control a viewer.

        Args:
            viewer: The napari viewer.
            actions_of: Returns every action for a schema: `all_actions` of napari_vfss.controller.actions, passed in
                because actions know the controller and not the other way round.
            parent: Widget that owns the controller.
        """
        super().__init__(parent)
        self.viewer = viewer
        self._open: OpenClip | None = None
        self.key_book = KeyBook(actions_of, self)
        self.project_folder: Path | None = None
        self.unsaved_guard = UnsavedGuard(self)
        self.student_jobs = StudentJobs(self, self)
        self.exporting = Exporting(self)
        self.retraining = Retraining(self)
        self.timeline = TimelineController(self, self)
        self.names = NameCorrections(self, self.student_jobs, self.timeline)
        self.label_walk = LabelWalk(self, self.open_clip_of_project, self)
        self.viewed_tracker = ViewedTracker(self, self)
        self.adoption = LayerAdoption(self, self.open)
        self.worklist = WorklistController(self, self)
        self.opening_many = OpenMany(self, self)
        self._poll_problem = ""
        self._session_connections = Connections()
        self._connections = Connections()
        self._poll = QTimer(self)
        self._poll.setInterval(POLL_MS)
        self._remember = QTimer(self)
        self._remember.setSingleShot(True)
        self._remember.setInterval(REMEMBER_MS)
        self._connections.add(self._poll.timeout, self.poll)
        self._connections.add(self._remember.timeout, self.remember)
        self._connections.add(viewer.layers.events.inserted, self.adoption.on_inserted)
        self._connections.add(self.student_jobs.proposing.proposed, self.student_jobs.on_proposed)
        self._connections.add(self.student_jobs.proposing.message, self._on_problem)

    @property
    def session(self) -> Session | None:
        """The open session; None while no clip is open."""
        return None if self._open is None else self._open.session

    @property
    def layers(self) -> ClipLayers:
        """Layers of the open clip.

        Raises:
            NothingOpenError: No clip is open.
        """
        return self._opened.layers

    @property
    def guard(self) -> LayerGuard:
        """Guard of the layers of the open clip.

        Raises:
            NothingOpenError: No clip is open.
        """
        return self._opened.guard

    @property
    def corrections(self) -> Corrections:
        """Correction tools of the open clip.

        Raises:
            NothingOpenError: No clip is open.
        """
        return self._opened.corrections

    @property
    def click_tool(self) -> ClickTool:
        """Click tool of the open clip.

        Raises:
            NothingOpenError: No clip is open.
        """
        return self._opened.click_tool

    @property
    def nesting(self) -> NestingWatch:
        """Watch over structures that leave the one they nest in.

        Raises:
            NothingOpenError: No clip is open.
        """
        return self._opened.nesting

    @contextlib.contextmanager
    def showing_errors(self) -> Generator[None, None, None]:
        """Show a VfssError or an error of the disk, on which a user can act, instead of raising it."""
        try:
            yield
        except (VfssError, OSError) as error:
            self.show_message(str(error), problem=True)

    def show_message(self, message: str, *, problem: bool = False) -> None:
        """Show a message to the user."""
        self.message.emit(message, problem)

    def act(self, action: Action[AnnotationController]) -> None:
        """Do what a key stands for, after the stroke in progress was written; errors are shown."""
        with self.showing_errors():
            if action.when(self):
                self._flush()
                action.do(self)

    @while_open
    def in_session(self, session: Session, do: Callable[[Session], object]) -> None:
        """Call a function with the open session; skip it while no clip is open."""
        do(session)

    def open(self, path: Path) -> bool:
        """Open a recording or a project in place of what is open; return False if it cannot be opened."""
        folder = None if is_project(path) else self.joined_project()
        return self._open_with(open_session, path, project_folder=folder)

    @while_open_or(False)
    def open_clip_of_project(self, session: Session, clip_id: str) -> bool:
        """Open another clip of the open project; return False if it is open already or cannot be opened."""
        if clip_id == session.clip.id:
            return False
        return self.open_in_project(session.project.folder, clip_id)

    def open_in_project(self, folder: Path, clip_id: str) -> bool:
        """Open a clip of a project in place of what is open; return False if it cannot be opened."""
        return self._open_with(open_project_session, folder, clip_id=clip_id)

    def open_many(self, paths: Sequence[Path]) -> bool:
        """Open files, folders and projects: the first recording at once, the others join its project meanwhile.

        Args:
            paths: Recordings, folders of them, and at most one project, which they join.

        Returns:
            False if nothing was started, which a message explains.
        """
        if len(paths) == 1 and is_project(paths[0]):
            return self.open(paths[0])
        return self.opening_many.start(paths)

    def show_session(self, session: Session) -> None:
        """Close what is open, and show a session instead; unsaved changes are the caller's to ask about."""
        self._show(session)

    def choose_project(self, folder: Path) -> bool:
        """Work in another project from now on: an existing one, or a new one that the open clip joins."""
        self.project_folder = folder
        if is_project(folder):
            return self.open(folder)
        source = self._source()
        return self.open(source) if source is not None else False

    def start_project(self, folder: Path, *, add_open_clip: bool) -> bool:
        """Work in a new, empty project from now on.

        Args:
            folder: The project, which exists already.
            add_open_clip: Whether the open recording is added to it; otherwise it is closed.

        Returns:
            False if unsaved changes kept the present clip open, or the recording could not be opened.
        """
        source = self._source() if add_open_clip else None
        if not self.unsaved_guard.may_close():
            return False
        self.project_folder = folder
        if source is not None:
            return self.open(source)
        self.close_session()
        self.show_message(f"The project {folder.name} is ready: open a recording to add it.")
        return True

    def close_session(self) -> None:
        """Close the open clip; everything is saved already."""
        closing = self._open
        if closing is None:
            return
        self.student_jobs.detach()
        self._poll.stop()
        self._remember.stop()
        self.save()
        self.worklist.leave()
        self._open = None
        self._session_connections.undo()
        closing.close()
        self.session_changed.emit()

    def close(self) -> None:
        """Close everything, and stop all jobs, the trainer included."""
        self.save()
        self.unsaved_guard.resolve_before_closing()
        self.close_session()
        self.label_walk.checking.cancel()
        self.exporting.cancel()
        self.retraining.close()
        self.student_jobs.adapting.close()
        self.timeline.close()
        self.viewed_tracker.close()
        self.opening_many.close()
        self.worklist.close()
        self._connections.undo()

    def export(self, order: ExportOrder) -> None:
        """Write a project's annotations as a dataset."""
        self.save()
        self.exporting.start(order)

    @while_open
    def retrain(self, session: Session, arguments: tuple[str, ...] = ()) -> None:
        """Train a new student from the project.

        Args:
            session: The open session.
            arguments: Options of `vfss-train fit`; none for the quick training.
        """
        self._flush()
        self.retraining.start(session.project.folder, arguments)

    def save(self) -> None:
        """Write the stroke in progress and the view; errors are shown."""
        with self.showing_errors():
            self._flush()
            self.remember()

    @while_open
    def remember(self, session: Session) -> None:
        """Store frame, structure and view for the next time."""
        if not session.project.read_only:
            with self.showing_errors():
                remember_view(session, **self.layers.camera())

    @while_open
    def poll(self, session: Session) -> None:
        """Read what others wrote to the project; every few times, try again to write unsaved changes."""
        self.worklist.poll()
        if self.student_jobs.writing:
            return
        try:
            session.poll()
            self._poll_problem = ""
        except ProjectError as error:
            if error.what != self._poll_problem:  # once, not every two seconds
                self._poll_problem = error.what
                self.show_message(str(error), problem=True)
        self.unsaved_guard.retry_at_intervals()

    @property
    def _opened(self) -> OpenClip:
        if self._open is None:
            raise NothingOpenError("no clip is open", remedy="Open a recording or a project first.")
        return self._open

    @while_open
    def _flush(self, _session: Session) -> None:
        self.layers.flush()

    @while_open_or(None)
    def _source(self, session: Session) -> Path | None:
        return session.clip.source

    def joined_project(self) -> Path | None:
        """Return the project that a recording joins: not one whose masks a second reading hides, but the reading's."""
        return self._reading_folder() or self.project_folder

    @while_open_or(None)
    def _reading_folder(self, session: Session) -> Path | None:
        return None if session.reading is None else session.reading.folder

    def _open_with(self, opener: Callable[..., Session], path: Path, **options: Any) -> bool:
        opened = False
        if self.unsaved_guard.may_close():
            with self.showing_errors():
                try:
                    session = opener(path, preferences.author(), frames_kept=preferences.frames_kept(), **options)
                except SeveralRecordingsError as error:
                    self.recording_asked.emit(error)
                    return False
                self._show(session)
                opened = True
        return opened

    def _show(self, session: Session) -> None:
        """Close what is open, and show a session instead."""
        self.close_session()
        view = recall_view(session)
        layers = ClipLayers(self.viewer, session)
        click_tool = ClickTool(self, session, layers, self.student_jobs.proposing, parent=self)
        self.key_book.set_schema(session.schema)
        guard = LayerGuard(self.viewer, layers)
        keys = KeyBindings(self.key_book, self.act, lambda: _keyed(self.viewer, layers, guard))
        corrections = Corrections(session, self.show_message)
        opened = self._open = OpenClip(session, layers, guard, corrections, click_tool, NestingWatch(session), keys)
        layers.restore_camera(view)
        self._connect(opened)
        self._poll.start()
        self.remember()
        self.session_changed.emit()
        messages = [_opening_message(session.clip.notes)] if session.clip.notes else []
        messages += [READ_ONLY] if session.project.read_only else []
        if messages:
            self.show_message("\n".join(messages))

    def _connect(self, opened: OpenClip) -> None:
        add, session, layers = self._session_connections.add, opened.session, opened.layers
        add(opened.nesting.message, self.show_message)
        add(session.problem, self._on_problem)
        add(session.message, self.show_message)
        add(layers.message, self.show_message)
        add(opened.guard.message, self.show_message)
        add(opened.guard.foreign_changed, opened.keys.bind)
        add(layers.editor_changed, opened.keys.bind)
        add(layers.editor_changed, opened.click_tool.follow_editor)
        add(layers.clip_removed, self._on_clip_removed)
        camera = self.viewer.scene.camera.events
        for signal in (session.frame_changed, session.structure_changed, camera.zoom, camera.center):
            add(signal, self._on_view)
        for signal in (layers.image.events.contrast_limits, layers.image.events.gamma):
            add(signal, self._on_view)

    def _on_problem(self, message: str) -> None:
        self.show_message(message, problem=True)

    def _on_clip_removed(self) -> None:
        # napari is still removing the layer, perhaps all layers: return when it is done.
        QTimer.singleShot(0, self._close_or_put_back)

    @while_open
    def _close_or_put_back(self, _session: Session) -> None:
        if self.unsaved_guard.may_close():
            self.close_session()
        else:
            self.layers.put_back(with_recording=True)

    def _on_view(self, *_: Any) -> None:
        self._remember.start()


def _opening_message(notes: tuple[str, ...]) -> str:
    """Return what was noticed on opening a recording, as a message; what is too much for it is in the panel."""
    left = len(notes) - MOST_NOTES
    more = f" {count(left, 'more remark is', 'more remarks are')} in the panel." if left > 0 else ""
    return sentences(notes[:MOST_NOTES]) + more


def _keyed(viewer: Any, layers: ClipLayers, guard: LayerGuard) -> tuple[Any, ...]:
    """Return what keys are bound on: a foreign Labels layer too, whose own keys would choose tools, not structures."""
    foreign = () if guard.foreign is None else (guard.foreign,)
    return (viewer, layers.image, layers.overlay, layers.editor, *foreign)
