# SPDX-License-Identifier: Apache-2.0
"""Cache of encoder features of the current frame and its neighbours, computed ahead of the clicks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer, Signal

from napari_vfss.prompting.thread import StudentThread
from vfss.clips import Clip

if TYPE_CHECKING:
    from vfss.student import Student

CAPACITY = 6
"""Frames whose features stay in memory."""

REST_MS = 60  # a frame must be shown for so long before it is encoded: frames of playback are not
AHEAD = 2  # frames encoded in the direction of travel, and one behind
WAITED_FOR, WANTED = 1, 2  # urgencies; answering a click whose features are there comes before both


class EncodedFrames(QObject):
    """Encoder features by the session's student: of the current frame and those next in the direction of travel."""

    ready = Signal(int)
    failed = Signal(int, str)

    def __init__(self, thread: StudentThread, clip: Clip, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._thread = thread
        self._reader = _Reader(clip)
        self._student: Student | None = None
        self._features: dict[int, Any] = {}
        self._ordered: dict[int, int] = {}  # frame: urgency
        self._n_frames = clip.n_frames
        self._frame, self._direction = 0, 1
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.setInterval(REST_MS)
        self._rest.timeout.connect(self._encode_ahead)

    def set_student(self, student: Student | None) -> None:
        """Switch to another student, and drop the features of the previous one."""
        if student is not self._student:
            self._student = student
            self._features.clear()
            self._drop()
            self._ordered.clear()

    def get(self, frame: int) -> Any:
        """Return the features of a frame; None if it is not encoded yet."""
        return self._features.get(frame)

    def follow(self, frame: int) -> None:
        """Make a frame the current one; it and its neighbours are encoded if it stays current for a moment."""
        if frame != self._frame:
            self._direction = 1 if frame > self._frame else -1
            self._frame = frame
        self._rest.start()

    def prioritise(self, frame: int) -> None:
        """Encode a frame next, because a click waits for it."""
        self._order(frame, WAITED_FOR)

    def close(self) -> None:
        """Drop all features; the recording is closed by the thread that reads it."""
        self._rest.stop()
        self._student = None
        self._features.clear()
        self._ordered.clear()
        self._thread.close(self._reader.close)

    def _encode_ahead(self) -> None:
        self._drop()
        steps = [0, *(self._direction * step for step in range(1, AHEAD + 1)), -self._direction]
        for frame in (self._frame + step for step in steps):
            if 0 <= frame < self._n_frames:
                self._order(frame, WANTED)

    def _drop(self) -> None:
        self._thread.drop(WANTED)
        self._ordered = {frame: urgency for frame, urgency in self._ordered.items() if urgency < WANTED}

    def _order(self, frame: int, urgency: int) -> None:
        student = self._student
        if student is None or frame in self._features or self._ordered.get(frame, WANTED + 1) <= urgency:
            return
        self._ordered[frame] = urgency
        self._thread.ask(
            lambda: (student, frame, self._reader.encoded(student, frame, self._features)),
            self._on_encoded,
            lambda message: self._on_failed(frame, message),
            urgency=urgency,
        )

    def _on_encoded(self, result: tuple[Student, int, Any]) -> None:
        student, frame, encoded = result
        self._ordered.pop(frame, None)
        if student is not self._student:
            return
        self._features[frame] = encoded
        self.ready.emit(frame)  # before any is dropped: a click may wait on a frame that is no longer current
        while len(self._features) > CAPACITY:
            # The one farthest from the current frame is dropped, not the oldest: stepping back and forth costs nothing.
            del self._features[max(self._features, key=lambda other: abs(other - self._frame))]

    def _on_failed(self, frame: int, message: str) -> None:
        self._ordered.pop(frame, None)
        self.failed.emit(frame, message)


class _Reader:
    """Reads and encodes frames through a file handle that belongs to the thread."""

    def __init__(self, clip: Clip) -> None:
        self._source = clip
        self._clip: Clip | None = None

    def encoded(self, student: Student, frame: int, cached: dict[int, Any]) -> Any:
        features = cached.get(frame)  # ordered twice, ahead and then by a click
        if features is not None:
            return features
        if self._clip is None:
            self._clip = self._source.reopen()
        return student.encode(self._clip.as_uint8(frame), pixel_aspect=self._clip.pixel_aspect)

    def close(self) -> None:
        if self._clip is not None:
            self._clip.close()
