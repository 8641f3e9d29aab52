# SPDX-License-Identifier: Apache-2.0
"""The passes of a student over a frame: one, and where it is wanted a closer look or the mirror image of the last.

A closer look counts in place of the first in what it shows (see vfss.student.closer_look). The mirror image is averaged
with the look before it: logits and quality are weighted means of both, and for each structure the pass that estimates
its mask to be better weighs more. Where the frame is noisy and its neighbours are known, both are looks at their median
(see vfss.student.temporal_median): two different views of one moment tell more than one picture twice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vfss.student.closer_look import SpineFinder
from vfss.student.mirror_policy import MirrorPolicy
from vfss.student.preprocess import Placement
from vfss.student.runtime import Runtime

FloatArray = npt.NDArray[np.float32]

_SHARPNESS, _LARGEST_RATIO = 8.0, 10.0
"""The ratio of the weights of two passes is exp(8 x the difference of their estimated Dice), at most 10."""


@dataclass(frozen=True, eq=False)
class Look:
    """What a student sees of one frame.

    Attributes:
        placement: Where the frame, or the exposed part of it, lies in the input.
        prepare: Returns the frame as network input, float32 (1, size, size), in a placement.
        prepare_steadied: Returns a less noisy input of the same moment, or None.
    """

    placement: Placement
    prepare: Callable[[Placement], FloatArray]
    prepare_steadied: Callable[[Placement], FloatArray | None] | None = None

    def again(self, placement: Placement, *, mirrored: bool) -> FloatArray:
        """Return the input of a pass after the first one, float32 (1, size, size): steadied where that is possible."""
        steadied = None if self.prepare_steadied is None else self.prepare_steadied(placement)
        image = self.prepare(placement) if steadied is None else steadied
        return np.ascontiguousarray(_mirrored(image)) if mirrored else image


@dataclass(frozen=True, eq=False)
class Seen:
    """What a student computed for one frame.

    Attributes:
        logits: float32 (S, size/4, size/4).
        quality: float32 (S,).
        placement: Where the frame lies in the logits' input.
        first: The first look, where this is a closer one; else None.
        mirrored: Whether the network saw it mirrored; the logits are not.
    """

    logits: FloatArray
    quality: FloatArray
    placement: Placement
    first: Seen | None = None
    mirrored: bool = False


class Passes:
    """Computes single passes with a runtime, and further ones where they are wanted."""

    def __init__(self, runtime: Runtime, mirror: MirrorPolicy, finder: SpineFinder, columns: Sequence[int]) -> None:
        """Wrap a runtime.

        Args:
            runtime: Computes single passes.
            mirror: Where the mirror image is computed too.
            finder: Where a closer look is wanted, for the planes of the structures in `columns`.
            columns: Structures whose quality tells whether a pass is unsure: those that the student has learnt.
        """
        self._runtime, self._mirror, self._finder, self._columns = runtime, mirror, finder, list(columns)

    def run(self, looks: Sequence[Look]) -> list[Seen]:
        """Return what is computed for each of some frames, in order."""
        frames = [_Frame(look, self._next) for look in looks]
        while unfinished := [frame for frame in frames if frame.wanted is not None]:
            logits, quality = self._runtime.run(np.stack([frame.start() for frame in unfinished]))
            for i, frame in enumerate(unfinished):
                frame.take(logits[i], quality[i])
        return [frame.seen for frame in frames]

    def run_each(self, looks: Iterable[Look]) -> Iterator[Seen]:
        """Yield what is computed for each frame, in order, as fast as possible for many.

        A further pass is computed as soon as it is known to be wanted, between the frames that follow.
        """
        stream = _Stream(_Frame(look, self._next) for look in looks)
        for logits, quality in self._runtime.run_each(stream.inputs()):
            stream.take(logits, quality)
            yield from stream.finished()
        while (image := stream.left_over()) is not None:
            logits, quality = self._runtime.run(image[np.newaxis])
            stream.take(logits[0], quality[0])
            yield from stream.finished()

    def _next(self, seen: Seen, *, closer: bool) -> _Pass | None:
        """Return the pass that is to follow a look; None if there is to be none.

        Args:
            seen: What was computed.
            closer: Whether that was a closer look already.
        """
        quality = seen.quality[self._columns]
        found = None if closer else self._finder.find(seen.logits[self._columns], quality, seen.placement)
        if found is not None:
            return _Pass(found.placement, closer=True, mirrored=found.mirrored)
        wanted = self._mirror.wants(quality, closer=closer)
        return _Pass(seen.placement, mirrored=not seen.mirrored, averaged=True) if wanted else None


@dataclass(frozen=True)
class _Pass:
    """One pass over a frame in some placement, or over its mirror image: a first or closer look, or one more.

    Attributes:
        placement: Where the frame lies in the input before that is mirrored.
        closer: Whether it counts in place of the look before it.
        mirrored: Whether its input is mirrored.
        averaged: Whether it is averaged with the look before it.
    """

    placement: Placement
    closer: bool = False
    mirrored: bool = False
    averaged: bool = False


class _Frame:
    """A frame under way: what was computed of it, and the pass that is wanted next."""

    def __init__(self, look: Look, follows: Callable[..., _Pass | None]) -> None:
        self._look, self._follows = look, follows
        self._seen: Seen | None = None
        self.wanted: _Pass | None = _Pass(look.placement)

    @property
    def seen(self) -> Seen:
        """What was computed; only once a pass was taken."""
        if self._seen is None:
            raise RuntimeError("no pass over this frame was computed")
        return self._seen

    def start(self) -> FloatArray:
        """Return the input of the wanted pass, float32 (1, size, size)."""
        if self.wanted is None:
            raise RuntimeError("no pass over this frame is wanted")
        wanted = self.wanted
        if wanted.averaged or wanted.closer:
            return self._look.again(wanted.placement, mirrored=wanted.mirrored)
        return self._look.prepare(wanted.placement)

    def take(self, logits: FloatArray, quality: FloatArray) -> None:
        """Take the result of the wanted pass, and find out which one is to follow."""
        done = self.wanted
        if done is None:
            raise RuntimeError("no pass over this frame was wanted")
        if done.mirrored:
            logits = _mirrored(logits)
        if done.averaged:
            before = self.seen
            merged = _merged(before.logits, before.quality, logits, quality)
            self._seen, self.wanted = Seen(*merged, done.placement, before.first), None
        else:
            first = self._seen if done.closer else None
            self._seen = Seen(logits, quality, done.placement, first, mirrored=done.mirrored)
            self.wanted = self._follows(self._seen, closer=done.closer)


class _Stream:
    """Frames under way, in their order, and the passes that were started for them, in theirs."""

    def __init__(self, coming: Iterator[_Frame]) -> None:
        self._coming = coming
        self._frames: deque[_Frame] = deque()
        self._started: deque[_Frame] = deque()
        self._again: deque[_Frame] = deque()

    def inputs(self) -> Iterator[FloatArray]:
        """Yield what is to be computed next: a further pass that is wanted, else the next frame."""
        while True:
            image = self.left_over()
            if image is None:
                frame = next(self._coming, None)
                if frame is None:
                    return
                self._frames.append(frame)
                self._started.append(frame)
                image = frame.start()
            yield image

    def left_over(self) -> FloatArray | None:
        """Return a further pass that is wanted and was not started, as started; None if there is none."""
        if not self._again:
            return None
        frame = self._again.popleft()
        self._started.append(frame)
        return frame.start()

    def take(self, logits: FloatArray, quality: FloatArray) -> None:
        """Take the result of the pass that was started first."""
        frame = self._started.popleft()
        frame.take(logits, quality)
        if frame.wanted is not None:
            self._again.append(frame)

    def finished(self) -> Iterator[Seen]:
        """Yield what is complete, as far as all before it is."""
        while self._frames and self._frames[0].wanted is None:
            yield self._frames.popleft().seen


def _mirrored(image: FloatArray) -> FloatArray:
    """Return the mirror image of arrays (..., W)."""
    return image[..., ::-1]


def _merged(
    logits: FloatArray, quality: FloatArray, other_logits: FloatArray, other_quality: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the weighted means of two passes: logits float32 (..., S, H, W) and quality float32 (..., S)."""
    ratio = np.clip(np.exp(_SHARPNESS * (other_quality - quality)), 1 / _LARGEST_RATIO, _LARGEST_RATIO)
    share = (ratio / (1.0 + ratio)).astype(np.float32)
    merged = logits + share[..., np.newaxis, np.newaxis] * (other_logits - logits)
    return merged, quality + share * (other_quality - quality)
