# SPDX-License-Identifier: Apache-2.0
"""Changes that could not be written yet: they stay in sight and are written when there is room again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from napari_vfss.session.frame_cache import FrameWork
from vfss.clips import Clip
from vfss.masks import BoolArray, ByteArray, MaskState
from vfss.project import Edit, Origin, Project
from vfss.schema import Schema
from vfss.student.prompts import Prompts

Place = tuple[int, str]  # frame, structure key


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


class Unsaved:
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


def save_elsewhere(unsaved: Unsaved, schema: Schema, clip: Clip, folder: Path) -> None:
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
