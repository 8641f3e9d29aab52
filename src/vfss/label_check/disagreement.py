# SPDX-License-Identifier: Apache-2.0
"""Reason: a student proposes something else than what was accepted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from vfss.clips.readable import ReadableFrames
from vfss.label_check.measures import FloatArray
from vfss.masks import MaskState

if TYPE_CHECKING:
    from vfss.clips import Clip
    from vfss.project import Project
    from vfss.student import Student

_LEAST = 0.08  # Dice: smallest spread to reckon with
_LIMIT = 4.0  # robust standard deviations beyond the structure's median that count as one


def distances(project: Project, clip: Clip, student: Student) -> Iterator[tuple[int, FloatArray]]:
    """Yield each frame with an accepted mask, and 1 - Dice between masks and proposals, float32 (S,), NaN without one.

    Frames that cannot be decoded are left out.
    """
    states = project.states(clip.id)
    readable = ReadableFrames(clip)
    for frame in np.flatnonzero((states == MaskState.ACCEPTED).any(axis=1)):
        picture = readable.picture(int(frame))
        if picture is None:
            continue
        (proposal,) = student.propose(picture[None], pixel_aspect=clip.pixel_aspect)
        masks = project.masks(clip.id, int(frame))
        out = np.full(len(project.schema), np.nan, np.float32)
        for structure in project.schema.structures:
            plane = proposal.plane(structure.key) if structure.key in proposal.keys else None
            if plane is not None and masks.state[structure.index] == MaskState.ACCEPTED:
                mine = masks.planes[structure.index]
                total = int(mine.sum()) + int(plane.sum())
                out[structure.index] = 1.0 - 2.0 * int((mine & plane).sum()) / total if total else 0.0
        yield int(frame), out


def disagreement(all_distances: list[FloatArray]) -> list[FloatArray]:
    """Return how much more than usual the student disagrees with each mask, float32 (T, S) for each clip.

    What is usual is a matter of the structure, over all clips: a student that is bad at one disagrees with all of it.
    """
    together = np.concatenate(all_distances)
    filled = np.where(np.isfinite(together).any(axis=0), together, 0.0)
    usual = np.nanmedian(filled, axis=0)
    spread = np.maximum(1.4826 * np.nanmedian(np.abs(filled - usual), axis=0), _LEAST)
    return [np.clip(np.nan_to_num((d - usual) / spread), 0.0, None).astype(np.float32) / _LIMIT for d in all_distances]
