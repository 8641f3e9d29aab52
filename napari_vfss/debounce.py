# SPDX-License-Identifier: Apache-2.0
"""Debouncing of work that signals request more often than it needs to be done."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QObject
from superqt.utils import QSignalThrottler


class Debounce(QObject):
    """Calls a function once, shortly after the first request, however often it is requested in the meantime."""

    def __init__(self, parent: QObject, do: Callable[[], object], milliseconds: int = 40) -> None:
        super().__init__(parent)
        self._throttler = QSignalThrottler(parent=self)
        self._throttler.setTimeout(milliseconds)
        self._throttler.triggered.connect(do)

    def ask(self, *_: object) -> None:
        """Request the call; arguments of a signal are ignored."""
        self._throttler.throttle()
