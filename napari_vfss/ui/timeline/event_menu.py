# SPDX-License-Identifier: Apache-2.0
"""The menu of events: the standard list, and free text."""

from __future__ import annotations

from functools import partial

from qtpy.QtGui import QCursor
from qtpy.QtWidgets import QInputDialog, QMenu, QWidget

from napari_vfss.controller.timeline import TimelineController
from vfss.events import EVENTS, FREE

KEYS = "123456789abcdefgh"


class EventMenu:
    """Asks which event happens on the current frame; entries can be chosen by digits and letters too."""

    def __init__(self, time: TimelineController, parent: QWidget) -> None:
        self._time = time
        self._parent = parent
        self.menu = QMenu(parent)
        self.menu.setToolTipsVisible(True)
        for key, event in zip(KEYS, EVENTS, strict=False):
            action = self.menu.addAction(f"&{key}  {event.name} ({event.short})")
            action.setToolTip(event.meaning)
            action.triggered.connect(partial(self._set, event.key))
        self.menu.addSeparator()
        free_text = self.menu.addAction("&w  Other event...")
        free_text.triggered.connect(self.ask_text)

    def ask(self) -> None:
        """Show the menu at the mouse pointer."""
        if self._time.marks is not None:
            self.menu.popup(QCursor.pos())

    def ask_text(self, *_: object) -> None:
        """Ask for a description of an event that is not in the list."""
        text, accepted = QInputDialog.getText(self._parent, "Mark this frame", "What happens on this frame?")
        if accepted and text.strip():
            self._time.set_event(FREE, text.strip())

    def _set(self, kind: str, *_: object) -> None:
        self._time.set_event(kind)
