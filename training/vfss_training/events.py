# SPDX-License-Identifier: Apache-2.0
"""Progress of a training as events, one JSON object per line, and requests to cancel it."""

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
    """The training was cancelled; nothing was registered."""


Listener = Callable[[str, Mapping[str, Any]], None]
"""Called with the name and the fields of each event."""


class Events:
    """Writes events as JSON lines to a stream, and passes them to listeners such as a progress bar."""

    def __init__(self, stream: IO[str] | None, *listeners: Listener) -> None:
        """Write to an open text stream, if one is given."""
        self._stream = stream
        self._listeners = listeners

    @classmethod
    @contextmanager
    def open(cls, target: str, *listeners: Listener) -> Iterator[Events]:
        """Open events to a file, which is appended to, to standard output for "-", or to listeners only for "".

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

    def emit(self, event: str, **fields: Any) -> None:
        """Write one event immediately, and pass it to the listeners."""
        if self._stream is not None:
            self._stream.write(json.dumps({"event": event, **fields}) + "\n")
            self._stream.flush()
        for listener in self._listeners:
            listener(event, fields)


def rounded(value: Any) -> Any:
    """Round a number for an event to 5 digits, or all numbers of nested mappings."""
    return {name: rounded(inner) for name, inner in value.items()} if isinstance(value, Mapping) else round(value, 5)


class Cancel:
    """A request to cancel, set by SIGTERM or SIGINT, that long work checks between its steps.

    Attributes:
        requested: True once cancelling was requested.
    """

    def __init__(self) -> None:
        """Start without a request."""
        self.requested = False

    def _request(self, signum: int, frame: FrameType | None) -> None:
        self.requested = True

    @contextmanager
    def on_signals(self) -> Iterator[Cancel]:
        """Handle the signals while the block runs."""
        before = {number: signal.signal(number, self._request) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def check(self) -> None:
        """Raise if cancelling was requested.

        Raises:
            TrainingCancelledError: It was.
        """
        if self.requested:
            raise cancelled()


def cancelled() -> TrainingCancelledError:
    """Create the error that a cancelled training ends with."""
    return TrainingCancelledError("the training was cancelled", remedy="Nothing was registered or overwritten.")
