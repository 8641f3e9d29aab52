# SPDX-License-Identifier: Apache-2.0
"""Writing a session's changes into its project, or keeping them in sight until that is possible."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_vfss.history import Snapshot
from napari_vfss.unsaved import UnsavedChange
from vfss.errors import ConflictError, ProjectError
from vfss.masks import BoolArray, MaskState
from vfss.project import Edit, Origin

if TYPE_CHECKING:
    from napari_vfss.session import Session

Change = tuple[BoolArray | None, MaskState]


class ChangeWriter:
    """Writes what a person changed, against the newest revision that the session has seen."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def write(self, frame: int, changes: Mapping[str, Change], origin: Origin) -> bool:
        """Write changes of one frame; where that is not possible now, they wait, in sight.

        Returns:
            False where nothing was changed: someone else was quicker, or the project can only be read.
        """
        session = self._session
        work = session.work_at(frame)
        students = {work.students.get(key) for key in changes}
        student = students.pop() if len(students) == 1 else None
        how = UnsavedChange(None, MaskState.UNSEEN, origin, student, session.author)
        try:
            written = self._append(frame, changes, how)
        except ProjectError as error:
            if session.project.read_only:
                session.reload([frame])
                session.problem.emit(f"Nothing was changed: {error}")
                return False
            self._keep(frame, changes, how)
            session.problem.emit(f"{error} What you changed stays in sight, and Save again writes it.")
            return True
        if written and session.unsaved:
            self.save_again(quietly=True)
        return written

    def save_again(self, *, quietly: bool = False) -> bool:
        """Write the changes that wait, oldest first; True where all of them are written.

        Args:
            quietly: Say nothing of a project that still cannot be written.
        """
        session = self._session
        waiting, refused = len(session.unsaved), False
        for (frame, key), change in session.unsaved:
            wanted: dict[str, Change] = {key: (change.mask, change.state)}
            try:
                written = self._append(frame, wanted, change)
            except ProjectError as error:
                if not quietly:
                    session.problem.emit(f"{error} What you changed is still in sight: Save again tries once more.")
                break
            if not written:
                refused = True
                session.history.offer_again((frame, key), Snapshot.of(change.mask, change.state))
        if len(session.unsaved) != waiting:
            session.unsaved_changed.emit(len(session.unsaved))
        return not session.unsaved and not refused

    def give_up_unsaved(self) -> None:
        """Forget the changes that wait: a person said so."""
        session = self._session
        frames = {frame for (frame, _), _ in session.unsaved}
        for place, _ in session.unsaved:
            session.unsaved.drop(place)
        session.unsaved_changed.emit(0)
        session.reload(frames)

    def _append(self, frame: int, changes: Mapping[str, Change], how: UnsavedChange) -> bool:
        """Write changes of one frame; False where someone else changed the place meanwhile."""
        session = self._session
        work = session.work_at(frame)
        try:
            written = session.project.write(
                [Edit(session.clip.id, frame, key, mask, state) for key, (mask, state) in changes.items()],
                author=how.author,
                origin=how.origin,
                student=how.student,
                base={(frame, key): work.seen.get(key) for key in changes},
            )
        except ConflictError as error:
            self._forget(frame, changes)
            session.reload([frame])
            session.problem.emit(
                f"{error} The other version is shown now; redo (Ctrl+Shift+Z) puts yours in its place."
            )
            return False
        self._forget(frame, changes)
        self._take_over(frame, changes)
        for revision in written:
            work.seen[revision.structure] = revision.id
        return True

    def _take_over(self, frame: int, changes: Mapping[str, Change]) -> None:
        session = self._session
        work = session.work_at(frame)
        for key, (mask, state) in changes.items():
            index = session.schema[key].index
            work.planes[index] = False if mask is None else mask
            work.state[index] = session.states[frame, index] = state

    def _keep(self, frame: int, changes: Mapping[str, Change], how: UnsavedChange) -> None:
        session = self._session
        for key, (mask, state) in changes.items():
            session.unsaved.keep((frame, key), replace(how, mask=mask, state=state))
        self._take_over(frame, changes)
        session.unsaved_changed.emit(len(session.unsaved))

    def _forget(self, frame: int, changes: Iterable[str]) -> None:
        unsaved = self._session.unsaved
        waiting = len(unsaved)
        for key in changes:
            unsaved.drop((frame, key))
        if len(unsaved) != waiting:
            self._session.unsaved_changed.emit(len(unsaved))
