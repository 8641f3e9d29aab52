# SPDX-License-Identifier: Apache-2.0
"""Survey of all masks of a clip, kept up to date with what is written to the project."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vfss.consistency.judge import Movement

if TYPE_CHECKING:
    from vfss.project.overview import FramePlanes, Overview

FloatArray = npt.NDArray[np.float32]

REPORT_EVERY = 128
"""Frames between two findings of a first survey."""
_REACH = 2  # frames: how far apart two frames are compared


@dataclass(frozen=True, eq=False)
class Findings:
    """What a survey knows at a moment; these arrays are not changed afterwards.

    Attributes:
        confidence: float32 (T, S), confidence of the newest proposal, 0..1, NaN where there is none.
        inconsistency: float32 (T, S), inconsistency with the neighbouring frames, 0..1, NaN where not known.
        centres: float32 (T, S, 2), centre (y, x) of each mask in pixels, NaN where there is none.
        corrected: float32 (T, S), 1 where a person changed the proposal, 0 where it was accepted as it was, NaN else.
        complete: False while frames are still unread.
        begun: False before anything was read.
    """

    confidence: FloatArray
    inconsistency: FloatArray
    centres: FloatArray
    corrected: FloatArray
    complete: bool
    begun: bool = True

    @classmethod
    def none(cls, n_frames: int, n_structures: int) -> Findings:
        """Return findings of which nothing is known yet."""
        unknown = np.full((n_frames, n_structures), np.nan, np.float32)
        centres = np.full((n_frames, n_structures, 2), np.nan, np.float32)
        return cls(unknown, unknown, centres, unknown, complete=False, begun=False)


class Survey:
    """Reads a clip once, and afterwards only what changed. Not thread-safe."""

    def __init__(self, overview: Overview, clip_id: str, n_frames: int, n_structures: int) -> None:
        """Prepare a survey; nothing is read yet."""
        self._overview = overview
        self._clip_id = clip_id
        self._n_frames = n_frames
        self._movement = Movement(n_frames, n_structures)
        self._confidence: FloatArray = np.full((n_frames, n_structures), np.nan, np.float32)
        self._corrected = self._confidence.copy()
        self._seen = -1

    def catch_up(self) -> Iterator[Findings]:
        """Read what is not known yet, and yield the findings now and then, and at the end.

        Raises:
            ProjectError: It cannot be read, or was closed meanwhile.
            MaskError: A stored plane is damaged.
        """
        if self._seen < 0:
            self._confidence, seen = self._overview.confidences(self._clip_id)
            self._decide(self._overview.corrected(self._clip_id))
            yield self._findings(complete=False)
            yield from self._read([(0, self._n_frames - 1)])
            self._seen = seen  # only now: an interrupted survey starts again
        changes = self._overview.changes(self._clip_id, self._seen)
        for place, value in changes.confidence.items():
            self._confidence[place] = value
        if changes.frames:
            self._corrected[list(changes.frames)] = np.nan
            self._decide(self._overview.corrected(self._clip_id, changes.frames))
        yield from self._read(_around(changes.frames, self._n_frames))
        self._seen = changes.last
        yield self._findings(complete=True)

    def _read(self, stretches: Iterable[tuple[int, int]]) -> Iterator[Findings]:
        for first, last in stretches:
            for frame in self._movement.add(self._frames(first, last)):
                if frame % REPORT_EVERY == REPORT_EVERY - 1:
                    yield self._findings(complete=False)

    def _decide(self, corrected: Mapping[tuple[int, int], float]) -> None:
        for place, value in corrected.items():
            self._corrected[place] = value

    def _frames(self, first: int, last: int) -> Iterator[FramePlanes]:
        return self._overview.planes(self._clip_id, first, last)

    def _findings(self, *, complete: bool) -> Findings:
        movement = self._movement
        return Findings(
            self._confidence.copy(),
            movement.inconsistency(),
            movement.centres.copy(),
            self._corrected.copy(),
            complete,
        )


def _around(frames: Iterable[int], n_frames: int) -> list[tuple[int, int]]:
    """Return ascending stretches (first, last) that hold these frames and all that are compared with them."""
    stretches: list[tuple[int, int]] = []
    for frame in frames:
        first, last = max(0, frame - _REACH), min(n_frames - 1, frame + _REACH)
        if stretches and first <= stretches[-1][1] + 1:
            stretches[-1] = (stretches[-1][0], last)
        else:
            stretches.append((first, last))
    return stretches
