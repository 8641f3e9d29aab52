# SPDX-License-Identifier: Apache-2.0
"""The background thread on which the student answers, the most urgent order first. It touches no widgets."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import threading
from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QObject, Qt, Signal

from napari_vfss.jobs.worker import explain

Callback = Callable[[Any], None]


class StudentThread(QObject):
    """Executes orders one after another, and passes their results to the window's thread.

    There is one thread, because a student answers one request at a time; urgent orders overtake work done ahead.
    """

    _finished = Signal(object, object)  # function to call in the window's thread, its argument

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._waiting: list[tuple[int, int, Callable[[], Any], Callback, Callback]] = []
        self._numbers = itertools.count()
        self._change = threading.Condition()
        self._closed = False
        self._last: Callable[[], None] | None = None
        self._thread: threading.Thread | None = None
        self._finished.connect(self._on_finished, Qt.ConnectionType.QueuedConnection)

    def ask(self, do: Callable[[], Any], then: Callback, failed: Callback, *, urgency: int) -> None:
        """Add an order.

        Args:
            do: Called on the thread.
            then: Called in the window's thread with the result.
            failed: Called in the window's thread with a message if `do` raised.
            urgency: Orders with a smaller number are executed first, those of equal number in order of arrival.
        """
        with self._change:
            if self._closed:
                return
            heapq.heappush(self._waiting, (urgency, next(self._numbers), do, then, failed))
            self._change.notify()
        if self._thread is None:
            # A daemon: if the window is destroyed without closing the thread, the program still ends.
            self._thread = threading.Thread(target=self._work, name="vfss-student", daemon=True)
            self._thread.start()

    def drop(self, urgency: int) -> None:
        """Drop the waiting orders of this or a greater number."""
        with self._change:
            self._waiting = [order for order in self._waiting if order[0] < urgency]
            heapq.heapify(self._waiting)

    def close(self, last: Callable[[], None] | None = None) -> None:
        """Drop all orders and the result of the current one. The thread ends by calling `last`."""
        with self._change:
            self._closed, self._last = True, last
            self._waiting.clear()
            self._change.notify()
        if self._thread is None and last is not None:
            last()

    def _work(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._closed or bool(self._waiting))
                if self._closed:
                    break
                _, _, do, then, failed = heapq.heappop(self._waiting)
            try:
                result = then, do()
            except Exception as error:  # noqa: BLE001  a worker's border: the error is shown
                result = failed, explain(error)
            with self._change:
                if not self._closed:
                    with contextlib.suppress(RuntimeError):  # the window is destroyed already
                        self._finished.emit(*result)
        if self._last is not None:
            self._last()

    def _on_finished(self, then: Callback, result: Any) -> None:
        if not self._closed:
            then(result)
