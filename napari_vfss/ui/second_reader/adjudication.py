# SPDX-License-Identifier: Apache-2.0
"""Adjudication of differences between two readers: show both outlines, and write one into the project."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from napari_vfss.connections import Connections
from napari_vfss.controller.controller import AnnotationController
from napari_vfss.session.host import while_open
from napari_vfss.session.session import Session
from napari_vfss.ui.history.describe import compare
from napari_vfss.ui.section import button
from napari_vfss.viewer.outlines import FIRST, SECOND, RevisionOutline
from vfss.masks import MaskState, pack_mask
from vfss.project import Project, Revision

if TYPE_CHECKING:
    from vfss.evaluation.agreement import Comparison
    from vfss.project.second_reading_record import Reading

ELSEWHERE = "Open the project (not its second reading) to go there."
HINT = "Click a row to see both outlines. Your choice is written into the project under your name; Ctrl+Z undoes it."


class Adjudication(QWidget):
    """Goes to a frame and structure, shows both readers' masks, and writes the chosen one as a new revision."""

    def __init__(self, controller: AnnotationController, folder: Path, reading: Reading) -> None:
        super().__init__()
        self._controller, self._folder, self._reading = controller, folder, reading
        self._outline: RevisionOutline | None = None
        self._connections = Connections()
        self.pair: tuple[Revision, Revision] | None = None
        self.text = QLabel(HINT)
        self.text.setWordWrap(True)
        self.first_button = button(
            "Use the first", "Write the first reader's annotation into the project", self.take_first
        )
        tip = "Write the second reader's annotation into the project"
        self.second_button = button("Use the second", tip, self.take_second)
        tip = "Write all pixels that at least one of the readers drew"
        self.both_button = button("Use the union", tip, self.take_union)
        row = QHBoxLayout()
        for choice in (self.first_button, self.second_button, self.both_button):
            row.addWidget(choice)
        body = QVBoxLayout(self)
        body.setContentsMargins(0, 0, 0, 0)
        body.addWidget(self.text)
        body.addLayout(row)
        self.clear()

    @property
    def session(self) -> Session | None:
        """The open session."""
        return self._controller.session

    def go_to(self, comparison: Comparison) -> None:
        """Go to a frame and structure of the project, and show both readers' outlines."""
        self.clear()
        self.text.setText(ELSEWHERE)
        self._go_to(comparison)

    @while_open
    def _go_to(self, session: Session, comparison: Comparison) -> None:
        if session.project.folder != self._folder:
            return
        self.text.setText(HINT)
        if session.clip.id != comparison.clip and not self._controller.open_clip_of_project(comparison.clip):
            return
        self._show_place(comparison)

    @while_open
    def _show_place(self, session: Session, comparison: Comparison) -> None:
        self._connections.undo()
        with self._controller.showing_errors():
            self._controller.layers.flush()
            session.go_to(comparison.frame)
            session.choose(comparison.structure)
            self.pair = self._read(session.project, comparison)
            self._show()
            for signal in (session.frame_changed, session.structure_changed):
                self._connections.add(signal, self._on_place)

    def take_first(self) -> None:
        """Write the first reader's annotation again, as the newest."""
        self._take(0)

    def take_second(self) -> None:
        """Write the second reader's annotation into the project."""
        self._take(1)

    def take_union(self) -> None:
        """Write the union of both readers' masks."""
        self._take(2)

    def clear(self) -> None:
        """Remove the outlines and disable the choices."""
        self._connections.undo()
        outline, self._outline = self._outline, None
        if outline is not None:
            outline.close()
        self._disable()

    def _on_place(self, *_: object) -> None:
        # The outlines belong to one frame and structure only.
        if self._outline is not None:
            self._outline.clear()
        self._disable()

    def _disable(self) -> None:
        self.pair = None
        self.text.setText(HINT)
        for choice in (self.first_button, self.second_button, self.both_button):
            choice.setEnabled(False)

    def _read(self, project: Project, comparison: Comparison) -> tuple[Revision, Revision] | None:
        place, until = (comparison.frame, comparison.structure), self._reading.first_until
        if self._reading.blinded or until is None:
            return None
        first = project.past.page(comparison.clip, place, before=until + 1, limit=1)
        with Project.open(self._reading.folder) as reading:
            second = reading.past.page(comparison.clip, place, limit=1)
            # Masks are read while that project is open.
            loaded = [replace(s, packed=None if s.mask is None else pack_mask(s.mask)) for s in second]
        return (first[0], loaded[0]) if first and loaded else None

    @while_open
    def _show(self, session: Session) -> None:
        if self.pair is None:
            return
        masks = [revision.mask for revision in self.pair]
        if self._outline is None:
            self._outline = RevisionOutline(self._controller.viewer, session.clip)
        self._outline.show(*masks)
        one, two = (f"{revision.author}: {revision.state.label}" for revision in self.pair)
        legend = f"<span style='color:{FIRST}'>━━</span> {one} &nbsp; <span style='color:{SECOND}'>╸╸╸</span> {two}"
        self.text.setText(f"{legend}<br>{compare('the first', *masks, lead='Second reader against')}")
        for choice in (self.first_button, self.second_button):
            choice.setEnabled(True)
        self.both_button.setEnabled(all(mask is not None for mask in masks))

    @while_open
    def _take(self, session: Session, which: int) -> None:
        pair = self.pair
        if pair is None:
            return
        with self._controller.showing_errors():
            self._controller.layers.flush()
            chosen = pair[which] if which < 2 else _union(*pair)
            if session.go_back(chosen):
                self._controller.show_message(f"Written into the project by {session.author}.")


def _union(first: Revision, second: Revision) -> Revision:
    masks = [mask for mask in (first.mask, second.mask) if mask is not None]
    return replace(first, state=MaskState.ACCEPTED, packed=pack_mask(np.logical_or.reduce(masks)))
