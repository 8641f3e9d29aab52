# SPDX-License-Identifier: Apache-2.0
"""Two students side by side on frames of a clip, to look at before a switch. Nothing is written to the project."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vfss.clips.readable import ReadableFrames
from vfss.masks import pack_mask, unpack_mask
from vfss.masks.metrics import dice
from vfss.project import Project
from vfss.student import Proposal, Student, shared_keys
from vfss.student.readable import propose_readable

FRAMES = 12
"""Frames of a clip that are compared if a person does not say which: a swallow is seen, and the wait is short."""


@dataclass(frozen=True, eq=False)
class SidePair:
    """One frame with the masks of two students.

    Attributes:
        frame: Zero-based frame.
        picture: uint8 (H, W).
        pixel_aspect: Width of a pixel divided by its height.
        old: Packed masks of the student in use, by key of structure.
        new: Packed masks of the other student.
        dice: Dice of new with old by key of structure; 1 where neither has pixels.
    """

    frame: int
    picture: npt.NDArray[np.uint8]
    pixel_aspect: float
    old: Mapping[str, bytes]
    new: Mapping[str, bytes]
    dice: Mapping[str, float]

    def masks(self, which: str) -> dict[str, npt.NDArray[np.bool_]]:
        """Return the masks of "old" or "new", bool (H, W), by key of structure."""
        packed = self.old if which == "old" else self.new
        return {key: unpack_mask(mask) for key, mask in packed.items()}


def spread(n_frames: int, n: int = FRAMES) -> list[int]:
    """Return up to n frames, evenly spread over a clip."""
    return sorted({round(t) for t in np.linspace(0, n_frames - 1, min(n, n_frames))})


def side_by_side(
    project: Project, clip_id: str, old: Student, new: Student, frames: Iterable[int] | None = None
) -> Iterator[SidePair]:
    """Propose by two students on frames of a clip, and yield each frame that can be decoded.

    Args:
        project: The project, which is only read.
        clip_id: Id of the clip.
        old: The student in use.
        new: The other student.
        frames: Zero-based frames; None: some, evenly spread.

    Raises:
        SchemaError: A student and the project have no structure in common.
        ClipError: The clip is not found or cannot be opened.
    """
    with project.open_clip(clip_id) as clip:
        wanted = spread(len(clip)) if frames is None else list(frames)
        reader = ReadableFrames(clip)
        pictures = dict(reader.pictures(wanted))
        both = [propose_readable(student, ReadableFrames(clip), list(pictures)) for student in (old, new)]
        for (t, before), (_, after) in zip(*both, strict=True):
            yield _pair(t, pictures[t], clip.pixel_aspect, before, after, project.schema.keys)


def _pair(  # noqa: PLR0917  (what a pair is made of)
    frame: int,
    picture: npt.NDArray[np.uint8],
    aspect: float,
    before: Proposal,
    after: Proposal,
    keys: Sequence[str],
) -> SidePair:
    old, new = ({key: _plane(one, key) for key in shared_keys(one.keys, keys)} for one in (before, after))
    agreement = {}
    for key in (key for key in old if key in new):
        value = dice(old[key], new[key])
        agreement[key] = 1.0 if np.isnan(value) else value
    packed = [{key: pack_mask(mask) for key, mask in side.items()} for side in (old, new)]
    return SidePair(frame, picture, aspect, packed[0], packed[1], agreement)


def _plane(proposal: Proposal, key: str) -> npt.NDArray[np.bool_]:
    plane = proposal.plane(key)
    return np.zeros(proposal.masks.planes.shape[1:], np.bool_) if plane is None else plane


def mean_agreement(pairs: Iterable[SidePair]) -> dict[str, float]:
    """Return the mean Dice of new with old over some frames, by key of structure."""
    of: dict[str, list[float]] = {}
    for pair in pairs:
        for key, value in pair.dice.items():
            of.setdefault(key, []).append(value)
    return {key: float(np.mean(values)) for key, values in of.items()}
