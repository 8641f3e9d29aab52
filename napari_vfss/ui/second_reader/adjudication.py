# SPDX-License-Identifier: Apache-2.0
"""Settling what two readers differ on: both outlines over the picture, and one is taken into the project."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from qtpy.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from napari_vfss.connections import Connections
from napari_vfss.controller.controller import AnnotationController
from napari_vfss.ui.history.describe import compare
from napari_vfss.ui.section import button
from napari_vfss.viewer.outlines import FIRST, SECOND, RevisionOutline
from vfss.evaluation.agreement import Comparison
from vfss.masks import MaskState, pack_mask
from vfss.project import Project, Revision
from vfss.project.second_reading_record import Reading

ELSEWHERE = "Open the project (not its second reading) to go there."
HINT = "Click a row to see both outlines. What you take is written into the project, under your name; Ctrl+Z undoes it."


class Adjudication(QWidget):
    """Goes to a place, shows both readers' masks there, and writes the one that is taken as a new revision."""

    def __init__(self, controller: AnnotationController, folder: Path, reading: Reading) -> None:
        super().__init__()
        self._controller, self._folder, self._reading = controller, folder, reading
        self._outline: RevisionOutline | None = None
        self._connections = Connections()
        self.pair: tuple[Revision, Revision] | None = None
        self.words = QLabel(HINT)
        self.words.setWordWrap(True)
        self.first_button = button("Take the first", "Write the first reader's word as the project's", self.take_first)
        self.second_button = button("Take the second", "Write the second reader's word", self.take_second)
        self.both_button = button("Take both together", "Write all pixels that either drew", self.take_union)
        row = QHBoxLayout()
        for made in (self.first_button, self.second_button, self.both_button):
            row.addWidget(made)
        body = QVBoxLayout(self)
        body.setContentsMargins(0, 0, 0, 0)
        body.addWidget(self.words)
        body.addLayout(row)
        self.clear()

    def go_to(self, comparison: Comparison) -> None:
        """Show a place of the project with both readers' outlines."""
        session = self._controller.session
        if session is None or session.project.folder != self._folder:
            self.clear()
            self.words.setText(ELSEWHERE)
            return
        if session.clip.id != comparison.clip and not self._controller.open_clip_of_project(comparison.clip):
            return
        session = self._controller.session
        if session is None or self._controller.layers is None:
            return
        self._connections.undo()
        with self._controller.telling():
            self._controller.layers.flush()
            session.go_to(comparison.frame)
            session.choose(comparison.structure)
            self.pair = self._read(session.project, comparison)
            self._show()
            for signal in (session.frame_changed, session.structure_changed):
                self._connections.add(signal, self._on_place)

    def take_first(self) -> None:
        """Write the first reader's word again."""
        self._take(0)

    def take_second(self) -> None:
        """Write the second reader's word into the project."""
        self._take(1)

    def take_union(self) -> None:
        """Write all pixels that either reader drew."""
        self._take(2)

    def clear(self) -> None:
        """Show nothing."""
        self._connections.undo()
        outline, self._outline = self._outline, None
        if outline is not None:
            outline.close()
        self._forget()

    def _on_place(self, *_: object) -> None:
        # The outlines belong to one place only.
        if self._outline is not None:
            self._outline.clear()
        self._forget()

    def _forget(self) -> None:
        self.pair = None
        self.words.setText(HINT)
        for made in (self.first_button, self.second_button, self.both_button):
            made.setEnabled(False)

    def _read(self, project: Project, comparison: Comparison) -> tuple[Revision, Revision] | None:
        place, until = (comparison.frame, comparison.structure), self._reading.first_until
        if self._reading.blinded or until is None:
            return None
        first = project.past.page(comparison.clip, place, before=until + 1, limit=1)
        with Project.open(self._reading.folder) as reading:
            second = reading.past.page(comparison.clip, place, limit=1)
            # Unpacked while that project is open.
            found = [replace(s, packed=None if s.mask is None else pack_mask(s.mask)) for s in second]
        return (first[0], found[0]) if first and found else None

    def _show(self) -> None:
        session = self._controller.session
        if session is None or self.pair is None:
            return
        masks = [revision.mask for revision in self.pair]
        if self._outline is None:
            self._outline = RevisionOutline(self._controller.viewer, session.clip.height, session.clip.width)
        self._outline.show(*masks)
        said = [f"{revision.author}: {revision.state.label}" for revision in self.pair]
        legend = (
            f"<span style='color:{FIRST}'>━━</span> {said[0]} &nbsp; <span style='color:{SECOND}'>╸╸╸</span> {said[1]}"
        )
        self.words.setText(f"{legend}<br>{compare('the first', *masks, lead='Second reader against')}")
        for made in (self.first_button, self.second_button):
            made.setEnabled(True)
        self.both_button.setEnabled(all(mask is not None for mask in masks))

    def _take(self, which: int) -> None:
        session, pair = self._controller.session, self.pair
        if session is None or pair is None or self._controller.layers is None:
            return
        with self._controller.telling():
            self._controller.layers.flush()
            taken = pair[which] if which < 2 else _union(*pair)
            if session.go_back(taken):
                self._controller.tell(f"Written into the project by {session.author}.")


def _union(first: Revision, second: Revision) -> Revision:
    masks = [mask for mask in (first.mask, second.mask) if mask is not None]
    return replace(first, state=MaskState.ACCEPTED, packed=pack_mask(np.logical_or.reduce(masks)))
