# SPDX-License-Identifier: Apache-2.0
"""Spreading: soft structures of a whole clip, from a student that has learnt the clip and from all key frames at once.

Bones keep their shape and are carried (vfss.propagation). A bolus, a pharynx or an epiglottis changes from frame to
frame, so that what is carried holds near key frames only. Elsewhere the student counts, and it is worth it: it has
learnt from the key frames of this very clip what it is wrong about. Each place is written once at most.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import sqrt

import numpy as np

from vfss.masks import ByteArray, MaskState, pack_mask, unpack_mask
from vfss.propagation.direction import CarriedFrame, Source
from vfss.propagation.propagation import KEY_STATES, CarryOrder, Direction, Propagation
from vfss.schema import Schema, Structure
from vfss.student.student import Proposal

Said = tuple[bytes, float]  # a packed mask and its confidence

# A student is wrong on a clip in the same way on every frame, and what is left of that after it has learnt from n
# frames falls as 1 / sqrt(n); measured on phantoms: benchmarks/learning.py. Not so where a
# student is wrong in ever other ways, as it is about a bolus: those structures do not adapt.
_LEFT, _ALWAYS_LEFT = 0.93, 0.09


class WholeClipPropagation:
    """One run over one clip.

    Attributes:
        total: Frames to work on at most: those that are carried from both sides of a gap count for each.
        done: Frames worked on.
    """

    def __init__(self, source: Source, said: Mapping[int, Mapping[str, Said]]) -> None:
        """Look what is open.

        Args:
            source: The clip; its suggestions are those of the student that has learnt it.
            said: What that student says of every frame, by key of the soft structures.
        """
        self._source, self._said = source, said
        self._soft = source.schema.soft
        states = source.states()
        is_open = np.isin(states, (MaskState.UNSEEN, MaskState.PROPOSED))
        self._open = {key: set(map(int, np.flatnonzero(is_open[:, source.schema[key].index]))) for key in self._soft}
        self._runs = [Propagation(source, order, learnt=True) for order in _orders(source, states, self._soft)]
        self.total = sum(run.total for run in self._runs) + source.n_frames
        self.done = 0

    def run(self) -> Iterator[CarriedFrame]:
        """One frame of the work after another, with what masks it brought; a frame may come more than once."""
        for run in self._runs:
            for carried in run.run():
                self.done += 1
                for key in carried.planes:
                    self._open[key].discard(carried.frame)
                yield carried
        for frame in range(self._source.n_frames):
            self.done += 1
            yield self._said_alone(frame)

    def _said_alone(self, frame: int) -> CarriedFrame:
        """What the student says where nothing was carried."""
        new = CarriedFrame(frame, {}, {})
        for key in self._soft:
            if frame in self._open[key] and key in self._said.get(frame, {}):
                packed, new.trust[key] = self._said[frame][key]
                new.planes[key] = unpack_mask(packed)
        return new


def learnt_confidence(structure: Structure, said: float, frames: int) -> float:
    """The Dice to expect of a structure after a student has learnt the clip: its own word on itself did not learn.

    Args:
        structure: Which one.
        said: What the student says of it, 0..1; NaN stays NaN.
        frames: How many frames it has learnt from.
    """
    if not structure.adapts or frames < 1:
        return said
    return 1.0 - (1.0 - said) * min(1.0, _ALWAYS_LEFT + _LEFT / sqrt(frames))


def soft_predictions(proposal: Proposal, schema: Schema, frames: int) -> dict[str, Said]:
    """What a student that has learnt the clip says of the soft structures, in little memory.

    Args:
        proposal: Of one frame.
        schema: Structures, in the order of planes.
        frames: From how many frames the student has learnt.
    """
    soft = [structure for structure in schema.structures if not structure.is_rigid]
    return {
        structure.key: (
            pack_mask(proposal.masks.planes[structure.index]),
            learnt_confidence(structure, float(proposal.confidence[structure.index]), frames),
        )
        for structure in soft
    }


def _orders(source: Source, states: ByteArray, soft: tuple[str, ...]) -> Iterator[CarryOrder]:
    """From each key frame on to the next one; back to the clip's start only from a structure's first."""
    is_key = np.isin(states, KEY_STATES)
    spoken: set[str] = set()
    for frame in map(int, np.flatnonzero(is_key.any(axis=1))):
        keys = tuple(key for key in soft if is_key[frame, source.schema[key].index] and source.plane(frame, key).any())
        ways: tuple[tuple[Direction, tuple[str, ...]], ...] = (
            ("backward", tuple(key for key in keys if key not in spoken)),
            ("forward", keys),
        )
        yield from (CarryOrder(frame, way, some) for way, some in ways if some)
        spoken.update(keys)
