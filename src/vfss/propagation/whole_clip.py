# SPDX-License-Identifier: Apache-2.0
"""Soft structures of a whole clip, from all its key frames at once and from a clip-adapted student.

Rigid structures keep their shape and are propagated (vfss.propagation.propagation). A bolus, a pharynx or an epiglottis
changes from frame to frame, so that a propagated mask holds near key frames only. Elsewhere the student counts, and
deserves it: it was fine-tuned on the key frames of this very clip. Each place is written once at most.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from math import nan, sqrt

import numpy as np

from vfss.errors import ClipError
from vfss.masks import ByteArray, MaskState, pack_mask, unpack_mask
from vfss.propagation.direction import PropagatedFrame, Source
from vfss.propagation.propagation import KEY_STATES, Direction, Propagation, PropagationRequest
from vfss.schema import Schema, Structure
from vfss.student.student import Proposal

PackedPrediction = tuple[bytes, float]  # a packed mask and its confidence

# A student makes the same errors on every frame of a clip, and what is left of them after fine-tuning on n frames falls
# as 1 / sqrt(n); measured on phantoms: benchmarks/learning.py. Not so where its errors differ from frame to frame, as
# those on a bolus do: such structures do not adapt.
_ERROR_LEFT, _ERROR_ALWAYS_LEFT = 0.93, 0.09


class WholeClipPropagation:
    """One run over one clip.

    Attributes:
        total: Number of frames to work on at most; those propagated from both sides of a gap count for each.
        done: Number of frames worked on.
    """

    def __init__(self, source: Source, predictions: Mapping[int, Mapping[str, PackedPrediction]]) -> None:
        """Find the places without annotation.

        Args:
            source: The clip; its proposals are those of the clip-adapted student.
            predictions: That student's masks of every frame, by key of the soft structures.
        """
        self._source, self._predictions = source, predictions
        self._soft = source.schema.soft
        states = source.states()
        is_open = np.isin(states, (MaskState.UNSEEN, MaskState.PROPOSED))
        self._open = {key: set(map(int, np.flatnonzero(is_open[:, source.schema[key].index]))) for key in self._soft}
        self._runs = [Propagation(source, request, adapted=True) for request in _requests(source, states, self._soft)]
        self.total = sum(run.total for run in self._runs) + source.n_frames
        self.done = 0

    def run(self) -> Iterator[PropagatedFrame]:
        """Yield each frame of work with the masks that it brought; a frame may come more than once."""
        for run in self._runs:
            with suppress(ClipError):  # a key frame that cannot be decoded: the others are propagated
                for propagated in run.run():
                    self.done += 1
                    for key in propagated.planes:
                        self._open[key].discard(propagated.frame)
                    yield propagated
        for frame in range(self._source.n_frames):
            self.done += 1
            yield self._predicted(frame)

    def _predicted(self, frame: int) -> PropagatedFrame:
        """Return the student's masks where nothing was propagated."""
        new = PropagatedFrame(frame, {}, {})
        for key in self._soft:
            if frame in self._open[key] and key in self._predictions.get(frame, {}):
                packed, new.confidence[key] = self._predictions[frame][key]
                new.planes[key] = unpack_mask(packed)
        return new


def adapted_confidence(structure: Structure, confidence: float, frames: int) -> float:
    """Return the Dice to expect of a clip-adapted student, whose estimate of its own quality was not fine-tuned.

    Args:
        structure: Which one.
        confidence: The student's own confidence, 0..1; NaN stays NaN.
        frames: Number of frames that it was adapted on.
    """
    if not structure.adapts or frames < 1:
        return confidence
    return 1.0 - (1.0 - confidence) * min(1.0, _ERROR_ALWAYS_LEFT + _ERROR_LEFT / sqrt(frames))


def soft_predictions(proposal: Proposal, schema: Schema, frames: int) -> dict[str, PackedPrediction]:
    """Return a clip-adapted student's masks of the soft structures of one frame, packed, by key.

    Args:
        proposal: The student's proposal of the frame.
        schema: Structures of the project; those that the student does not know are left out.
        frames: Number of frames that the student was adapted on.
    """
    predictions: dict[str, PackedPrediction] = {}
    for structure in schema.structures:
        plane, confidence = proposal.plane(structure.key), proposal.confidence_of(structure.key)
        if not structure.is_rigid and plane is not None:
            estimate = adapted_confidence(structure, nan if confidence is None else confidence, frames)
            predictions[structure.key] = pack_mask(plane), estimate
    return predictions


def _requests(source: Source, states: ByteArray, soft: tuple[str, ...]) -> Iterator[PropagationRequest]:
    """Yield requests from each key frame to the next one; back to the clip's start only from a structure's first."""
    is_key = np.isin(states, KEY_STATES)
    started: set[str] = set()
    for frame in map(int, np.flatnonzero(is_key.any(axis=1))):
        keys = tuple(key for key in soft if is_key[frame, source.schema[key].index] and source.plane(frame, key).any())
        directions: tuple[tuple[Direction, tuple[str, ...]], ...] = (
            ("backward", tuple(key for key in keys if key not in started)),
            ("forward", keys),
        )
        yield from (PropagationRequest(frame, direction, chosen) for direction, chosen in directions if chosen)
        started.update(keys)
