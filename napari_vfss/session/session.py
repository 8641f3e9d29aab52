# SPDX-License-Identifier: Apache-2.0
"""Session: one annotator at work on one clip of a project. No widgets, no viewer."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from psygnal import Signal

from napari_vfss.session.changes import Change, Changes, named
from napari_vfss.session.frame_cache import FrameMemory, FrameWork
from napari_vfss.session.undo import History
from napari_vfss.session.unsaved import UnsavedChanges, UnsavedQueue
from napari_vfss.session.viewed import ViewedMasks
from vfss.clips import Clip, Facing
from vfss.masks import BoolArray, ByteArray, MaskState
from vfss.project import UNCONFIRMED, ClipRecord, Project, Revision
from vfss.project.second_readings import reading_of
from vfss.schema import Schema, Structure
from vfss.student.prompts import Prompts

if TYPE_CHECKING:
    from vfss.student import Student

WITH_PIXELS = (MaskState.PROPOSED, MaskState.EDITED, MaskState.ACCEPTED)


class Session:
    """One annotator at work on one clip: what is shown, what was changed, and the way back.

    Every change is written to the project at once, against the newest revision this session has seen.
    """

    frame_changed = Signal(int)
    structure_changed = Signal(str)
    masks_changed = Signal(int)
    flags_changed = Signal()
    student_changed = Signal()
    problem = Signal(str)
    message = Signal(str)
    unsaved_changed = Signal(int)  # how many changes wait to be written

    def __init__(self, project: Project, clip: Clip, record: ClipRecord, author: str, *, frames_kept: int = 6) -> None:
        self._memory = FrameMemory(project, clip, frames_kept)
        self.project = project
        self.clip = clip
        self.record = record
        self.author = author
        self.reading = reading_of(project)  # a second reading, blinded to the first; None in an ordinary project
        self.frame = 0
        self.structure = project.schema.structures[0].key
        self.student: Student | None = None
        self.history = History()
        self.unsaved = UnsavedQueue(project.schema)
        self.writer = UnsavedChanges(self)
        self.changes = Changes(self)
        self.viewed = ViewedMasks(self)
        self.hesitate: Callable[[Collection[str]], str] | None = None  # asked before acceptance; a sentence stops it
        self.states: ByteArray = project.states(clip.id)
        self._last_revision = project.last_revision()

    @property
    def schema(self) -> Schema:
        """Structures of the project."""
        return self.project.schema

    @property
    def active(self) -> Structure:
        """The structure that is being corrected."""
        return self.schema[self.structure]

    @property
    def work(self) -> FrameWork:
        """What is known of the current frame."""
        return self.work_at(self.frame)

    def work_at(self, frame: int) -> FrameWork:
        """What is known of a frame, read from the project where it is not in memory.

        Raises:
            ProjectError: It cannot be read.
        """
        work = self._memory.get(frame)
        self.unsaved.lay_over(work, frame)
        return work

    def awaits_machine(self, frame: int) -> bool:
        """True where a person has not yet spoken on every structure of a frame."""
        return bool(np.isin(self.states[frame], (MaskState.UNSEEN, MaskState.PROPOSED)).any())

    def go_to(self, frame: int) -> None:
        """Make a frame the current one."""
        frame = min(max(0, frame), self.clip.n_frames - 1)
        if frame != self.frame:
            self.frame = frame
            self.frame_changed.emit(frame)

    def choose(self, structure: str) -> None:
        """Make a structure the one that is being corrected.

        Raises:
            SchemaError: The project has no such structure.
        """
        if self.schema[structure].key != self.structure:
            self.structure = structure
            self.structure_changed.emit(structure)

    def stroke(self, mask: BoolArray, *, frame: int | None = None, structure: str | None = None) -> bool:
        """Write what a person painted: bool (H, W), the whole plane as it is now.

        Returns:
            False where nothing changed, or someone else changed the place meanwhile.
        """
        frame = self.frame if frame is None else frame
        structure = structure or self.structure
        work = self.work_at(frame)
        if np.array_equal(work.planes[self.schema[structure].index], mask):
            return False
        return self._change(frame, {structure: (mask.copy(), MaskState.EDITED)})

    def answer(self, mask: BoolArray, prompts: Prompts, *, frame: int, structure: str, student: str) -> bool:
        """Write what a student made of a person's clicks: bool (H, W), kept with the clicks, as one step.

        Returns:
            False where someone else changed the place meanwhile.
        """
        self.work_at(frame).students[structure] = student
        place, what = (frame, structure), f"click on {self.schema[structure].name}"
        return self.change({place: (mask.copy(), MaskState.EDITED)}, what=what, prompts={place: prompts})

    def accept_structure(self) -> bool:
        """Confirm the active structure on the current frame; a plane without pixels is confirmed as empty."""
        state = MaskState(self.work.state[self.active.index])
        if state not in WITH_PIXELS:
            if state == MaskState.UNSEEN:
                self.problem.emit(
                    f"{self.active.name} has no mask on this frame: paint or propose first, or press Empty."
                )
            return False
        return not self._hesitates([self.structure]) and self._accept([self.structure])

    def accept_frame(self) -> bool:
        """Confirm every structure of the current frame that has a mask or was proposed; the others stay unseen."""
        waiting = (MaskState.PROPOSED, MaskState.EDITED)
        keys = [s.key for s in self.schema.structures if self.work.state[s.index] in waiting]
        if not keys:
            self.problem.emit("Nothing on this frame waits for acceptance: propose or paint first.")
            return False
        return not self._hesitates(keys) and self._accept(keys)

    def mark(self, state: MaskState) -> bool:
        """Say that the active structure is empty or not visible on the current frame."""
        return self._change(self.frame, {self.structure: (None, state)})

    def restore_proposal(self) -> bool:
        """Bring back the newest proposal of the active structure on the current frame."""
        for revision in reversed(self.project.history(self.clip.id, self.frame, self.structure)):
            if revision.origin in UNCONFIRMED:
                return self._change(self.frame, {self.structure: (revision.mask, MaskState.PROPOSED)})
        self.problem.emit(f"{self.active.name} was never proposed on this frame.")
        return False

    def change(
        self,
        changes: Mapping[tuple[int, str], Change],
        *,
        what: str = "",
        prompts: Mapping[tuple[int, str], Prompts | None] | None = None,
    ) -> bool:
        """Write what a person says of several frames and structures, as one step of undo.

        Args:
            changes: Plane, bool (H, W), or None without pixels, and state, by frame and key of structure.
            what: What was done, for a person who undoes it; by default the place is named.
            prompts: Where a person pointed to get these planes.

        Returns:
            False where nothing was written: someone changed a place meanwhile, or the project cannot be written.
        """
        return self.changes.make(changes, what or named(changes, self.schema), prompts or {})

    def go_back(self, revision: Revision) -> bool:
        """Write an earlier revision again, as a new one on top; undo takes it back."""
        place, mask = (revision.frame, revision.structure), revision.mask
        self.work_at(revision.frame).students[revision.structure] = revision.student  # whose mask it is again
        what = f"back to an earlier {self.schema[revision.structure].name}"
        return self.change({place: (mask, revision.state)}, what=what, prompts={place: revision.prompts})

    def undo(self) -> bool:
        """Take back the newest change, wherever it was, and go there."""
        return self.changes.go(redo=False)

    def redo(self) -> bool:
        """Bring back what undo took away last, and go there."""
        return self.changes.go(redo=True)

    @property
    def can_undo(self) -> bool:
        """True where undo would change something."""
        return bool(self.unsaved) or self.history.next(redo=False) is not None

    @property
    def can_redo(self) -> bool:
        """True where redo would change something."""
        return self.history.next(redo=True) is not None

    def reload(self, frames: Iterable[int]) -> None:
        """Forget what is in memory of some frames: someone else wrote them."""
        changed = set(frames)
        if not changed:
            return
        self.forget(changed)
        shown = self.frame if self.frame in changed else min(changed)
        self.masks_changed.emit(shown)

    def forget(self, frames: Iterable[int]) -> None:
        """Read these frames anew when they are needed, and the states of all at once."""
        self.states = self.project.states(self.clip.id)
        self.unsaved.lay_over_states(self.states)
        gone = set(frames)
        self._memory.forget(gone)
        self.viewed.forget(gone)

    def took(self, revision: Revision, mask: BoolArray | None) -> None:
        """Keep in memory what this session wrote: revision and plane, bool (H, W)."""
        index = self.schema[revision.structure].index
        self.work_at(revision.frame).take(revision, index, mask)
        self.states[revision.frame, index] = revision.state
        self.viewed.forget([revision.frame])  # until it is drawn

    def poll(self) -> int:
        """Take in what others wrote since the last look; returns how many frames of this clip they changed."""
        last = self.project.last_revision()
        if last == self._last_revision:
            return 0
        foreign = self.project.changes_since(self._last_revision, self.clip.id)
        self._last_revision = last
        frames = {revision.frame for revision in foreign if not self._memory.knows(revision)}
        self.reload(frames)
        return len(frames)

    def set_flags(
        self, *, facing: Facing | None = None, inverted: bool | None = None, patient: str | None = None
    ) -> None:
        """Correct what the project says of the clip."""
        self.record = self.project.update_clip(self.clip.id, facing=facing, inverted=inverted, patient=patient)
        self.clip.facing, self.clip.inverted = self.record.facing, self.record.inverted
        self.flags_changed.emit()

    def student_source(self) -> str:
        """Path of the project's chosen student, or the name of the one that ships."""
        record = self.project.current_student()
        return "default" if record is None else str(record.path)

    def choose_student(self, student_id: str | None) -> None:
        """Propose with another student of the project from now on; None: the one that ships."""
        self.project.choose_student(student_id)
        self.student = None
        self.student_changed.emit()

    def take_student(self, student: Student) -> None:
        """Keep a student that was loaded, for the next order."""
        self.student = student
        self.student_changed.emit()

    def close(self) -> None:
        """Let go of file and project."""
        self.clip.close()
        self.project.close()

    def _hesitates(self, structures: Collection[str]) -> bool:
        question = "" if self.hesitate is None else self.hesitate(structures)
        if question:
            self.problem.emit(question)
        return bool(question)

    def _accept(self, structures: Collection[str]) -> bool:
        work, changes = self.work, {}
        for key in structures:
            plane = work.planes[self.schema[key].index]
            accepted: Change = (plane.copy(), MaskState.ACCEPTED) if plane.any() else (None, MaskState.EMPTY)
            changes[self.frame, key] = accepted
        return self.change(changes, prompts={place: work.prompts.get(place[1]) for place in changes})

    def _change(self, frame: int, changes: Mapping[str, Change], *, what: str = "") -> bool:
        return self.change({(frame, key): change for key, change in changes.items()}, what=what)
