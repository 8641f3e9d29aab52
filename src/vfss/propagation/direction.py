# SPDX-License-Identifier: Apache-2.0
"""One way of a propagation: the masks of one frame carried on to later ones, or back to earlier ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np

from vfss.masks import BoolArray, ByteArray, MaskState
from vfss.propagation.confidence import STOP, is_lost, trust
from vfss.propagation.key_frame import CarriedMask, KeyFrame, PackedCarriedMask, agreement, between, with_student
from vfss.schema import Schema
from vfss.student.student import Proposal

Reason = Literal["person", "end", "trust", "gone", "spoken", "stopped"]
"""Why a structure is carried no further: a person has spoken on the next frame; the clip ends; trust fell; it left the
picture; someone spoke on the next frame during the run; the run was stopped."""

_LEAST_SHARE = 0.05  # of the key frame's area: less than that has left the picture


class Source(Protocol):
    """What is known of a clip while masks are carried over it.

    Attributes:
        schema: The structures.
        n_frames: Frames of the clip.
    """

    schema: Schema
    n_frames: int

    def picture(self, frame: int) -> ByteArray:
        """Frame as uint8 (H, W)."""

    def states(self) -> ByteArray:
        """States of all frames at this moment, uint8 (n_frames, S)."""

    def plane(self, frame: int, structure: str) -> BoolArray:
        """A mask that a person made, bool (H, W)."""

    def suggestion(self, frame: int) -> Proposal | None:
        """What the student says of a frame; None without a student."""


@dataclass(frozen=True)
class Ending:
    """How far one structure was carried in one direction, and why no further.

    Attributes:
        structure: Key of the structure.
        forward: True for later frames, False for earlier ones.
        frames: Frames that got a mask.
        last: The last of them; None where there are none.
        reason: Why it ended.
        left_out: Frames of a gap that got none because trust was too low there.
    """

    structure: str
    forward: bool
    frames: int = 0
    last: int | None = None
    reason: Reason = "stopped"
    left_out: int = 0


@dataclass(frozen=True, eq=False)
class CarriedFrame:
    """Masks that were carried to one frame: planes bool (H, W) and trust 0..1 by key of structure."""

    frame: int
    planes: dict[str, BoolArray]
    trust: dict[str, float]


@dataclass(frozen=True)
class Route:
    """The way of one structure.

    Attributes:
        frames: Those to get a mask, in order.
        far: The key frame behind them, whose mask is carried back; None where there is none.
        reason: Why it ends there at the latest.
    """

    frames: range
    far: int | None
    reason: Reason


class DirectedPropagation:
    """Carries structures from a start in one direction.

    Attributes:
        work: Frames to work on at most, those carried back from far ends counted too.
    """

    def __init__(
        self, source: Source, start: int, spans: Mapping[str, Route], *, forward: bool, learnt: bool = False
    ) -> None:
        """Take the way of every structure, by key; `learnt`: the source's student has learnt the clip."""
        self._learnt = learnt
        self._source, self._start, self._spans = source, start, spans
        self._sign = 1 if forward else -1
        self._kept: dict[tuple[int, str], PackedCarriedMask] = {}
        self._areas = {key: int(np.count_nonzero(source.plane(start, key))) for key in spans}
        self._endings = {key: Ending(key, forward) for key in spans}
        back = {span.far: len(span.frames) for span in spans.values() if span.far is not None}
        self.work = max((len(span.frames) for span in spans.values()), default=0) + sum(back.values())

    @property
    def endings(self) -> tuple[Ending, ...]:
        """How far each structure has come until now."""
        return tuple(self._endings.values())

    def run(self) -> Iterator[CarriedFrame]:
        """Carry; one frame of the work after another, with what masks it brought."""
        for far in sorted({span.far for span in self._spans.values() if span.far is not None and span.frames}):
            keys = [key for key, span in self._spans.items() if span.far == far and span.frames]
            yield from self._back_from(far, keys)
        yield from self._onward()

    def _back_from(self, far: int, keys: list[str]) -> Iterator[CarriedFrame]:
        key_frame = self._key_frame(far, keys)
        for frame in range(far - self._sign, self._start, -self._sign):
            for key, carried in key_frame.to(self._source.picture(frame)).items():
                self._kept[frame, key] = PackedCarriedMask.of(carried)
            yield CarriedFrame(frame, {}, {})

    def _onward(self) -> Iterator[CarriedFrame]:
        going = self._still_going(self._start + self._sign, set(self._spans))
        if not going:
            return
        source, frame = self._source, self._start
        key_frame = self._key_frame(frame, sorted(going, key=source.schema.keys.index))
        while going := self._still_going(frame + self._sign, going):
            frame += self._sign
            new = CarriedFrame(frame, {}, {})
            for key, carried in key_frame.to(source.picture(frame)).items():
                if key in going and not self._put(key, carried, new):
                    going = going - {key}
            yield new

    def _still_going(self, frame: int, going: set[str]) -> set[str]:
        """Structures that may have a mask on this frame; a word spoken during the run is a barrier too."""
        ended = {key for key in going if frame not in self._spans[key].frames}
        self._end(ended, None)
        going = going - ended
        if not going:
            return going
        states, schema = self._source.states()[frame], self._source.schema
        spoken = {key for key in going if MaskState(states[schema[key].index]).by_person}
        self._end(spoken, "spoken")
        return going - spoken

    def _put(self, key: str, near: CarriedMask, new: CarriedFrame) -> bool:
        """Put one structure on a frame where it can be trusted; False where its way ends."""
        kept = self._kept.pop((new.frame, key), None)
        carried = near if kept is None else _from_both(near, kept.carried)
        structure = self._source.schema[key]
        said = None if structure.is_rigid else self._source.suggestion(new.frame)
        index, ending = structure.index, self._endings[key]
        plane = None if said is None else said.masks.planes[index]
        mask = with_student(structure, carried, plane)
        found = trust(
            structure,
            carried,
            student=None if plane is None else agreement(mask, plane),
            confidence=None if said is None or np.isnan(said.confidence[index]) else float(said.confidence[index]),
            learnt=self._learnt,
        )
        gone = np.count_nonzero(mask) < max(1.0, _LEAST_SHARE * self._areas[key])
        if not gone and found >= STOP:
            new.planes[key], new.trust[key] = mask, found
            self._endings[key] = replace(ending, frames=ending.frames + 1, last=new.frame)
        elif self._spans[key].far is None:
            self._end((key,), "gone" if gone else "trust")
            return False
        else:
            self._endings[key] = replace(ending, left_out=ending.left_out + 1)
        return True

    def _key_frame(self, frame: int, keys: list[str]) -> KeyFrame:
        source = self._source
        said = source.suggestion(frame) if any(not source.schema[key].is_rigid for key in keys) else None
        suggested = None if said is None else {key: said.masks.planes[source.schema[key].index] for key in keys}
        planes = {key: source.plane(frame, key) for key in keys}
        return KeyFrame(source.picture(frame), planes, source.schema, suggested)

    def _end(self, keys: Iterable[str], reason: Reason | None) -> None:
        for key in keys:
            self._endings[key] = replace(self._endings[key], reason=reason or self._spans[key].reason)


def _from_both(near: CarriedMask, far: CarriedMask) -> CarriedMask:
    """What comes from both ends of a gap, or from one where the other end's was lost on its way."""
    if is_lost(near) != is_lost(far):
        return far if is_lost(near) else near
    return between(near, far)
