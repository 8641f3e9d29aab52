# SPDX-License-Identifier: Apache-2.0
"""Swallows and events of the open clip: set, moved and removed here or by others. No Qt."""

from __future__ import annotations

from dataclasses import replace

from psygnal import Signal

from napari_vfss.session.session import Session
from vfss.events import FREE, SWALLOW, name_of
from vfss.project.records import Mark


class ClipMarks:
    """Marks of one session; every change is written to the project at once.

    Attributes:
        all: All marks of the clip.
    """

    changed = Signal()
    message = Signal(str)

    def __init__(self, session: Session) -> None:
        """Read the marks of the clip.

        Raises:
            ProjectError: They cannot be read.
        """
        self._session = session
        self._marks = session.project.marks
        self._last = self._marks.last()
        self.all: list[Mark] = self._marks.of(session.clip.id)
        self._removed: list[Mark] = []

    @property
    def swallows(self) -> list[Mark]:
        """Swallows with both ends set, ordered by first frame."""
        return [mark for mark in self.all if mark.kind == SWALLOW and mark.last is not None]

    def swallow_at(self, frame: int) -> Mark | None:
        """Return the swallow that contains a frame, or None."""
        return next((s for s in self.swallows if s.first <= frame <= (s.last or 0)), None)

    def begin_swallow(self, frame: int) -> None:
        """Set the beginning of a swallow to a frame: of the swallow that contains it, else of a new one.

        Raises:
            ProjectError: It cannot be written.
        """
        inside = self.swallow_at(frame)
        if inside is None:
            inside = self._open_swallow() or Mark(SWALLOW, frame)
        self._set(replace(inside, first=frame), f"Swallow begins on frame {frame + 1}.")

    def end_swallow(self, frame: int) -> None:
        """Set the end of a swallow to a frame: of the one begun, else the one containing it, else the one before.

        Raises:
            ProjectError: It cannot be written.
        """
        begun = self._open_swallow()
        if begun is None or begun.first > frame:
            before = [s for s in self.swallows if s.first <= frame]
            begun = self.swallow_at(frame) or (before[-1] if before else None)
        if begun is None:
            self.message.emit("Set the beginning of the swallow first: go there and press D.")
            return
        self._set(replace(begun, last=frame), f"Swallow from frame {begun.first + 1} to {frame + 1}.")

    def set_event(self, kind: str, frame: int, text: str = "") -> None:
        """Set an event on a frame; a predefined event happens once per swallow, and is moved within it.

        Raises:
            ProjectError: It cannot be written.
        """
        old = None if kind == FREE else self._same(kind, frame)
        mark = Mark(kind, frame, text=text) if old is None else replace(old, first=frame, text=text or old.text)
        moved = "" if old is None or old.first == frame else f" (was on {old.first + 1})"
        self._set(mark, f"{name_of(kind, text)} on frame {frame + 1}{moved}.")

    def remove(self, mark: Mark) -> None:
        """Remove a mark; it can be restored.

        Raises:
            ProjectError: It cannot be written.
        """
        try:
            removed = self._marks.remove(self._session.clip.id, mark, author=self._session.author)
            self._removed.append(removed)
        finally:
            self._reload()
        self.message.emit(f"{name_of(mark.kind, mark.text)} was removed; Bring back restores it.")

    @property
    def can_bring_back(self) -> bool:
        """True if a mark was removed in this session."""
        return bool(self._removed)

    def bring_back(self) -> None:
        """Restore the mark that was removed last.

        Raises:
            ProjectError: It cannot be written.
        """
        if self._removed:
            mark = self._removed[-1]
            self._set(replace(mark, removed=False), f"{name_of(mark.kind, mark.text)} is restored.")
            self._removed.pop()
            self.changed.emit()

    def poll(self) -> None:
        """Read what others have set since the last poll.

        Raises:
            ProjectError: It cannot be read.
        """
        if self._marks.last() != self._last:
            self._reload()

    def _open_swallow(self) -> Mark | None:
        """Return a swallow of which only the beginning is set, or None."""
        return next((mark for mark in self.all if mark.kind == SWALLOW and mark.last is None), None)

    def _same(self, kind: str, frame: int) -> Mark | None:
        """Return the event of that kind in the same swallow, or outside swallows on the same frame; None for none."""
        swallow = self.swallow_at(frame)
        for mark in self.all:
            together = mark.first == frame if swallow is None else self.swallow_at(mark.first) == swallow
            if mark.kind == kind and together:
                return mark
        return None

    def _set(self, mark: Mark, message: str) -> None:
        try:
            self._marks.set(self._session.clip.id, mark, author=self._session.author)
        finally:
            self._reload()  # after a refusal too, to show the other version
        self.message.emit(message)

    def _reload(self) -> None:
        session = self._session
        self._last = self._marks.last()
        self.all = self._marks.of(session.clip.id)
        session.record = session.project.clip(session.clip.id)
        session.clip.swallows = session.record.swallows
        self.changed.emit()
