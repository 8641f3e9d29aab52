# SPDX-License-Identifier: Apache-2.0
"""The Click tool: left adds, right removes, a drag is a box; the answer is a mask."""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtCore import QObject, Signal

from napari_vfss.connections import Connections
from napari_vfss.jobs.proposing import Proposing
from napari_vfss.prompting.marks import ClickMarks, canvas_near
from napari_vfss.prompting.queue import PromptQueue
from napari_vfss.session.corrections import remove_last_click
from napari_vfss.session.host import Host
from napari_vfss.session.session import Session
from napari_vfss.viewer.layers import ClipLayers
from napari_vfss.viewer.structure_layer import CLICK
from vfss.student.prompts import Box, Click, Prompts

Point = tuple[float, float]  # y, x in pixels of the frame


class ClickTool(QObject):
    """Passes clicks and boxes to the student, and marks them on the picture.

    Attributes:
        queue: Prompts without an answer.
    """

    status = Signal(str)  # what a click waits for; empty for nothing
    available = Signal(str)  # why the student accepts no clicks; empty if it does

    def __init__(self, host: Host, session: Session, layers: ClipLayers, proposing: Proposing, parent: QObject) -> None:
        """Offer the tool in a session.

        Args:
            host: Shows messages and problems; its parent is the widget in whose window the canvas is.
            session: The open session.
            layers: Its layers.
            proposing: Job that may be loading the student already.
            parent: Owner in Qt's sense.
        """
        super().__init__(parent)
        self._host, self._session, self._layers = host, session, layers
        self.queue = PromptQueue(host, session, layers, proposing, self)
        self._marks: ClickMarks | None = None
        self._connections, self._editor_connections = Connections(), Connections()
        self._connections.add(session.frame_changed, self._on_moved)
        self._connections.add(session.structure_changed, self._show)
        self._connections.add(session.masks_changed, self._show)
        self._connections.add(session.student_changed, self._on_student)
        self._connections.add(self.queue.changed, self._show)
        self.follow_editor()

    @property
    def active(self) -> bool:
        """True while the tool is selected."""
        return str(self._layers.editor.mode) == CLICK

    @property
    def marks(self) -> ClickMarks | None:
        """Markers over the picture; None before the tool was first used."""
        return self._marks

    def select(self) -> None:
        """Select the tool, or show why it is not available."""
        if self.queue.why_not:
            self._host.show_message(self.queue.why_not)
        else:
            self._layers.set_tool(CLICK)

    def remove_last_click(self) -> None:
        """Remove the last click of the active structure on the current frame, whether or not it is answered."""
        if not self.queue.remove_last((self._session.frame, self._session.structure)):
            remove_last_click(self._session)

    def follow_editor(self) -> None:
        """Connect to the editable layer; to be called again after it was put back."""
        self._editor_connections.undo()
        editor, add = self._layers.editor, self._editor_connections.add
        add(editor.clicked, self._on_click)
        add(editor.boxed, self._on_box)
        add(editor.box_moved, self._on_box_moved)
        add(editor.panned, self._on_panned)
        add(editor.events.mode, self._on_mode)
        add(editor.events.visible, self._show)

    def close(self) -> None:
        """Drop the prompts without an answer, and disconnect everything."""
        self._connections.undo()
        self._editor_connections.undo()
        self.queue.close()
        if self._marks is not None:
            self._marks.close_marks()
            self._marks = None
        self.status.emit("")
        self.deleteLater()

    def _on_click(self, y: float, x: float, adds: bool) -> None:
        height, width = self._session.clip.height, self._session.clip.width
        if -0.5 <= y < height - 0.5 and -0.5 <= x < width - 0.5:
            self._add(Click(y, x, adds))

    def _on_box(self, one: Point, other: Point) -> None:
        box = self._inside(one, other)
        if box is None:
            self._show()
        else:
            self._add(box)

    def _on_box_moved(self, one: Point, other: Point) -> None:
        self._show(drawing=self._inside(one, other))

    def _inside(self, one: Point, other: Point) -> Box | None:
        """Return the part of a box inside the picture; None if there is none."""
        last = np.array([self._session.clip.height - 1.0, self._session.clip.width - 1.0])
        low, high = np.minimum(one, other), np.maximum(one, other)
        if (high < 0).any() or (low > last).any():
            return None
        top, left, bottom, right = (float(side) for side in (*np.clip(low, 0, last), *np.clip(high, 0, last)))
        return Box(top, left, bottom, right)

    def _on_panned(self, y: float, x: float) -> None:
        camera = self._host.viewer.scene.camera
        *before, middle_y, middle_x = camera.center
        camera.center = (*before, middle_y - y, middle_x - x)

    def _add(self, at: Click | Box) -> None:
        if self.queue.why_not:
            self._show()
            self._host.show_message(self.queue.why_not)
            return
        with self._host.showing_errors():
            self._layers.flush()
            self.queue.add((self._session.frame, self._session.structure), at)

    def _on_moved(self, frame: int) -> None:
        if self.active:
            self.queue.frames.follow(frame)
        self._show()

    def _on_mode(self, event: Any = None) -> None:
        if self.active:
            with self._host.showing_errors():
                self.queue.prepare()
            self.queue.frames.follow(self._session.frame)
        self._show()

    def _on_student(self) -> None:
        why_not = self.queue.why_not
        self.available.emit(why_not)
        if self.active and why_not:
            self._layers.set_tool("pan_zoom")
            self._host.show_message(why_not)
        elif self.active:
            self.queue.frames.follow(self._session.frame)

    def _show(self, *_: Any, drawing: Box | None = None) -> None:
        """Show the prompts of the current place, those without an answer separately, and what these wait for."""
        waits = self.queue.waiting_for
        self.status.emit(waits)
        marks = self._marks or self._new_marks()
        if marks is None:
            return
        if not (self.active and self._layers.editor.visible):
            marks.show_prompts(Prompts())
            return
        session = self._session
        waiting = self.queue.pending_in((session.frame, session.structure))
        note = waits if waiting else ""
        answered = session.work.prompts.get(session.structure, Prompts())
        marks.show_prompts(answered, waiting if drawing is None else waiting.with_box(drawing), note)

    def _new_marks(self) -> ClickMarks | None:
        canvas = canvas_near(self._host.parent()) if self.active else None
        if canvas is not None:
            self._marks = ClickMarks(canvas, self._host.viewer, self._layers)
        return self._marks
