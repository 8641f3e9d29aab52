# SPDX-License-Identifier: Apache-2.0
"""Undo and redo, one history for each structure on each frame."""

from __future__ import annotations

from dataclasses import dataclass

from vfss.masks import BoolArray, MaskState, pack_mask, unpack_mask
from vfss.student.prompts import Prompts

Place = tuple[int, str]  # frame, structure key


@dataclass(frozen=True)
class Snapshot:
    """What one structure on one frame was at a moment: packed plane (None: no pixels), state, and its prompts."""

    packed: bytes | None
    state: MaskState
    prompts: Prompts | None = None

    @classmethod
    def of(cls, mask: BoolArray | None, state: MaskState, prompts: Prompts | None = None) -> Snapshot:
        """Snapshot of a plane, bool (H, W)."""
        return cls(None if mask is None else pack_mask(mask), state, prompts)

    @property
    def mask(self) -> BoolArray | None:
        """Plane, bool (H, W)."""
        return None if self.packed is None else unpack_mask(self.packed)


class History:
    """The states one annotator can go back to and forward to again.

    Kept apart per place, so that undoing on one frame can never change another one that is not in sight.
    """

    def __init__(self, limit: int = 100) -> None:
        self._limit = limit
        self._past: dict[Place, list[Snapshot]] = {}
        self._future: dict[Place, list[Snapshot]] = {}

    def note(self, place: Place, before: Snapshot) -> None:
        """A person changed the place; `before` is what it was."""
        past = self._past.setdefault(place, [])
        past.append(before)
        del past[: -self._limit]
        self._future.pop(place, None)

    def offer_again(self, place: Place, snapshot: Snapshot) -> None:
        """Make a snapshot that could not be written the next one that redo brings."""
        self._future.setdefault(place, []).append(snapshot)

    def can_undo(self, place: Place) -> bool:
        """True where there is an earlier state."""
        return bool(self._past.get(place))

    def can_redo(self, place: Place) -> bool:
        """True where something was undone."""
        return bool(self._future.get(place))

    def peek(self, place: Place, *, redo: bool) -> Snapshot | None:
        """The state that undo (or redo) would bring back, left in its place."""
        stack = (self._future if redo else self._past).get(place)
        return stack[-1] if stack else None

    def step(self, place: Place, current: Snapshot, *, redo: bool) -> None:
        """Record that undo (or redo) was done from `current`."""
        source, target = (self._future, self._past) if redo else (self._past, self._future)
        source[place].pop()
        target.setdefault(place, []).append(current)
