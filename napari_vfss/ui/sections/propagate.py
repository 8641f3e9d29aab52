# SPDX-License-Identifier: Apache-2.0
"""The step in which what was corrected is brought to other frames: carried from here, or learnt by the student."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QProgressBar

from napari_vfss.controller.controller import AnnotationController
from napari_vfss.debounce import Debounce
from napari_vfss.jobs.clip_learning import frames_to_learn_from
from napari_vfss.jobs.propagating import carried_structures
from napari_vfss.keys.labels import explain
from napari_vfss.ui.section import SessionSection, button, tipped_button
from vfss.propagation.propagation import Direction
from vfss.proposals.adapted_student import LEAST_FRAMES


class PropagateSection(SessionSection):
    """Carries this frame's masks up to the next frame a person has spoken on; lets the student learn the clip."""

    def __init__(self, controller: AnnotationController) -> None:
        super().__init__(controller, "6  Propagate")
        whole, carry = {"key_on_face": False}, "Carry this frame's masks to"  # three such keys do not fit into one row
        self.backward_button = button(
            "◀ Back", f"{carry} earlier frames", self._carrying("backward"), key="Ctrl+Left", **whole
        )
        self.both_button = button(
            "◀ Both ▶", f"{carry} earlier and later frames", self._carrying("both"), key="Ctrl+B", **whole
        )
        self.forward_button = button(
            "On ▶", f"{carry} later frames", self._carrying("forward"), key="Ctrl+Right", **whole
        )
        self._buttons = (self.backward_button, self.both_button, self.forward_button)
        self.add_row(*self._buttons)
        self.only_active = QCheckBox("Only the structure in work")
        tip = "Carry the structure in work alone; else all that you painted or accepted on this frame"
        explain(self.only_active, tip, keys=("Ctrl+Alt+H",))
        self.only_active.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.body.addWidget(self.only_active)
        self.learn_button = button(
            "Learn this clip",
            "Let the student learn from what you corrected on this clip, and propose bolus, pharynx, epiglottis and "
            "airway anew wherever nobody has spoken. Worth it after 3 corrected frames, and again after some more",
            lambda: self.do(self.controller.student_jobs.learn),
            key="Ctrl+L",
        )
        self.body.addWidget(self.learn_button)
        self.bar = QProgressBar()
        self.bar.setFixedHeight(16)
        self.cancel_button = tipped_button(
            "Cancel", "Stop; what was written stays, Ctrl+Z takes it back", self._cancel, key="Shift+Escape"
        )
        self.add_row(self.bar, self.cancel_button, stretch=0)
        self.connections.add(controller.student_jobs.propagating.started, self._on_started)
        self.connections.add(controller.student_jobs.propagating.progressed, self._on_progress)
        self.connections.add(controller.student_jobs.propagating.ended, self._on_ended)
        self.connections.add(controller.student_jobs.learning.started, self._on_started)
        self.connections.add(controller.student_jobs.learning.progressed, self._on_learning)
        self.connections.add(controller.student_jobs.learning.ended, self._on_ended)
        self.connections.add(self.only_active.toggled, self._on_only_active)
        self._done = ("", 0, 0)
        self._show_progress = Debounce(self, self._draw_progress, 150)
        self._set_running(self._running)
        self._on_session()

    @property
    def _carried(self) -> tuple[str, ...]:
        """Structures that would be carried."""
        session = self.controller.session
        return (
            () if session is None else carried_structures(session, only_active=self.controller.student_jobs.only_active)
        )

    def show_session(self) -> None:
        """Follow the session."""
        session = self.controller.session
        if session is not None:
            for signal in (session.frame_changed, session.masks_changed, session.structure_changed):
                self.session_connections.add(signal, self.later.ask)

    def refresh(self, *_: object) -> None:
        """Say how many structures would be carried."""
        n = len(self._carried)
        session = self.controller.session
        if session is None:
            self.summary.setText("")
        else:
            self.summary.setText(f"{n or 'none'} to carry, {frames_to_learn_from(session)} to learn from")
        self._set_running(self._running)

    def _carrying(self, direction: Direction) -> Callable[[], None]:
        return lambda: self.do(lambda: self.controller.student_jobs.propagate(direction))

    def _on_only_active(self, chosen: bool) -> None:
        self.controller.student_jobs.only_active = chosen
        self.refresh()

    def _on_started(self) -> None:
        self._done = ("", 0, 0)
        self.bar.setRange(0, 0)
        self.bar.setFormat(
            "starting to learn..." if self.controller.student_jobs.learning.running else "looking how far..."
        )
        self._set_running(True)

    def _on_progress(self, done: int, total: int) -> None:
        self._done = ("", done, total)
        self._show_progress.ask()

    def _on_learning(self, what: str, done: int, total: int) -> None:
        self._done = (f"{what}, ", done, total)
        self._show_progress.ask()

    def _draw_progress(self) -> None:
        # QProgressBar repaints the window at once: not in the same breath as the picture that came with the batch.
        what, done, total = self._done
        self.bar.setRange(0, max(1, total))
        self.bar.setFormat(f"{what}%v of %m steps")
        self.bar.setValue(done)

    def _on_ended(self, message: str, problem: bool) -> None:
        self._set_running(False)
        if message:
            self.controller.tell(message, problem=problem)

    def _set_running(self, running: bool) -> None:
        for widget in (self.bar, self.cancel_button):
            widget.setVisible(running)
        able = not running and bool(self._carried)
        for made in self._buttons:
            made.setEnabled(able)
        session = self.controller.session
        frames = 0 if session is None else frames_to_learn_from(session)
        self.learn_button.setEnabled(not running and frames >= LEAST_FRAMES)

    @property
    def _running(self) -> bool:
        return self.controller.student_jobs.propagating.running or self.controller.student_jobs.learning.running

    def _cancel(self) -> None:
        self.controller.student_jobs.propagating.cancel()
        self.controller.student_jobs.learning.cancel()
