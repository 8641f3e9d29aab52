# SPDX-License-Identifier: Apache-2.0
"""Propagation of the masks of one frame to its neighbours, up to the next annotated frame.

Each structure is propagated by itself: it ends before the next frame on which it is annotated, or where the confidence
is too low. Where that next frame has a mask of it too, it is propagated from both ends, and the two are blended.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from vfss.errors import ProjectError
from vfss.masks import ByteArray, MaskState
from vfss.propagation.direction import DirectedPropagation, Ending, PropagatedFrame, Reason, Route, Source

__all__ = [
    "KEY_STATES",
    "Direction",
    "Ending",
    "PropagatedFrame",
    "Propagation",
    "PropagationRequest",
    "Reason",
    "Source",
]

Direction = Literal["backward", "both", "forward"]

KEY_STATES = (MaskState.EDITED, MaskState.ACCEPTED)
"""States whose masks are propagated: annotated ones. A proposal is not, before a person has accepted it."""

_LONGEST_GAP = 240  # frames between two key frames that are filled from both ends


@dataclass(frozen=True)
class PropagationRequest:
    """What to propagate.

    Attributes:
        start: Zero-based index of the key frame.
        direction: In which direction.
        structures: Keys of the structures.
    """

    start: int
    direction: Direction
    structures: tuple[str, ...]


class Propagation:
    """One run over one clip.

    Attributes:
        total: Number of frames to work on at most, those propagated back from far key frames included.
        done: Number of frames worked on.
    """

    def __init__(self, source: Source, request: PropagationRequest, *, adapted: bool = False) -> None:
        """Find out how far each structure may be propagated.

        Args:
            source: The clip.
            request: What to propagate.
            adapted: True where the source's student is adapted to the clip, which changes its confidence.

        Raises:
            ProjectError: A structure has no annotated mask on the key frame.
        """
        states, start = source.states(), request.start
        for key in request.structures:
            structure = source.schema[key]
            if states[start, structure.index] not in KEY_STATES or not source.plane(start, key).any():
                raise ProjectError(
                    f"{structure.name} has no annotated mask to propagate",
                    frame=start,
                    remedy="Paint it there, or accept what is proposed; then propagate it.",
                )
        self._source = source
        directions = {"forward": (True,), "backward": (False,), "both": (True, False)}[request.direction]
        self._runs = [
            DirectedPropagation(source, start, self._routes(request, states, forward), forward=forward, adapted=adapted)
            for forward in directions
        ]
        self.done = 0
        self.total = sum(run.work for run in self._runs)

    @property
    def endings(self) -> tuple[Ending, ...]:
        """How far each structure has come until now, for each direction."""
        return tuple(ending for run in self._runs for ending in run.endings)

    @property
    def unreadable(self) -> tuple[int, ...]:
        """Frames found so far that cannot be decoded: masks are propagated past them, ascending."""
        return tuple(sorted({frame for run in self._runs for frame in run.unreadable}))

    def run(self) -> Iterator[PropagatedFrame]:
        """Propagate, and yield each frame of work with the masks that it brought.

        Raises:
            ClipError: The key frame cannot be decoded.
        """
        for run in self._runs:
            for frame in run.run():
                self.done += 1
                yield frame

    def _routes(self, request: PropagationRequest, states: ByteArray, forward: bool) -> dict[str, Route]:
        sign = 1 if forward else -1
        return {key: self._route(key, request.start + sign, states, sign) for key in request.structures}

    def _route(self, key: str, first: int, states: ByteArray, sign: int) -> Route:
        index = self._source.schema[key].index
        beyond = self._source.n_frames if sign > 0 else -1
        for frame in range(first, beyond, sign):
            state = MaskState(states[frame, index])
            if state.is_annotated:
                near = abs(frame - first) <= _LONGEST_GAP
                is_key = near and state in KEY_STATES and bool(self._source.plane(frame, key).any())
                return Route(range(first, frame, sign), frame if is_key else None, "annotated")
        return Route(range(first, beyond, sign), None, "end")
