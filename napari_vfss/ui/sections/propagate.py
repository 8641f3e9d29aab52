# SPDX-License-Identifier: Apache-2.0
"""Bring corrections to other frames, by propagation or by a student adapted to the clip."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QProgressBar

from napari_vfss.controller.controller import AnnotationController
from napari_vfss.debounce import Debounce
from napari_vfss.jobs.clip_learning import corrected_frame_count
from napari_vfss.jobs.propagating import key_structures
from napari_vfss.keys.labels import explain
from napari_vfss.session.host import while_open, while_open_or
from napari_vfss.session.session import Session
from napari_vfss.ui.section import SessionSection, button, tipped_button
from vfss.proposals.soft_annotations import LEAST_FRAMES
from vfss.wording import count

if TYPE_CHECKING:
    from vfss.propagation.propagation import Direction


class PropagateSection(SessionSection):
    """Propagates this frame's masks up to the next annotated frame; adapts the student to the clip."""

    def __init__(self, controller: AnnotationController) -> None:
        super().__init__(controller, "Propagate")
        self._build_propagation()
        self._build_adaptation()
        self._build_progress()
        self._connect()
        self._done = ("", 0, 0)
        self._show_progress = Debounce(self, self._draw_progress, 150)
        self._set_running(self._running)
        self._on_session()

    def _build_propagation(self) -> None:
        tip = "Propagate this frame's masks to"  # keys in the tooltips only: three of them do not fit into one row
        self.backward_button = tipped_button(
            "◀ Backward", f"{tip} earlier frames", self._propagating("backward"), key="Ctrl+Left"
        )
        self.both_button = tipped_button(
            "◀ Both ▶", f"{tip} earlier and later frames", self._propagating("both"), key="Ctrl+B"
        )
        self.forward_button = tipped_button(
            "Forward ▶", f"{tip} later frames", self._propagating("forward"), key="Ctrl+Right"
        )
        self._buttons = (self.backward_button, self.both_button, self.forward_button)
        self.add_row(*self._buttons)
        self.only_active = QCheckBox("Only the active structure")
        tip = "Propagate only the active structure instead of all that are annotated on this frame"
        explain(self.only_active, tip, keys=("Ctrl+Alt+H",))
        self.only_active.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.body.addWidget(self.only_active)

    def _build_adaptation(self) -> None:
        self.adapt_button = button(
            "Adapt to this clip",
            "Fine-tune the student on the corrected frames of this clip, and propose bolus, pharynx, epiglottis and "
            "airway again on all frames that are not annotated. Useful after 3 corrected frames, and again after more",
            lambda: self.do(self.controller.student_jobs.adapt),
            key="Ctrl+L",
        )
        self.body.addWidget(self.adapt_button)

    def _build_progress(self) -> None:
        self.bar = QProgressBar()
        self.bar.setFixedHeight(16)
        self.cancel_button = tipped_button(
            "Cancel", "Stop; masks already written are kept, Ctrl+Z removes them", self._cancel, key="Shift+Escape"
        )
        self.add_row(self.bar, self.cancel_button, stretch=0)

    def _connect(self) -> None:
        add, jobs = self.connections.add, self.controller.student_jobs
        add(jobs.propagating.started, self._on_started)
        add(jobs.propagating.progressed, self._on_progress)
        add(jobs.propagating.ended, self._on_ended)
        add(jobs.renaming.started, self._on_started)
        add(jobs.renaming.progressed, self._on_progress)
        add(jobs.renaming.ended, self._on_ended)
        add(jobs.adapting.started, self._on_started)
        add(jobs.adapting.progressed, self._on_adapting)
        add(jobs.adapting.ended, self._on_ended)
        add(self.only_active.toggled, self._on_only_active)

    @while_open_or(())
    def _propagated(self, session: Session) -> tuple[str, ...]:
        """Return the keys of the structures that would be propagated."""
        return key_structures(session, only_active=self.controller.student_jobs.only_active)

    @while_open_or(0)
    def _corrected_frames(self, session: Session) -> int:
        """Return the number of frames to which the student would be adapted."""
        return corrected_frame_count(session)

    @while_open
    def show_session(self, session: Session) -> None:
        """Follow the session."""
        for signal in (session.frame_changed, session.masks_changed, session.structure_changed):
            self.session_connections.add(signal, self.later.ask)

    def refresh(self, *_: object) -> None:
        """Show how many structures would be propagated, and how many frames the student could be adapted to."""
        if self.session is not None:
            structures, frames = len(self._propagated()), self._corrected_frames()
            self.summary.setText(f"{count(structures, 'structure')}, {frames} corrected")
        self._set_running(self._running)

    def _propagating(self, direction: Direction) -> Callable[[], None]:
        return lambda: self.do(lambda: self.controller.student_jobs.propagate(direction))

    def _on_only_active(self, chosen: bool) -> None:
        self.controller.student_jobs.only_active = chosen
        self.refresh()

    def _on_started(self) -> None:
        self._done = ("", 0, 0)
        self.bar.setRange(0, 0)
        self.bar.setFormat("starting to adapt..." if self.controller.student_jobs.adapting.running else "starting...")
        self._set_running(True)

    def _on_progress(self, done: int, total: int) -> None:
        self._done = ("", done, total)
        self._show_progress.ask()

    def _on_adapting(self, what: str, done: int, total: int) -> None:
        self._done = (f"{what}, ", done, total)
        self._show_progress.ask()

    def _draw_progress(self) -> None:
        # QProgressBar repaints the window at once: not together with the picture that came with the batch.
        what, done, total = self._done
        self.bar.setRange(0, max(1, total))
        self.bar.setFormat(f"{what}%v of %m steps")
        self.bar.setValue(done)

    def _on_ended(self, message: str, problem: bool) -> None:
        self._set_running(False)
        if message:
            self.controller.show_message(message, problem=problem)

    def _set_running(self, running: bool) -> None:
        for widget in (self.bar, self.cancel_button):
            widget.setVisible(running)
        can_propagate = not running and bool(self._propagated())
        for start_button in self._buttons:
            start_button.setEnabled(can_propagate)
        self.adapt_button.setEnabled(not running and self._corrected_frames() >= LEAST_FRAMES)

    @property
    def _running(self) -> bool:
        jobs = self.controller.student_jobs
        return jobs.propagating.running or jobs.renaming.running or jobs.adapting.running

    def _cancel(self) -> None:
        self.controller.student_jobs.propagating.cancel()
        self.controller.student_jobs.renaming.cancel()
        self.controller.student_jobs.adapting.cancel()
