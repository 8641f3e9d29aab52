# SPDX-License-Identifier: Apache-2.0
"""Undo and redo: one stack of all that an annotator did, over all frames and structures, in order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vfss.masks import BoolArray, MaskState, pack_mask, unpack_mask
from vfss.student.prompts import Prompts

if TYPE_CHECKING:
    from vfss.project import Provenance

Place = tuple[int, str]  # frame, structure key
Change = tuple[BoolArray | None, MaskState]  # plane, bool (H, W), or None for no pixels; state


@dataclass(frozen=True)
class Snapshot:
    """What one structure on one frame was: packed plane (None: no pixels), state, confidence, prompts, provenance."""

    packed: bytes | None
    state: MaskState
    confidence: float | None = None
    prompts: Prompts | None = None
    provenance: Provenance | None = None

    @classmethod
    def of(cls, mask: BoolArray | None, state: MaskState, prompts: Prompts | None = None) -> Snapshot:
        """Return the snapshot of a plane, bool (H, W)."""
        return cls(None if mask is None else pack_mask(mask), state, prompts=prompts)

    @property
    def mask(self) -> BoolArray | None:
        """Plane, bool (H, W)."""
        return None if self.packed is None else unpack_mask(self.packed)


@dataclass
class Step:
    """One thing that was done, however many frames and structures it changed: it is undone as one.

    The previous contents of its places are not part of it: the project keeps every revision.

    Attributes:
        what: What was done, for the user interface.
        wrote: Id of the revision that the step wrote, by place.
        unwritten: Instead, what could not be written, by place: redo tries again.
        growing: True while a background run still adds to it.
    """

    what: str
    wrote: dict[Place, int] = field(default_factory=dict)
    unwritten: dict[Place, Snapshot] = field(default_factory=dict)
    growing: bool = False


class UndoStack:
    """Steps that one annotator can undo and redo."""

    def __init__(self, limit: int = 1000) -> None:
        self._limit = limit
        self._past: list[Step] = []
        self._future: list[Step] = []
        self._newest: dict[Place, int] = {}
        self._original: dict[int, int | None] = {}

    def push(self, step: Step, *, again: bool = False) -> None:
        """Add a new step, and drop what could be redone.

        Args:
            step: The step.
            again: True if the step was redone; the other steps that can be redone are kept then.
        """
        self._past.append(step)
        del self._past[: -self._limit]
        if not again:
            self._future.clear()
        self._newest |= step.wrote

    def extend(self, step: Step, wrote: Mapping[Place, int]) -> None:
        """Add revisions to a step that is on the stack already."""
        step.wrote |= wrote
        self._newest |= wrote

    def push_redo(self, step: Step) -> None:
        """Make a step that could not be written the next one to redo."""
        self._future.append(step)

    def next(self, *, redo: bool) -> Step | None:
        """Return the step to undo (or redo) next, without removing it."""
        steps = self._future if redo else self._past
        return steps[-1] if steps else None

    def drop(self, *, redo: bool) -> None:
        """Remove the next step, of which nothing is left to undo (or redo)."""
        (self._future if redo else self._past).pop()

    def reverse(self, inverse: Step, restored: Mapping[Place, int | None], *, redo: bool) -> None:
        """Move past the next step after its inverse was written.

        Args:
            inverse: The step that leads back.
            restored: Id of the revision whose contents were written again, by place; None for none.
            redo: True for redo.
        """
        source, target = (self._future, self._past) if redo else (self._past, self._future)
        source.pop()
        target.append(inverse)
        self._newest |= inverse.wrote
        for place, revision in restored.items():
            self._original[inverse.wrote[place]] = None if revision is None else self._original_of(revision)

    def current(self, step: Step, place: Place) -> int | None:
        """Return this session's newest revision of a place if it has the contents that the step wrote, else None."""
        newest = self._newest.get(place)
        same = newest is not None and self._original_of(newest) == self._original_of(step.wrote[place])
        return newest if same else None

    def _original_of(self, revision: int) -> int | None:
        """Return the first revision with the same contents, as undo and redo only repeat; None for "nothing yet"."""
        return self._original.get(revision, revision)
