# SPDX-License-Identifier: Apache-2.0
"""Cache of the frames used last, with their masks unpacked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from cachetools import LRUCache

from vfss.clips import Clip
from vfss.masks import BoolArray, ByteArray
from vfss.student.prompts import Prompts

if TYPE_CHECKING:
    from vfss.project import Project, Revision


@dataclass
class FrameWork:
    """Masks and states of one frame, kept up to date with what this session writes.

    Attributes:
        planes: bool (S, H, W).
        state: uint8 (S,), values of MaskState.
        confidence: float32 (S,), 0..1, NaN where unknown.
        seen: Id of the newest revision that was read or written here, by structure key.
        students: Id of the student that contributed to the mask, by structure key; None for none.
        prompts: Clicks and box from which the mask was made, by structure key; absent for masks made another way.
    """

    planes: BoolArray
    state: ByteArray
    confidence: npt.NDArray[np.float32]
    seen: dict[str, int]
    students: dict[str, str | None]
    prompts: dict[str, Prompts]

    def store(self, revision: Revision, index: int, mask: BoolArray | None) -> None:
        """Store what was just written for the structure with that index: plane, bool (H, W), state and prompts."""
        self.planes[index] = False if mask is None else mask
        self.state[index] = revision.state
        self.seen[revision.structure] = revision.id
        self.prompts.pop(revision.structure, None)
        if revision.prompts is not None:
            self.prompts[revision.structure] = revision.prompts


class FrameCache:
    """Least-recently-used cache of the frames of one clip, read from the project."""

    def __init__(self, project: Project, clip: Clip, frames: int) -> None:
        self._project = project
        self._clip_id = clip.id
        self._height, self._width = clip.height, clip.width
        self._frames: LRUCache[int, FrameWork] = LRUCache(max(1, frames))

    def get(self, frame: int) -> FrameWork:
        """Return masks and states of a frame.

        Raises:
            ProjectError: They cannot be read.
        """
        if frame in self._frames:
            return self._frames[frame]
        newest = self._project.newest(self._clip_id, frame)
        n, structures = len(self._project.schema), self._project.schema
        work = FrameWork(
            np.zeros((n, self._height, self._width), np.bool_),
            np.zeros(n, np.uint8),
            np.full(n, np.nan, np.float32),
            {key: revision.id for key, revision in newest.items()},
            {key: revision.student for key, revision in newest.items()},
            {key: revision.prompts for key, revision in newest.items() if revision.prompts is not None},
        )
        for key, revision in newest.items():
            index, mask = structures[key].index, revision.mask
            work.state[index] = revision.state
            if mask is not None:
                work.planes[index] = mask
            if revision.confidence is not None:
                work.confidence[index] = revision.confidence
        # An annotated mask has no confidence of its own: that of the proposal it was made from is shown.
        annotated = [structures[k].index for k, r in newest.items() if r.confidence is None and r.state.is_annotated]
        if annotated:
            work.confidence[annotated] = self._project.confidence(self._clip_id, frame)[annotated]
        self._frames[frame] = work
        return work

    @property
    def frames(self) -> tuple[int, ...]:
        """Indices of the frames in memory."""
        return tuple(self._frames)

    def forget(self, frames: Iterable[int]) -> None:
        """Drop frames, to be read again when needed."""
        for frame in frames:
            self._frames.pop(frame, None)

    def has(self, revision: Revision) -> bool:
        """Return whether the cache holds this revision or a newer one."""
        work = self._frames.get(revision.frame)
        return work is not None and work.seen.get(revision.structure, 0) >= revision.id
