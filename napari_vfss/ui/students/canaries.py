# SPDX-License-Identifier: Apache-2.0
"""Canaries: the same frames with the masks of two students side by side, before a person switches."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QColor, QIcon, QImage, QPixmap, QResizeEvent
from qtpy.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QProgressBar,
    QSizePolicy,
    QSlider,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_vfss.connections import Connections
from napari_vfss.controller.controller import AnnotationController
from napari_vfss.jobs.students import CanaryOrder, ShowingCanaries
from napari_vfss.session.host import while_open
from napari_vfss.session.session import Session
from napari_vfss.ui.section import button, tipped_button
from napari_vfss.ui.structure_table import swatch
from napari_vfss.viewer.outlines import outline
from vfss.clips.exposed_field import exposed_field
from vfss.comparison.cards import StudentCard
from vfss.masks import BoolArray, ByteArray
from vfss.project.canaries import MOST
from vfss.proposals.side_by_side import SidePair, mean_agreement
from vfss.schema import Schema

NONE = "no clip"
CHANGED = 0.9
"""Dice of the two students with each other below which a structure is pointed out."""
HINT = (
    "Choose up to three clips that you know well, then show both students on them. Nothing is written to the project."
)


class CanaryView(QWidget):
    """Chooses canaries, and shows two students on them.

    Attributes:
        pairs: Frames that were compared, by id of the clip.
    """

    def __init__(self, controller: AnnotationController) -> None:
        super().__init__()
        self.controller = controller
        self.job = ShowingCanaries(controller)
        self.pairs: dict[str, list[SidePair]] = {}
        self._card: StudentCard | None = None
        self._connections = Connections()
        body = QVBoxLayout(self)
        self.hint = QLabel(HINT)
        self.hint.setWordWrap(True)
        body.addWidget(self.hint)
        self._build_choice(body)
        self._build_view(body)
        self._connections.add(self.job.shown, self._on_pair)
        self._connections.add(self.job.progressed, self._on_progress)
        self._connections.add(self.job.ended, self._on_ended)
        self._set_running(False)

    @property
    def session(self) -> Session | None:
        """The open session."""
        return self.controller.session

    def close_connections(self) -> None:
        """Stop and disconnect."""
        self.job.cancel()
        self._connections.undo()

    def show_card(self, card: StudentCard | None) -> None:
        """Take the student that is compared with the one in use; what was shown of another one goes."""
        if (card and card.id) != (self._card and self._card.id):
            self.job.cancel()
            self.pairs.clear()
            self._refresh()
        self._card = card
        self._list_clips()
        self._set_running(self.job.running)
        self.right_title.setText(card.title if card is not None else "")

    @while_open
    def start(self, session: Session) -> None:
        """Show both students on the canaries."""
        clips = tuple(session.project.canaries.clips())
        if self._card is None or self._card.in_use or self._card.problem:
            self.controller.show_message("Choose a student on the left that is not in use.")
        elif not clips:
            self.controller.show_message("Choose at least one clip first.")
        elif not self.job.running:
            self.pairs.clear()
            self._refresh()
            self.bar.setRange(0, 0)
            self._set_running(True)
            self.job.start(CanaryOrder(session.project.folder, self._card.project_id, clips))

    def _build_choice(self, body: QVBoxLayout) -> None:
        row = QHBoxLayout()
        self.choices: list[QComboBox] = []
        for place in range(MOST):
            box = QComboBox()
            box.setAccessibleName(f"Canary {place + 1}")
            box.setToolTip("A clip on which both students are shown before you switch")
            box.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            box.activated.connect(self._on_chosen)
            self.choices.append(box)
            row.addWidget(box, 2)
        tip = "Propose on these clips by the student in use and by the chosen one; nothing is written"
        self.show_button = button("Show both", tip, self.start, key="Ctrl+Alt+Shift+S", key_on_face=False)
        self.bar = QProgressBar()
        self.bar.setFixedHeight(16)
        self.cancel_button = tipped_button("Cancel", "Stop", self.job.cancel, key="Ctrl+Alt+Shift+X")
        body.addLayout(row)
        foot = QHBoxLayout()
        foot.addWidget(self.show_button, 1)
        foot.addWidget(self.bar, 1)
        foot.addWidget(self.cancel_button, 1)
        body.addLayout(foot)

    def _build_view(self, body: QVBoxLayout) -> None:
        self.left_title, self.right_title = QLabel("In use"), QLabel()
        self.left, self.right = _Picture("Masks of the student in use"), _Picture("Masks of the chosen student")
        grid = QGridLayout()
        for column, (title, picture) in enumerate(((self.left_title, self.left), (self.right_title, self.right))):
            title.setAlignment(Qt.AlignmentFlag.AlignHCenter)
            grid.addWidget(title, 0, column)
            grid.addWidget(picture, 1, column)
            grid.setColumnStretch(column, 3)
        self.table = QTableWidget(0, 3)
        self.table.setAccessibleName("Agreement of both students")
        self.table.setHorizontalHeaderLabels(("Structure", "Here", "All"))
        self.table.setToolTip(
            "Dice of the two students with each other, on this frame and on all: 1 where nothing changes"
        )
        self.table.setIconSize(QSize(12, 12))
        self.table.setMinimumWidth(190)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        rows, columns = self.table.verticalHeader(), self.table.horizontalHeader()
        if rows is not None and columns is not None:
            rows.setVisible(False)
            rows.setDefaultSectionSize(20)
            columns.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        grid.addWidget(self.table, 0, 2, 2, 1)
        grid.setColumnStretch(2, 2)
        grid.setRowStretch(1, 1)
        body.addLayout(grid, 1)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setAccessibleName("Frame")
        self.slider.setToolTip("Frames of the canaries, one clip after the other")
        self.slider.valueChanged.connect(self._draw)
        self.where = QLabel()
        foot = QHBoxLayout()
        foot.addWidget(self.slider, 1)
        foot.addWidget(self.where)
        body.addLayout(foot)

    @while_open
    def _list_clips(self, session: Session) -> None:
        with self.controller.showing_errors():
            chosen = session.project.canaries.clips()
            records = session.project.clips()
            self._names = {record.id: record.path.name for record in records}
            for place, box in enumerate(self.choices):
                box.clear()
                box.addItem(NONE, None)
                for record in records:
                    box.addItem(record.path.name, record.id)
                box.setCurrentIndex(box.findData(chosen[place]) if place < len(chosen) else 0)

    @while_open
    def _on_chosen(self, session: Session, _row: int) -> None:
        clips = list(dict.fromkeys(box.currentData() for box in self.choices if box.currentData() is not None))
        with self.controller.showing_errors():
            session.project.canaries.choose(clips)
        self._list_clips()

    def _on_pair(self, clip: str, pair: SidePair) -> None:
        self.pairs.setdefault(clip, []).append(pair)
        self._refresh()

    def _on_progress(self, done: int, total: int) -> None:
        self.bar.setRange(0, max(1, total))
        self.bar.setValue(done)

    def _on_ended(self, message: str, _result: object) -> None:
        self._set_running(False)
        if message:
            self.controller.show_message(message, problem="ancelled" not in message)

    def _set_running(self, running: bool) -> None:
        for widget in (self.bar, self.cancel_button):
            widget.setVisible(running)
        usable = self._card is not None and not self._card.in_use and not self._card.problem
        self.show_button.setEnabled(not running and usable)

    def _shown(self) -> list[tuple[str, SidePair]]:
        return [(clip, pair) for clip, pairs in self.pairs.items() for pair in pairs]

    def _refresh(self) -> None:
        self.slider.setRange(0, max(0, len(self._shown()) - 1))
        self._draw()

    def _draw(self, *_: object) -> None:
        shown = self._shown()
        if not shown:
            for picture in (self.left, self.right):
                picture.show_image(None)
            self.table.setRowCount(0)
            self.where.clear()
            return
        clip, pair = shown[min(self.slider.value(), len(shown) - 1)]
        self.where.setText(f"{self._names.get(clip, '')}, frame {pair.frame + 1}")
        self._draw_pair(pair, self.pairs[clip])

    @while_open
    def _draw_pair(self, session: Session, pair: SidePair, of_clip: list[SidePair]) -> None:
        field = exposed_field(pair.picture, pair.pixel_aspect)
        for picture, which in ((self.left, "old"), (self.right, "new")):
            drawn = outlined(pair.picture, pair.masks(which), session.schema)
            picture.show_image(drawn[field], pair.pixel_aspect)
        means = mean_agreement(of_clip)
        keys = sorted(pair.dice, key=lambda key: pair.dice[key])
        self.table.setRowCount(len(keys))
        for row, key in enumerate(keys):
            here, everywhere = pair.dice[key], means[key]
            name = QTableWidgetItem(QIcon(swatch(session.schema[key].colour, True)), session.schema[key].name)
            marks = "▼ " if here < CHANGED else ""
            for column, item in enumerate(
                (name, QTableWidgetItem(f"{marks}{here:.2f}"), QTableWidgetItem(f"{everywhere:.2f}"))
            ):
                self.table.setItem(row, column, item)


class _Picture(QLabel):
    """A picture that fills its place and keeps its proportions."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setAccessibleName(name)
        self.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Ignored)
        self.setMinimumSize(120, 120)
        self._image: QPixmap | None = None

    def show_image(self, image: ByteArray | None, pixel_aspect: float = 1.0) -> None:
        """Show uint8 (H, W, 3), or nothing."""
        if image is None:
            self._image = None
            self.clear()
            return
        height, width, _ = image.shape
        drawn = QImage(image.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888)
        wide = round(width * pixel_aspect)
        self._image = QPixmap.fromImage(drawn if wide == width else drawn.scaled(wide, height))
        self._fit()

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802
        """Fit the picture."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        if self._image is not None:
            ways = Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
            self.setPixmap(self._image.scaled(self.size(), *ways))


def outlined(picture: npt.NDArray[np.uint8], masks: dict[str, BoolArray], schema: Schema) -> ByteArray:
    """Return a picture, uint8 (H, W), with the outlines of masks in their colours, uint8 (H, W, 3)."""
    drawn = np.repeat(picture[..., None], 3, axis=2)
    thickness = max(1, round(max(picture.shape) / 300))
    for key in sorted(masks, key=lambda key: schema[key].index):
        colour = QColor(schema[key].colour)
        drawn[outline(masks[key], thickness)] = (colour.red(), colour.green(), colour.blue())
    return drawn
