# SPDX-License-Identifier: Apache-2.0
"""Changes that could not be written yet: they stay in sight and are written when there is room again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_vfss.session.frame_cache import FrameWork
from napari_vfss.session.undo import Place, Snapshot, Step
from vfss.clips import Clip
from vfss.errors import ConflictError, ProjectError
from vfss.masks import BoolArray, ByteArray, MaskState
from vfss.project import Edit, Origin, Project
from vfss.schema import Schema
from vfss.student.prompts import Prompts

if TYPE_CHECKING:
    from napari_vfss.session.session import Session

Change = tuple[BoolArray | None, MaskState]


class UnsavedChanges:
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


@dataclass(frozen=True)
class UnsavedChange:
    """What one structure on one frame should become.

    Attributes:
        mask: bool (H, W), None for no pixels.
        state: State of the structure.
        origin: By which way the change came.
        student: Student that had a part in it.
        author: Who made it.
        what: What was done, for a person who undoes it.
        prompts: Where a person pointed to get the mask.
    """

    mask: BoolArray | None
    state: MaskState
    origin: Origin
    student: str | None
    author: str
    what: str = ""
    prompts: Prompts | None = None

    def edit(self, clip_id: str, place: Place) -> Edit:
        """The change as the project takes it."""
        return Edit(clip_id, *place, self.mask, self.state, prompts=self.prompts)


class UnsavedQueue:
    """The newest change of every place that waits to be written, oldest place first."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._waiting: dict[Place, UnsavedChange] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[tuple[Place, UnsavedChange]]:
        return iter(list(self._waiting.items()))

    def keep(self, place: Place, change: UnsavedChange) -> None:
        """Keep a change; it takes the place of an earlier one that waits there."""
        self._waiting.pop(place, None)
        self._waiting[place] = change

    def newest(self) -> tuple[Place, UnsavedChange]:
        """The place that was changed last, of which there must be one."""
        place = next(reversed(self._waiting))
        return place, self._waiting[place]

    def drop(self, place: Place) -> None:
        """The place is written, or a person gave the change up."""
        self._waiting.pop(place, None)

    def lay_over(self, work: FrameWork, frame: int) -> None:
        """Show what waits on a frame in what was read from the project."""
        for (t, key), change in self._waiting.items():
            if t == frame:
                index = self._schema[key].index
                work.planes[index] = False if change.mask is None else change.mask
                work.state[index] = change.state

    def lay_over_states(self, states: ByteArray) -> None:
        """Show what waits in the states of a whole clip, uint8 (T, S)."""
        for (t, key), change in self._waiting.items():
            states[t, self._schema[key].index] = change.state


def save_elsewhere(unsaved: UnsavedQueue, schema: Schema, clip: Clip, folder: Path) -> None:
    """Write waiting changes into a new project.

    Args:
        unsaved: The changes; they go on waiting for their own project.
        schema: Structures of that project.
        clip: The clip that they are of.
        folder: Folder of the new project.

    Raises:
        ProjectError: It cannot be made there, or there is a project already.
    """
    with Project.create(folder, schema) as project:
        project.add_clip(clip)
        for place, change in unsaved:
            project.write([change.edit(clip.id, place)], author=change.author, origin=change.origin)
