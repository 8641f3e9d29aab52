# SPDX-License-Identifier: Apache-2.0
"""Decoding of one segment of a video, and which of its frames can be used.

What comes out of a decoder is put in order either by the ranks of the packets or by the order in which it comes. Where
the two contradict each other, or frames are missing without an error, the whole segment is decoded once to settle it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from vfss.clips.library_errors import reason
from vfss.clips.video.entry_points import Entry
from vfss.clips.video.packets import PacketReader, PacketTable, disposable

CONCEALED = "the decoder had to conceal errors in it"
SILENT = "the decoder gives no picture for it"
DEPENDS = "it depends on a damaged frame before it"
INCOMPLETE = "bytes of it are missing"
UNPLACED = "its place after a damaged frame is not known"
_MAX_HELD = 20
"""Frames held back for one that is missing, before the segment is decoded to the end to learn whether it comes."""

Event = tuple[int, list[Any], str]
"""Number of a packet (-1 at the end of the segment), the frames that came out after it, and the error it raised."""


class OrderError(Exception):
    """Decoding contradicts the expected order or number of frames."""


@dataclass(frozen=True)
class Segment:
    """Packets start to end - 1, which give the frames first to stop - 1 and maybe some of the next segment."""

    start: int
    end: int
    first: int
    stop: int


@dataclass(frozen=True)
class Order:
    """How the frames of a segment get their places.

    Attributes:
        counted: In the order in which the decoder returns them, not by the ranks of their packets.
        settled: The whole segment was decoded to learn this; nothing can contradict it.
        silent: Packets that give no frame and no error.
        silence_is_loss: Whether those are damage; some streams have packets that repeat a frame.
    """

    counted: bool = False
    settled: bool = False
    silent: frozenset[int] = frozenset()
    silence_is_loss: bool = True


@dataclass(frozen=True)
class Decoded:
    """What decoding a whole segment gave.

    Attributes:
        outputs: Numbers of the packets of its frames, in the order in which these came out.
        flushed: How many of them came out after the last packet.
        errors: Errors by packet.
    """

    outputs: list[int]
    flushed: int
    errors: dict[int, str]

    @classmethod
    def of(cls, events: Iterable[Event]) -> Decoded:
        """Decode to the end and keep the numbers only."""
        outputs: list[int] = []
        errors: dict[int, str] = {}
        flushed = 0
        for number, frames, error in events:
            before = len(outputs)
            outputs += [n for n in map(packet_number, frames) if n not in outputs[-_MAX_HELD:]]
            if error and number >= 0:
                errors[number] = error
            flushed = len(outputs) - before
        return cls(outputs, flushed, errors)


def decoded(reader: PacketReader, table: PacketTable, start: int, end: int) -> Iterator[Event]:
    """Decode packets start to end - 1 with a decoder that has decoded nothing before.

    Raises:
        ClipError: The packets cannot be read.
    """
    # Leading pictures of an open entry point lack what they refer to, which must not stop the decoder.
    lenient = reader.codec in ("h264", "hevc") and table.entries[start] != Entry.CLOSED
    context = reader.decoder.fresh(lenient=lenient)
    for number, packet in reader.packets(table, start, end):
        try:
            frames, error = context.decode(packet), ""
        except av.FFmpegError as raised:
            frames, error = [], reason(raised)
        yield number, frames, error
    try:
        frames, error = context.decode(None), ""
    except av.FFmpegError as raised:
        frames, error = [], reason(raised)
    yield -1, frames, error


def packet_number(frame: Any) -> int:
    """Return the number of the packet that an av.VideoFrame was decoded from, -1 if it does not tell."""
    return -1 if frame.pts is None else int(frame.pts)


def settled(
    reader: PacketReader, table: PacketTable, segment: Segment, ranks: npt.NDArray[np.int64], order: Order
) -> Order:
    """Decode a whole segment, and return the order that holds for it.

    If nothing is damaged or missing, the decoder is right and time stamps were wrong; else ranks are all there is.
    """
    expected = _expected(segment, ranks)
    found = Decoded.of(decoded(reader, table, segment.start, segment.end))
    outputs = [number for number in found.outputs if number in set(expected)]
    complete = not found.errors and sorted(outputs) == expected == sorted(found.outputs)
    silent = frozenset(expected) - set(outputs) - set(found.errors)
    return replace(order, counted=order.counted or complete, settled=True, silent=silent)


def placed(
    reader: PacketReader, table: PacketTable, segment: Segment, ranks: npt.NDArray[np.int64], order: Order
) -> Iterator[tuple[int, Any, str]]:
    """Yield every frame of a segment in order: index, av.VideoFrame or None, and why it cannot be used ("" if it can).

    Raises:
        OrderError: Decoding contradicts an order that is not settled.
        ClipError: The packets cannot be read.
    """
    run = (_CountedRun if order.counted else _RankedRun)(reader, table, segment, ranks, order)
    for event in decoded(reader, table, segment.start, segment.end):
        yield from run.add(*event)
    yield from run.finish()


def _expected(segment: Segment, ranks: npt.NDArray[np.int64]) -> list[int]:
    """Return the packets that give the frames of a segment, ascending."""
    part = ranks[segment.start : segment.end]
    inside: list[int] = (np.flatnonzero((part >= segment.first) & (part < segment.stop)) + segment.start).tolist()
    return inside


class _Run:
    """Frames of one decoding run, held back until it is known whether they can be used.

    A frame can be shown before frames that it depends on (B-frames), so it is held until all packets up to its own
    have given their frame or an error.
    """

    def __init__(
        self,
        reader: PacketReader,
        table: PacketTable,
        segment: Segment,
        ranks: npt.NDArray[np.int64],
        order: Order,
    ) -> None:
        self._table = table
        self._segment = segment
        self._ranks = ranks
        self._order = order
        self._depth = reader.decoder.reorder_depth
        self._expected = _expected(segment, ranks)
        self._at = 0  # in `_expected`: the first packet that has given neither frame nor error
        self._position = segment.first - 1
        self._emitted = segment.first - 1
        self._seen: set[int] = set()
        self._held: deque[tuple[int, int, Any]] = deque()
        self.damaged: dict[int, str] = {}
        if order.silence_is_loss:
            self.damaged.update(dict.fromkeys(sorted(order.silent), SILENT))

    def hold(self, t: int, number: int, frame: Any) -> None:
        """Take a frame that came out at its place."""
        if frame.is_corrupt:
            self.damaged.setdefault(number, CONCEALED)
        if 0 <= number < len(self._table) and self._table.incomplete[number]:
            self.damaged.setdefault(number, INCOMPLETE)
        self._position = t
        self._seen.add(number)
        self._held.append((t, number, frame))

    def released(self) -> Iterator[tuple[int, Any, str]]:
        """Yield the frames that are decided by now."""
        while self._at < len(self._expected) and self._is_known(self._expected[self._at]):
            self._at += 1
        awaited = self._expected[self._at] if self._at < len(self._expected) else None
        while self._held and (awaited is None or self._held[0][1] < awaited):
            yield from self._release()
        if not self._order.settled and len(self._held) > _MAX_HELD:
            raise OrderError

    def _is_known(self, number: int) -> bool:
        return number in self._seen or number in self.damaged or number in self._order.silent

    def finish(self) -> Iterator[tuple[int, Any, str]]:
        """Yield what is left after the last event, up to the last frame of the segment."""
        if not self._order.settled and not self.damaged and self._position != self._segment.stop - 1:
            raise OrderError
        for number in self._expected[self._at :]:
            if not self._is_known(number):
                self.damaged[number] = SILENT
        while self._held:
            yield from self._release()
        yield from self._missing(self._segment.stop)

    def _release(self) -> Iterator[tuple[int, Any, str]]:
        t, number, frame = self._held.popleft()
        yield from self._missing(t)
        self._emitted = t
        yield t, frame, self._damage_of(number)

    def _missing(self, until: int) -> Iterator[tuple[int, Any, str]]:
        """Yield the frames before `until` that did not come out."""
        while self._emitted < until - 1:
            self._emitted += 1
            yield self._emitted, None, self._missing_reason(self._emitted)

    def _missing_reason(self, t: int) -> str:
        raise NotImplementedError

    def _damage_of(self, number: int) -> str:
        if not self.damaged:
            return ""
        if number in self.damaged:
            return self.damaged[number]
        before = (n for n in self.damaged if n < number and not disposable(self._table, n))
        return DEPENDS if any(True for _ in before) else ""


class _RankedRun(_Run):
    """Frames get their places by the ranks of their packets."""

    def add(self, number: int, frames: list[Any], error: str) -> Iterator[tuple[int, Any, str]]:
        """Take an event, and yield the frames that are decided now."""
        if error and not self._is_leading(number):
            self.damaged.setdefault(self._segment.end if number < 0 else number, error)
        for frame in frames:
            n = packet_number(frame)
            t = int(self._ranks[n]) if 0 <= n < len(self._ranks) else -1
            if n in self._seen or not self._segment.first <= t < self._segment.stop:
                continue  # repeated, hidden, of the next segment, or leading pictures of an open entry point
            if t <= self._position:
                if not self._order.settled:
                    raise OrderError
                continue
            if t > self._position + 1 and not self._order.settled and not self.damaged:
                raise OrderError
            self.hold(t, n, frame)
        yield from self.released()

    def _is_leading(self, number: int) -> bool:
        """Return whether a packet is shown before the segment: what it needs was not decoded, and nothing needs it."""
        return number > self._segment.start and self._ranks[number] < self._segment.first

    def _missing_reason(self, t: int) -> str:
        part = self._ranks[self._segment.start : self._segment.end]
        found = np.flatnonzero(part == t)
        number = int(found[0]) + self._segment.start if len(found) else -1
        return self.damaged.get(number) or (DEPENDS if self.damaged else SILENT)


class _CountedRun(_Run):
    """Frames get their places by counting, which ends at the first one that is lost."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._sent = self._returned = 0
        self._uncertain = False

    def add(self, number: int, frames: list[Any], error: str) -> Iterator[tuple[int, Any, str]]:
        """Take an event, and yield the frames that are decided now."""
        self._sent += number >= 0
        self._returned += len(frames)
        lost = bool(error) or (number in self._order.silent and self._order.silence_is_loss)
        if error:
            self.damaged.setdefault(self._segment.end if number < 0 else number, error)
        elif not self._order.settled and number >= 0 and not self.damaged and self._sent - self._returned > self._depth:
            raise OrderError
        for frame in frames:
            if not self._uncertain and self._position + 1 < self._segment.stop:
                n = packet_number(frame)
                if n not in self._seen:  # some decoders repeat a frame at the end
                    self.hold(self._position + 1, n, frame)
        self._uncertain |= lost
        yield from self.released()

    def _missing_reason(self, t: int) -> str:
        del t
        return next(iter(self.damaged.values()), UNPLACED) if len(self.damaged) == 1 else UNPLACED
