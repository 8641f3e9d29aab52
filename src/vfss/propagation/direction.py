# SPDX-License-Identifier: Apache-2.0
"""Propagation of the masks of one key frame in one direction, to later or to earlier frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np

from vfss.errors import ClipError
from vfss.masks import BoolArray, ByteArray, MaskState
from vfss.propagation.confidence import LEAST_CONFIDENCE, is_lost, propagated_confidence
from vfss.propagation.key_frame import (
    KeyFrame,
    PackedPropagatedMask,
    PropagatedMask,
    agreement,
    blend,
    blend_with_student,
)
from vfss.schema import Schema
from vfss.student.student import Proposal

Reason = Literal["annotated", "end", "confidence", "out_of_view", "meanwhile", "stopped"]
"""Why propagation of a structure ends: the next frame is annotated; the clip ends; the confidence is too low; the
structure left the picture; the next frame was annotated during the run; the run was stopped."""

_LEAST_SHARE = 0.05  # of the key frame's area: a smaller mask has left the picture


class Source(Protocol):
    """What propagation reads of a clip.

    Attributes:
        schema: The structures.
        n_frames: Frames of the clip.
        pixel_aspect: Width of a pixel divided by its height.
    """

    schema: Schema
    n_frames: int
    pixel_aspect: float

    def picture(self, frame: int) -> ByteArray:
        """Return a frame as uint8 (H, W); raise ClipError if it cannot be decoded."""

    def states(self) -> ByteArray:
        """Return the states of all frames at this moment, uint8 (n_frames, S)."""

    def plane(self, frame: int, structure: str) -> BoolArray:
        """Return an annotated mask, bool (H, W)."""

    def proposal(self, frame: int) -> Proposal | None:
        """Return the student's proposal of a frame; None without a student."""


@dataclass(frozen=True)
class Ending:
    """How far one structure was propagated in one direction, and why no further.

    Attributes:
        structure: Key of the structure.
        forward: True for later frames, False for earlier ones.
        frames: Number of frames that got a mask.
        last: The last of them; None where there are none.
        reason: Why propagation ended.
        left_out: Number of frames of a gap that got no mask because the confidence was too low there.
    """

    structure: str
    forward: bool
    frames: int = 0
    last: int | None = None
    reason: Reason = "stopped"
    left_out: int = 0


@dataclass(frozen=True, eq=False)
class PropagatedFrame:
    """Masks that were propagated to one frame.

    Attributes:
        frame: Zero-based frame index.
        planes: bool (H, W) by key of structure.
        confidence: Estimated Dice, 0..1, by key of structure.
    """

    frame: int
    planes: dict[str, BoolArray]
    confidence: dict[str, float]


@dataclass(frozen=True)
class Route:
    """Frames that one structure is propagated over.

    Attributes:
        frames: Frames that get a mask, in order.
        far: The key frame behind them, whose mask is propagated back; None where there is none.
        reason: Why the route ends there at the latest.
    """

    frames: range
    far: int | None
    reason: Reason


class DirectedPropagation:
    """Propagates structures from a key frame in one direction, past frames that cannot be read.

    Attributes:
        work: Number of frames to work on at most, those propagated back from far key frames included.
        unreadable: Frames that cannot be decoded and get no mask.
    """

    def __init__(
        self, source: Source, start: int, routes: Mapping[str, Route], *, forward: bool, adapted: bool = False
    ) -> None:
        """Prepare a run.

        Args:
            source: The clip.
            start: The key frame.
            routes: Route of every structure, by key.
            forward: True for later frames, False for earlier ones.
            adapted: True where the source's student is adapted to the clip.
        """
        self._adapted = adapted
        self._source, self._start, self._routes = source, start, routes
        self._sign = 1 if forward else -1
        self.unreadable: set[int] = set()
        self._from_far: dict[tuple[int, str], PackedPropagatedMask] = {}
        self._areas = {key: int(np.count_nonzero(source.plane(start, key))) for key in routes}
        self._endings = {key: Ending(key, forward) for key in routes}
        back = {route.far: len(route.frames) for route in routes.values() if route.far is not None}
        self.work = max((len(route.frames) for route in routes.values()), default=0) + sum(back.values())

    @property
    def endings(self) -> tuple[Ending, ...]:
        """How far each structure has come until now."""
        return tuple(self._endings.values())

    def run(self) -> Iterator[PropagatedFrame]:
        """Propagate, and yield each frame of work with the masks that it brought.

        Raises:
            ClipError: The key frame cannot be decoded.
        """
        for far in sorted({route.far for route in self._routes.values() if route.far is not None and route.frames}):
            keys = [key for key, route in self._routes.items() if route.far == far and route.frames]
            yield from self._back_from(far, keys)
        yield from self._onward()

    def _back_from(self, far: int, keys: list[str]) -> Iterator[PropagatedFrame]:
        try:
            key_frame = self._key_frame(far, keys)
        except ClipError:  # the gap is filled from its other end alone
            self.unreadable.add(far)
            return
        after = 0
        for frame in range(far - self._sign, self._start, -self._sign):
            picture, after = self._picture(frame), after + 1
            if picture is not None:
                for key, mask in key_frame.propagate_to(picture, after).items():
                    self._from_far[frame, key] = PackedPropagatedMask.pack(mask)
                after = 0
            yield PropagatedFrame(frame, {}, {})

    def _onward(self) -> Iterator[PropagatedFrame]:
        active = self._still_active(self._start + self._sign, set(self._routes))
        if not active:
            return
        frame, after = self._start, 0
        key_frame = self._key_frame(frame, sorted(active, key=self._source.schema.keys.index))
        while active := self._still_active(frame + self._sign, active):
            frame, after = frame + self._sign, after + 1
            new = PropagatedFrame(frame, {}, {})
            picture = self._picture(frame)
            if picture is not None:
                for key, mask in key_frame.propagate_to(picture, after).items():
                    if key in active and not self._put(key, mask, new):
                        active = active - {key}
                after = 0
            yield new

    def _picture(self, frame: int) -> ByteArray | None:
        """Return a frame, uint8 (H, W); None if it cannot be decoded."""
        try:
            return self._source.picture(frame)
        except ClipError:
            self.unreadable.add(frame)
            return None

    def _still_active(self, frame: int, active: set[str]) -> set[str]:
        """Return the structures that may get a mask on a frame; what was annotated during the run is a barrier too."""
        ended = {key for key in active if frame not in self._routes[key].frames}
        self._end(ended, None)
        active = active - ended
        if not active:
            return active
        states, schema = self._source.states()[frame], self._source.schema
        annotated = {key for key in active if MaskState(states[schema[key].index]).is_annotated}
        self._end(annotated, "meanwhile")
        return active - annotated

    def _put(self, key: str, near: PropagatedMask, new: PropagatedFrame) -> bool:
        """Put one structure on a frame if the confidence is high enough; return False where its route ends."""
        packed = self._from_far.pop((new.frame, key), None)
        propagated = near if packed is None else _from_both(near, packed.unpack())
        structure, ending = self._source.schema[key], self._endings[key]
        proposal = None if structure.is_rigid else self._source.proposal(new.frame)
        proposed = None if proposal is None else proposal.plane(key)
        mask = blend_with_student(structure, propagated, proposed)
        confidence = propagated_confidence(
            structure,
            propagated,
            student=None if proposed is None else agreement(mask, proposed),
            confidence=None if proposal is None else proposal.confidence_of(key),
            adapted=self._adapted,
        )
        out_of_view = np.count_nonzero(mask) < max(1.0, _LEAST_SHARE * self._areas[key])
        if not out_of_view and confidence >= LEAST_CONFIDENCE:
            new.planes[key], new.confidence[key] = mask, confidence
            self._endings[key] = replace(ending, frames=ending.frames + 1, last=new.frame)
        elif self._routes[key].far is None:
            self._end((key,), "out_of_view" if out_of_view else "confidence")
            return False
        else:
            self._endings[key] = replace(ending, left_out=ending.left_out + 1)
        return True

    def _key_frame(self, frame: int, keys: list[str]) -> KeyFrame:
        source, schema = self._source, self._source.schema
        proposal = source.proposal(frame) if any(not schema[key].is_rigid for key in keys) else None
        known = {} if proposal is None else {key: proposal.plane(key) for key in keys}
        proposed = {key: plane for key, plane in known.items() if plane is not None}
        planes = {key: source.plane(frame, key) for key in keys}
        return KeyFrame(source.picture(frame), planes, schema, proposed, source.pixel_aspect)

    def _end(self, keys: Iterable[str], reason: Reason | None) -> None:
        for key in keys:
            self._endings[key] = replace(self._endings[key], reason=reason or self._routes[key].reason)


def _from_both(near: PropagatedMask, far: PropagatedMask) -> PropagatedMask:
    """Blend what comes from both ends of a gap, or return one where the other was lost on its way."""
    if is_lost(near) != is_lost(far):
        return far if is_lost(near) else near
    return blend(near, far)
