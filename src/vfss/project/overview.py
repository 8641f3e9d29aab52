# SPDX-License-Identifier: Apache-2.0
"""A whole clip at a glance: how sure the student was of every mask, and all masks streamed in the order of frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sqlalchemy import func, select

from vfss.masks import BoxedMask, MaskState, unpack_box
from vfss.project.database import Database
from vfss.project.provenance import UNCONFIRMED
from vfss.project.revision_reader import RevisionReader
from vfss.project.tables import present, revisions, structures
from vfss.schema import Schema

_FRAMES_AT_ONCE = 64  # a few megabytes of packed masks, and the database is not held for long


@dataclass(frozen=True)
class FramePlanes:
    """All that is known of the pixels of one frame.

    Attributes:
        frame: Zero-based frame index.
        planes: Of each structure in the order of planes its mask, None where nobody has said what is there.
    """

    frame: int
    planes: tuple[BoxedMask | None, ...]


@dataclass(frozen=True)
class Changes:
    """What was written after some revision.

    Attributes:
        last: Id of the newest revision of the clip, or the one asked from where there is none.
        frames: Frames that changed, ascending.
        confidence: The student's word of each new proposal, by (frame, plane), 0..1, NaN where it gave none.
    """

    last: int
    frames: tuple[int, ...]
    confidence: dict[tuple[int, int], float]


NOTHING = BoxedMask(0, 0, np.zeros((0, 0), np.bool_))
"""Mask of a structure that is known to have no pixels."""


class Overview:
    """Reads what a strip of the whole clip needs; safe to use from a thread beside the one that writes."""

    def __init__(self, database: Database, schema: Schema) -> None:
        """Read from that database, whose planes are in the order of the schema."""
        self._database = database
        self._schema = schema
        self._reader = RevisionReader(database, schema)

    def confidences(self, clip_id: str) -> tuple[npt.NDArray[np.float32], int]:
        """Confidence of the newest proposal of every structure on every frame, and the newest revision it includes.

        Returns:
            float32 (n_frames, S), 0..1, NaN where there is no proposal; and an id to ask `changes` from.
        """
        n_frames, _, _ = self._reader.extent(clip_id)
        confidence = np.full((n_frames, len(self._schema)), np.nan, np.float32)
        newest = (
            select(func.max(revisions.c.id).label("id"))
            .where(revisions.c.clip == clip_id, revisions.c.origin.in_(UNCONFIRMED))
            .group_by(revisions.c.frame, revisions.c.structure)
            .subquery()
        )
        query = (
            select(revisions.c.frame, structures.c.plane, revisions.c.confidence)
            .join_from(newest, revisions, newest.c.id == revisions.c.id)
            .join(structures, structures.c.key == revisions.c.structure)
        )
        with self._database.reading() as connection:
            last = connection.execute(select(func.coalesce(func.max(revisions.c.id), 0))).scalar_one()
            rows = connection.execute(query).all()
        if rows:
            frame, plane, value = zip(*rows, strict=True)
            confidence[np.array(frame), np.array(plane)] = np.array(value, np.float32)
        return confidence, int(last)

    def changes(self, clip_id: str, since: int) -> Changes:
        """What was written to a clip after a revision, by whomever."""
        query = (
            select(revisions.c.id, revisions.c.frame, structures.c.plane, revisions.c.origin, revisions.c.confidence)
            .join_from(revisions, structures)
            .where(revisions.c.id > since, revisions.c.clip == clip_id)
            .order_by(revisions.c.id)
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        words = {
            (row.frame, row.plane): float("nan") if row.confidence is None else float(row.confidence)
            for row in rows
            if row.origin in UNCONFIRMED
        }
        return Changes(max((row.id for row in rows), default=since), tuple(sorted({row.frame for row in rows})), words)

    def author(self, clip_id: str, frame: int, plane: int) -> str | None:
        """Who wrote the newest word on a structure of a frame: a person, or the id of a student; None: nobody."""
        query = (
            select(revisions.c.author)
            .join_from(present, revisions, present.c.revision == revisions.c.id)
            .where(present.c.clip == clip_id, present.c.frame == frame, present.c.plane == plane)
        )
        with self._database.reading() as connection:
            author: str | None = connection.execute(query).scalar()
        return author

    def planes(self, clip_id: str, first: int = 0, last: int | None = None) -> Iterator[FramePlanes]:
        """Masks of the frames first..last (inclusive; None: the clip's last), one frame after another.

        Memory holds the packed masks of a few dozen frames, however long the clip.

        Raises:
            MaskError: A stored plane is damaged.
        """
        n_frames, _, _ = self._reader.extent(clip_id)
        last = n_frames - 1 if last is None else min(last, n_frames - 1)
        for start in range(max(0, first), last + 1, _FRAMES_AT_ONCE):
            yield from self._chunk(clip_id, start, min(start + _FRAMES_AT_ONCE - 1, last))

    def _chunk(self, clip_id: str, first: int, last: int) -> Iterator[FramePlanes]:
        query = (
            select(present.c.frame, present.c.plane, present.c.state, revisions.c.mask)
            .join_from(present, revisions, present.c.revision == revisions.c.id)
            .where(present.c.clip == clip_id, present.c.frame.between(first, last))
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        found: dict[int, list[BoxedMask | None]] = {}
        for frame, plane, state, packed in rows:
            planes = found.setdefault(frame, [None] * len(self._schema))
            planes[plane] = _mask(MaskState(state), packed)
        for frame in range(first, last + 1):
            yield FramePlanes(frame, tuple(found.get(frame, [None] * len(self._schema))))


def _mask(state: MaskState, packed: bytes | None) -> BoxedMask | None:
    if packed is not None:
        return unpack_box(packed)
    return NOTHING if state == MaskState.EMPTY else None
