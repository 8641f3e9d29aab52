# SPDX-License-Identifier: Apache-2.0
"""Files and folders dropped anywhere on the window are opened here, without a question which reader to use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from qtpy.QtCore import QEvent, QObject
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import QApplication, QWidget


class Drops(QObject):
    """Takes drops on a window and all that is in it, before napari sees them."""

    def __init__(self, window: QWidget, open_paths: Callable[[Sequence[Path]], object]) -> None:
        super().__init__(window)
        self._window, self._open = window, open_paths
        window.setAcceptDrops(True)
        application = QApplication.instance()
        if application is not None:
            # On the application, as docks and the canvas are widgets of their own, and some come later.
            application.installEventFilter(self)

    def close(self) -> None:
        """Take no more drops."""
        application = QApplication.instance()
        if application is not None:
            application.removeEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """Accept dragged files over the window, and open them where they are dropped."""
        if event is None or event.type() not in (QEvent.Type.DragEnter, QEvent.Type.DragMove, QEvent.Type.Drop):
            return False
        if not (isinstance(watched, QWidget) and watched.window() is self._window):
            return False
        if not isinstance(event, QDragEnterEvent | QDropEvent):
            return False
        paths = dropped_paths(event)
        if not paths:
            return False
        event.acceptProposedAction()
        if event.type() == QEvent.Type.Drop:
            self._open(paths)
        return True


def dropped_paths(event: QDropEvent) -> list[Path]:
    """Return the local files and folders of a drop; none where something else is dragged."""
    data = event.mimeData()
    urls = data.urls() if data is not None and data.hasUrls() else []
    return [Path(url.toLocalFile()) for url in urls if url.isLocalFile()]
