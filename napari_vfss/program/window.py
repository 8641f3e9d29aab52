# SPDX-License-Identifier: Apache-2.0
"""The program's window: napari with our panel and timeline, and nothing of napari's that a clinician does not need."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from napari._qt.widgets.qt_dims import QtDims
from qtpy.QtCore import QObject, Qt
from qtpy.QtGui import QImage, QPixmap
from qtpy.QtWidgets import QDockWidget, QMainWindow, QWidget

from napari_vfss.connections import Connections
from napari_vfss.program.drops import Drops
from napari_vfss.program.geometry import WindowGeometry
from napari_vfss.program.menus import ProgramMenus
from napari_vfss.program.recent import RecentProject, RecentProjects, now
from napari_vfss.program.start_page import PICTURE, StartPage
from napari_vfss.program.tool_bar import LISTS, WORK, ToolBar
from napari_vfss.session.host import while_open
from napari_vfss.session.session import Session
from napari_vfss.ui.panel import AnnotationPanel
from napari_vfss.user_config import UserConfigFile
from vfss.sample_clips import is_sample

START = "start"
NAPARI_DOCKS = ("layer controls", "layer list")


class ProgramWindow(QObject):
    """Turns a napari window with our panel into the program's own, and keeps what it looks like.

    Attributes:
        tool_bar: The buttons above the picture.
        recent: Projects that were open last.
        napari_tools: napari's own widgets, hidden until the View menu brings them back.
    """

    def __init__(self, panel: AnnotationPanel, file: UserConfigFile | None = None) -> None:
        """Arrange a window.

        Args:
            panel: The panel, docked in a viewer's window.
            file: Where window and recent projects are kept; by default in the user's configuration folder.
        """
        super().__init__(panel)
        self.panel, self.controller, self.viewer = panel, panel.controller, panel.viewer
        window = panel.window()
        if not isinstance(window, QMainWindow):
            raise TypeError("the panel is not docked in a window")
        self.window = window
        self._file = file or UserConfigFile("window.json", self)
        self.recent = RecentProjects(self._file)
        docks = [dock for dock in window.findChildren(QDockWidget) if dock.objectName() in NAPARI_DOCKS]
        self.napari_tools: list[QWidget] = [*docks, *window.findChildren(QtDims)]
        self.show_napari_tools(False)
        self.tool_bar = ToolBar(self.controller, (*WORK, *LISTS), window)
        window.addToolBar(Qt.ToolBarArea.TopToolBarArea, self.tool_bar)
        # The panel has the height of the window, the timeline lies under the picture alone.
        window.setCorner(Qt.Corner.BottomRightCorner, Qt.DockWidgetArea.RightDockWidgetArea)
        panel.pages.add(START, self._start_page)
        panel.show_structures_first()
        self._drops = Drops(window, self.open_paths)
        self.menus = ProgramMenus(self)
        self._geometry = WindowGeometry(window, self._file)
        self._connections = Connections()
        self._connections.add(self.controller.session_changed, self._on_session)
        self._connections.add(panel.closing, self.close)

    def show(self) -> None:
        """Show the window where it was left, with the start page if nothing is open."""
        self._geometry.restore()
        self._on_session()

    def open_paths(self, paths: Sequence[Path]) -> None:
        """Open what was dropped or chosen: one recording or project at once, many as a worklist in the background."""
        if len(paths) == 1 and not paths[0].is_dir():
            self.controller.open(paths[0])
        else:
            self.controller.open_many(paths)

    def show_napari_tools(self, shown: bool) -> None:
        """Show or hide napari's layer list, layer controls and slider."""
        for widget in self.napari_tools:
            widget.setVisible(shown)
            if isinstance(widget, QDockWidget):
                continue
            # napari shows its slider again whenever a layer comes.
            widget.setMaximumHeight(16_777_215 if shown else 0)

    def close(self) -> None:
        """Keep the window's place and what was open; take away what was added."""
        self._keep_project()
        self._geometry.keep()
        self._connections.undo()
        self._drops.close()
        self.menus.close()
        self.tool_bar.close_connections()

    def _start_page(self, _controller: object) -> StartPage:
        clip = self.panel.clip
        ask = {"recordings": clip.ask_for_clip, "folder": clip.ask_for_folder, "project": clip.ask_for_project}
        return StartPage(self.controller, ask, clip.open_sample, self.recent, self._picture_of)

    def _on_session(self) -> None:
        self.panel.timeline.put_away(self.controller.session is None)
        if self.controller.session is None:
            self.panel.pages.show(START)
            return
        self.panel.pages.hide()
        self._keep_project()

    @while_open
    def _keep_project(self, session: Session) -> None:
        source = session.clip.source
        self.recent.add(
            RecentProject(
                str(session.project.folder),
                now(),
                len(session.project.clips()),
                session.clip.n_frames,
                len(session.project.annotated_frames(session.clip.id)),
                source is not None and is_sample(source),
            )
        )

    @property
    def session(self) -> Session | None:
        """The open session."""
        return self.controller.session

    def _picture_of(self, project: RecentProject) -> QPixmap | None:
        """Return the middle frame of a phantom; film of patients is never shown before its project is opened."""
        if not project.phantom:
            return None
        from vfss.clips import open_clip
        from vfss.errors import VfssError
        from vfss.sample_clips import sample_files

        for path in sample_files():
            if path.parent == Path(project.folder).parent:
                try:
                    with open_clip(path) as clip:
                        frame = clip[clip.n_frames // 2]
                except VfssError:
                    return None
                image = QImage(frame.tobytes(), frame.shape[1], frame.shape[0], frame.shape[1], _GREY)
                return QPixmap.fromImage(image).scaled(PICTURE, Qt.AspectRatioMode.KeepAspectRatio)
        return None


_GREY = QImage.Format.Format_Grayscale8
