# SPDX-License-Identifier: Apache-2.0
"""Start page: what there is to open, shown over the empty picture until something is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QColor, QIcon, QPainter, QPixmap
from qtpy.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QPushButton, QScrollArea, QToolButton, QVBoxLayout, QWidget

from napari_vfss.controller.controller import AnnotationController
from napari_vfss.keys.labels import explain
from napari_vfss.program.recent import RecentProject, RecentProjects
from napari_vfss.ui.about import SHORT_WORDING
from napari_vfss.ui.pages import Page
from vfss.sample_clips import SAMPLES
from vfss.wording import count

PICTURE = QSize(72, 54)
DROP = "or drop recordings, folders or a project anywhere in this window. Many at once become a worklist."
NOTHING = "No project yet. The first recording you open makes one, in the folder where it lies."


class StartPage(Page):
    """Opens recordings, folders, projects and samples; lists the projects that were open last."""

    title = "What would you like to open?"

    def __init__(
        self,
        controller: AnnotationController,
        ask: Mapping[str, Callable[[], object]],
        open_sample: Callable[[str], object],
        recent: RecentProjects,
        picture_of: Callable[[RecentProject], QPixmap | None],
    ) -> None:
        """Build the page.

        Args:
            controller: Controller of the viewer.
            ask: What to do for "recordings", "folder" and "project".
            open_sample: Opens a phantom by its name.
            recent: Projects that were open last.
            picture_of: Returns a picture of a project that shows phantoms; None for every other one.
        """
        super().__init__(controller)
        self._recent, self._picture_of = recent, picture_of
        self.buttons = {
            "recordings": _large("Recordings...", "Open one or many recordings: DICOM, AVI, MP4, TIFF", "Ctrl+Alt+N"),
            "folder": _large("Folder...", "Open a folder of recordings, or of the frames of one", ""),
            "project": _large("Project...", "Go on with a project", "Ctrl+Alt+J"),
        }
        row = QHBoxLayout()
        for name, push in self.buttons.items():
            push.clicked.connect(lambda _checked=False, do=ask[name]: do())
            row.addWidget(push)
        row.addStretch(1)
        self.body.addLayout(row)
        drop = QLabel(DROP)
        drop.setWordWrap(True)
        self.body.addWidget(drop)
        self.body.addSpacing(12)
        self.body.addLayout(_samples(open_sample))
        self.body.addSpacing(12)
        heading = QLabel("Recent projects")
        heading.setStyleSheet("font-weight: bold;")
        self.body.addWidget(heading)
        self._list = QGridLayout()
        self._list.setColumnStretch(1, 1)
        inside = QWidget()
        column = QVBoxLayout(inside)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(self._list)
        column.addStretch(1)
        scroll = QScrollArea()
        scroll.setWidget(inside)
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QScrollArea.Shape.NoFrame)
        self.body.addWidget(scroll, 1)
        self.body.addWidget(QLabel(SHORT_WORDING))
        self.back.hide()

    def refresh(self) -> None:
        """List the recent projects anew."""
        self.back.setVisible(self.controller.session is not None)
        while (item := self._list.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.deleteLater()
        projects = self._recent.all()
        for row, project in enumerate(projects):
            opening = QPushButton(f"{Path(project.folder).name}  ({Path(project.folder).parent})")
            opening.setIcon(QIcon(self._picture_of(project) or blank_film()))
            opening.setIconSize(PICTURE)
            opening.setStyleSheet("text-align: left; padding: 4px;")
            opening.setToolTip(f"Open {project.folder}")
            opening.setAccessibleName(f"Open project {Path(project.folder).name}, {progress_text(project)}")
            opening.clicked.connect(partial(self._open, project.folder))
            forget = QToolButton()
            forget.setText("✕")
            forget.setToolTip("Take this project off the list; nothing is deleted")
            forget.setAccessibleName(f"Take {Path(project.folder).name} off the list")
            forget.clicked.connect(partial(self._forget, project.folder))
            self._list.addWidget(opening, row, 0, 1, 2)
            self._list.addWidget(QLabel(progress_text(project)), row, 2)
            self._list.addWidget(forget, row, 3)
        if not projects:
            self._list.addWidget(QLabel(NOTHING), 0, 0, 1, 4)

    def _open(self, folder: str, _checked: bool = False) -> None:
        self.controller.choose_project(Path(folder))

    def _forget(self, folder: str, _checked: bool = False) -> None:
        self._recent.forget(folder)
        self.refresh()


def progress_text(project: RecentProject) -> str:
    """Return how far a project is, in a line."""
    parts = [count(project.clips, "clip")] if project.clips else []
    if project.frames:
        parts.append(f"{project.accepted} of {project.frames} frames of the last one corrected or accepted")
    return ", ".join([*parts, project.day])


def blank_film() -> QPixmap:
    """Return a picture in place of a patient's: an empty frame."""
    pixmap = QPixmap(PICTURE)
    pixmap.fill(QColor("#10151c"))
    painter = QPainter(pixmap)
    painter.setPen(QColor("#5c6b7d"))
    painter.drawRect(0, 0, PICTURE.width() - 1, PICTURE.height() - 1)
    for x in range(4, PICTURE.width() - 4, 9):
        painter.fillRect(x, 3, 5, 4, QColor("#5c6b7d"))
        painter.fillRect(x, PICTURE.height() - 7, 5, 4, QColor("#5c6b7d"))
    painter.end()
    return pixmap


def _samples(open_sample: Callable[[str], object]) -> QHBoxLayout:
    row = QHBoxLayout()
    row.addWidget(QLabel("No film at hand? Try a phantom:"))
    for key, text in SAMPLES.items():
        sample = QPushButton(text)
        sample.setToolTip("A simulated swallow: nobody's film. It is made by the program in some seconds")
        sample.setAccessibleName(text)
        sample.clicked.connect(lambda _checked=False, key=key: open_sample(key))
        row.addWidget(sample)
    row.addStretch(1)
    return row


def _large(text: str, tip: str, key: str) -> QPushButton:
    push = QPushButton(text)
    push.setMinimumSize(150, 44)
    push.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    push.setAccessibleName(text.rstrip("."))
    explain(push, tip, keys=(key,) if key else ())
    return push
