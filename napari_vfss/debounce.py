# SPDX-License-Identifier: Apache-2.0
"""Debounce: work that signals ask for more often than it is worth doing."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QObject
from superqt.utils import QSignalThrottler


class Debounce(QObject):
    """Calls a function once, a little after it was first asked for, however often it is asked for meanwhile."""

    def __init__(self, parent: QObject, do: Callable[[], object], milliseconds: int = 40) -> None:
        super().__init__(parent)
        self._throttler = QSignalThrottler(parent=self)
        self._throttler.setTimeout(milliseconds)
        self._throttler.triggered.connect(do)

    def ask(self, *_: object) -> None:
        """Ask for the call; arguments that a signal brings are ignored."""
        self._throttler.throttle()
