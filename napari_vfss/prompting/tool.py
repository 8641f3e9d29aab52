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
    """Brings what the mouse points at to the student, and marks it on the picture."""

    status = Signal(str)  # what a click waits for; empty: nothing
    available = Signal(str)  # why the student takes no clicks; empty: it does

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
    def in_hand(self) -> bool:
        """True while the mouse points."""
        return str(self._layers.editor.mode) == CLICK

    @property
    def marks(self) -> ClickMarks | None:
        """What is drawn over the picture, once there was something to draw."""
        return self._marks

    def take(self) -> None:
        """Take the tool into the hand, or say why it is off."""
        if self.queue.why_not:
            self._host.tell(self.queue.why_not)
        else:
            self._layers.set_tool(CLICK)

    def take_back(self) -> None:
        """Take the last click of the active structure on the current frame back, answered or not."""
        if not self.queue.take_back((self._session.frame, self._session.structure)):
            remove_last_click(self._session)

    def follow_editor(self) -> None:
        """Listen to the editable layer; again after it was put back."""
        self._editor_connections.undo()
        editor, add = self._layers.editor, self._editor_connections.add
        add(editor.clicked, self._on_click)
        add(editor.boxed, self._on_box)
        add(editor.box_moved, self._on_box_moved)
        add(editor.pulled, self._on_pulled)
        add(editor.events.mode, self._on_mode)
        add(editor.events.visible, self._show)

    def close(self) -> None:
        """Drop the clicks that have no answer; let go of everything."""
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
            self._point(Click(y, x, adds))

    def _on_box(self, one: Point, other: Point) -> None:
        box = self._inside(one, other)
        if box is None:
            self._show()
        else:
            self._point(box)

    def _on_box_moved(self, one: Point, other: Point) -> None:
        self._show(drawing=self._inside(one, other))

    def _inside(self, one: Point, other: Point) -> Box | None:
        """The part of a box that lies in the picture; None where nothing does."""
        last = np.array([self._session.clip.height - 1.0, self._session.clip.width - 1.0])
        low, high = np.minimum(one, other), np.maximum(one, other)
        if (high < 0).any() or (low > last).any():
            return None
        top, left, bottom, right = (float(side) for side in (*np.clip(low, 0, last), *np.clip(high, 0, last)))
        return Box(top, left, bottom, right)

    def _on_pulled(self, y: float, x: float) -> None:
        camera = self._host.viewer.scene.camera
        *before, middle_y, middle_x = camera.center
        camera.center = (*before, middle_y - y, middle_x - x)

    def _point(self, at: Click | Box) -> None:
        if self.queue.why_not:
            self._show()
            self._host.tell(self.queue.why_not)
            return
        with self._host.telling():
            self._layers.flush()
            self.queue.point((self._session.frame, self._session.structure), at)

    def _on_moved(self, frame: int) -> None:
        if self.in_hand:
            self.queue.frames.travel(frame)
        self._show()

    def _on_mode(self, event: Any = None) -> None:
        if self.in_hand:
            with self._host.telling():
                self.queue.prepare()
            self.queue.frames.travel(self._session.frame)
        self._show()

    def _on_student(self) -> None:
        why_not = self.queue.why_not
        self.available.emit(why_not)
        if self.in_hand and why_not:
            self._layers.set_tool("pan_zoom")
            self._host.tell(why_not)
        elif self.in_hand:
            self.queue.frames.travel(self._session.frame)

    def _show(self, *_: Any, drawing: Box | None = None) -> None:
        """Mark what was pointed at in the current place, what has no answer apart, and say what that waits for."""
        waits = self.queue.waits_for
        self.status.emit(waits)
        marks = self._marks or self._new_marks()
        if marks is None:
            return
        if not (self.in_hand and self._layers.editor.visible):
            marks.show_prompts(Prompts())
            return
        session = self._session
        waiting = self.queue.unanswered((session.frame, session.structure))
        note = waits if waiting else ""
        answered = session.work.prompts.get(session.structure, Prompts())
        marks.show_prompts(answered, waiting if drawing is None else waiting.with_box(drawing), note)

    def _new_marks(self) -> ClickMarks | None:
        canvas = canvas_near(self._host.parent()) if self.in_hand else None
        if canvas is not None:
            self._marks = ClickMarks(canvas, self._host.viewer, self._layers)
        return self._marks
