# SPDX-License-Identifier: Apache-2.0
"""The second pass of a student, over the mirror image of a frame: logits and quality are weighted means of both.

Where the frame is noisy and its neighbours are known, the mirror image is that of their median (see
vfss.student.temporal_median): two different views of the same moment tell more than one picture twice. For each
structure the pass that estimates its mask to be better weighs more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vfss.student.mirror_policy import MirrorPolicy
from vfss.student.runtime import Runtime

FloatArray = npt.NDArray[np.float32]

_SHARPNESS, _LARGEST_RATIO = 8.0, 10.0
"""The ratio of the weights of two passes is exp(8 x the difference of their estimated Dice), at most 10."""


@dataclass(frozen=True, eq=False)
class Look:
    """What a student sees of one frame.

    Attributes:
        image: float32 (1, size, size), the frame as network input.
        steadied: Returns a less noisy input of the same moment, for the second pass, or None: the image itself.
    """

    image: FloatArray
    steadied: Callable[[], FloatArray | None] | None = None

    def second(self) -> FloatArray:
        """Return the input of the second pass, float32 (1, size, size): a mirror image."""
        steadied = None if self.steadied is None else self.steadied()
        return np.ascontiguousarray(_mirrored(self.image if steadied is None else steadied))


class MirroredRuntime:
    """Computes single passes with a runtime, and adds the mirror image where it is wanted."""

    def __init__(self, runtime: Runtime, mirror: MirrorPolicy, columns: Sequence[int]) -> None:
        """Wrap a runtime.

        Args:
            runtime: Computes single passes.
            mirror: Where the mirror image is computed too.
            columns: Structures whose quality tells whether a pass is unsure: those that the student has learnt.
        """
        self._runtime, self._mirror, self._columns = runtime, mirror, list(columns)

    def run(self, looks: Sequence[Look]) -> tuple[FloatArray, FloatArray]:
        """Return logits float32 (N, S, size/4, size/4) and quality float32 (N, S) of N frames."""
        logits, quality = self._runtime.run(np.stack([look.image for look in looks]))
        again = [i for i in range(len(looks)) if self._wants(quality[i])]
        if again:
            other_logits, other_quality = self._runtime.run(np.stack([looks[i].second() for i in again]))
            merged = _merged(logits[again], quality[again], _mirrored(other_logits), other_quality)
            logits[again], quality[again] = merged
        return logits, quality

    def run_each(self, looks: Iterable[Look]) -> Iterator[tuple[FloatArray, FloatArray]]:
        """Yield logits and quality of each frame, in order, as fast as possible for many.

        A mirror image is computed as soon as it is known to be wanted, between the frames that follow.
        """
        stream = _Stream(iter(looks), always=self._mirror.when == "always")
        for logits, quality in self._runtime.run_each(stream.inputs()):
            stream.take(logits, quality, wanted=self._wants(quality))
            yield from stream.finished()
        while (image := stream.left_over()) is not None:
            logits, quality = self._runtime.run(image[np.newaxis])
            stream.take(logits[0], quality[0], wanted=False)
            yield from stream.finished()

    def _wants(self, quality: FloatArray) -> bool:
        return self._mirror.wants(quality[self._columns])


@dataclass
class _Frame:
    """A frame under way, and its first pass once that is computed."""

    look: Look
    logits: FloatArray | None = None
    quality: FloatArray | None = None
    finished: bool = False


class _Stream:
    """Frames under way, in their order, and the passes that were started for them, in theirs."""

    def __init__(self, looks: Iterator[Look], *, always: bool) -> None:
        self._looks, self._always = looks, always
        self._frames: deque[_Frame] = deque()
        self._started: deque[_Frame] = deque()
        self._again: deque[_Frame] = deque()

    def inputs(self) -> Iterator[FloatArray]:
        """Yield what is to be computed next: a mirror image that is wanted, else the next frame."""
        while True:
            image = self.left_over()
            if image is None:
                look = next(self._looks, None)
                if look is None:
                    return
                frame, image = _Frame(look), look.image
                self._frames.append(frame)
                self._started.append(frame)
                if self._always:
                    self._again.append(frame)
            yield image

    def left_over(self) -> FloatArray | None:
        """Return a mirror image that is wanted and was not started, as started; None if there is none."""
        if not self._again:
            return None
        frame = self._again.popleft()
        self._started.append(frame)
        return frame.look.second()

    def take(self, logits: FloatArray, quality: FloatArray, *, wanted: bool) -> None:
        """Take the result of the pass that was started first; `wanted`: its mirror image is to be computed."""
        frame = self._started.popleft()
        if frame.logits is None or frame.quality is None:
            frame.logits, frame.quality, frame.finished = logits, quality, not wanted
            if wanted and not self._always:
                self._again.append(frame)
        else:
            frame.logits, frame.quality = _merged(frame.logits, frame.quality, _mirrored(logits), quality)
            frame.finished = True

    def finished(self) -> Iterator[tuple[FloatArray, FloatArray]]:
        """Yield the results that are complete, as far as all before them are."""
        while self._frames and self._frames[0].finished:
            frame = self._frames.popleft()
            if frame.logits is not None and frame.quality is not None:
                yield frame.logits, frame.quality


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
