# SPDX-License-Identifier: Apache-2.0
"""Dialog in which a person reviews the pixels of a recording, marks what must be hidden, and signs the review."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from qtpy.QtGui import QStandardItemModel
from qtpy.QtWidgets import QCheckBox, QComboBox, QDialog, QHBoxLayout, QLabel, QProgressBar, QVBoxLayout, QWidget

from napari_vfss.connections import Connections
from napari_vfss.jobs.files import PixelSearch
from napari_vfss.ui.dialog_parts import ProblemLine, dialog_button, line_edit, wrapped_label
from napari_vfss.ui.redaction.canvas import FrameSlider, PixelView
from napari_vfss.ui.redaction.draft import RedactionDraft
from napari_vfss.ui.redaction.editor import RedactionEditor
from vfss.clips.placard import PlacardClip
from vfss.datasets.preview import review_text
from vfss.deidentify.suggest_redaction import ProposedRedaction
from vfss.errors import VfssError
from vfss.wording import count

if TYPE_CHECKING:
    from vfss.project import ClipRecord, Project

BRIGHTEST, DARKEST, FRAMES = range(3)
ABOUT = (
    "<b>Can the patient be identified from this picture?</b> Look for names, dates and numbers: first in the brightest "
    "and darkest values of all frames, then frame by frame. Drag a box over what must be hidden: it becomes black on "
    "all frames. The program suggests boxes and may have missed some: check for yourself."
)
SIDE = 336


class ReviewDialog(QDialog):
    """Shows one recording and what will be hidden; accepted when a review was written or withdrawn.

    Attributes:
        clip: The recording, while the dialog is open.
        draft: Boxes and crop, not yet accepted.
        search: Background job that searches for text and for the exposed field.
    """

    def __init__(self, project: Project, record: ClipRecord, author: str, parent: QWidget | None = None) -> None:
        """Open a recording; the search begins at once.

        Raises:
            VfssError: The recording or the project cannot be read.
        """
        super().__init__(parent)
        self._project, self._record = project, record
        self._review = project.reviews.of(record.id)
        self.clip = PlacardClip(project.open_clip(record.id))
        self._proposed: ProposedRedaction | None = None
        self._connections = Connections()
        self.draft, self.search = RedactionDraft(record.height, record.width), PixelSearch()
        self.setWindowTitle(f"Review the pixels of {record.path.name}")
        self._lay_out(author)
        self._connect()
        if self._review is not None:
            self.draft.take(self._review.redaction)
        self.resize(1300, 700)
        self.show_frame(0)
        self._search(text=self._review is None)

    def show_frame(self, frame: int) -> None:
        """Show a single frame."""
        if self.frames.slider.value() != frame:
            self.frames.slider.setValue(frame)  # requests the frame
        elif self.picture.currentIndex() != FRAMES:
            self.picture.setCurrentIndex(FRAMES)
        else:
            self._show()

    def accept_review(self) -> None:
        """Write a review: who reviewed the pixels, and what must be hidden."""
        self._write(lambda: self._project.reviews.accept(self._record.id, self.draft.redaction, reviewer=self._name))

    def withdraw_review(self) -> None:
        """Withdraw the last review: the recording counts as not reviewed."""
        self._write(lambda: self._project.reviews.withdraw(self._record.id, reviewer=self._name))

    def find_text(self) -> None:
        """Search for text again, and add boxes for what is found."""
        self._search(text=True)

    @property
    def _name(self) -> str:
        return str(self.reviewer.text()).strip()

    def _write(self, write: Callable[[], object]) -> None:
        try:
            write()
        except VfssError as error:
            self.problem.show_problem(str(error))
            return
        self.accept()

    def _lay_out(self, author: str) -> None:
        left = QVBoxLayout()
        self.view, self.frames = PixelView(self.clip.pixel_aspect), FrameSlider(self._record.n_frames)
        left.addLayout(self._tools())
        left.addWidget(self.view, 1)
        left.addWidget(self.frames)
        side = QWidget()
        side.setFixedWidth(SIDE)
        right = QVBoxLayout(side)
        right.setContentsMargins(0, 0, 0, 0)
        right.addWidget(wrapped_label(ABOUT))
        right.addLayout(self._search_part())
        self.editor = RedactionEditor(self.draft)
        right.addWidget(self.editor, 1)
        right.addLayout(self._signature_part(author))
        body = QHBoxLayout(self)
        body.addLayout(left, 1)
        body.addWidget(side)

    def _tools(self) -> QHBoxLayout:
        self.picture = QComboBox()
        self.picture.addItems(["All frames: brightest values", "All frames: darkest values", "Single frames"])
        self.picture.setToolTip("Text that is on some frames only shows in one of the first two")
        self.picture.setAccessibleName("Picture to show")
        self.leaving = QCheckBox("as exported")
        self.leaving.setToolTip("Show hidden parts black, as in the export, instead of outlines")
        row = QHBoxLayout()
        row.addWidget(self.picture)
        row.addWidget(self.leaving)
        row.addStretch(1)
        row.addWidget(dialog_button("Zoom in", "Zoom in (wheel, +)", lambda: self.view.zoom(1.5)))
        row.addWidget(dialog_button("Zoom out", "Zoom out (wheel, -)", lambda: self.view.zoom(1 / 1.5)))
        row.addWidget(dialog_button("Whole picture", "Show the whole picture", self.view.show_whole))
        return row

    def _search_part(self) -> QVBoxLayout:
        self.bar = QProgressBar()
        self.bar.setFixedHeight(16)
        self.bar.setFormat("searching for text... %p%")
        self.stop_button = dialog_button("Stop", "Stop the search; check all frames yourself", self.search.cancel)
        self.find_button = dialog_button("Search for text again", "Add boxes where there may be text", self.find_text)
        self.note = wrapped_label()
        row = QHBoxLayout()
        row.addWidget(self.bar, 1)
        row.addWidget(self.stop_button)
        column = QVBoxLayout()
        column.addLayout(row)
        column.addWidget(self.note)
        column.addWidget(self.find_button)
        return column

    def _signature_part(self, author: str) -> QVBoxLayout:
        self.reviewer = line_edit(author, "your name or initials", "Who reviewed the pixels; stored in the project")
        self.why_not = wrapped_label()
        self.problem = ProblemLine()
        self.accept_button = dialog_button(
            "Accept review", "Store your name and what must be hidden", self.accept_review
        )
        self.withdraw_button = dialog_button(
            "Withdraw review", "The recording counts as not reviewed again", self.withdraw_review
        )
        self.withdraw_button.setVisible(self._review is not None)
        name = QHBoxLayout()
        name.addWidget(QLabel("Reviewed by"))
        name.addWidget(self.reviewer, 1)
        row = QHBoxLayout()
        row.addWidget(dialog_button("Cancel", "Change nothing", self.reject))
        row.addWidget(self.accept_button, 1)
        column = QVBoxLayout()
        column.addLayout(name)
        for widget in (self.why_not, self.problem, self.withdraw_button):
            column.addWidget(widget)
        column.addLayout(row)
        return column

    def _connect(self) -> None:
        add = self._connections.add
        add(self.search.progressed, self._on_progress)
        add(self.search.ended, self._on_searched)
        add(self.draft.changed, self._on_draft)
        add(self.view.drawn, self.draft.add_between)
        add(self.view.clicked, self.draft.choose_at)
        add(self.view.remove_asked, self.draft.remove_chosen)
        add(self.frames.frame_requested, self.show_frame)
        add(self.picture.currentIndexChanged, self._show)
        add(self.leaving.toggled, self._on_draft)
        add(self.reviewer.textChanged, self._refresh)
        self.finished.connect(self._close)

    def _search(self, *, text: bool) -> None:
        self.bar.setRange(0, 0)
        self.search.start(self._project.folder, self._record.id, text=text)
        self._with_text = text
        self._refresh()

    def _on_progress(self, done: int, total: int) -> None:
        self.bar.setRange(0, total)
        self.bar.setValue(done)

    def _on_searched(self, note: str, proposed: ProposedRedaction | None) -> None:
        if proposed is None:
            stopped = "The search was stopped. Step through all frames and check for yourself."
            self.note.setText(note if note not in {"", "Cancelled"} else stopped)
        else:
            first = self._proposed is None
            self._proposed = proposed
            self.draft.take_proposed(proposed, crop=first and self._review is None)
            self.note.setText(note or self._result(proposed))
            if first:
                self.picture.setCurrentIndex(BRIGHTEST)
        self._show()
        self._refresh()

    def _result(self, proposed: ProposedRedaction) -> str:
        if not self._with_text:
            return f"This recording was {review_text(self._review)}."
        n = len(proposed.texts)
        places = count(n, "place looks", "places look") if n else "no places look"
        return f"The program says: {places} like text. Check it with your own eyes."

    def _on_draft(self, *_: object) -> None:
        self.view.show_draft(self.draft, as_it_leaves=self.leaving.isChecked())

    def _show(self, *_: object) -> None:
        if self.picture.currentIndex() != FRAMES:
            self.frames.stop()
        self.view.show_picture(self._pixels())
        self._on_draft()

    def _pixels(self) -> npt.NDArray[np.uint8]:
        which, proposed = self.picture.currentIndex(), self._proposed
        if which != FRAMES and proposed is not None:
            return proposed.projections.brightest if which == BRIGHTEST else proposed.projections.darkest
        frame = self.frames.slider.value()
        try:
            pixels = self.clip.as_uint8(frame)
        except VfssError as error:
            self.problem.show_problem(str(error))
            return np.zeros((self._record.height, self._record.width), np.uint8)
        self.frames.note_seen(frame)
        return pixels

    def _refresh(self, *_: object) -> None:
        running = self.search.running
        for widget in (self.bar, self.stop_button):
            widget.setVisible(running)
        self.find_button.setVisible(not running)
        self.note.setVisible(not running)
        model = self.picture.model()
        for row in (BRIGHTEST, DARKEST):
            item = model.item(row) if isinstance(model, QStandardItemModel) else None
            if item is not None:
                item.setEnabled(self._proposed is not None)
        reason = "" if self._name else "Enter your name: a review must say who made it."
        reason = "Wait for the search to end, or stop it." if running else reason
        self.why_not.setText(reason)
        self.why_not.setVisible(bool(reason))
        self.accept_button.setEnabled(not reason)
        self.withdraw_button.setEnabled(not reason)

    def _close(self, *_: object) -> None:
        self.frames.stop()
        self.search.cancel()
        self._connections.undo()
        self.editor.close_connections()
        self.clip.close()
