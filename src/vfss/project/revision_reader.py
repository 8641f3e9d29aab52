# SPDX-License-Identifier: Apache-2.0
"""Reading revisions: the present of a frame or a clip, the past of a structure, the work of others."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import Row, func, select

from vfss.errors import ProjectError
from vfss.masks import ByteArray, Masks, MaskState, unpack_mask
from vfss.project.database import Database
from vfss.project.records import UNCONFIRMED, Revision
from vfss.project.tables import clips, columns_of, present, revisions, structures
from vfss.schema import Schema
from vfss.student.prompts import Prompts

_STATES_PER_NUMBER = 20  # of three bits each in the 63 of a database's integer
_TRUTH = [int(state) for state in MaskState if state.is_truth]


class RevisionReader:
    """Reads revisions; each call sees one moment of the project and never waits for a writer."""

    def __init__(self, database: Database, schema: Schema) -> None:
        """Read from that database, whose planes are in the order of the schema."""
        self._database = database
        self._schema = schema
        self._columns = columns_of(revisions, database.layout)

    def newest(self, clip_id: str, frame: int) -> dict[str, Revision]:
        """Newest revision of every structure of a frame, in the order of planes; those without any are absent."""
        query = (
            select(*self._columns)
            .join_from(present, revisions, present.c.revision == revisions.c.id)
            .where(present.c.clip == clip_id, present.c.frame == frame)
            .order_by(present.c.plane)
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return {row.structure: as_revision(row, row.mask) for row in rows}

    def masks(self, clip_id: str, frame: int) -> Masks:
        """Planes and states of a frame; unseen where nothing was written."""
        query = (
            select(present.c.plane, present.c.state, revisions.c.mask)
            .join_from(present, revisions, present.c.revision == revisions.c.id)
            .where(present.c.clip == clip_id, present.c.frame == frame)
        )
        _, height, width = self.extent(clip_id)
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        masks = Masks.unseen(len(self._schema), height, width)
        for plane, state, packed in rows:
            masks.state[plane] = state
            if packed is not None:
                masks.planes[plane] = unpack_mask(packed)
        return masks

    def confidence(self, clip_id: str, frame: int) -> npt.NDArray[np.float32]:
        """Confidence of the newest proposal of every structure, float32 (S,), NaN where there is none."""
        ids = (
            select(func.max(revisions.c.id))
            .where(revisions.c.clip == clip_id, revisions.c.frame == frame, revisions.c.origin.in_(UNCONFIRMED))
            .group_by(revisions.c.structure)
        )
        query = select(structures.c.plane, revisions.c.confidence).join_from(revisions, structures)
        with self._database.reading() as connection:
            rows = connection.execute(query.where(revisions.c.id.in_(ids))).all()
        confidence = np.full(len(self._schema), np.nan, np.float32)
        for plane, value in rows:
            confidence[plane] = np.nan if value is None else value
        return confidence

    def states(self, clip_id: str) -> ByteArray:
        """State of every structure on every frame, uint8 (n_frames, S)."""
        n_frames, _, _ = self.extent(clip_id)
        n = len(self._schema)
        group = present.c.plane // _STATES_PER_NUMBER
        # Octal digits of one number, summed by the database: a tenth of the rows, a third of the time.
        digit = present.c.state.bitwise_lshift(present.c.plane % _STATES_PER_NUMBER * 3)
        query = select(present.c.frame, group, func.sum(digit)).where(present.c.clip == clip_id)
        with self._database.reading() as connection:
            rows = connection.execute(query.group_by(present.c.frame, group)).all()
        states = np.zeros((n_frames, -(-n // _STATES_PER_NUMBER), _STATES_PER_NUMBER), np.uint8)
        if rows:
            frame, part, number = np.array([tuple(row) for row in rows], np.int64).T
            states[frame, part] = number[:, None] >> (3 * np.arange(_STATES_PER_NUMBER)) & 7
        return states.reshape(n_frames, -1)[:, :n].copy()

    def annotated_frames(self, clip_id: str) -> list[int]:
        """Frames with at least one structure confirmed by a person, ascending."""
        query = select(present.c.frame).distinct().where(present.c.clip == clip_id, present.c.state.in_(_TRUTH))
        with self._database.reading() as connection:
            return list(connection.execute(query.order_by(present.c.frame)).scalars())

    def history(self, clip_id: str, frame: int, structure: str) -> list[Revision]:
        """All revisions of one structure on one frame, oldest first."""
        key = self._schema[structure].key
        query = select(*self._columns).where(
            revisions.c.clip == clip_id, revisions.c.frame == frame, revisions.c.structure == key
        )
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(revisions.c.id)).all()
        return [as_revision(row, row.mask) for row in rows]

    def changes_since(self, revision_id: int, clip_id: str | None = None) -> list[Revision]:
        """Revisions with a greater id, oldest first; a mask is fetched when it is read, as there may be many."""
        columns = [column for column in self._columns if column is not revisions.c.mask]
        query = select(*columns).where(revisions.c.id > revision_id).order_by(revisions.c.id)
        if clip_id is not None:
            query = query.where(revisions.c.clip == clip_id)
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return [
            as_revision(row, None if row.state not in WITH_PIXELS else partial(self._packed, row.id)) for row in rows
        ]

    def last(self) -> int:
        """Id of the newest revision of the project, 0 where there is none."""
        with self._database.reading() as connection:
            return int(connection.execute(select(func.coalesce(func.max(revisions.c.id), 0))).scalar_one())

    def extent(self, clip_id: str) -> tuple[int, int, int]:
        """Frames, rows and columns of a clip.

        Raises:
            ProjectError: The project has no such clip.
        """
        query = select(clips.c.n_frames, clips.c.height, clips.c.width).where(clips.c.id == clip_id)
        with self._database.reading() as connection:
            row = connection.execute(query).first()
        if row is None:
            raise ProjectError(
                f"the project has no clip {clip_id}",
                path=self._database.path.parent,
                remedy="Add the recording to the project first.",
            )
        return row.n_frames, row.height, row.width

    def _packed(self, revision_id: int) -> bytes | None:
        with self._database.reading() as connection:
            packed: bytes | None = connection.execute(
                select(revisions.c.mask).where(revisions.c.id == revision_id)
            ).scalar_one()
        return packed


WITH_PIXELS = frozenset({MaskState.PROPOSED, MaskState.EDITED, MaskState.ACCEPTED})
"""States in which a plane has pixels to keep; in the others it has none, and no mask is stored."""


def as_revision(row: Row[Any], packed: Any) -> Revision:
    """Revision of a row of the table, with its packed plane or a function that gets it."""
    return Revision(
        id=row.id,
        clip=row.clip,
        frame=row.frame,
        structure=row.structure,
        state=MaskState(row.state),
        author=row.author,
        time=row.time,
        origin=row.origin,
        student=row.student,
        confidence=row.confidence,
        prompts=None if row.prompts is None else Prompts.from_dict(row.prompts),
        packed=packed,
    )
