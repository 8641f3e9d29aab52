# SPDX-License-Identifier: Apache-2.0
"""Undo and redo: one history of all that a person did, over all frames and structures, in order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from vfss.masks import BoolArray, MaskState, pack_mask, unpack_mask
from vfss.project import Provenance
from vfss.student.prompts import Prompts

Place = tuple[int, str]  # frame, structure key


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
        """Snapshot of a plane, bool (H, W)."""
        return cls(None if mask is None else pack_mask(mask), state, prompts=prompts)

    @property
    def mask(self) -> BoolArray | None:
        """Plane, bool (H, W)."""
        return None if self.packed is None else unpack_mask(self.packed)


@dataclass
class Step:
    """One thing that was done, however many frames and structures it changed: it is undone as one.

    What stood at its places before is no part of it: the project keeps every revision.

    Attributes:
        what: What was done, for a person.
        wrote: Id of the revision that the step wrote, by place.
        unwritten: Instead, what could not be written, by place: redo tries again.
        growing: True while a run beside the window still adds to it.
    """

    what: str
    wrote: dict[Place, int] = field(default_factory=dict)
    unwritten: dict[Place, Snapshot] = field(default_factory=dict)
    growing: bool = False


class History:
    """What one annotator can go back to and forward to again."""

    def __init__(self, limit: int = 1000) -> None:
        self._limit = limit
        self._past: list[Step] = []
        self._future: list[Step] = []
        self._newest: dict[Place, int] = {}
        self._first_said: dict[int, int | None] = {}

    def note(self, step: Step, *, again: bool = False) -> None:
        """A person did something new: what was undone before cannot be redone any more, unless it was done again."""
        self._past.append(step)
        del self._past[: -self._limit]
        if not again:
            self._future.clear()
        self._newest |= step.wrote

    def grow(self, step: Step, wrote: Mapping[Place, int]) -> None:
        """A run that was noted has written more."""
        step.wrote |= wrote
        self._newest |= wrote

    def offer_again(self, step: Step) -> None:
        """Make a step that could not be written the next one that redo does."""
        self._future.append(step)

    def next(self, *, redo: bool) -> Step | None:
        """The step that undo (or redo) goes over next, left in its place."""
        steps = self._future if redo else self._past
        return steps[-1] if steps else None

    def forget(self, *, redo: bool) -> None:
        """Drop the next step: nothing of it is left to go over."""
        (self._future if redo else self._past).pop()

    def went_over(self, way_back: Step, stood: Mapping[Place, int | None], *, redo: bool) -> None:
        """Undo (or redo) of the next step was written.

        Args:
            way_back: What goes over it the other way.
            stood: Id of the revision whose word was brought back, by place; None where there had been none.
            redo: True where it was redo.
        """
        source, target = (self._future, self._past) if redo else (self._past, self._future)
        source.pop()
        target.append(way_back)
        self._newest |= way_back.wrote
        for place, before in stood.items():
            self._first_said[way_back.wrote[place]] = None if before is None else self._first(before)

    def stands(self, step: Step, place: Place) -> int | None:
        """Id of this session's newest revision at a place, where that says what the step wrote there; else None."""
        newest = self._newest.get(place)
        return newest if newest is not None and self._first(newest) == self._first(step.wrote[place]) else None

    def _first(self, revision: int) -> int | None:
        """The revision that first said what this one says: undo and redo only repeat; None for "nothing yet"."""
        return self._first_said.get(revision, revision)
