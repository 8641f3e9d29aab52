# SPDX-License-Identifier: Apache-2.0
"""The index of a video: which packet is shown as which frame, derived from the packets and checked by decoding."""

from __future__ import annotations

import itertools
import zlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vfss.clips.video.entry_points import Entry
from vfss.clips.video.packets import PacketReader, PacketTable

CONCEALED = "the decoder had to conceal errors in it"
_MAX_REORDERED = 17
"""No codec in use delays a frame by more than sixteen others that were decoded after it."""
_PROBE_FRAMES = 12
"""Frames decoded on opening to check the order in the index: longer than the reordering of any encoder."""


class DisagreementError(Exception):
    """Decoding gave another order or number of frames than the index; callers try the next kind of index."""


@dataclass(frozen=True)
class VideoIndex:
    """Order of presentation, and entry points.

    Attributes:
        n_frames: Number of frames shown.
        ranks: int64 (P,) frame that each packet is shown as, -1 for never; None if the order is known only by
            decoding; then the frames between two entry points are the packets between them.
        entries: int64 (E,) packets at which decoding can start, including the first of the stream.
        entry_frames: int64 (E,) the frame that each of them is shown as, ascending.
        checks: uint32 (T,) checksum of the first plane of each frame in sequential decoding; None if not surveyed.
    """

    n_frames: int
    ranks: npt.NDArray[np.int64] | None
    entries: npt.NDArray[np.int64]
    entry_frames: npt.NDArray[np.int64]
    checks: npt.NDArray[np.uint32] | None = None

    def entry_for(self, t: int) -> int:
        """Return the number of the entry point from which frame t is reached soonest."""
        return int(np.searchsorted(self.entry_frames, t, side="right")) - 1


def agreed_index(reader: PacketReader, table: PacketTable) -> VideoIndex:
    """Return the first kind of index that agrees with decoding the beginning; survey the stream if none does.

    Raises:
        ClipError: The container cannot be read.
    """
    if table.doubtful:
        return survey(reader, table)
    for index in (_by_time(reader, table), _by_entry(reader, table)):
        if index is not None and _agrees(reader, table, index):
            return index
    return survey(reader, table)


def other_index(reader: PacketReader, table: PacketTable, failed: VideoIndex) -> VideoIndex:
    """Return the index to use after `failed` has disagreed with decoding.

    Raises:
        ClipError: The container cannot be read.
    """
    if failed.ranks is not None and failed.checks is None:
        index = _by_entry(reader, table)
        if index is not None and index.n_frames == failed.n_frames and _agrees(reader, table, index):
            return index
    if failed.checks is not None:
        return VideoIndex(failed.n_frames, failed.ranks, np.zeros(1, np.int64), np.zeros(1, np.int64), failed.checks)
    return survey(reader, table)


def _by_time(reader: PacketReader, table: PacketTable) -> VideoIndex | None:
    """Index by presentation time stamps; None if they are missing, duplicated or invented by libav."""
    numbers = np.flatnonzero(table.shown)
    pts = table.pts[numbers]
    invented = reader.format == "avi" and reader.codec in ("h264", "hevc")
    if invented or not len(numbers) or not table.timed[numbers].all() or len(np.unique(pts)) != len(pts):
        return None
    ranks = np.full(len(table), -1, np.int64)
    ranks[numbers[np.argsort(pts)]] = np.arange(len(numbers))
    # A packet is an entry point only if all frames decoded before it are shown before it.
    shown_before = np.maximum.accumulate(np.concatenate([[-1], ranks[:-1]]))
    entries = np.flatnonzero((table.entries != Entry.NONE) & (ranks > shown_before))
    if not len(entries) or entries[0] != 0 or ranks[entries[0]] != 0:
        entries = np.concatenate([[0], entries[ranks[entries] > 0]]).astype(np.int64)
    entry_frames = ranks[entries]
    entry_frames[0] = 0
    return VideoIndex(len(numbers), ranks, entries, entry_frames)


def _by_entry(reader: PacketReader, table: PacketTable) -> VideoIndex | None:
    """Index by closed entry points: the frames between two are the packets between them, in the decoder's order."""
    if not table.shown.all():
        return None
    closed = table.entries == Entry.CLOSED
    if reader.codec not in ("h264", "hevc") and not reader.reorders:
        closed = table.entries != Entry.NONE
    entries = np.union1d(np.zeros(1, np.int64), np.flatnonzero(closed)).astype(np.int64)
    return VideoIndex(len(table), None, entries, entries)


def _agrees(reader: PacketReader, table: PacketTable, index: VideoIndex) -> bool:
    try:
        for _ in itertools.islice(presented(reader, table, index, 0), _PROBE_FRAMES):
            pass
    except DisagreementError:
        return False
    return True


def survey(reader: PacketReader, table: PacketTable) -> VideoIndex:
    """Decode everything once, in order: slow, but right for streams whose packets do not determine their order.

    Raises:
        ClipError: The container cannot be read.
    """
    ranks = np.full(len(table), -1, np.int64)
    checks: list[int] = []
    for number, frame in reader.decode_from(table, 0):
        if 0 <= number < len(table):
            ranks[number] = len(checks)
        checks.append(plane_check(frame))
    is_entry = (table.entries != Entry.NONE) & (ranks > np.maximum.accumulate(np.concatenate([[-1], ranks[:-1]])))
    entries = np.flatnonzero(is_entry)
    entries = np.concatenate([[0], entries[ranks[entries] > 0]]).astype(np.int64)
    entry_frames = ranks[entries]
    entry_frames[0] = 0
    return VideoIndex(len(checks), ranks, entries, entry_frames, np.array(checks, np.uint32))


def presented(
    reader: PacketReader, table: PacketTable, index: VideoIndex, entry: int
) -> Iterator[tuple[int, Any, str]]:
    """Yield the frames from an entry point on: index, av.VideoFrame, and why it cannot be trusted ("" if it can).

    Frames that the decoder does not return at all are left out.

    Raises:
        DisagreementError: Decoding contradicts the index.
        ClipError: The container cannot be read.
    """
    first, packet = int(index.entry_frames[entry]), int(index.entries[entry])
    if index.ranks is None:
        expected = iter(range(packet, len(table)))
    else:
        expected = iter((np.flatnonzero(index.ranks[packet:] >= first) + packet).tolist())
    watch = DamageWatch(reader.damaged, index.entries, index.entry_frames, expected)
    for t, number, frame in _ranked(reader, table, index, entry):
        yield from watch.add(t, number, frame)
    yield from watch.flush()


def _ranked(reader: PacketReader, table: PacketTable, index: VideoIndex, entry: int) -> Iterator[tuple[int, int, Any]]:
    """Yield frame index, packet number and frame from an entry point on, as long as decoding agrees with the index."""
    first = int(index.entry_frames[entry])
    position = first - 1
    entry_at = dict(zip(index.entries.tolist(), index.entry_frames.tolist(), strict=True))
    for number, frame in reader.decode_from(table, int(index.entries[entry])):
        if not 0 <= number < len(table):
            raise DisagreementError
        if index.ranks is None:
            t = position + 1
            if entry_at.get(number, t) != t or t >= index.n_frames:
                raise DisagreementError
        else:
            t = int(index.ranks[number])
            if t < first:
                continue  # leading pictures of an open entry point, or never shown
            if t <= position or (t > position + 1 and not reader.damaged and index.checks is None):
                raise DisagreementError
        position = t
        yield t, number, frame
    if position != index.n_frames - 1 and index.checks is None and (index.ranks is None or not reader.damaged):
        raise DisagreementError


class DamageWatch:
    """Decides which frames of one decoding run can be trusted.

    A frame can be shown before frames that it depends on (B-frames), so a few frames are held back until all packets
    up to their own have been decoded or found damaged.
    """

    def __init__(
        self,
        damaged: dict[int, str],
        entries: npt.NDArray[np.int64],
        entry_frames: npt.NDArray[np.int64],
        expected: Iterator[int],
    ) -> None:
        """Start with no frames.

        Args:
            damaged: Packets known to be damaged, with the reason; grows during decoding.
            entries: int64 (E,) packets at which decoding can start.
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

    def add(self, t: int, number: int, frame: Any) -> Iterator[tuple[int, Any, str]]:
        """Add the next frame shown, from packet `number`; yield the frames that are decided now, as `flush` does."""
        if frame.is_corrupt:
            self._damaged.setdefault(number, CONCEALED)
        self._early.add(number)
        while self._awaited is not None and (self._awaited in self._early or self._awaited in self._damaged):
            self._early.discard(self._awaited)
            self._awaited = next(self._expected, None)
        self._held.append((t, number, frame))
        while self._held and (
            self._awaited is None or self._held[0][1] < self._awaited or len(self._held) > _MAX_REORDERED
        ):
            yield self._verdict()

    def flush(self) -> Iterator[tuple[int, Any, str]]:
        """Yield the frames still held back at the end: index, frame, and why it cannot be trusted ("" if it can)."""
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
            return t, frame, "it depends on a damaged frame before it"
        return t, frame, ""


def plane_check(frame: Any) -> int:
    """Return the checksum of the first plane of an av.VideoFrame without padding."""
    plane = frame.planes[0]
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: plane.height]
    width = min(plane.line_size, plane.buffer_size // max(1, plane.height), plane.width * _pixel_bytes(frame))
    return zlib.crc32(rows[:, :width].tobytes())


def _pixel_bytes(frame: Any) -> int:
    return (
        max(1, int(frame.format.padded_bits_per_pixel) // 8)
        if len(frame.planes) == 1
        else (2 if frame.format.components[0].bits > 8 else 1)
    )
