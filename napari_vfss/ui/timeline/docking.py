# SPDX-License-Identifier: Apache-2.0
"""Dock the timeline under the picture while the panel is open, and show it again when a person asks."""

from __future__ import annotations

import contextlib

from qtpy.QtCore import QObject, Qt
from qtpy.QtWidgets import QDockWidget, QMainWindow, QWidget

from napari_vfss.controller.controller import AnnotationController
from napari_vfss.ui.timeline.dock import TITLE, TimelineDock


class TimelinePlace(QObject):
    """Puts the timeline into the viewer's window and takes it away."""

    def __init__(self, controller: AnnotationController, parent: QObject) -> None:
        super().__init__(parent)
        self._controller = controller
        self._closed = self._away = False
        self.widget: TimelineDock | None = None

    def show(self) -> None:
        """Dock the timeline under the picture, also after a person hid or closed it."""
        if self._closed:
            return
        if self.widget is None:
            self.widget = TimelineDock(self._controller)
        if _dock_of(self.widget) is None:
            window = self._controller.viewer.window
            window.add_dock_widget(self.widget, name=TITLE, area="bottom", add_vertical_stretch=False)
            main = self.widget.window()
            if isinstance(main, QMainWindow):
                # Beside napari's own docks on the left, which are too high to fit above it on a small screen.
                main.setCorner(Qt.Corner.BottomLeftCorner, Qt.DockWidgetArea.LeftDockWidgetArea)
        dock = _dock_of(self.widget)
        if dock is not None:
            self.widget.show()  # removing it from a dock had hidden it
            dock.show()

    def put_away(self, away: bool) -> None:
        """Hide the timeline while there is nothing to show, and bring back what this hid, not what a person hid."""
        dock = None if self.widget is None else _dock_of(self.widget)
        if dock is None or away == self._away or (away and not dock.isVisibleTo(dock.parentWidget())):
            return
        self._away = away
        dock.setVisible(not away)

    def close(self) -> None:
        """Remove the timeline for good."""
        self._closed = True
        widget, self.widget = self.widget, None
        if widget is None:
            return
        widget.close_connections()
        if _dock_of(widget) is not None:
            with contextlib.suppress(LookupError, RuntimeError):  # the window has removed it already
                self._controller.viewer.window.remove_dock_widget(widget)


def _dock_of(widget: QWidget) -> QDockWidget | None:
    above = widget.parentWidget()
    while above is not None and not isinstance(above, QDockWidget):
        above = above.parentWidget()
    return above
