# SPDX-License-Identifier: Apache-2.0
"""Holds the one model of the worklist that page and dock share, and docks the narrow list beside the picture."""

from __future__ import annotations

import contextlib

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QDockWidget

from napari_vfss.controller.controller import AnnotationController
from napari_vfss.ui.worklist.model import WorklistFilter, WorklistModel
from napari_vfss.ui.worklist.page import WorklistDock, WorklistPage

TITLE = "VFSS worklist"


class WorklistPlace(QObject):
    """The worklist of one window.

    Attributes:
        rows: What is shown of the list, and in which order.
        dock: The narrow list; None before it was first shown.
    """

    def __init__(self, controller: AnnotationController, parent: QObject) -> None:
        super().__init__(parent)
        self._controller = controller
        self._model = WorklistModel(controller.worklist, self)
        self.rows = WorklistFilter(controller.worklist, self._model, self)
        controller.worklist.shown_order = self.rows.ids
        self.dock: WorklistDock | None = None
        self._closed = False

    def page(self, controller: AnnotationController) -> WorklistPage:
        """Return a new page of the list."""
        return WorklistPage(controller, self.rows)

    def toggle_dock(self) -> None:
        """Show the narrow list beside the picture, or hide it."""
        around = self._around()
        if around is not None and around.isVisible():
            around.hide()
        else:
            self.show_dock()

    def show_dock(self) -> None:
        """Show the narrow list beside the picture, also after a person hid or closed it."""
        if self._closed:
            return
        if self.dock is None:
            self.dock = WorklistDock(self._controller, self.rows)
        if self._around() is None:
            window = self._controller.viewer.window
            window.add_dock_widget(self.dock, name=TITLE, area="left", add_vertical_stretch=False)
        around = self._around()
        if around is not None:
            self.dock.show()  # removing it from a dock had hidden it
            around.show()
            around.raise_()

    def close(self) -> None:
        """Remove the list for good."""
        self._closed = True
        self._controller.worklist.shown_order = None
        self._model.close()
        dock, self.dock = self.dock, None
        if dock is not None:
            dock.close_connections()
            if _around(dock) is not None:
                with contextlib.suppress(LookupError, RuntimeError):  # the window has removed it already
                    self._controller.viewer.window.remove_dock_widget(dock)

    def _around(self) -> QDockWidget | None:
        return None if self.dock is None else _around(self.dock)


def _around(dock: WorklistDock) -> QDockWidget | None:
    above = dock.parentWidget()
    while above is not None and not isinstance(above, QDockWidget):
        above = above.parentWidget()
    return above
