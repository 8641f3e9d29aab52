# SPDX-License-Identifier: Apache-2.0
"""One thread beside the window on which the student answers, the most urgent order first. It touches no widgets."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import threading
from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QObject, Qt, Signal

from napari_vfss.jobs.proposing import explain

Then = Callable[[Any], None]


class StudentThread(QObject):
    """Does orders one after another, and hands what comes of them to the window's thread.

    One thread, because a student answers one at a time; what a person waits for overtakes what is done ahead.
    """

    _finished = Signal(object, object)  # what to call in the window's thread, with what

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._waiting: list[tuple[int, int, Callable[[], Any], Then, Then]] = []
        self._numbers = itertools.count()
        self._change = threading.Condition()
        self._closed = False
        self._last: Callable[[], None] | None = None
        self._thread: threading.Thread | None = None
        self._finished.connect(self._on_finished, Qt.ConnectionType.QueuedConnection)

    def ask(self, do: Callable[[], Any], then: Then, failed: Then, *, urgency: int) -> None:
        """Order something.

        Args:
            do: Called on the thread.
            then: Called in the window's thread with what came of it.
            failed: Called in the window's thread with what to tell a person, where it went wrong.
            urgency: Orders of a smaller number come first, those of one number in the order in which they came.
        """
        with self._change:
            if self._closed:
                return
            heapq.heappush(self._waiting, (urgency, next(self._numbers), do, then, failed))
            self._change.notify()
        if self._thread is None:
            # A daemon: a window that is torn down without closing us must not keep the program alive.
            self._thread = threading.Thread(target=self._work, name="vfss-student", daemon=True)
            self._thread.start()

    def drop(self, urgency: int) -> None:
        """Forget the orders that still wait and are no more urgent than that."""
        with self._change:
            self._waiting = [order for order in self._waiting if order[0] < urgency]
            heapq.heapify(self._waiting)

    def close(self, last: Callable[[], None] | None = None) -> None:
        """Forget all orders; what comes of the one under way is dropped. The thread ends by calling `last`."""
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
            except Exception as error:  # noqa: BLE001  a worker's border: the person is told
                result = failed, explain(error)
            with self._change:
                if not self._closed:
                    with contextlib.suppress(RuntimeError):  # the window is gone already
                        self._finished.emit(*result)
        if self._last is not None:
            self._last()

    def _on_finished(self, then: Then, result: Any) -> None:
        if not self._closed:
            then(result)
