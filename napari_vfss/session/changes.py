# SPDX-License-Identifier: Apache-2.0
"""Changes of a session: written to the project at once, undone and redone where they were made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from napari_vfss.session.state import SessionState
from napari_vfss.session.undo import Change, Place, Snapshot, Step
from napari_vfss.session.unsaved import UnsavedChanges
from vfss.errors import ConflictError, ProjectError
from vfss.masks import BoolArray, MaskState
from vfss.project import Edit, Origin, Revision
from vfss.schema import Schema
from vfss.student.prompts import Prompts
from vfss.wording import count

PromptsOf = Mapping[Place, Prompts | None]

_FEW = 24  # up to so many places are read one by one
REDO_HINT = "redo (Ctrl+Shift+Z)"


class Changes:
    """Writes an annotator's changes, and undoes and redoes them step by step."""

    def __init__(self, state: SessionState, unsaved: UnsavedChanges) -> None:
        """Change the clip of a session.

        Args:
            state: State of the session.
            unsaved: Keeps what cannot be written.
        """
        self._state, self._unsaved = state, unsaved

    def make(self, changes: Mapping[Place, Change], what: str, prompts: PromptsOf, *, again: bool = False) -> bool:
        """Write a change of some places, all of it or nothing; return False if nothing was written."""
        state = self._state
        edits = [self._edit(place, mask, value, prompts.get(place)) for place, (mask, value) in changes.items()]
        base = {(frame, key): state.work_at(frame).seen.get(key) for frame, key in changes}
        try:
            written = state.project.write(
                edits, author=state.author, origin="hand", student=self._student(changes), base=base
            )
        except ConflictError as error:
            self._offer_redo(changes, what, prompts)
            state.reload({frame for frame, _ in changes})
            state.problem.emit(f"{error} The other version is shown now; {REDO_HINT} puts yours in its place.")
            return False
        except ProjectError as error:
            # A full disk, a missing folder: the change stays visible until it can be written.
            return self._unsaved.keep(changes, error, self._student(changes), what, prompts)
        self._unsaved.drop(changes)
        for revision, (mask, _) in zip(written, changes.values(), strict=True):
            state.store(revision, mask)
        ids = {(revision.frame, revision.structure): revision.id for revision in written}
        state.undo_stack.push(Step(what, ids), again=again)
        state.announce({frame for frame, _ in changes})
        if state.unsaved:
            self._unsaved.save_again(quietly=True)
        return True

    def write_unchanged(
        self, snapshots: Mapping[Place, Snapshot], what: str, base: Mapping[Place, int | None], student: str | None
    ) -> int:
        """Write many places as one step, those that are still as in `base`; return how many were written.

        Raises:
            ProjectError: They cannot be written; nothing was.
        """
        state = self._state
        written = state.project.write(
            [self._again(place, snapshot) for place, snapshot in snapshots.items()],
            author=state.author,
            origin="hand",
            student=student,
            base=base,
            leave=True,
        )
        frames = {frame for frame, _ in snapshots}
        if written:
            ids = {(revision.frame, revision.structure): revision.id for revision in written}
            state.undo_stack.push(Step(what, ids))
        state.reload(frames)
        return len(written)

    def go(self, *, redo: bool) -> bool:
        """Undo (or redo) the next step, and show the place that it changes."""
        state, done = self._state, "redone" if redo else "undone"
        if state.unsaved and not redo and not self._unsaved.save_again(quietly=True) and state.unsaved:
            return self._undo_unsaved()
        step = state.undo_stack.next(redo=redo)
        if step is None:
            return False
        if step.growing:
            state.problem.emit(
                "Masks are still being written by a background job: cancel it, or wait, and undo it then."
            )
            return False
        if step.unwritten:
            return self._redo_unwritten(step)
        places = list(step.wrote)
        inverse = self._reverse(step, redo=redo)
        state.forget({frame for frame, _ in places})
        left = len(places) - len(inverse.wrote)
        skipped = f" {count(left, 'place was', 'places were')} left: changed since by someone else."
        if not inverse.wrote:
            state.undo_stack.drop(redo=redo)
            state.problem.emit(f"Not {done}: {step.what}.{skipped}")
            state.announce({frame for frame, _ in places})
            return False
        moved = self._show(inverse.wrote)
        if moved or left or len(inverse.wrote) > 1:
            state.message.emit(f"{done.capitalize()}: {step.what}.{skipped if left else ''}")
        return True

    def begin_run(self, what: str) -> Step:
        """Return the step of a background run: all that the run will write is undone as one."""
        return Step(what, growing=True)

    def add_to_run(self, step: Step, written: Iterable[tuple[int, str, int]]) -> None:
        """Add masks written by a background run (frame, structure key, revision id of each) to its undo step."""
        wrote = {(frame, key): revision for frame, key, revision in written}
        if not wrote:
            return
        if not step.wrote:
            self._state.undo_stack.push(step)
        self._state.undo_stack.extend(step, wrote)
        self._state.reload({frame for frame, _ in wrote})

    def end_run(self, step: Step) -> None:
        """Let the step of a background run be undone: the run is over."""
        step.growing = False

    def _redo_unwritten(self, step: Step) -> bool:
        """Redo a change that could not be written: write it now, or keep it visible as unsaved."""
        self._state.undo_stack.drop(redo=True)
        changes: dict[Place, Change] = {place: (s.mask, s.state) for place, s in step.unwritten.items()}
        prompts = {place: snapshot.prompts for place, snapshot in step.unwritten.items()}
        self._show(dict.fromkeys(changes, 0))
        return self.make(changes, step.what, prompts, again=True)

    def _undo_unsaved(self) -> bool:
        """Undo the newest unsaved change: the project does not know it yet; redo brings it back."""
        state = self._state
        place, change = state.unsaved.newest()
        self._unsaved.drop([place])
        state.undo_stack.push_redo(
            Step(change.what, unwritten={place: Snapshot.of(change.mask, change.state, change.prompts)})
        )
        state.forget({place[0]})
        self._show({place: 0})
        return True

    def _reverse(self, step: Step, *, redo: bool) -> Step:
        """Write the previous contents of a step's places; return the step that leads back."""
        state = self._state
        base: dict[Place, int | None] = {place: state.undo_stack.current(step, place) for place in step.wrote}
        free = {place: step.wrote[place] for place, newest in base.items() if newest is not None}
        previous = self._previous(free)
        masks = state.project.past.masks({revision.id for revision in previous.values() if revision is not None})
        snapshots = {place: _snapshot(revision, masks) for place, revision in previous.items()}
        origin: Origin = "redo" if redo else "undo"
        written = state.project.write(
            [self._again(place, snapshot) for place, snapshot in snapshots.items()],
            author=state.author,
            origin=origin,
            base=base,
            leave=True,
        )
        inverse = Step(step.what, {(revision.frame, revision.structure): revision.id for revision in written})
        if written:
            before = {place: previous[place] for place in inverse.wrote}
            ids = {place: None if revision is None else revision.id for place, revision in before.items()}
            state.undo_stack.reverse(inverse, ids, redo=redo)
        return inverse

    def _previous(self, wrote: Mapping[Place, int]) -> dict[Place, Revision | None]:
        """Return the revision of each place before the given one; None for none."""
        project, clip_id = self._state.project, self._state.clip.id
        previous: dict[Place, Revision | None] = dict.fromkeys(wrote)
        if len(wrote) <= _FEW:
            past = [revision for frame, key in wrote for revision in project.history(clip_id, frame, key)]
        else:
            # Contents when the step began, and what came since: not everything that the clip has ever had.
            began = min(wrote.values()) - 1
            past = [*project.past.standing(clip_id, until=began).values(), *project.changes_since(began, clip_id)]
        for revision in past:
            place = (revision.frame, revision.structure)
            if revision.id < wrote.get(place, 0):
                previous[place] = revision
        return previous

    def _show(self, wrote: Mapping[Place, int]) -> bool:
        """Go to the nearest changed place; return False if it was shown already."""
        state = self._state
        frames = {frame for frame, _ in wrote}
        here = min(frames, key=lambda frame: abs(frame - state.frame))
        keys = [key for key in state.schema.keys if (here, key) in wrote]
        moved = here != state.frame or state.structure not in keys
        state.go_to(here)
        if state.structure not in keys:
            state.choose(keys[0])
        state.masks_changed.emit(here)
        return moved

    def _offer_redo(self, changes: Mapping[Place, Change], what: str, prompts: PromptsOf) -> None:
        unwritten = {place: Snapshot.of(mask, value, prompts.get(place)) for place, (mask, value) in changes.items()}
        self._state.undo_stack.push_redo(Step(what, unwritten=unwritten))

    def _edit(self, place: Place, mask: BoolArray | None, state: MaskState, prompts: Prompts | None) -> Edit:
        return Edit(self._state.clip.id, *place, mask, state, prompts=prompts)

    def _again(self, place: Place, snapshot: Snapshot) -> Edit:
        clip_id, s = self._state.clip.id, snapshot
        return Edit(clip_id, *place, s.packed, s.state, s.confidence, s.prompts, s.provenance)

    def _student(self, changes: Iterable[Place]) -> str | None:
        students = {self._state.work_at(frame).students.get(key) for frame, key in changes}
        return students.pop() if len(students) == 1 else None


def _snapshot(revision: Revision | None, masks: Mapping[int, bytes]) -> Snapshot:
    """Return the contents of a revision, its mask among those by id; None stands for a place without revisions."""
    if revision is None:
        return Snapshot(None, MaskState.UNSEEN)
    return Snapshot(masks.get(revision.id), revision.state, revision.confidence, revision.prompts, revision.provenance)


def name_of_change(changes: Iterable[Place], schema: Schema) -> str:
    """Return the title of a change, made from its places."""
    places = list(changes)
    frames, keys = {frame for frame, _ in places}, dict.fromkeys(key for _, key in places)
    where = f"frame {min(frames) + 1}" if len(frames) == 1 else f"{len(frames)} frames"
    names = schema[next(iter(keys))].name if len(keys) == 1 else f"{len(keys)} structures"
    return f"change of {names} on {where}"
