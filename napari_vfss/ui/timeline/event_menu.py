# SPDX-License-Identifier: Apache-2.0
"""The menu of events: the field's list, and a person's own words."""

from __future__ import annotations

from functools import partial

from qtpy.QtGui import QCursor
from qtpy.QtWidgets import QInputDialog, QMenu, QWidget

from napari_vfss.controller.timeline import TimelineController
from vfss.events import EVENTS, FREE

KEYS = "123456789abcdefgh"


class EventMenu:
    """Asks which event happens on the current frame; the list is told by digits and letters too."""

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
        own = self.menu.addAction("&w  In your own words...")
        own.triggered.connect(self.ask_words)

    def ask(self) -> None:
        """Show the list where the mouse is."""
        if self._time.marks is not None:
            self.menu.popup(QCursor.pos())

    def ask_words(self, *_: object) -> None:
        """Ask for a person's own words."""
        words, agreed = QInputDialog.getText(self._parent, "Mark this frame", "What happens on this frame?")
        if agreed and words.strip():
            self._time.set_event(FREE, words.strip())

    def _set(self, kind: str, *_: object) -> None:
        self._time.set_event(kind)
