# SPDX-License-Identifier: Apache-2.0
"""Which decoded frames can be trusted: damage spreads to all that builds on it, until decoding could begin anew."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

GUESSED = "the decoder had to guess parts of it"
_MOST_REORDERED = 17
"""No codec in use shows a frame later than sixteen others that were decoded after it."""


class DamageWatch:
    """Judges the frames of one run of decoding.

    A frame is shown before frames that it builds on (B-frames), so a few frames are held back until all packets
    up to their own have been seen whole or damaged.
    """

    def __init__(
        self,
        damaged: dict[int, str],
        entries: npt.NDArray[np.int64],
        entry_frames: npt.NDArray[np.int64],
        expected: Iterator[int],
    ) -> None:
        """Watch a run.

        Args:
            damaged: Packets known to be damaged, with the reason; grows while packets are decoded.
            entries: int64 (E,) packets at which decoding may begin.
            entry_frames: int64 (E,) the frames they are shown as.
            expected: Numbers of the packets of this run that give frames, ascending.
        """
        self._damaged = damaged
        self._entries = entries
        self._entry_frames = entry_frames
        self._expected = expected
        self._awaited = next(expected, None)
        self._early: set[int] = set()
        self._held: deque[tuple[int, int, Any]] = deque()

    def judge(self, t: int, number: int, frame: Any) -> Iterator[tuple[int, Any, str]]:
        """Take the next frame shown, from packet `number`; give those that can be judged now, as `flush` does."""
        if frame.is_corrupt:
            self._damaged.setdefault(number, GUESSED)
        self._early.add(number)
        while self._awaited is not None and (self._awaited in self._early or self._awaited in self._damaged):
            self._early.discard(self._awaited)
            self._awaited = next(self._expected, None)
        self._held.append((t, number, frame))
        while self._held and (
            self._awaited is None or self._held[0][1] < self._awaited or len(self._held) > _MOST_REORDERED
        ):
            yield self._verdict()

    def flush(self) -> Iterator[tuple[int, Any, str]]:
        """Frames still held back at the end: index, frame, and why it cannot be trusted, empty where it can."""
        while self._held:
            yield self._verdict()

    def _verdict(self) -> tuple[int, Any, str]:
        t, number, frame = self._held.popleft()
        if not self._damaged:
            return t, frame, ""
        if number in self._damaged:
            return t, frame, self._damaged[number]
        clean = (self._entries <= number) & (self._entry_frames <= t)
        since = int(self._entries[clean].max(initial=0))
        if any(since <= packet < number for packet in self._damaged):
            return t, frame, "it builds on a damaged frame before it"
        return t, frame, ""
