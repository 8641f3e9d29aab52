# SPDX-License-Identifier: Apache-2.0
"""SessionState: what a session, its changes and the masks that were viewed share. Knows none of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_vfss.session.frame_cache import FrameCache, FrameWork
from napari_vfss.session.undo import UndoStack
from napari_vfss.session.unsaved_queue import UnsavedQueue
from vfss.clips import Clip
from vfss.masks import BoolArray, ByteArray
from vfss.schema import Schema, Structure

if TYPE_CHECKING:
    from vfss.project import ClipRecord, Project, Revision


class SessionState:
    """One clip of a project as one annotator sees it: current place, masks in memory, undo stack, unsaved changes.

    Attributes:
        project: Where everything is stored.
        clip: The open clip.
        record: What the project knows of the clip.
        author: Name under which changes are written.
        frame: Index of the current frame.
        structure: Key of the active structure, the one that is being corrected.
        undo_stack: Steps that can be undone and redone.
        unsaved: Changes that could not be written yet.
        states: State of every mask of the clip, uint8 (T, S), values of MaskState; unsaved changes included.
    """

    frame_changed = Signal(int)
    structure_changed = Signal(str)
    masks_changed = Signal(int)
    problem = Signal(str)
    message = Signal(str)
    unsaved_changed = Signal(int)  # number of changes that wait to be written
    frames_rewritten = Signal(object)  # collection of frames whose masks are no longer those on the screen

    def __init__(self, project: Project, clip: Clip, record: ClipRecord, author: str, *, frames_kept: int) -> None:
        self._cache = FrameCache(project, clip, frames_kept)
        self.project = project
        self.clip = clip
        self.record = record
        self.author = author
        self.frame = 0
        self.structure = project.schema.structures[0].key
        self.undo_stack = UndoStack()
        self.unsaved = UnsavedQueue(project.schema)
        self.states: ByteArray = project.states(clip.id)
        self._last_revision = project.last_revision()

    @property
    def frames_in_memory(self) -> tuple[int, ...]:
        """Indices of the frames whose masks are in memory."""
        return self._cache.frames

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
        """Masks and states of the current frame."""
        return self.work_at(self.frame)

    def work_at(self, frame: int) -> FrameWork:
        """Return masks and states of a frame, read from the project if they are not in memory.

        Raises:
            ProjectError: They cannot be read.
        """
        work = self._cache.get(frame)
        self.unsaved.overlay(work, frame)
        return work

    def go_to(self, frame: int) -> None:
        """Make a frame the current one; an index outside the clip is clamped."""
        frame = min(max(0, frame), self.clip.n_frames - 1)
        if frame != self.frame:
            self.frame = frame
            self.frame_changed.emit(frame)

    def choose(self, structure: str) -> None:
        """Make a structure the active one.

        Raises:
            SchemaError: The project has no such structure.
        """
        if self.schema[structure].key != self.structure:
            self.structure = structure
            self.structure_changed.emit(structure)

    def reload(self, frames: Iterable[int]) -> None:
        """Drop frames from memory that were written elsewhere, and announce the change."""
        changed = set(frames)
        if changed:
            self.forget(changed)
            self.announce(changed)

    def forget(self, frames: Iterable[int]) -> None:
        """Drop frames from memory, to be read again when needed, and read the states of the whole clip again."""
        self.states = self.project.states(self.clip.id)
        self.unsaved.overlay_states(self.states)
        dropped = set(frames)
        self._cache.forget(dropped)
        self.frames_rewritten.emit(dropped)

    def store(self, revision: Revision, mask: BoolArray | None) -> None:
        """Keep in memory what this session has written: revision and plane, bool (H, W)."""
        index = self.schema[revision.structure].index
        self.work_at(revision.frame).store(revision, index, mask)
        self.states[revision.frame, index] = revision.state
        self.frames_rewritten.emit({revision.frame})  # viewed again only once it is drawn

    def announce(self, frames: Collection[int]) -> None:
        """Emit `masks_changed` once for a set of changed frames: for the current one if it is among them."""
        self.masks_changed.emit(self.frame if self.frame in frames else min(frames))

    def poll(self) -> int:
        """Read what others wrote since the last poll; return the number of frames of this clip that they changed."""
        last = self.project.last_revision()
        if last == self._last_revision:
            return 0
        foreign = self.project.changes_since(self._last_revision, self.clip.id)
        self._last_revision = last
        frames = {revision.frame for revision in foreign if not self._cache.has(revision)}
        self.reload(frames)
        return len(frames)
