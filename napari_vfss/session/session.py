# SPDX-License-Identifier: Apache-2.0
"""Session: one annotator at work on one clip of a project. No widgets, no viewer."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
from psygnal import Signal

import vfss
from napari_vfss.session.changes import Changes, name_of_change
from napari_vfss.session.state import SessionState
from napari_vfss.session.undo import Change
from napari_vfss.session.unsaved import UnsavedChanges
from napari_vfss.session.viewed import ViewedMasks
from vfss.clips import Clip, Facing
from vfss.errors import VfssError
from vfss.masks import BoolArray, MaskState
from vfss.project import UNCONFIRMED, ClipRecord, Revision, StudentRecord
from vfss.project.records import HowSwitched
from vfss.student import student_file
from vfss.student.learnt import read_learnt_keys
from vfss.student.prompts import Prompts

if TYPE_CHECKING:
    from vfss.student import Student

WITH_PIXELS = (MaskState.PROPOSED, MaskState.EDITED, MaskState.ACCEPTED)


class Session(SessionState):
    """One annotator at work on one clip: the state of the clip, and everything that an annotator does to it.

    Every change is written to the project at once, against the newest revision that this session has read.

    Attributes:
        reading: The second reading that the project is, blinded to the first one; None for an ordinary project.
        student: Student that proposes; None until it is loaded.
        unsaved_changes: Writes what could not be written.
        changes: Writes, undoes and redoes.
        viewed: Masks that were on the screen.
        acceptance_check: Given structures about to be accepted, returns why not yet, or ""; None: no check.
    """

    flags_changed = Signal()
    times_changed = Signal()
    student_changed = Signal()

    def __init__(
        self, project: vfss.Project, clip: Clip, record: ClipRecord, author: str, *, frames_kept: int = 6
    ) -> None:
        super().__init__(project, clip, record, author, frames_kept=frames_kept)
        from vfss.project.second_readings import reading_of

        self.reading = reading_of(project)
        self.student: Student | None = None
        self._learnt: frozenset[str] | None = None
        self.unsaved_changes = UnsavedChanges(self)
        self.changes = Changes(self, self.unsaved_changes)
        self.viewed = ViewedMasks(self, self.changes, self.unsaved_changes)
        self.acceptance_check: Callable[[Collection[str]], str] | None = None

    def has_unannotated(self, frame: int) -> bool:
        """Return whether some structure of a frame is not annotated yet, so that a student may propose it."""
        return bool(np.isin(self.states[frame], (MaskState.UNSEEN, MaskState.PROPOSED)).any())

    def stroke(self, mask: BoolArray, *, frame: int | None = None, structure: str | None = None) -> bool:
        """Write what the annotator painted: bool (H, W), the whole plane as it is now.

        Returns:
            False if nothing changed, or if someone else has changed the place since.
        """
        frame = self.frame if frame is None else frame
        structure = structure or self.structure
        work = self.work_at(frame)
        if np.array_equal(work.planes[self.schema[structure].index], mask):
            return False
        return self._change(frame, {structure: (mask.copy(), MaskState.EDITED)})

    def answer(self, mask: BoolArray, prompts: Prompts, *, frame: int, structure: str, student: str) -> bool:
        """Write the mask that a student made from prompts: bool (H, W), stored with the prompts, as one step.

        Returns:
            False if someone else has changed the place since.
        """
        self.work_at(frame).students[structure] = student
        place, what = (frame, structure), f"click on {self.schema[structure].name}"
        return self.change({place: (mask.copy(), MaskState.EDITED)}, what=what, prompts={place: prompts})

    def accept_structure(self) -> bool:
        """Accept the active structure on the current frame; a plane without pixels is accepted as empty."""
        state = MaskState(self.work.state[self.active.index])
        if state not in WITH_PIXELS:
            if state == MaskState.UNSEEN:
                self.problem.emit(
                    f"{self.active.name} has no mask on this frame: paint or propose first, or press Empty."
                )
            return False
        return not self._is_held_back([self.structure]) and self._accept([self.structure])

    def accept_frame(self) -> bool:
        """Accept every structure of the current frame that has a mask or was proposed; the others stay unseen."""
        waiting = (MaskState.PROPOSED, MaskState.EDITED)
        keys = [s.key for s in self.schema.structures if self.work.state[s.index] in waiting]
        if not keys:
            self.problem.emit("There is nothing to accept on this frame: propose or paint first.")
            return False
        return not self._is_held_back(keys) and self._accept(keys)

    def mark(self, state: MaskState) -> bool:
        """Mark the active structure as empty or not visible on the current frame."""
        return self._change(self.frame, {self.structure: (None, state)})

    def restore_proposal(self) -> bool:
        """Restore the newest proposal of the active structure on the current frame."""
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
        """Write annotations of several frames and structures, as one step of undo.

        Args:
            changes: Plane, bool (H, W), or None without pixels, and state, by frame and key of structure.
            what: What was done, for the undo message; by default the place is named.
            prompts: Clicks and boxes from which these planes were made.

        Returns:
            False if nothing was written: someone else has changed a place since, or the project is read-only.
        """
        return self.changes.make(changes, what or name_of_change(changes, self.schema), prompts or {})

    def go_back(self, revision: Revision) -> bool:
        """Write an earlier revision again, as a new one on top, which can be undone."""
        place, mask = (revision.frame, revision.structure), revision.mask
        self.work_at(revision.frame).students[revision.structure] = revision.student  # which made the mask
        what = f"back to an earlier {self.schema[revision.structure].name}"
        return self.change({place: (mask, revision.state)}, what=what, prompts={place: revision.prompts})

    def undo(self) -> bool:
        """Undo the newest change, wherever it was, and go there."""
        return self.changes.go(redo=False)

    def redo(self) -> bool:
        """Redo what was undone last, and go there."""
        return self.changes.go(redo=True)

    @property
    def can_undo(self) -> bool:
        """True if there is something to undo."""
        return bool(self.unsaved) or self.undo_stack.next(redo=False) is not None

    @property
    def can_redo(self) -> bool:
        """True if there is something to redo."""
        return self.undo_stack.next(redo=True) is not None

    def set_flags(
        self, *, facing: Facing | None = None, inverted: bool | None = None, patient: str | None = None
    ) -> None:
        """Correct facing, inversion or patient in the project's record of the clip."""
        self.record = self.project.update_clip(self.clip.id, facing=facing, inverted=inverted, patient=patient)
        self._show_record()

    def reread_record(self) -> None:
        """Read again what the project knows of the clip, after something else changed it; announce a change.

        Raises:
            ProjectError: It cannot be read.
        """
        record = self.project.clip(self.clip.id)
        if record != self.record:
            self.record = record
            self._show_record()

    def _show_record(self) -> None:
        self.clip.facing, self.clip.inverted = self.record.facing, self.record.inverted
        self.flags_changed.emit()

    def set_frame_rate(self, frames_per_second: float | None) -> None:
        """Keep the rate that a person typed, and use it; None for the recording's own times.

        Raises:
            ProjectError: No recording has such a rate, or the project cannot be written.
        """
        self.record = self.project.set_frame_rate(self.clip.id, frames_per_second)
        self.clip.retime(self.record.frame_rate)
        self.times_changed.emit()

    def student_source(self) -> str:
        """Return the path of the project's chosen student, or the name of the built-in one."""
        record = self.project.current_student()
        return "default" if record is None else str(record.path)

    def is_learnt(self, structure: str) -> bool:
        """Return whether the student in use has learnt a structure, by its key; true where its file cannot be read."""
        if self._learnt is None:
            learnt = self.schema.keys
            with suppress(VfssError):  # the error is shown when the student is loaded
                learnt = read_learnt_keys(student_file(self.student_source()))
            self._learnt = frozenset(learnt)
        return structure in self._learnt

    def choose_student(self, student_id: str | None, *, nevertheless: bool = False) -> None:
        """Choose the student that proposes from now on; None for the built-in one.

        Args:
            student_id: Its id.
            nevertheless: It is used although the gate does not offer it, which the log of switches tells.
        """
        how: HowSwitched = "chosen nevertheless" if nevertheless else "chosen"
        self.project.shelf.choose(student_id, author=self.author, how=how)
        self.student = self._learnt = None
        self.student_changed.emit()

    def roll_back_student(self) -> StudentRecord | None:
        """Go back to the student that was in use before; return it, None for the built-in one.

        Raises:
            StudentError: No other student was in use before.
        """
        record = self.project.shelf.roll_back(self.author)
        self.student = self._learnt = None
        self.student_changed.emit()
        return record

    def set_student(self, student: Student) -> None:
        """Keep a loaded student for the next order."""
        self.student, self._learnt = student, frozenset(student.keys)
        self.student_changed.emit()

    def close(self) -> None:
        """Close file and project."""
        self.clip.close()
        self.project.close()

    def _is_held_back(self, structures: Collection[str]) -> bool:
        reason = "" if self.acceptance_check is None else self.acceptance_check(structures)
        if reason:
            self.problem.emit(reason)
        return bool(reason)

    def _accept(self, structures: Collection[str]) -> bool:
        work, changes = self.work, {}
        for key in structures:
            plane = work.planes[self.schema[key].index]
            accepted: Change = (plane.copy(), MaskState.ACCEPTED) if plane.any() else (None, MaskState.EMPTY)
            changes[self.frame, key] = accepted
        return self.change(changes, prompts={place: work.prompts.get(place[1]) for place in changes})

    def _change(self, frame: int, changes: Mapping[str, Change], *, what: str = "") -> bool:
        return self.change({(frame, key): change for key, change in changes.items()}, what=what)
