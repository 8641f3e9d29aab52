# SPDX-License-Identifier: Apache-2.0
"""Desk: what is open in one viewer, and the work that goes on beside it. Owns everything, draws nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject, QTimer, Signal

from napari_vfss import preferences
from napari_vfss.connections import Connections
from napari_vfss.controller.student_jobs import StudentJobs
from napari_vfss.controller.timeline import TimelineController
from napari_vfss.controller.unsaved import UnsavedGuard
from napari_vfss.controller.viewed import ViewedTracker
from napari_vfss.jobs.files import Exporting, ExportOrder
from napari_vfss.jobs.training import Retraining
from napari_vfss.keys.action import Action
from napari_vfss.keys.bindings import KeyBindings
from napari_vfss.keys.book import KeyBook
from napari_vfss.prompting.tool import ClickTool
from napari_vfss.session.corrections import Corrections
from napari_vfss.session.nesting import NestingWatch
from napari_vfss.session.opening import is_project, open_project_session, open_session, recall_view, remember_view
from napari_vfss.session.session import Session
from napari_vfss.viewer.clip_array import ClipFrames
from napari_vfss.viewer.layers import READ_ONLY, ClipLayers
from vfss.errors import ProjectError, VfssError


class LayerAdoption:
    """Watches for layers of clips that are in no session."""

    def __init__(self, controller: AnnotationController) -> None:
        self._controller = controller

    def on_inserted(self, event: Any) -> None:
        """A layer was added."""
        layer, layers = event.value, self._controller.layers
        metadata = getattr(layer, "metadata", {})
        frames = metadata.get("vfss_frames")
        own = layers is not None and layer is layers.image
        bare = isinstance(frames, ClipFrames) and frames.source is not None and not metadata.get("vfss_session", False)
        if bare and not own:
            # It moves when napari is done with adding it.
            QTimer.singleShot(0, lambda: self.adopt(layer))

    def adopt(self, layer: Any) -> None:
        """Open the clip of a layer in that layer's place."""
        controller, frames = self._controller, layer.metadata["vfss_frames"]
        if layer in controller.viewer.layers and frames.source is not None:
            controller.viewer.layers.remove(layer)
            frames.close()
            controller.open(frames.source)


POLL_MS = 2000
REMEMBER_MS = 1500


class AnnotationController(QObject):
    """Opens and closes clips in a viewer, and starts exporting and retraining; the machine works on the open clip."""

    session_changed = Signal()
    message = Signal(str, bool)  # message, True for a problem
    action_requested = Signal(str)  # what a key asks of the window; napari_vfss/keyboard.py knows the wishes

    def __init__(self, viewer: Any, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.viewer = viewer
        self.session: Session | None = None
        self.layers: ClipLayers | None = None
        self.keys: KeyBindings | None = None
        self.key_book = KeyBook(self)
        self.unsaved_guard: UnsavedGuard = UnsavedGuard(self)
        self._poll_told = ""
        self.corrections: Corrections | None = None
        self.click_tool: ClickTool | None = None
        self.nesting: NestingWatch | None = None
        self.project_folder: Path | None = None
        self.student_jobs: StudentJobs = StudentJobs(self)
        self.exporting = Exporting(self)
        self.retraining = Retraining(self)
        self.timeline = TimelineController(self)
        self.viewed_tracker: ViewedTracker = ViewedTracker(self)
        self._session_connections = Connections()
        self._connections = Connections()
        self._poll = QTimer(self)
        self._poll.setInterval(POLL_MS)
        self._remember = QTimer(self)
        self._remember.setSingleShot(True)
        self._remember.setInterval(REMEMBER_MS)
        self._connections.add(self._poll.timeout, self.look_for_others)
        self._connections.add(self._remember.timeout, self.remember)
        self.adoption = LayerAdoption(self)
        self._connections.add(viewer.layers.events.inserted, self.adoption.on_inserted)
        self._connections.add(self.student_jobs.proposing.proposed, self.student_jobs.on_proposed)
        self._connections.add(self.student_jobs.proposing.message, self._on_problem)

    @contextlib.contextmanager
    def telling(self) -> Generator[None, None, None]:
        """Tell what a person can act on, a VfssError or an error of the disk, instead of raising it."""
        try:
            yield
        except (VfssError, OSError) as error:
            self.tell(str(error), problem=True)

    def tell(self, message: str, *, problem: bool = False) -> None:
        """Say something to the person."""
        self.message.emit(message, problem)

    def act(self, action: Action) -> None:
        """Do what a key stands for, after what is under the pen was written; tell errors."""
        with self.telling():
            if action.when(self):
                if self.layers is not None:
                    self.layers.flush()
                action.do(self)

    def open(self, path: Path) -> bool:
        """Open a recording or a project; what was open before is closed. False where it could not be opened."""
        reading = None if self.session is None else self.session.reading
        joined = self.project_folder if reading is None else reading.folder  # not the project: its masks are hidden
        folder = None if is_project(path) else joined
        return self._take_from(open_session, path, project_folder=folder)

    def open_clip_of_project(self, clip_id: str) -> bool:
        """Open another clip of the project that is open."""
        if self.session is None or clip_id == self.session.clip.id:
            return False
        return self._take_from(open_project_session, self.session.project.folder, clip_id=clip_id)

    def choose_project(self, folder: Path) -> bool:
        """Work in another project from now on: one that is there, or a new one that the open clip joins."""
        self.project_folder = folder
        if is_project(folder):
            return self.open(folder)
        source = None if self.session is None else self.session.clip.source
        return source is not None and self.open(source)

    def close_session(self) -> None:
        """Put the open clip away; everything is saved already."""
        session, layers, keys, clicks = self.session, self.layers, self.keys, self.click_tool
        if session is None or layers is None or keys is None:
            return
        self.student_jobs.let_go()
        self._poll.stop()
        self._remember.stop()
        self.save()
        self.session = self.layers = self.keys = self.corrections = self.click_tool = None
        self._session_connections.undo()
        keys.close()
        if clicks is not None:
            clicks.close()
        if self.nesting is not None:
            self.nesting.close()
            self.nesting = None
        layers.close()
        session.close()
        self.session_changed.emit()

    def close(self) -> None:
        """Put everything away, the trainer included."""
        self.save()
        self.unsaved_guard.part()
        self.close_session()
        self.exporting.cancel()
        self.retraining.close()
        self.student_jobs.learning.close()
        self.timeline.close()
        self.viewed_tracker.close()
        self._connections.undo()

    def export(self, order: ExportOrder) -> None:
        """Write a project's annotations as a dataset."""
        self.save()
        self.exporting.start(order)

    def retrain(self, arguments: tuple[str, ...] = ()) -> None:
        """Train a new student from the project; arguments are options of `vfss-train fit`, none: the quick way."""
        if self.session is not None and self.layers is not None:
            self.layers.flush()
            self.retraining.start(self.session.project.folder, arguments)

    def save(self) -> None:
        """Write what is under the pen, and the view."""
        if self.layers is not None:
            with self.telling():
                self.layers.flush()
                self.remember()

    def remember(self) -> None:
        """Keep frame, structure and view for the next time."""
        if self.session is not None and self.layers is not None and not self.session.project.read_only:
            with self.telling():
                remember_view(self.session, **self.layers.camera())

    def look_for_others(self) -> None:
        """Take in what others wrote to the project meanwhile; now and then, try again to write what waits."""
        if self.session is None or self.student_jobs.writing:
            return
        try:
            self.session.poll()
            self._poll_told = ""
        except ProjectError as error:
            if error.what != self._poll_told:  # once, not every two seconds
                self._poll_told = error.what
                self.tell(str(error), problem=True)
        self.unsaved_guard.try_now_and_then()

    def _take_from(self, opener: Callable[..., Session], path: Path, **options: Any) -> bool:
        session: Session | None = None
        if not self.unsaved_guard.may_let_go():
            return False
        with self.telling():
            session = opener(path, preferences.author(), frames_kept=preferences.frames_kept(), **options)
            self._take(session)
        return session is not None

    def _take(self, session: Session) -> None:
        self.close_session()
        self.session = session
        view = recall_view(session)
        self.layers = ClipLayers(self.viewer, session)
        self.corrections = Corrections(session, self.tell)
        self.click_tool = ClickTool(self, session, self.layers)
        self.nesting = NestingWatch(session)
        self._session_connections.add(self.nesting.message, self.tell)
        self.key_book.take_schema(session.schema)
        self.keys = KeyBindings(self, self.layers)
        self.layers.restore_camera(view)
        add = self._session_connections.add
        add(session.problem, self._on_problem)
        add(session.message, self.tell)
        add(self.layers.message, self.tell)
        add(self.layers.editor_changed, self.keys.bind)
        add(self.layers.editor_changed, self.click_tool.follow_editor)
        add(self.layers.clip_removed, self._on_clip_removed)
        add(session.frame_changed, self._note_view)
        add(session.structure_changed, self._note_view)
        add(self.viewer.scene.camera.events.zoom, self._note_view)
        add(self.viewer.scene.camera.events.center, self._note_view)
        add(self.layers.image.events.contrast_limits, self._note_view)
        add(self.layers.image.events.gamma, self._note_view)
        self._poll.start()
        self.remember()
        self.session_changed.emit()
        if session.project.read_only:
            self.tell(READ_ONLY)

    def _on_problem(self, message: str) -> None:
        self.tell(message, problem=True)

    def _on_clip_removed(self) -> None:
        # napari is still busy with the removal, perhaps of all layers: come back when it is done.
        QTimer.singleShot(0, self._close_or_put_back)

    def _close_or_put_back(self) -> None:
        if self.layers is None:
            return
        if self.unsaved_guard.may_let_go():
            self.close_session()
        else:
            self.layers.put_back(with_recording=True)

    def _note_view(self, *_: Any) -> None:
        self._remember.start()
