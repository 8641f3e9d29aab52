# SPDX-License-Identifier: Apache-2.0
"""Desk: what is open in one viewer, and the work that goes on beside it. Owns everything, draws nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject, QTimer, Signal

from napari_vfss import settings
from napari_vfss.click_tool import ClickTool
from napari_vfss.connections import Connections
from napari_vfss.corrections import Corrections
from napari_vfss.frames import ClipFrames
from napari_vfss.keys import KeyBindings
from napari_vfss.layers import ClipLayers
from napari_vfss.making import Exporting
from napari_vfss.nesting_watch import NestingWatch
from napari_vfss.opening import is_project, open_project_session, open_session
from napari_vfss.retrain import Retraining
from napari_vfss.session import Session
from napari_vfss.tool_keys import TOOL_KEYS
from napari_vfss.workers import ProposalOrder, Proposing, outward
from vfss.errors import VfssError
from vfss.student import Student

POLL_MS = 2000
REMEMBER_MS = 1500


class Desk(QObject):
    """Opens and closes clips in a viewer, and starts proposing, exporting and retraining."""

    session_changed = Signal()
    told = Signal(str, bool)  # message, True for a problem

    def __init__(self, viewer: Any, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.viewer = viewer
        self.session: Session | None = None
        self.layers: ClipLayers | None = None
        self.keys: KeyBindings | None = None
        self.corrections: Corrections | None = None
        self.clicks: ClickTool | None = None
        self.nesting: NestingWatch | None = None
        self.project_folder: Path | None = None
        self.proposing = Proposing(self)
        self.exporting = Exporting(self)
        self.retraining = Retraining(self)
        self._session_connections = Connections()
        self._connections = Connections()
        self._poll = QTimer(self)
        self._poll.setInterval(POLL_MS)
        self._remember = QTimer(self)
        self._remember.setSingleShot(True)
        self._remember.setInterval(REMEMBER_MS)
        self._connections.add(self._poll.timeout, self.look_for_others)
        self._connections.add(self._remember.timeout, self.remember)
        self._connections.add(viewer.layers.events.inserted, self._on_inserted)
        self._connections.add(self.proposing.proposed, self._on_proposed)

    @contextlib.contextmanager
    def telling(self) -> Generator[None, None, None]:
        """Tell what a person can act on, a VfssError or an error of the disk, instead of raising it."""
        try:
            yield
        except (VfssError, OSError) as error:
            self.tell(str(error), problem=True)

    def tell(self, message: str, *, problem: bool = False) -> None:
        """Say something to the person."""
        self.told.emit(message, problem)

    def open(self, path: Path) -> bool:
        """Open a recording or a project; what was open before is closed. False where it could not be opened."""
        folder = None if is_project(path) else self.project_folder
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
        session, layers, keys, clicks = self.session, self.layers, self.keys, self.clicks
        if session is None or layers is None or keys is None:
            return
        self.proposing.cancel()
        self._poll.stop()
        self._remember.stop()
        self.save()
        self.session = self.layers = self.keys = self.corrections = self.clicks = None
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
        self.close_session()
        self.exporting.cancel()
        self.retraining.close()
        self._connections.undo()

    def propose(self, first: int, last: int) -> None:
        """Propose frames first..last, the current one first, then outward; frames a person finished are left out."""
        session = self.session
        if session is None:
            return
        if self.proposing.running:
            self.tell("The student is still at work: wait, or press Cancel and try again in a moment.")
            return
        frames = tuple(t for t in outward(session.frame, first, last) if session.awaits_machine(t))
        if not frames:
            self.tell("A person has spoken on every structure of these frames: nothing is left to propose.")
            return
        with self.telling():
            source = session.student_source()
            self.proposing.start(
                ProposalOrder(session.project.folder, session.clip, frames, source, settings.device(), session.student)
            )

    def export(self, dataset_format: str, folder: Path) -> None:
        """Write the project's annotations as a dataset."""
        if self.session is not None and self.layers is not None:
            self.layers.flush()
            self.exporting.start(self.session.project.folder, dataset_format, folder)

    def retrain(self, arguments: tuple[str, ...] = ()) -> None:
        """Train a new student from the project's accepted annotations.

        Args:
            arguments: Options of `vfss-train fit`; none: the quick way.
        """
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
        if self.session is not None and self.layers is not None:
            with self.telling():
                self.session.remember_view(**self.layers.camera())

    def look_for_others(self) -> None:
        """Take in what others wrote to the project meanwhile."""
        if self.session is not None and not self.proposing.running:
            with self.telling():
                self.session.poll()

    def _take_from(self, opener: Callable[..., Session], path: Path, **options: Any) -> bool:
        session: Session | None = None
        with self.telling():
            session = opener(path, settings.author(), frames_kept=settings.frames_kept(), **options)
            self._take(session)
        return session is not None

    def _take(self, session: Session) -> None:
        self.close_session()
        self.session = session
        view = session.recall_view()
        self.layers = ClipLayers(self.viewer, session)
        self.corrections = Corrections(session, self.tell)
        self.clicks = ClickTool(self, session, self.layers)
        self.nesting = NestingWatch(session)
        self._session_connections.add(self.nesting.told, self.tell)
        self.keys = KeyBindings(
            self.viewer, session, self.layers, propose=self.propose, telling=self.telling, tools=self._tool_keys()
        )
        self.layers.restore_camera(view)
        add = self._session_connections.add
        add(session.problem, self._on_problem)
        add(self.layers.message, self.tell)
        add(self.layers.editor_changed, self.keys.bind)
        add(self.layers.editor_changed, self.clicks.follow_editor)
        add(self.layers.clip_removed, self._on_clip_removed)
        add(session.frame_changed, self._note_view)
        add(session.structure_changed, self._note_view)
        add(self.viewer.scene.camera.events.zoom, self._note_view)
        add(self.viewer.scene.camera.events.center, self._note_view)
        self._poll.start()
        self.remember()
        self.session_changed.emit()

    def _tool_keys(self) -> dict[str, Callable[[], object]]:
        return {key: partial(tool.do, self) for tool in TOOL_KEYS for key in tool.keys}

    def _on_inserted(self, event: Any) -> None:
        frames = event.value.metadata.get("vfss_frames") if hasattr(event.value, "metadata") else None
        own = self.layers is not None and event.value is self.layers.image
        if isinstance(frames, ClipFrames) and frames.source is not None and not own and self._is_foreign(event.value):
            # A reader or sample added a bare clip: it moves into a session when napari is done with adding it.
            QTimer.singleShot(0, lambda: self.adopt(event.value))

    def _is_foreign(self, layer: Any) -> bool:
        return not layer.metadata.get("vfss_session", False)

    def adopt(self, layer: Any) -> None:
        """Open the clip of a layer that a reader or a sample added, in that layer's place."""
        frames = layer.metadata["vfss_frames"]
        if layer in self.viewer.layers and frames.source is not None:
            self.viewer.layers.remove(layer)
            frames.close()
            self.open(frames.source)

    def _on_proposed(self, student: Student, frames: tuple[int, ...]) -> None:
        session, order = self.session, self.proposing.order
        # The last batch of a clip that was closed meanwhile is in its project, and none of this session's business.
        if session is not None and order is not None and order.clip is session.clip:
            with self.telling():
                if session.student is not student:
                    session.take_student(student)
                session.reload(frames)

    def _on_problem(self, message: str) -> None:
        self.tell(message, problem=True)

    def _on_clip_removed(self) -> None:
        QTimer.singleShot(0, self.close_session)

    def _note_view(self, *_: Any) -> None:
        self._remember.start()
