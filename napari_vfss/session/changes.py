# SPDX-License-Identifier: Apache-2.0
"""Changes of a session: written to the project at once, undone and redone where they were made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from napari_vfss.session.undo import Place, Snapshot, Step
from vfss.errors import ConflictError, ProjectError
from vfss.masks import BoolArray, MaskState
from vfss.project import Edit, Origin, Revision
from vfss.schema import Schema
from vfss.student.prompts import Prompts
from vfss.wording import count

if TYPE_CHECKING:
    from napari_vfss.session.session import Session

Change = tuple[BoolArray | None, MaskState]
PromptsOf = Mapping[Place, Prompts | None]

_FEW = 24  # places that are read one by one
REDO_HINT = "redo (Ctrl+Shift+Z)"


class Changes:
    """Writes what a person changes, and goes back over it step by step."""

    def __init__(self, session: Session) -> None:
        """Change the clip of a session."""
        self._session = session

    def make(self, changes: Mapping[Place, Change], what: str, prompts: PromptsOf, *, again: bool = False) -> bool:
        """Write a change of some places, all of it or nothing; False where nothing was written."""
        session = self._session
        edits = [self._edit(place, mask, state, prompts.get(place)) for place, (mask, state) in changes.items()]
        base = {(frame, key): session.work_at(frame).seen.get(key) for frame, key in changes}
        try:
            written = session.project.write(
                edits, author=session.author, origin="hand", student=self._student(changes), base=base
            )
        except ConflictError as error:
            self._keep(changes, what, prompts)
            session.reload({frame for frame, _ in changes})
            session.problem.emit(f"{error} The other version is shown now; {REDO_HINT} puts yours in its place.")
            return False
        except ProjectError as error:
            # A full disk, a folder gone: what the person did stays in sight until it can be written.
            return session.writer.keep(changes, error, self._student(changes), what, prompts)
        session.writer.drop(changes)
        for revision, (mask, _) in zip(written, changes.values(), strict=True):
            session.took(revision, mask)
        ids = {(revision.frame, revision.structure): revision.id for revision in written}
        session.history.note(Step(what, ids), again=again)
        self._tell({frame for frame, _ in changes})
        if session.unsaved:
            session.writer.save_again(quietly=True)
        return True

    def repeat(
        self, words: Mapping[Place, Snapshot], what: str, base: Mapping[Place, int | None], student: str | None
    ) -> int:
        """Write a person's word on many places, as one step, where they still stand as `base` says; returns how many.

        Raises:
            ProjectError: It cannot be written; nothing was.
        """
        session = self._session
        written = session.project.write(
            [self._again(place, word) for place, word in words.items()],
            author=session.author,
            origin="hand",
            student=student,
            base=base,
            leave=True,
        )
        frames = {frame for frame, _ in words}
        if written:
            ids = {(revision.frame, revision.structure): revision.id for revision in written}
            session.history.note(Step(what, ids))
        session.reload(frames)
        return len(written)

    def go(self, *, redo: bool) -> bool:
        """Go over the next step of the history, and show the place that it changes."""
        session, word = self._session, "redone" if redo else "undone"
        if session.unsaved and not redo and not session.writer.save_again(quietly=True) and session.unsaved:
            return self._give_up_newest()
        step = session.history.next(redo=redo)
        if step is None:
            return False
        if step.growing:
            session.problem.emit("Masks are still being carried: press Cancel, or wait, and undo it then.")
            return False
        if step.unwritten:
            return self._make_again(step)
        places = list(step.wrote)
        way_back = self._go_over(step, redo=redo)
        session.forget({frame for frame, _ in places})
        left = len(places) - len(way_back.wrote)
        kept = f" {count(left, 'place was', 'places were')} left: changed since by someone else."
        if not way_back.wrote:
            session.history.forget(redo=redo)
            session.problem.emit(f"Not {word}: {step.what}.{kept}")
            self._tell({frame for frame, _ in places})
            return False
        moved = self._show(way_back.wrote)
        if moved or left or len(way_back.wrote) > 1:
            session.message.emit(f"{word.capitalize()}: {step.what}.{kept if left else ''}")
        return True

    def _make_again(self, step: Step) -> bool:
        """Redo what could not be written: it is written now, or waits in sight as it did before."""
        self._session.history.forget(redo=True)
        changes: dict[Place, Change] = {place: (word.mask, word.state) for place, word in step.unwritten.items()}
        prompts = {place: word.prompts for place, word in step.unwritten.items()}
        self._show(dict.fromkeys(changes, 0))
        return self.make(changes, step.what, prompts, again=True)

    def _give_up_newest(self) -> bool:
        """Undo a change that still waits to be written: the project knows nothing of it, redo brings it again."""
        session = self._session
        place, change = session.unsaved.newest()
        session.writer.drop([place])
        session.history.offer_again(
            Step(change.what, unwritten={place: Snapshot.of(change.mask, change.state, change.prompts)})
        )
        session.forget({place[0]})
        self._show({place: 0})
        return True

    def begin_run(self, what: str) -> Step:
        """A run beside the window begins; all that it will write is one step."""
        return Step(what, growing=True)

    def grow(self, step: Step, written: Iterable[tuple[int, str, int]]) -> None:
        """The run wrote: frame, key of structure and id of revision of each mask."""
        wrote = {(frame, key): revision for frame, key, revision in written}
        if not wrote:
            return
        if not step.wrote:
            self._session.history.note(step)
        self._session.history.grow(step, wrote)
        self._session.reload({frame for frame, _ in wrote})

    def end_run(self, step: Step) -> None:
        """The run is over: it can be undone now."""
        step.growing = False

    def _go_over(self, step: Step, *, redo: bool) -> Step:
        """Write what stood at the places of a step before it; the step back from there."""
        session = self._session
        base: dict[Place, int | None] = {place: session.history.stands(step, place) for place in step.wrote}
        free = {place: step.wrote[place] for place, newest in base.items() if newest is not None}
        stood = self._stood(free)
        masks = session.project.past.masks({revision.id for revision in stood.values() if revision is not None})
        words = {place: _word_of(revision, masks) for place, revision in stood.items()}
        origin: Origin = "redo" if redo else "undo"
        written = session.project.write(
            [self._again(place, word) for place, word in words.items()],
            author=session.author,
            origin=origin,
            base=base,
            leave=True,
        )
        way_back = Step(step.what, {(revision.frame, revision.structure): revision.id for revision in written})
        if written:
            before = {place: stood[place] for place in way_back.wrote}
            ids = {place: None if revision is None else revision.id for place, revision in before.items()}
            session.history.went_over(way_back, ids, redo=redo)
        return way_back

    def _stood(self, wrote: Mapping[Place, int]) -> dict[Place, Revision | None]:
        """What the project said of places just before the revisions that were written there."""
        project, clip_id = self._session.project, self._session.clip.id
        stood: dict[Place, Revision | None] = dict.fromkeys(wrote)
        if len(wrote) <= _FEW:
            past = [revision for frame, key in wrote for revision in project.history(clip_id, frame, key)]
        else:
            # What stood when the step began, and what came meanwhile: not all that the clip has ever seen.
            began = min(wrote.values()) - 1
            past = [*project.past.standing(clip_id, until=began).values(), *project.changes_since(began, clip_id)]
        for revision in past:
            place = (revision.frame, revision.structure)
            if revision.id < wrote.get(place, 0):
                stood[place] = revision
        return stood

    def _show(self, wrote: Mapping[Place, int]) -> bool:
        """Go where something changed, unless that is in sight; True where it was not."""
        session = self._session
        frames = {frame for frame, _ in wrote}
        here = min(frames, key=lambda frame: abs(frame - session.frame))
        keys = [key for key in session.schema.keys if (here, key) in wrote]
        moved = here != session.frame or session.structure not in keys
        session.go_to(here)
        if session.structure not in keys:
            session.choose(keys[0])
        session.masks_changed.emit(here)
        return moved

    def _keep(self, changes: Mapping[Place, Change], what: str, prompts: PromptsOf) -> None:
        unwritten = {place: Snapshot.of(mask, state, prompts.get(place)) for place, (mask, state) in changes.items()}
        self._session.history.offer_again(Step(what, unwritten=unwritten))

    def _tell(self, frames: set[int]) -> None:
        session = self._session
        session.masks_changed.emit(session.frame if session.frame in frames else min(frames))

    def _edit(self, place: Place, mask: BoolArray | None, state: MaskState, prompts: Prompts | None) -> Edit:
        return Edit(self._session.clip.id, *place, mask, state, prompts=prompts)

    def _again(self, place: Place, word: Snapshot) -> Edit:
        clip_id = self._session.clip.id
        return Edit(clip_id, *place, word.packed, word.state, word.confidence, word.prompts, word.provenance)

    def _student(self, changes: Iterable[Place]) -> str | None:
        students = {self._session.work_at(frame).students.get(key) for frame, key in changes}
        return students.pop() if len(students) == 1 else None


def _word_of(revision: Revision | None, masks: Mapping[int, bytes]) -> Snapshot:
    """What a revision says, its mask among those by id; None: nothing has been said."""
    if revision is None:
        return Snapshot(None, MaskState.UNSEEN)
    return Snapshot(masks.get(revision.id), revision.state, revision.confidence, revision.prompts, revision.provenance)


def named(changes: Iterable[Place], schema: Schema) -> str:
    """A change by its places, for a person."""
    places = list(changes)
    frames, keys = {frame for frame, _ in places}, dict.fromkeys(key for _, key in places)
    where = f"frame {min(frames) + 1}" if len(frames) == 1 else f"{len(frames)} frames"
    names = schema[next(iter(keys))].name if len(keys) == 1 else f"{len(keys)} structures"
    return f"change of {names} on {where}"
