# SPDX-License-Identifier: Apache-2.0
"""Changes that the project did not take: kept in sight, and written as soon as that is possible."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from napari_vfss.session.undo import Place, Snapshot, Step
from napari_vfss.session.unsaved import UnsavedChange
from vfss.errors import ConflictError, ProjectError
from vfss.masks import BoolArray, MaskState
from vfss.student.prompts import Prompts

if TYPE_CHECKING:
    from napari_vfss.session.session import Session

Change = tuple[BoolArray | None, MaskState]


class WaitingWriter:
    """Keeps what a session could not write, and writes it later, against the newest revision that it has seen."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def keep(
        self,
        changes: Mapping[Place, Change],
        error: ProjectError,
        student: str | None,
        what: str,
        prompts: Mapping[Place, Prompts | None],
    ) -> bool:
        """Keep changes in sight that could not be written; False where the project can only be read."""
        session = self._session
        frames = {frame for frame, _ in changes}
        if session.project.read_only:
            session.reload(frames)
            session.problem.emit(f"Nothing was changed: {error}")
            return False
        for place, (mask, state) in changes.items():
            told = (student, session.author, what, prompts.get(place))
            session.unsaved.keep(place, UnsavedChange(mask, state, "hand", *told))
        for frame in frames:
            session.work_at(frame)  # with what waits laid over it
        session.unsaved.lay_over_states(session.states)
        session.unsaved_changed.emit(len(session.unsaved))
        session.problem.emit(f"{error} What you changed stays in sight, and Save again writes it.")
        session.masks_changed.emit(session.frame if session.frame in frames else min(frames))
        return True

    def drop(self, places: Iterable[Place]) -> None:
        """Forget changes that wait for these places: they are written, or given up."""
        unsaved = self._session.unsaved
        waiting = len(unsaved)
        for place in places:
            unsaved.drop(place)
        if len(unsaved) != waiting:
            self._session.unsaved_changed.emit(len(unsaved))

    def save_again(self, *, quietly: bool = False) -> bool:
        """Write the changes that wait, oldest first; True where all of them are written.

        Args:
            quietly: Say nothing of a project that still cannot be written.
        """
        session = self._session
        waiting, refused = len(session.unsaved), False
        for place, change in session.unsaved:
            try:
                refused |= not self._write(place, change)
            except ProjectError as error:
                if not quietly:
                    session.problem.emit(f"{error} What you changed is still in sight: Save again tries once more.")
                break
        if len(session.unsaved) != waiting:
            session.unsaved_changed.emit(len(session.unsaved))
        return not session.unsaved and not refused

    def give_up_unsaved(self) -> None:
        """Forget the changes that wait: a person said so."""
        session = self._session
        places = [place for place, _ in session.unsaved]
        self.drop(places)
        session.reload({frame for frame, _ in places})

    def _write(self, place: Place, change: UnsavedChange) -> bool:
        """Write one of them; False where someone else changed the place meanwhile."""
        session = self._session
        frame, key = place
        seen = session.work_at(frame).seen.get(key)
        try:
            written = session.project.write(
                [change.edit(session.clip.id, place)],
                author=change.author,
                origin=change.origin,
                student=change.student,
                base={place: seen},
            )
        except ConflictError as error:
            session.unsaved.drop(place)
            again = Step(change.what, unwritten={place: Snapshot.of(change.mask, change.state, change.prompts)})
            session.history.offer_again(again)
            session.reload([frame])
            session.problem.emit(
                f"{error} The other version is shown now; redo (Ctrl+Shift+Z) puts yours in its place."
            )
            return False
        session.unsaved.drop(place)
        session.took(written[0], change.mask)
        session.history.note(Step(change.what, {place: written[0].id}))
        return True
