# SPDX-License-Identifier: Apache-2.0
"""The few frames whose masks stay unpacked in memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from cachetools import LRUCache

from vfss.clips import Clip
from vfss.masks import BoolArray, ByteArray
from vfss.project import Project, Revision
from vfss.student.prompts import Prompts


@dataclass
class FrameWork:
    """What is known of one frame, kept up to date with what this session writes.

    Attributes:
        planes: bool (S, H, W).
        state: uint8 (S,), values of MaskState.
        confidence: float32 (S,), 0..1, NaN where unknown.
        seen: Id of the newest revision that was read or written here, by structure key.
        students: Student that had a part in it, by structure key.
        prompts: Where a person pointed to get the mask, by structure key; absent where it came another way.
    """

    planes: BoolArray
    state: ByteArray
    confidence: npt.NDArray[np.float32]
    seen: dict[str, int]
    students: dict[str, str | None]
    prompts: dict[str, Prompts]

    def take(self, revision: Revision, index: int, mask: BoolArray | None) -> None:
        """Keep what was just written of the structure of that index: plane, bool (H, W), state and prompts."""
        self.planes[index] = False if mask is None else mask
        self.state[index] = revision.state
        self.seen[revision.structure] = revision.id
        self.prompts.pop(revision.structure, None)
        if revision.prompts is not None:
            self.prompts[revision.structure] = revision.prompts


class FrameMemory:
    """Reads frames of one clip from the project and keeps those used last."""

    def __init__(self, project: Project, clip: Clip, frames: int) -> None:
        self._project = project
        self._clip_id = clip.id
        self._height, self._width = clip.height, clip.width
        self._kept: LRUCache[int, FrameWork] = LRUCache(max(1, frames))

    def get(self, frame: int) -> FrameWork:
        """What is known of a frame.

        Raises:
            ProjectError: It cannot be read.
        """
        if frame in self._kept:
            return self._kept[frame]
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
        # A person's word has no confidence of its own: that of the proposal it judged is shown beside it.
        judged = [structures[k].index for k, r in newest.items() if r.confidence is None and r.state.by_person]
        if judged:
            work.confidence[judged] = self._project.confidence(self._clip_id, frame)[judged]
        self._kept[frame] = work
        return work

    def forget(self, frames: Iterable[int]) -> None:
        """Read these frames anew when they are needed."""
        for frame in frames:
            self._kept.pop(frame, None)

    def knows(self, revision: Revision) -> bool:
        """True where a revision is in memory already."""
        work = self._kept.get(revision.frame)
        return work is not None and work.seen.get(revision.structure, 0) >= revision.id
