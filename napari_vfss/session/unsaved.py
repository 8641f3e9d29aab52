# SPDX-License-Identifier: Apache-2.0
"""Changes that could not be written: they stay visible and are written as soon as the project can be written again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import vfss
from napari_vfss.session.state import SessionState
from napari_vfss.session.undo import Change, Place, Snapshot, Step
from napari_vfss.session.unsaved_queue import UnsavedChange, UnsavedQueue
from vfss.clips import Clip
from vfss.errors import ConflictError, ProjectError
from vfss.schema import Schema
from vfss.student.prompts import Prompts


class UnsavedChanges:
    """Keeps what a session could not write, and writes it later, against the newest revision that was read."""

    def __init__(self, state: SessionState) -> None:
        self._state = state

    def keep(
        self,
        changes: Mapping[Place, Change],
        error: ProjectError,
        student: str | None,
        what: str,
        prompts: Mapping[Place, Prompts | None],
    ) -> bool:
        """Keep changes that could not be written visible; return False if the project is read-only."""
        state = self._state
        frames = {frame for frame, _ in changes}
        if state.project.read_only:
            state.reload(frames)
            state.problem.emit(f"Nothing was changed: {error}")
            return False
        for place, (mask, value) in changes.items():
            context = (student, state.author, what, prompts.get(place))
            state.unsaved.add(place, UnsavedChange(mask, value, "hand", *context))
        for frame in frames:
            state.work_at(frame)  # with the unsaved changes on top
        state.unsaved.overlay_states(state.states)
        state.unsaved_changed.emit(len(state.unsaved))
        state.problem.emit(f"{error} Your changes stay visible; Save again writes them.")
        state.announce(frames)
        return True

    def drop(self, places: Iterable[Place]) -> None:
        """Remove the unsaved changes of these places: they are written, or discarded."""
        unsaved = self._state.unsaved
        before = len(unsaved)
        for place in places:
            unsaved.remove(place)
        if len(unsaved) != before:
            self._state.unsaved_changed.emit(len(unsaved))

    def save_again(self, *, quietly: bool = False) -> bool:
        """Write the unsaved changes, oldest first; return True if all of them are written.

        Args:
            quietly: Emit no problem if the project still cannot be written.
        """
        state = self._state
        before, refused = len(state.unsaved), False
        for place, change in state.unsaved:
            try:
                refused |= not self._write(place, change)
            except ProjectError as error:
                if not quietly:
                    state.problem.emit(f"{error} Your changes are still visible; Save again tries once more.")
                break
        if len(state.unsaved) != before:
            state.unsaved_changed.emit(len(state.unsaved))
        return not state.unsaved and not refused

    def discard(self) -> None:
        """Discard the unsaved changes, as the annotator chose."""
        state = self._state
        places = [place for place, _ in state.unsaved]
        self.drop(places)
        state.reload({frame for frame, _ in places})

    def _write(self, place: Place, change: UnsavedChange) -> bool:
        """Write one change; return False if someone else has changed the place since."""
        state = self._state
        frame, key = place
        seen = state.work_at(frame).seen.get(key)
        try:
            written = state.project.write(
                [change.edit(state.clip.id, place)],
                author=change.author,
                origin=change.origin,
                student=change.student,
                base={place: seen},
            )
        except ConflictError as error:
            state.unsaved.remove(place)
            again = Step(change.what, unwritten={place: Snapshot.of(change.mask, change.state, change.prompts)})
            state.undo_stack.push_redo(again)
            state.reload([frame])
            state.problem.emit(f"{error} The other version is shown now; redo (Ctrl+Shift+Z) puts yours in its place.")
            return False
        state.unsaved.remove(place)
        state.store(written[0], change.mask)
        state.undo_stack.push(Step(change.what, {place: written[0].id}))
        return True


def save_elsewhere(unsaved: UnsavedQueue, schema: Schema, clip: Clip, folder: Path) -> None:
    """Write unsaved changes into a new project.

    Args:
        unsaved: The changes; they stay in the queue of their own project.
        schema: Structures of that project.
        clip: The clip that they belong to.
        folder: Folder of the new project.

    Raises:
        ProjectError: The project cannot be created there, or the folder holds a project already.
    """
    with vfss.Project.create(folder, schema) as project:
        project.add_clip(clip)
        for place, change in unsaved:
            project.write([change.edit(clip.id, place)], author=change.author, origin=change.origin)
