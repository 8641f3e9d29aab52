# SPDX-License-Identifier: Apache-2.0
"""Propagation: the masks of one frame carried to its neighbours, up to where a person has spoken.

Each structure goes its own way: it ends before the next frame on which a person has said something of it, or where
trust falls. Where that next frame has a mask of it too, it is carried from both ends, and the two are blended.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from vfss.errors import ProjectError
from vfss.masks import ByteArray, MaskState
from vfss.propagation.direction import CarriedFrame, DirectedPropagation, Ending, Reason, Route, Source

__all__ = ["KEY_STATES", "CarriedFrame", "CarryOrder", "Direction", "Ending", "Propagation", "Reason", "Source"]

Direction = Literal["backward", "both", "forward"]

KEY_STATES = (MaskState.EDITED, MaskState.ACCEPTED)
"""States whose masks are carried: a person's word. What a machine proposed is not, before a person has accepted it."""

_LONGEST = 240  # frames of a gap that is filled from both ends


@dataclass(frozen=True)
class CarryOrder:
    """What to carry.

    Attributes:
        start: Zero-based index of the frame with the masks.
        direction: Where to.
        structures: Keys of the structures.
    """

    start: int
    direction: Direction
    structures: tuple[str, ...]


class Propagation:
    """One run over one clip.

    Attributes:
        total: Frames to work on at most, those carried back from far ends counted too.
        done: Frames worked on.
    """

    def __init__(self, source: Source, order: CarryOrder, *, learnt: bool = False) -> None:
        """Look how far each structure may go.

        Args:
            source: The clip.
            order: What to carry.
            learnt: True where the source's student has learnt the clip, and is to be trusted accordingly.

        Raises:
            ProjectError: A structure has no mask of a person on the frame.
        """
        states, start = source.states(), order.start
        for key in order.structures:
            structure = source.schema[key]
            if states[start, structure.index] not in KEY_STATES or not source.plane(start, key).any():
                raise ProjectError(
                    f"{structure.name} has no mask of a person to carry",
                    frame=start,
                    remedy="Paint it there, or accept what is proposed, and carry it then.",
                )
        self._source = source
        ways = {"forward": (True,), "backward": (False,), "both": (True, False)}[order.direction]
        self._ways = [
            DirectedPropagation(source, start, self._spans(order, states, forward), forward=forward, learnt=learnt)
            for forward in ways
        ]
        self.done = 0
        self.total = sum(way.work for way in self._ways)

    @property
    def endings(self) -> tuple[Ending, ...]:
        """How far each structure has come until now, for each direction."""
        return tuple(ending for way in self._ways for ending in way.endings)

    def run(self) -> Iterator[CarriedFrame]:
        """Carry; one frame of the work after another, with what masks it brought."""
        for way in self._ways:
            for frame in way.run():
                self.done += 1
                yield frame

    def _spans(self, order: CarryOrder, states: ByteArray, forward: bool) -> dict[str, Route]:
        sign = 1 if forward else -1
        return {key: self._span(key, order.start + sign, states, sign) for key in order.structures}

    def _span(self, key: str, first: int, states: ByteArray, sign: int) -> Route:
        index = self._source.schema[key].index
        beyond = self._source.n_frames if sign > 0 else -1
        for frame in range(first, beyond, sign):
            state = MaskState(states[frame, index])
            if state.by_person:
                near = abs(frame - first) <= _LONGEST
                is_key = near and state in KEY_STATES and bool(self._source.plane(frame, key).any())
                return Route(range(first, frame, sign), frame if is_key else None, "person")
        return Route(range(first, beyond, sign), None, "end")
