# SPDX-License-Identifier: Apache-2.0
"""What a running training tells: one JSON object a line, for the plugin, a terminal or a log."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import IO, Any

from vfss.errors import TrainingError


class TrainingCancelledError(TrainingError):
    """Someone asked the training to stop; nothing was registered."""


Listener = Callable[[str, Mapping[str, Any]], None]
"""Called with each event's name and fields."""


class Events:
    """A stream of JSON lines, and whoever else listens."""

    def __init__(self, stream: IO[str] | None, *listeners: Listener) -> None:
        """Write to an open text stream, where there is one."""
        self._stream = stream
        self._listeners = listeners

    @classmethod
    @contextmanager
    def opened(cls, target: str, *listeners: Listener) -> Iterator[Events]:
        """Events to a file that is appended to, to standard output for "-", or to listeners alone for "".

        Raises:
            TrainingError: The file cannot be written to.
        """
        if target in ("", "-"):
            yield cls(sys.stdout if target else None, *listeners)
            return
        try:
            path = Path(target)
            path.parent.mkdir(parents=True, exist_ok=True)
            stream = path.open("a", encoding="utf-8")
        except OSError as error:
            raise TrainingError(f"cannot write events ({error})", path=target) from error
        with stream:
            yield cls(stream, *listeners)

    def tell(self, event: str, **fields: Any) -> None:
        """Write one event at once, and tell it to the listeners."""
        if self._stream is not None:
            self._stream.write(json.dumps({"event": event, **fields}) + "\n")
            self._stream.flush()
        for listener in self._listeners:
            listener(event, fields)


class Cancel:
    """Turns SIGTERM and SIGINT into a question that the loop asks between steps."""

    def __init__(self) -> None:
        """Nobody has asked yet."""
        self.asked = False

    def _ask(self, signum: int, frame: FrameType | None) -> None:
        self.asked = True

    @contextmanager
    def listening(self) -> Iterator[Cancel]:
        """Listen for the signals as long as the block lasts."""
        before = {number: signal.signal(number, self._ask) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def check(self) -> None:
        """Raise where someone has asked.

        Raises:
            TrainingCancelledError: Someone has.
        """
        if self.asked:
            raise cancelled()


def cancelled() -> TrainingCancelledError:
    """What a training that was asked to stop ends with."""
    return TrainingCancelledError("the training was cancelled", remedy="Nothing was registered or overwritten.")
