# SPDX-License-Identifier: Apache-2.0
"""Queue of changes that could not be written yet, shown over what was read from the project."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from napari_vfss.session.frame_cache import FrameWork
from napari_vfss.session.undo import Place
from vfss.masks import BoolArray, ByteArray, MaskState
from vfss.project import Edit, Origin
from vfss.schema import Schema
from vfss.student.prompts import Prompts


@dataclass(frozen=True)
class UnsavedChange:
    """New contents of one structure on one frame.

    Attributes:
        mask: bool (H, W), None for no pixels.
        state: State of the structure.
        origin: How the change came about.
        student: Id of the student that contributed to it; None for none.
        author: Who made it.
        what: What was done, for the user interface.
        prompts: Clicks and box from which the mask was made.
    """

    mask: BoolArray | None
    state: MaskState
    origin: Origin
    student: str | None
    author: str
    what: str = ""
    prompts: Prompts | None = None

    def edit(self, clip_id: str, place: Place) -> Edit:
        """Return the change in the form that a project writes."""
        return Edit(clip_id, *place, self.mask, self.state, prompts=self.prompts)


class UnsavedQueue:
    """The newest unsaved change of every place, oldest place first."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._changes: dict[Place, UnsavedChange] = {}

    def __len__(self) -> int:
        return len(self._changes)

    def __iter__(self) -> Iterator[tuple[Place, UnsavedChange]]:
        return iter(list(self._changes.items()))

    def add(self, place: Place, change: UnsavedChange) -> None:
        """Add a change; it replaces an earlier one of the same place."""
        self._changes.pop(place, None)
        self._changes[place] = change

    def newest(self) -> tuple[Place, UnsavedChange]:
        """Return the place that was changed last, of which there must be one."""
        place = next(reversed(self._changes))
        return place, self._changes[place]

    def remove(self, place: Place) -> None:
        """Remove the change of a place, if there is one."""
        self._changes.pop(place, None)

    def overlay(self, work: FrameWork, frame: int) -> None:
        """Write the unsaved changes of a frame over what was read from the project."""
        for (t, key), change in self._changes.items():
            if t == frame:
                index = self._schema[key].index
                work.planes[index] = False if change.mask is None else change.mask
                work.state[index] = change.state

    def overlay_states(self, states: ByteArray) -> None:
        """Write the states of unsaved changes over those of a whole clip, uint8 (T, S)."""
        for (t, key), change in self._changes.items():
            states[t, self._schema[key].index] = change.state
