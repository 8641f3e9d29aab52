# SPDX-License-Identifier: Apache-2.0
"""A person looks at the pixels of a recording, says what must be hidden, and puts a name under it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from qtpy.QtGui import QStandardItemModel
from qtpy.QtWidgets import QCheckBox, QComboBox, QDialog, QHBoxLayout, QLabel, QProgressBar, QVBoxLayout, QWidget

from napari_vfss.connections import Connections
from napari_vfss.jobs.files import PixelSearch
from napari_vfss.ui.dialog_parts import ProblemLine, dialog_button, line, words
from napari_vfss.ui.redaction.canvas import FrameSlider, PixelView
from napari_vfss.ui.redaction.draft import RedactionDraft
from napari_vfss.ui.redaction.editor import RedactionEditor
from vfss.datasets.preview import said_of
from vfss.deidentify.suggest_redaction import ProposedRedaction
from vfss.errors import VfssError
from vfss.project import ClipRecord, Project
from vfss.wording import count

BRIGHTEST, DARKEST, FRAMES = range(3)
ABOUT = (
    "<b>Can this picture name the patient?</b> Look for names, dates and numbers: first in the brightest and darkest "
    "values of all frames, then frame by frame. Drag a box over what must go: it is black on all frames. The program "
    "has proposed boxes, and may have missed some: your eyes decide."
)
SIDE = 336


class ReviewDialog(QDialog):
    """Shows one recording with what is to be hidden; accepted when a review was written or taken back.

    Attributes:
        draft: Boxes and crop as they stand.
        search: Looks for text and the exposed field.
    """

    def __init__(self, project: Project, record: ClipRecord, author: str, parent: QWidget | None = None) -> None:
        """Open a recording; the search begins at once.

        Raises:
            VfssError: The recording or the project cannot be read.
        """
        super().__init__(parent)
        self._project, self._record = project, record
        self._review = project.reviews.of(record.id)
        self._clip = project.open_clip(record.id)
        self._proposed: ProposedRedaction | None = None
        self._connections = Connections()
        self.draft, self.search = RedactionDraft(record.height, record.width), PixelSearch()
        self.setWindowTitle(f"Look at the pixels of {record.path.name}")
        self._lay_out(author)
        self._connect()
        if self._review is not None:
            self.draft.take(self._review.redaction)
        self.resize(1300, 700)
        self.show_frame(0)
        self._search(text=self._review is None)

    def show_frame(self, frame: int) -> None:
        """Show a single frame."""
        if self.walk.slider.value() != frame:
            self.walk.slider.setValue(frame)  # which asks for it
        elif self.picture.currentIndex() != FRAMES:
            self.picture.setCurrentIndex(FRAMES)
        else:
            self._show()

    def accept_review(self) -> None:
        """Write down that the person who is named looked, and what must be hidden."""
        self._write(lambda: self._project.reviews.accept(self._record.id, self.draft.redaction, reviewer=self._name))

    def withdraw_review(self) -> None:
        """Take the last review back: the recording counts as not looked at."""
        self._write(lambda: self._project.reviews.withdraw(self._record.id, reviewer=self._name))

    def find_text(self) -> None:
        """Look for text once more; what is found is added."""
        self._search(text=True)

    @property
    def _name(self) -> str:
        return str(self.reviewer.text()).strip()

    def _write(self, write: Callable[[], object]) -> None:
        try:
            write()
        except VfssError as error:
            self.problem.tell(str(error))
            return
        self.accept()

    def _lay_out(self, author: str) -> None:
        left = QVBoxLayout()
        self.view, self.walk = PixelView(), FrameSlider(self._record.n_frames)
        left.addLayout(self._tools())
        left.addWidget(self.view, 1)
        left.addWidget(self.walk)
        side = QWidget()
        side.setFixedWidth(SIDE)
        right = QVBoxLayout(side)
        right.setContentsMargins(0, 0, 0, 0)
        right.addWidget(words(ABOUT))
        right.addLayout(self._searching())
        self.editor = RedactionEditor(self.draft)
        right.addWidget(self.editor, 1)
        right.addLayout(self._signing(author))
        body = QHBoxLayout(self)
        body.addLayout(left, 1)
        body.addWidget(side)

    def _tools(self) -> QHBoxLayout:
        self.picture = QComboBox()
        self.picture.addItems(["All frames: brightest values", "All frames: darkest values", "Single frames"])
        self.picture.setToolTip("Text that stands on some frames only is seen in one of the first two")
        self.leaving = QCheckBox("as it would leave")
        self.leaving.setToolTip("Show what is hidden as black instead of outlines")
        row = QHBoxLayout()
        row.addWidget(self.picture)
        row.addWidget(self.leaving)
        row.addStretch(1)
        row.addWidget(dialog_button("Larger", "Zoom in (wheel, +)", lambda: self.view.zoom(1.5)))
        row.addWidget(dialog_button("Smaller", "Zoom out (wheel, -)", lambda: self.view.zoom(1 / 1.5)))
        row.addWidget(dialog_button("Whole picture", "As large as fits", self.view.show_whole))
        return row

    def _searching(self) -> QVBoxLayout:
        self.bar = QProgressBar()
        self.bar.setFixedHeight(16)
        self.bar.setFormat("looking for text... %p%")
        self.stop_button = dialog_button("Stop", "Look for no more text; you look for yourself", self.search.cancel)
        self.find_button = dialog_button("Look for text again", "Add boxes where text seems to stand", self.find_text)
        self.note = words()
        row = QHBoxLayout()
        row.addWidget(self.bar, 1)
        row.addWidget(self.stop_button)
        column = QVBoxLayout()
        column.addLayout(row)
        column.addWidget(self.note)
        column.addWidget(self.find_button)
        return column

    def _signing(self, author: str) -> QVBoxLayout:
        self.reviewer = line(author, "your name or initials", "Who has looked; written into the project")
        self.why_not = words()
        self.problem = ProblemLine()
        self.accept_button = dialog_button(
            "I have looked: accept", "Write down your name, and what must be hidden", self.accept_review
        )
        self.withdraw_button = dialog_button(
            "Take the review back", "The recording counts as not looked at again", self.withdraw_review
        )
        self.withdraw_button.setVisible(self._review is not None)
        name = QHBoxLayout()
        name.addWidget(QLabel("Looked at by"))
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
        add(self.walk.wanted, self.show_frame)
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
            stopped = "The search was stopped. Step through all frames, and look for yourself."
            self.note.setText(note if note not in {"", "Cancelled"} else stopped)
        else:
            first = self._proposed is None
            self._proposed = proposed
            self.draft.take_proposed(proposed, crop=first and self._review is None)
            self.note.setText(note or self._told(proposed))
            if first:
                self.picture.setCurrentIndex(BRIGHTEST)
        self._show()
        self._refresh()

    def _told(self, proposed: ProposedRedaction) -> str:
        if not self._with_text:
            return f"This recording was {said_of(self._review)}."
        n = len(proposed.found)
        places = count(n, "place looks", "places look") if n else "no places look"
        return f"The program says: {places} like text. Check it with your own eyes."

    def _on_draft(self, *_: object) -> None:
        self.view.show_draft(self.draft, as_it_leaves=self.leaving.isChecked())

    def _show(self, *_: object) -> None:
        if self.picture.currentIndex() != FRAMES:
            self.walk.stop()
        self.view.show_picture(self._pixels())
        self._on_draft()

    def _pixels(self) -> npt.NDArray[np.uint8]:
        which, proposed = self.picture.currentIndex(), self._proposed
        if which != FRAMES and proposed is not None:
            return proposed.projections.brightest if which == BRIGHTEST else proposed.projections.darkest
        frame = self.walk.slider.value()
        try:
            pixels = self._clip.as_uint8(frame)
        except VfssError as error:
            self.problem.tell(str(error))
            return np.zeros((self._record.height, self._record.width), np.uint8)
        self.walk.note_seen(frame)
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
        reason = "" if self._name else "Enter your name: a review needs to know who looked."
        reason = "Wait for the search, or stop it." if running else reason
        self.why_not.setText(reason)
        self.why_not.setVisible(bool(reason))
        self.accept_button.setEnabled(not reason)
        self.withdraw_button.setEnabled(not reason)

    def _close(self, *_: object) -> None:
        self.walk.stop()
        self.search.cancel()
        self._connections.undo()
        self.editor.close_connections()
        self._clip.close()
