# SPDX-License-Identifier: Apache-2.0
"""Choose a structure, let the student propose masks, correct them, accept them."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QProgressBar, QSlider, QSpinBox

from napari_vfss.controller.controller import AnnotationController
from napari_vfss.debounce import Debounce
from napari_vfss.keys.labels import explain
from napari_vfss.session.host import while_open
from napari_vfss.session.session import Session
from napari_vfss.ui.section import SessionSection, button
from napari_vfss.ui.sections.mask_tools import TOOLS, CorrectTools
from napari_vfss.ui.structure_table import StructureTable
from napari_vfss.viewer.structure_layer import CLICK
from vfss.masks import MaskState
from vfss.wording import count

__all__ = ("AcceptSection", "CorrectSection", "ProposeSection", "SessionSection", "StructureSection")


class StructureSection(SessionSection):
    """Table of structures: state and confidence of each on the current frame."""

    def __init__(self, controller: AnnotationController) -> None:
        super().__init__(controller, "Structures")
        self.table = StructureTable()
        self.table.rows.keys = controller.key_book
        self.body.addWidget(self.table)
        self.connections.add(self.table.chosen, self._on_chosen)
        self.connections.add(self.table.eye_clicked, self._on_eye)
        self.connections.add(controller.key_book.changed, self.table.refresh)
        self._on_session()

    def clear(self) -> None:
        """Show no structures."""
        super().clear()
        self.table.show_session(None, set())

    @while_open
    def show_session(self, session: Session) -> None:
        """Show the structures of the session."""
        self.table.show_session(session, self.controller.layers.hidden)
        signals = (session.frame_changed, session.masks_changed, session.structure_changed, session.student_changed)
        for signal in signals:
            self.session_connections.add(signal, self.later.ask)

    @while_open
    def refresh(self, session: Session, *_: object) -> None:
        """Show states, confidence and which structure is active."""
        self.table.refresh()
        self.summary.setText(f"correcting: {session.active.name}")

    @while_open
    def _on_chosen(self, session: Session, key: str) -> None:
        self.do(lambda: session.choose(key))

    @while_open
    def _on_eye(self, _session: Session, key: str) -> None:
        self.controller.layers.set_hidden(key, key not in self.controller.layers.hidden)
        self.table.refresh()


class ProposeSection(SessionSection):
    """Lets the student propose masks for a frame, a range of frames or the whole clip."""

    def __init__(self, controller: AnnotationController) -> None:
        super().__init__(controller, "Propose")
        self.frame_button = button("Frame", "Propose masks of all structures on this frame", self._frame, key="Q")
        tip = "Propose masks on all frames: this one first, then outward"
        self.clip_button = button("Whole clip", tip, self._clip, key="Shift+Q")
        self.first, self.last = QSpinBox(), QSpinBox()
        for box, tip in ((self.first, "First frame"), (self.last, "Last frame")):
            box.setToolTip(f"{tip} of a range")
            box.setButtonSymbols(QSpinBox.ButtonSymbols.NoButtons)
            box.setFixedWidth(46)
        tip = "Propose masks from the first to the last frame given"
        self.range_button = button("Range", tip, self._range, key="Ctrl+Alt+Q", key_on_face=False)
        self.add_row(self.frame_button, self.clip_button)
        self.add_row(self.range_button, self.first, QLabel("to"), self.last, stretch=0)
        self.bar = QProgressBar()
        self.bar.setFixedHeight(16)
        self.bar.setFormat("%v of %m frames")
        tip, cancel = "Stop; proposals already made are kept", controller.student_jobs.proposing.cancel
        self.cancel_button = button("Cancel", tip, cancel, key="Shift+Escape", key_on_face=False)
        self.add_row(self.bar, self.cancel_button, stretch=0)
        self.connections.add(controller.student_jobs.proposing.started, self._on_started)
        self.connections.add(controller.student_jobs.proposing.progressed, self._on_progress)
        self.connections.add(controller.student_jobs.proposing.ended, self._on_ended)
        self._done = 0
        self._show_progress = Debounce(self, self._draw_progress, 150)
        self._set_running(False)
        self._on_session()

    @while_open
    def show_session(self, session: Session) -> None:
        """Show the range of frames of the session's clip."""
        for box, value in ((self.first, 1), (self.last, session.clip.n_frames)):
            box.setRange(1, session.clip.n_frames)
            box.setValue(value)
        self.session_connections.add(session.student_changed, self.refresh)

    @while_open
    def refresh(self, session: Session, *_: object) -> None:
        """Show on which device the student computes."""
        self.summary.setText("" if session.student is None else f"on {session.student.device}")

    @while_open
    def _frame(self, session: Session) -> None:
        self.do(lambda: self.controller.student_jobs.propose(session.frame, session.frame))

    @while_open
    def _clip(self, session: Session) -> None:
        self.do(lambda: self.controller.student_jobs.propose(0, session.clip.n_frames - 1))

    def _range(self) -> None:
        first, last = sorted((self.first.value() - 1, self.last.value() - 1))
        self.do(lambda: self.controller.student_jobs.propose(first, last))

    def _on_started(self, total: int) -> None:
        self.bar.setRange(0, total)
        self.bar.setValue(0)
        self.bar.setFormat("preparing the student..." if self.summary.text() == "" else "%v of %m frames")
        self._set_running(True)

    def _on_progress(self, done: int, total: int) -> None:
        self._done = done
        self._show_progress.ask()

    def _draw_progress(self) -> None:
        # QProgressBar repaints the window at once: not together with the picture that came with the batch.
        self.bar.setFormat("%v of %m frames")
        self.bar.setValue(self._done)

    def _on_ended(self, message: str) -> None:
        self._set_running(False)
        if message:
            self.controller.show_message(message, problem=message != "Cancelled")

    def _set_running(self, running: bool) -> None:
        for widget in (self.bar, self.cancel_button):
            widget.setVisible(running)
        for start_button in (self.frame_button, self.clip_button, self.range_button):
            start_button.setEnabled(not running)


class CorrectSection(SessionSection):
    """Tools that correct the mask of the active structure."""

    def __init__(self, controller: AnnotationController) -> None:
        super().__init__(controller, "Correct")
        self.tools = {
            mode: button(text, tip, self._selecting(mode), key=key, checkable=True) for mode, text, key, tip in TOOLS
        }
        self.add_row(*(self.tools[mode] for mode in ("paint", "erase", CLICK, "pan_zoom")))
        self.size = QSlider(Qt.Orientation.Horizontal)
        self.size.setRange(1, 80)
        self.size.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.size.setAccessibleName("Brush size")
        explain(self.size, "Size of the brush in pixels", keys=("[", "]"))
        self.size_label = QLabel()
        self.add_row(self.tools["polygon"], self.tools["fill"], self.size, self.size_label, stretch=2)
        self.connections.add(self.size.valueChanged, self._on_size)
        self.more = CorrectTools(controller)
        self.body.addWidget(self.more)
        tip = "Undo your last change, and go to its frame"
        self.undo = button("Undo", tip, self._undo, key="Ctrl+Z", key_on_face=False)
        tip = "Redo the change that was undone, and go to its frame"
        self.redo = button("Redo", tip, self._redo, key="Ctrl+Shift+Z", key_on_face=False)
        tip = "Restore the mask that the student proposed last"
        self.proposal = button("Proposal", tip, self._proposal, key="R")
        self.add_row(self.undo, self.redo, self.proposal)
        self._on_session()

    @while_open
    def show_session(self, session: Session) -> None:
        """Follow the session and its editable layer."""
        layers = self.controller.layers
        for signal in (session.frame_changed, session.masks_changed, session.structure_changed):
            self.session_connections.add(signal, self.later.ask)
        self.session_connections.add(layers.editor_changed, self._follow_editor)
        self.more.show_session(self.tools[CLICK], self.summary, self.session_connections)
        self._follow_editor()

    @while_open
    def refresh(self, session: Session, *_: object) -> None:
        """Show the selected tool, the brush size, and whether there is anything to undo or redo."""
        layers = self.controller.layers
        for mode, tool_button in self.tools.items():
            tool_button.setChecked(str(layers.editor.mode) == mode)
        self.size.blockSignals(True)
        self.size.setValue(int(layers.editor.brush_size))
        self.size.blockSignals(False)
        self.size_label.setText(f"brush {int(layers.editor.brush_size)} px")
        self.undo.setEnabled(session.can_undo)
        self.redo.setEnabled(session.can_redo)

    @while_open
    def _follow_editor(self, _session: Session) -> None:
        events = self.controller.layers.editor.events
        self.session_connections.add(events.mode, self.refresh)
        self.session_connections.add(events.brush_size, self.refresh)
        self.refresh()

    def _selecting(self, mode: str) -> Callable[[], None]:
        return lambda: self._select(mode)

    @while_open
    def _select(self, _session: Session, mode: str) -> None:
        if mode == CLICK:
            self.controller.click_tool.select()
        else:
            self.controller.layers.set_tool(mode)
        self.refresh()

    @while_open
    def _on_size(self, _session: Session, size: int) -> None:
        self.controller.layers.editor.brush_size = size

    @while_open
    def _undo(self, session: Session) -> None:
        self.do(session.undo)

    @while_open
    def _redo(self, session: Session) -> None:
        self.do(session.redo)

    @while_open
    def _proposal(self, session: Session) -> None:
        self.do(session.restore_proposal)


class AcceptSection(SessionSection):
    """Confirms masks: one structure, a frame, or all viewed frames."""

    def __init__(self, controller: AnnotationController) -> None:
        super().__init__(controller, "Accept")
        self.frame_button = button("Accept frame", "Accept all masks on this frame", self._frame, key="A")
        self.frame_button.setStyleSheet(
            "QPushButton:enabled { padding: 4px; font-weight: bold; background-color: #2f7d4f; color: white; }"
            "QPushButton:focus { padding: 2px; border: 2px solid #ffe08a; }"
        )
        self.structure_button = button("Structure", "Accept the active structure only", self._structure, key="S")
        tip = "The active structure cannot be seen on this frame: it is hidden or outside the picture"
        self.hidden_button = button("Not visible", tip, self._marking(MaskState.NOT_VISIBLE), key="N")
        tip = "The active structure is not there on this frame: its place is visible, and it has no pixels"
        self.empty_button = button("Empty", tip, self._marking(MaskState.EMPTY), key="X")
        tip = "Accept all viewed frames around this one, or in the range chosen on the timeline"
        self.stretch_button = button("Accept viewed", tip, self._stretch, key="Shift+A")
        row = self.add_row(self.frame_button, self.stretch_button)
        for place, width in enumerate((3, 4)):  # "Accept viewed" has the longer key
            row.setStretch(place, width)
        self.add_row(self.structure_button, self.hidden_button, self.empty_button)
        self._on_session()

    @while_open
    def _frame(self, session: Session) -> None:
        self.do(session.accept_frame)

    @while_open
    def show_session(self, session: Session) -> None:
        """Follow which frames have been viewed."""
        for signal in (session.viewed.changed, session.frame_changed, session.masks_changed):
            self.session_connections.add(signal, self.later.ask)
        self.session_connections.add(self.controller.timeline.range_changed, self.later.ask)

    @while_open
    def refresh(self, session: Session, *_: object) -> None:
        """Show how many viewed frames would be accepted at once."""
        n = len(session.viewed.acceptable_frames(self.controller.timeline.chosen))
        self.summary.setText(f"{count(n, 'frame')} viewed" if n else "")

    def _stretch(self) -> None:
        self.do(lambda: self.controller.viewed_tracker.accept(self.controller.timeline.chosen))

    @while_open
    def _structure(self, session: Session) -> None:
        self.do(session.accept_structure)

    def _marking(self, state: MaskState) -> Callable[[], None]:
        return lambda: self._mark(state)

    @while_open
    def _mark(self, session: Session, state: MaskState) -> None:
        self.do(lambda: session.mark(state))
