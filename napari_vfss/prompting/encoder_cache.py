# SPDX-License-Identifier: Apache-2.0
"""What the student's encoder knows of the current frame and its neighbours, worked out ahead of the clicks."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QObject, QTimer, Signal

from napari_vfss.prompting.thread import StudentThread
from vfss.clips import Clip
from vfss.student import Student

KEPT = 6
"""Frames whose features stay in memory."""

REST_MS = 60  # a frame must be looked at for so long before its features are worked out: playback goes by
AHEAD = 2  # frames in the direction of travel; one behind
WAITED_FOR, WANTED = 1, 2  # urgencies; a click that has its features comes before both


class EncodedFrames(QObject):
    """Features of frames by the session's student: the frame looked at, those ahead in the direction of travel."""

    ready = Signal(int)
    failed = Signal(int, str)

    def __init__(self, thread: StudentThread, clip: Clip, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._thread = thread
        self._reader = _Reader(clip)
        self._student: Student | None = None
        self._kept: dict[int, Any] = {}
        self._ordered: dict[int, int] = {}  # frame: urgency
        self._n_frames = clip.n_frames
        self._frame, self._direction = 0, 1
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.setInterval(REST_MS)
        self._rest.timeout.connect(self._look_ahead)

    def set_student(self, student: Student | None) -> None:
        """Work with another student from now on; what the older one knew is dropped."""
        if student is not self._student:
            self._student = student
            self._kept.clear()
            self._drop()
            self._ordered.clear()

    def get(self, frame: int) -> Any:
        """What the student knows of a frame; None where it has not looked at it yet."""
        return self._kept.get(frame)

    def travel(self, frame: int) -> None:
        """The person looks at that frame now; it and its neighbours are worked out when they stay for a moment."""
        if frame != self._frame:
            self._direction = 1 if frame > self._frame else -1
            self._frame = frame
        self._rest.start()

    def hurry(self, frame: int) -> None:
        """A click waits for that frame: it comes next."""
        self._order(frame, WAITED_FOR)

    def close(self) -> None:
        """Drop everything; the recording is closed by the thread that reads it."""
        self._rest.stop()
        self._student = None
        self._kept.clear()
        self._ordered.clear()
        self._thread.close(self._reader.close)

    def _look_ahead(self) -> None:
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
        if student is None or frame in self._kept or self._ordered.get(frame, WANTED + 1) <= urgency:
            return
        self._ordered[frame] = urgency
        self._thread.ask(
            lambda: (student, frame, self._reader.encoded(student, frame, self._kept)),
            self._on_encoded,
            lambda message: self._on_failed(frame, message),
            urgency=urgency,
        )

    def _on_encoded(self, result: tuple[Student, int, Any]) -> None:
        student, frame, encoded = result
        self._ordered.pop(frame, None)
        if student is not self._student:
            return
        self._kept[frame] = encoded
        self.ready.emit(frame)  # before any must go: a click may wait on a frame that was left meanwhile
        while len(self._kept) > KEPT:
            # The one farthest from what is looked at goes, not the oldest: walking back and forth costs nothing.
            del self._kept[max(self._kept, key=lambda kept: abs(kept - self._frame))]

    def _on_failed(self, frame: int, message: str) -> None:
        self._ordered.pop(frame, None)
        self.failed.emit(frame, message)


class _Reader:
    """Reads frames through a file handle that belongs to the thread."""

    def __init__(self, clip: Clip) -> None:
        self._source = clip
        self._clip: Clip | None = None

    def encoded(self, student: Student, frame: int, kept: dict[int, Any]) -> Any:
        found = kept.get(frame)  # ordered twice, by a look ahead and then by a click
        if found is not None:
            return found
        if self._clip is None:
            self._clip = self._source.reopen()
        return student.encode(self._clip.as_uint8(frame))

    def close(self) -> None:
        if self._clip is not None:
            self._clip.close()
