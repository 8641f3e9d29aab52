# SPDX-License-Identifier: Apache-2.0
"""The index of a video: which packet is shown as which frame, and the segments that are decoded independently.

A segment is decoded by a decoder that has decoded nothing else, from its entry point on. So a frame depends on the
file and its number alone, whatever was read before, in a damaged file too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from vfss.clips.video.entry_points import Entry, Picture
from vfss.clips.video.packets import PacketReader, PacketTable
from vfss.clips.video.segments import Decoded, Order, OrderError, Segment, decoded, placed, settled

_PROBE_FRAMES = 12
"""Frames decoded on opening to check the order in the index: longer than the reordering of any encoder."""
_LOST_AT_MOST = 0.1
"""Share of packets without a frame that is taken for damage; where more give none, packets are no frames."""

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class VideoIndex:
    """Order of presentation, and entry points; with what was found out by decoding, for all who read the recording.

    Attributes:
        n_frames: Number of frames shown.
        ranks: int64 (P,) frame that each packet is shown as, -1 for never.
        order: Whether ranks or the decoder determine the order within a segment.
        entries: int64 (S,) packets at which decoding starts, the first is 0.
        entry_frames: int64 (S,) first frame of each segment, ascending.
        ends: int64 (S,) packet after the last one that the frames of a segment need.
        settled: Number of a segment to its order, where decoding contradicted `order`.
        damage: Frame to why it cannot be decoded, for those found so far.
    """

    n_frames: int
    ranks: Numbers
    order: Order
    entries: Numbers
    entry_frames: Numbers
    ends: Numbers
    settled: dict[int, Order] = field(default_factory=dict)
    damage: dict[int, str] = field(default_factory=dict)

    def segment_of(self, t: int) -> int:
        """Return the number of the segment that frame t belongs to."""
        return int(np.searchsorted(self.entry_frames, t, side="right")) - 1

    def segment(self, number: int) -> Segment:
        """Return a segment by its number."""
        last = number + 1 == len(self.entries)
        return Segment(
            start=int(self.entries[number]),
            end=int(self.ends[number]),
            first=int(self.entry_frames[number]),
            stop=self.n_frames if last else int(self.entry_frames[number + 1]),
        )


def build_index(reader: PacketReader, table: PacketTable) -> VideoIndex:
    """Return the kind of index that agrees with decoding the beginning; survey the stream if none does.

    Raises:
        ClipError: The container cannot be read.
    """
    candidates = [] if table.doubtful else _candidates(reader, table)
    for index in candidates:
        if reader.decoder.codec.intra_only or _agrees(reader, table, index):
            return index
    surveyed = _survey(reader, table)
    if candidates and surveyed.n_frames >= (1 - _LOST_AT_MOST) * candidates[0].n_frames:
        return candidates[0]
    return surveyed


def _candidates(reader: PacketReader, table: PacketTable) -> list[VideoIndex]:
    """Return the kinds of index that the packets allow, the most certain first."""
    shown = np.flatnonzero(table.shown)
    if not len(shown):
        return []
    if not reader.decoder.codec.reorder:
        return [_ranked(table, shown)]
    if table.pictures.any():
        return [_ranked(table, order) for order in _with_and_without_leading(_by_picture(table, shown), table)]
    found = []
    pts = table.pts[shown]
    invented = reader.format == "avi" and reader.codec in ("h264", "hevc")
    if table.timed[shown].all() and len(np.unique(pts)) == len(pts) and not invented:
        by_time = shown[np.argsort(pts)]
        if _respects_entries(by_time, table):
            found = [_ranked(table, order) for order in _with_and_without_leading(by_time, table)]
    if table.shown.all():
        found.append(_counted(table, _closed(reader, table)))
    return found


def _by_picture(table: PacketTable, shown: Numbers) -> Numbers:
    """Return packets in the order in which decoders of MPEG show them: anchors wait for the next one."""
    order: list[int] = []
    waiting = -1
    for number in shown.tolist():
        if table.pictures[number] == Picture.BIDIRECTIONAL:
            order.append(number)
            continue
        if waiting >= 0:
            order.append(waiting)
        waiting = number
    if waiting >= 0:
        order.append(waiting)
    return np.array(order, np.int64)


def _with_and_without_leading(order: Numbers, table: PacketTable) -> Iterator[Numbers]:
    """Yield the order, and the one without frames before the first entry point, which a cut may have left behind."""
    yield order
    entries = np.flatnonzero(table.entries != Entry.NONE)
    first = np.flatnonzero(order == (entries[0] if len(entries) else 0))
    if len(first) and first[0] > 0:
        yield order[int(first[0]) :]


def _respects_entries(order: Numbers, table: PacketTable) -> bool:
    """Return whether all frames before a closed entry point are shown before it; time stamps that do not say so lie."""
    ranks = np.full(len(table), -1, np.int64)
    ranks[order] = np.arange(len(order))
    closed = table.entries == Entry.CLOSED
    return bool((ranks > _shown_before(ranks))[closed & table.shown].all())


def _shown_before(ranks: Numbers) -> Numbers:
    before: Numbers = np.maximum.accumulate(np.concatenate([[-1], ranks[:-1]]))
    return before


def _ranked(table: PacketTable, order: Numbers) -> VideoIndex:
    """Return the index of packets shown in a known order."""
    ranks = np.full(len(table), -1, np.int64)
    ranks[order] = np.arange(len(order))
    # A packet is an entry point only if all frames decoded before it are shown before it.
    entries = np.flatnonzero((table.entries != Entry.NONE) & (ranks > _shown_before(ranks)) & (ranks > 0))
    entries = np.concatenate([[0], entries]).astype(np.int64)
    entry_frames = ranks[entries]
    entry_frames[0] = 0
    # The last packet of each segment: one that is shown before the next entry point, though it may come after it.
    segment_of = np.searchsorted(entry_frames, ranks, side="right") - 1
    ends = np.zeros(len(entries), np.int64)
    shown = ranks >= 0
    np.maximum.at(ends, segment_of[shown], np.flatnonzero(shown) + 1)
    return VideoIndex(len(order), ranks, Order(), entries, entry_frames, np.maximum(ends, entries + 1))


def _closed(reader: PacketReader, table: PacketTable) -> Numbers:
    """Return the entry points before which all earlier frames have been shown, whatever the order in between."""
    closed = table.entries == Entry.CLOSED
    if table.pictures.any():
        following = np.append(table.pictures[1:], Picture.ANCHOR)
        closed = (table.entries != Entry.NONE) & (following != Picture.BIDIRECTIONAL)
    elif not reader.decoder.codec.reorder:
        closed = table.entries != Entry.NONE
    return np.union1d(np.zeros(1, np.int64), np.flatnonzero(closed)).astype(np.int64)


def _counted(table: PacketTable, entries: Numbers) -> VideoIndex:
    """Return the index of packets that all give a frame, in an order known only by decoding."""
    ranks = np.arange(len(table), dtype=np.int64)
    ends = np.append(entries[1:], len(table))
    return VideoIndex(len(table), ranks, Order(counted=True), entries, entries.copy(), ends)


def _agrees(reader: PacketReader, table: PacketTable, index: VideoIndex) -> bool:
    try:
        for _ in islice(placed(reader, table, index.segment(0), index.ranks, index.order), _PROBE_FRAMES):
            pass
    except OrderError:
        return False
    return True


def _survey(reader: PacketReader, table: PacketTable) -> VideoIndex:
    """Decode everything once: slow, but right for streams whose packets do not determine which frames there are.

    Raises:
        ClipError: The container cannot be read.
    """
    entries = _closed(reader, table)
    ends = np.append(entries[1:], len(table))
    ranks = np.full(len(table), -1, np.int64)
    entry_frames = np.zeros(len(entries), np.int64)
    settled_orders: dict[int, Order] = {}
    n_frames = 0
    for number, (start, end) in enumerate(zip(entries.tolist(), ends.tolist(), strict=True)):
        entry_frames[number] = n_frames
        found = Decoded.of(decoded(reader, table, start, end))
        # Without reordering, what comes out after the last packet repeats a frame; at the end of the file it is shown.
        repeats = found.flushed if end < len(table) and not reader.decoder.reorder_depth else 0
        for packet in found.outputs[: len(found.outputs) - repeats]:
            if start <= packet < end and ranks[packet] < 0:
                ranks[packet] = n_frames
            n_frames += 1
        n_frames += len(set(found.errors) - set(found.outputs))
        silent = set(range(start, end)) - set(found.outputs) - set(found.errors)
        settled_orders[number] = Order(counted=True, settled=True, silent=frozenset(silent), silence_is_loss=False)
    kept = np.append(np.diff(np.append(entry_frames, n_frames)) > 0, [])[: len(entries)].astype(bool)
    kept[0] = True
    orders = {new: settled_orders[old] for new, old in enumerate(np.flatnonzero(kept).tolist())}
    return VideoIndex(
        n_frames, ranks, Order(counted=True), entries[kept], entry_frames[kept], ends[kept], settled=orders
    )


def frames_of(
    reader: PacketReader, table: PacketTable, index: VideoIndex, number: int
) -> Iterator[tuple[int, Any, str]]:
    """Yield all frames of a segment in order: index, av.VideoFrame or None, and why it cannot be used ("" if it can).

    Raises:
        ClipError: The container cannot be read.
    """
    segment = index.segment(number)
    given = segment.first
    while True:
        order = index.settled.get(number, index.order)
        try:
            for t, frame, damage in placed(reader, table, segment, index.ranks, order):
                if t >= given:
                    given = t + 1
                    yield t, frame, damage
            return
        except OrderError:
            index.settled[number] = settled(reader, table, segment, index.ranks, order)
