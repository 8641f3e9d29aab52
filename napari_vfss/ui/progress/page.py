# SPDX-License-Identifier: Apache-2.0
"""The progress page: figures of the project as plots that can be saved."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QLabel, QPushButton

from napari_vfss.connections import Connections
from napari_vfss.controller.controller import AnnotationController
from napari_vfss.jobs.work_times import WorkTimesReading
from napari_vfss.session.host import while_open, while_open_or
from napari_vfss.session.session import Session
from napari_vfss.ui.pages import Page
from napari_vfss.ui.progress.plots import ProgressPlots
from napari_vfss.ui.section import BUTTON_STYLE

if TYPE_CHECKING:
    from vfss.project.work_times import WorkTimes

ABOUT = (
    "Times are those between two changes of one person; pauses of more than two minutes are left out. "
    "Accepted as proposed: masks that were accepted without a change."
)
NOTHING = "Nothing has been annotated in this project yet."
NO_PROJECT = "Open a clip to see the progress of its project."


class ProgressPage(Page):
    """Frames a day, seconds a frame by structure and by student, and the share of proposals accepted as they were."""

    title = "Progress"

    def __init__(self, controller: AnnotationController) -> None:
        super().__init__(controller)
        self.reading = WorkTimesReading()
        self.message = QLabel()
        self.message.setWordWrap(True)
        self.plots = ProgressPlots()
        self.save_button = QPushButton("Save as picture...")
        self.save_button.setStyleSheet(BUTTON_STYLE)
        self.save_button.setToolTip("Save the plots as PNG or SVG")
        self.save_button.setAccessibleName("Save the plots as PNG or SVG")
        self.save_button.setEnabled(False)
        row = QHBoxLayout()
        row.addWidget(self.message, 1)
        row.addWidget(self.save_button)
        self.body.addWidget(self.plots, 1)
        self.body.addLayout(row)
        self._connections = Connections()
        self._connections.add(self.save_button.clicked, lambda _checked=False: self.ask_and_save())
        self._connections.add(self.reading.ended, self._on_read)
        self._connections.add(controller.session_changed, self._on_session)

    @property
    def session(self) -> Session | None:
        """The open session."""
        return self.controller.session

    def refresh(self) -> None:
        """Read the figures again, in the background."""
        folder = self._folder()
        self.message.setText(NO_PROJECT if folder is None else "Reading...")
        if folder is not None:
            self.reading.ask(folder)

    def close_connections(self) -> None:
        """Disconnect from the controller and stop reading."""
        self.reading.abandon()
        self._connections.undo()

    def ask_and_save(self) -> None:
        """Ask for a file and save the plots as PNG or SVG."""
        name, _ = QFileDialog.getSaveFileName(self, "Save the plots", "progress.png", "Pictures (*.png *.svg)")
        if name:
            self.save(Path(name))

    def save(self, path: Path) -> None:
        """Save the plots; PNG unless the name ends in .svg; errors are shown."""
        path = path if path.suffix.lower() in {".png", ".svg"} else path.with_name(path.name + ".png")
        with self.controller.showing_errors():
            self.plots.save(path)
            self.controller.show_message(f"The plots are saved: {path}")

    def _on_session(self) -> None:
        if self.isVisible():
            self.refresh()

    def _on_read(self, message: str, times: object) -> None:
        if times is None:
            self.message.setText(message)
            return
        self._show(times)  # type: ignore[arg-type]

    @while_open
    def _show(self, session: Session, times: WorkTimes) -> None:
        self.plots.show_times(times, session.schema)
        self.save_button.setEnabled(bool(times.frames_a_day))
        self.message.setText(ABOUT if times.frames_a_day else NOTHING)

    @while_open_or(None)
    def _folder(self, session: Session) -> Path | None:
        return session.project.folder
