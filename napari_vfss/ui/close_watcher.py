# SPDX-License-Identifier: Apache-2.0
"""Detect that a widget is removed from its dock or that its window closes; neither sends it a close event."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QEvent, QObject, Signal
from qtpy.QtWidgets import QWidget


class CloseWatcher(QObject):
    """Watches a widget and its window."""

    close_requested = Signal()  # the window was asked to close; a person may still cancel that
    closed = Signal()  # the widget was removed from its dock, or its window closes for good

    def __init__(self, widget: QWidget, may_go: Callable[[], bool] = lambda: True) -> None:
        """Begin to watch a widget.

        Args:
            widget: The widget.
            may_go: Called before its window closes; False keeps the window open.
        """
        super().__init__(widget)
        self._may_go = may_go
        self._widget = widget
        self._window: QWidget | None = None
        self._docked = False
        self._window_closes = False
        widget.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """Notice the widget enter and leave a dock, and its window close."""
        if event is not None and watched is self._widget:
            if event.type() == QEvent.Type.ParentChange:
                self._on_parent()
            elif event.type() == QEvent.Type.Show:
                self._on_show()
        elif event is not None and watched is self._window:
            if event.type() == QEvent.Type.Close:
                self.close_requested.emit()
                if not self._may_go():
                    event.ignore()
                    return True
                self._window_closes = True
            elif event.type() == QEvent.Type.Hide and self._window_closes and not event.spontaneous():
                self._end()
        return False

    def _on_parent(self) -> None:
        parent = self._widget.parent()
        if self._docked and parent is None:
            self._end()
        self._docked = parent is not None

    def _on_show(self) -> None:
        self._watch(self._widget.window())

    def _watch(self, window: QWidget | None) -> None:
        if window is self._window or window is self._widget:
            return
        if self._window is not None:
            self._window.removeEventFilter(self)
        self._window = window
        if window is not None:
            window.installEventFilter(self)

    def _end(self) -> None:
        self._watch(None)
        self._widget.removeEventFilter(self)
        self.closed.emit()
