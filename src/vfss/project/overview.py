# SPDX-License-Identifier: Apache-2.0
"""Overview of a whole clip: the confidence of each proposal, and all masks streamed in the order of frames."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sqlalchemy import and_, case, func, select

from vfss.errors import ProjectError
from vfss.masks import BoxedMask, MaskState, unpack_box
from vfss.project.database import Database
from vfss.project.provenance import UNCONFIRMED
from vfss.project.revision_reader import SHOWN, RevisionReader, expect_agreement
from vfss.project.tables import present, revisions, structures
from vfss.schema import Schema

_FRAMES_AT_ONCE = 64  # a few megabytes of packed masks, and the database is not held for long


@dataclass(frozen=True)
class FramePlanes:
    """Masks of one frame.

    Attributes:
        frame: Zero-based frame index.
        planes: Mask of each structure, in the order of planes; None where there is none.
    """

    frame: int
    planes: tuple[BoxedMask | None, ...]


@dataclass(frozen=True)
class Changes:
    """Changes of a clip after some revision.

    Attributes:
        last: Id of the newest revision of the clip, or the one asked from where there is none.
        frames: Frames that changed, ascending.
        confidence: Confidence of each new proposal, by (frame, plane), 0..1, NaN where it has none.
    """

    last: int
    frames: tuple[int, ...]
    confidence: dict[tuple[int, int], float]


NOTHING = BoxedMask(0, 0, np.zeros((0, 0), np.bool_))
"""Mask of a structure that is known to have no pixels."""


class Overview:
    """Reads what a timeline of the whole clip needs; safe to use while another thread writes."""

    def __init__(self, database: Database, schema: Schema) -> None:
        """Read from a database whose planes are in the order of the schema."""
        self._database = database
        self._schema = schema
        self._reader = RevisionReader(database, schema)

    def confidences(self, clip_id: str) -> tuple[npt.NDArray[np.float32], int]:
        """Return the confidence of the newest proposals of all frames, and the newest revision that it includes.

        Returns:
            float32 (n_frames, S), 0..1, NaN where there is no proposal; and the id to give to `changes`.
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
            if max(frame) >= n_frames:
                raise ProjectError(f"the database is damaged (a revision is of frame {max(frame)} of {n_frames})")
            confidence[np.array(frame), np.array(plane)] = np.array(value, np.float32)
        return confidence, int(last)

    def changes(self, clip_id: str, since: int) -> Changes:
        """Return what was written to a clip after a revision, by any author."""
        query = (
            select(revisions.c.id, revisions.c.frame, structures.c.plane, revisions.c.origin, revisions.c.confidence)
            .join_from(revisions, structures)
            .where(revisions.c.id > since, revisions.c.clip == clip_id)
            .order_by(revisions.c.id)
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        confidence = {
            (row.frame, row.plane): float("nan") if row.confidence is None else float(row.confidence)
            for row in rows
            if row.origin in UNCONFIRMED
        }
        return Changes(
            max((row.id for row in rows), default=since), tuple(sorted({row.frame for row in rows})), confidence
        )

    def corrected(self, clip_id: str, frames: Collection[int] | None = None) -> dict[tuple[int, int], float]:
        """Return which proposals of a clip a person changed, by (frame, plane).

        Args:
            clip_id: Id of the clip.
            frames: Zero-based frames to look at; None: all.

        Returns:
            1 where the mask that is annotated now differs from the newest proposal or is not visible, 0 where it is the
            same; nothing where there is no proposal, or no annotation of it.
        """
        newest = (
            select(func.max(revisions.c.id).label("id"), revisions.c.frame, revisions.c.structure)
            .where(revisions.c.clip == clip_id, revisions.c.origin.in_(UNCONFIRMED))
            .group_by(revisions.c.frame, revisions.c.structure)
            .subquery()
        )
        proposed = revisions.alias()
        same = and_(
            revisions.c.mask.is_not_distinct_from(proposed.c.mask), revisions.c.state != int(MaskState.NOT_VISIBLE)
        )
        query = (
            select(present.c.frame, present.c.plane, case((same, 0.0), else_=1.0).label("corrected"))
            .join_from(present, revisions, present.c.revision == revisions.c.id)
            .join(newest, and_(newest.c.frame == revisions.c.frame, newest.c.structure == revisions.c.structure))
            .join(proposed, newest.c.id == proposed.c.id)
            .where(present.c.clip == clip_id, revisions.c.state > int(MaskState.PROPOSED))
        )
        if frames is not None:
            query = query.where(present.c.frame.in_(sorted(frames)))
        with self._database.reading() as connection:
            return {(row.frame, row.plane): row.corrected for row in connection.execute(query)}

    def author(self, clip_id: str, frame: int, plane: int) -> str | None:
        """Return the author of the newest revision of a structure on a frame; None where there is none."""
        query = (
            select(revisions.c.author)
            .join_from(present, revisions, present.c.revision == revisions.c.id)
            .where(present.c.clip == clip_id, present.c.frame == frame, present.c.plane == plane)
        )
        with self._database.reading() as connection:
            author: str | None = connection.execute(query).scalar()
        return author

    def planes(self, clip_id: str, first: int = 0, last: int | None = None) -> Iterator[FramePlanes]:
        """Yield the masks of the frames first..last (inclusive; None: the clip's last), one frame after another.

        Memory holds the packed masks of a few dozen frames, however long the clip.

        Raises:
            MaskError: A stored plane is damaged.
        """
        n_frames, height, width = self._reader.extent(clip_id)
        last = n_frames - 1 if last is None else min(last, n_frames - 1)
        for start in range(max(0, first), last + 1, _FRAMES_AT_ONCE):
            yield from self._chunk(clip_id, start, min(start + _FRAMES_AT_ONCE - 1, last), (height, width))

    def _chunk(self, clip_id: str, first: int, last: int, shape: tuple[int, int]) -> Iterator[FramePlanes]:
        query = (
            select(
                *SHOWN, revisions.c.clip, revisions.c.frame, revisions.c.structure, revisions.c.state, revisions.c.mask
            )
            .join_from(present, revisions, present.c.revision == revisions.c.id, isouter=True)
            .where(present.c.clip == clip_id, present.c.frame.between(first, last))
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
            expect_agreement(rows, clip_id, self._schema)
        masks: dict[int, list[BoxedMask | None]] = {}
        for row in rows:
            planes = masks.setdefault(row.frame, [None] * len(self._schema))
            planes[row.shown_plane] = _mask(MaskState(row.state), row.mask, shape)
        for frame in range(first, last + 1):
            yield FramePlanes(frame, tuple(masks.get(frame, [None] * len(self._schema))))


def _mask(state: MaskState, packed: bytes | None, shape: tuple[int, int]) -> BoxedMask | None:
    if packed is not None:
        return unpack_box(packed, shape)
    return NOTHING if state == MaskState.EMPTY else None
