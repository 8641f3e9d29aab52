# SPDX-License-Identifier: Apache-2.0
"""Reading revisions: the newest ones of a frame or clip, and the log of all that was ever written."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import Integer, Row, Select, func, select, type_coerce

from vfss.errors import ProjectError
from vfss.masks import MOST_PIXELS, ByteArray, Masks, MaskState, unpack_mask
from vfss.project.column_types import BadValueError
from vfss.project.database import Database
from vfss.project.provenance import UNCONFIRMED, Provenance, read_old_author
from vfss.project.records import Revision
from vfss.project.tables import clips, columns_of, present, revisions, structures
from vfss.schema import Schema
from vfss.student.prompts import Prompts

_SIZE = (clips.c.n_frames, clips.c.height, clips.c.width)  # read with each revision, which must fit its clip
_PLACE = (revisions.c.clip, revisions.c.frame, revisions.c.structure, revisions.c.state)
SHOWN = (
    present.c.frame.label("shown_frame"),
    present.c.plane.label("shown_plane"),
    present.c.state.label("shown_state"),
)
"""Columns of `present` to read with those of its revision, for expect_agreement."""
_STATES_PER_NUMBER = 20  # of three bits each in the 63 of a database's integer
_AT_ONCE = 400  # values in one statement
_TRUTH = [int(state) for state in MaskState if state.is_truth]
WITH_PIXELS = frozenset({MaskState.PROPOSED, MaskState.EDITED, MaskState.ACCEPTED})
"""States in which a plane has pixels to keep; in the others it has none, and no mask is stored."""


class RevisionReader:
    """Reads what is now; each call sees one moment of the project and never waits for a writer."""

    def __init__(self, database: Database, schema: Schema) -> None:
        """Read from that database, whose planes are in the order of the schema."""
        self._database = database
        self._schema = schema
        self._columns = [*columns_of(revisions, database.layout), *_SIZE]

    def newest(self, clip_id: str, frame: int) -> dict[str, Revision]:
        """Return the newest revisions of a frame by structure key, in the order of planes."""
        query = (
            select(*self._columns, *SHOWN)
            .join_from(present, revisions, present.c.revision == revisions.c.id, isouter=True)
            .join(clips, clips.c.id == present.c.clip)
            .where(present.c.clip == clip_id, present.c.frame == frame)
            .order_by(present.c.plane)
        )
        with self._database.reading() as connection:
            rows: Sequence[Any] = connection.execute(query).all()
            expect_agreement(rows, clip_id, self._schema)
        return {row.structure: as_revision(row, row.mask) for row in rows}

    def masks(self, clip_id: str, frame: int) -> Masks:
        """Return planes bool (S, H, W) and states of a frame; unseen where nothing was written."""
        query = (
            select(*SHOWN, *_PLACE, revisions.c.mask)
            .join_from(present, revisions, present.c.revision == revisions.c.id, isouter=True)
            .where(present.c.clip == clip_id, present.c.frame == frame)
        )
        _, height, width = self.extent(clip_id)
        with self._database.reading() as connection:
            rows: Sequence[Any] = connection.execute(query).all()
            expect_agreement(rows, clip_id, self._schema)
        masks = Masks.unseen(len(self._schema), height, width)
        for row in rows:
            masks.state[row.shown_plane] = row.state
            if row.mask is not None:
                masks.planes[row.shown_plane] = unpack_mask(row.mask, (height, width))
        return masks

    def confidence(self, clip_id: str, frame: int) -> npt.NDArray[np.float32]:
        """Return the confidences of the newest proposals of a frame, float32 (S,), 0..1, NaN where there is none."""
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
        """Return the state of each structure on each frame, uint8 (n_frames, S), values of MaskState."""
        n_frames, _, _ = self.extent(clip_id)
        n = len(self._schema)
        group = present.c.plane // _STATES_PER_NUMBER
        # Octal digits of one number, summed by the database: a tenth of the rows, a third of the time.
        digit = type_coerce(present.c.state.bitwise_lshift(present.c.plane % _STATES_PER_NUMBER * 3), Integer)
        query = select(present.c.frame, group, func.sum(digit)).where(present.c.clip == clip_id)
        with self._database.reading() as connection:
            rows = connection.execute(query.group_by(present.c.frame, group)).all()
        states = np.zeros((n_frames, -(-n // _STATES_PER_NUMBER), _STATES_PER_NUMBER), np.uint8)
        if rows:
            frame, part, number = np.array([tuple(row) for row in rows], np.int64).T
            states[frame, part] = number[:, None] >> (3 * np.arange(_STATES_PER_NUMBER)) & 7
        return states.reshape(n_frames, -1)[:, :n].copy()

    def annotated_frames(self, clip_id: str) -> list[int]:
        """Return the frames with at least one structure accepted or declared empty by a person, ascending."""
        query = select(present.c.frame).distinct().where(present.c.clip == clip_id, present.c.state.in_(_TRUTH))
        with self._database.reading() as connection:
            return list(connection.execute(query.order_by(present.c.frame)).scalars())

    def history(self, clip_id: str, frame: int, structure: str) -> list[Revision]:
        """Return all revisions of one structure on one frame, oldest first."""
        key = self._schema[structure].key
        query = (
            select(*self._columns)
            .join_from(revisions, clips)
            .where(revisions.c.clip == clip_id, revisions.c.frame == frame, revisions.c.structure == key)
        )
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(revisions.c.id)).all()
        return [as_revision(row, row.mask) for row in rows]

    def changes_since(self, revision_id: int, clip_id: str | None = None) -> list[Revision]:
        """Return the revisions with a greater id, oldest first; masks, which may be many, are read when needed."""
        query = _log(self._database).where(revisions.c.id > revision_id).order_by(revisions.c.id)
        if clip_id is not None:
            query = query.where(revisions.c.clip == clip_id)
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return [as_revision(row, _lazy(self._database, row)) for row in rows]

    def last(self) -> int:
        """Return the id of the newest revision of the project, 0 where there is none."""
        with self._database.reading() as connection:
            return int(connection.execute(select(func.coalesce(func.max(revisions.c.id), 0))).scalar_one())

    def extent(self, clip_id: str) -> tuple[int, int, int]:
        """Return the number of frames, rows and columns of a clip.

        Raises:
            ProjectError: The project has no such clip.
        """
        query = select(clips.c.n_frames, clips.c.height, clips.c.width).where(clips.c.id == clip_id)
        with self._database.reading() as connection:
            row = connection.execute(query).first()
            if row is not None and row.height * row.width > MOST_PIXELS:
                raise BadValueError(f"clips.height and width are {row.height} and {row.width}")
        if row is None:
            raise ProjectError(
                f"the project has no clip {clip_id}",
                path=self._database.path.parent,
                remedy="Add the recording to the project first.",
            )
        return row.n_frames, row.height, row.width


class Past:
    """Reads the log of revisions; masks are read one by one, and only when they are asked for."""

    def __init__(self, database: Database) -> None:
        """Read from that database."""
        self._database = database

    def page(
        self, clip_id: str, place: tuple[int, str] | None = None, *, before: int | None = None, limit: int = 200
    ) -> list[Revision]:
        """Return some revisions of a clip, newest first.

        Args:
            clip_id: Content id of the clip.
            place: Frame and structure key; None for all of the clip.
            before: Only revisions with a smaller id, to continue where the last page ended.
            limit: Maximum number of revisions.
        """
        ids = select(revisions.c.id).where(revisions.c.clip == clip_id)
        if place is not None:
            ids = ids.where(revisions.c.frame == place[0], revisions.c.structure == place[1])
        if before is not None:
            ids = ids.where(revisions.c.id < before)
        # The ids come from the index alone, so that only these rows are read and sorted, not all of the clip.
        newest = ids.order_by(revisions.c.id.desc()).limit(limit)
        query = _log(self._database).where(revisions.c.id.in_(newest)).order_by(revisions.c.id.desc())
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return [as_revision(row, _lazy(self._database, row)) for row in rows]

    def before(self, revision: Revision) -> Revision | None:
        """Return the revision of the same structure and frame before a revision; None where it was the first."""
        earlier = self.page(revision.clip, (revision.frame, revision.structure), before=revision.id, limit=1)
        return earlier[0] if earlier else None

    def proposal(self, clip_id: str, frame: int, structure: str) -> Revision | None:
        """Return the newest proposal of a structure on a frame, which an import is too; None where there is none."""
        query = _log(self._database).where(
            revisions.c.clip == clip_id, revisions.c.frame == frame, revisions.c.structure == structure
        )
        query = query.where(revisions.c.origin.in_(UNCONFIRMED)).order_by(revisions.c.id.desc()).limit(1)
        with self._database.reading() as connection:
            row = connection.execute(query).first()
        return None if row is None else as_revision(row, _lazy(self._database, row))

    def standing(self, clip_id: str, until: int | None = None) -> dict[tuple[int, str], Revision]:
        """Return the newest revision of each structure on each frame of a clip, by frame and structure key.

        Args:
            clip_id: Content id of the clip.
            until: Id of the last revision to take into account; None for the newest.
        """
        newest = select(func.max(revisions.c.id)).where(revisions.c.clip == clip_id)
        if until is not None:
            newest = newest.where(revisions.c.id <= until)
        newest = newest.group_by(revisions.c.frame, revisions.c.structure)
        query = _log(self._database).where(revisions.c.id.in_(newest)).order_by(revisions.c.frame, revisions.c.id)
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return {(row.frame, row.structure): as_revision(row, _lazy(self._database, row)) for row in rows}

    def masks(self, ids: Collection[int]) -> dict[int, bytes]:
        """Return the packed masks of many revisions by their ids; those without pixels are absent."""
        wanted, masks = sorted(ids), dict[int, bytes]()
        with self._database.reading() as connection:
            for part in (wanted[i : i + _AT_ONCE] for i in range(0, len(wanted), _AT_ONCE)):
                query = select(revisions.c.id, revisions.c.mask).where(
                    revisions.c.id.in_(part), revisions.c.state.in_(WITH_PIXELS), revisions.c.mask.is_not(None)
                )
                masks |= {row.id: row.mask for row in connection.execute(query)}
        return masks


def _log(database: Database) -> Select[Any]:
    """Return a query for revisions without their masks, which may be many."""
    columns = [column for column in columns_of(revisions, database.layout) if column is not revisions.c.mask]
    return select(*columns, *_SIZE).join_from(revisions, clips)


def expect_agreement(rows: Iterable[Any], clip_id: str, schema: Schema) -> None:
    """Refuse rows in which `present` names a revision of another clip, frame, structure or state.

    Args:
        rows: Rows with the columns SHOWN, and clip, frame, structure and state of the revision.
        clip_id: Content id of the clip whose present they are.
        schema: Structures, in the order of planes.

    Raises:
        BadValueError: One of them does.
    """
    for row in rows:
        shown = (clip_id, row.shown_frame, schema.keys[row.shown_plane], row.shown_state)
        if (row.clip, row.frame, row.structure, row.state) != shown:
            raise BadValueError(
                f"present shows {shown[2]} on frame {row.shown_frame} with a revision of {row.structure} on frame "
                f"{row.frame}"
            )


def as_revision(row: Row[Any], packed: bytes | Callable[[], bytes | None] | None) -> Revision:
    """Return the revision of a row of the table, with its packed plane or a function that reads it."""
    if row.method is None:
        # A read-only project of a layout before 4, or a revision whose old author's name does not tell.
        provenance, _ = read_old_author(row.origin, row.author, row.student)
    else:
        frames = None if row.adapted_frames is None else tuple(row.adapted_frames)
        provenance = Provenance(row.method, row.source_frame, frames, row.adapted_count, row.student)
    named = max(row.frame, provenance.source_frame or 0, *(provenance.adapted_frames or (0,)))
    if named >= row.n_frames:
        raise ProjectError(
            f"the database is damaged (revision {row.id} names frame {named}, the clip has {row.n_frames} frames)",
            remedy="Restore the project from a backup, or ask for help before anything is written to its folder.",
        )
    return Revision(
        id=row.id,
        clip=row.clip,
        frame=row.frame,
        structure=row.structure,
        state=MaskState(row.state),
        author=row.author,
        time=row.time,
        origin=row.origin,
        provenance=provenance,
        confidence=row.confidence,
        prompts=None if row.prompts is None else Prompts.from_dict(row.prompts),
        packed=packed,
        shape=(row.height, row.width),
    )


def _lazy(database: Database, row: Row[Any]) -> Callable[[], bytes | None] | None:
    """Return a function that reads the packed plane of a row; None where its state has no pixels."""
    return partial(_read_packed, database, row.id) if row.state in WITH_PIXELS else None


def _read_packed(database: Database, revision_id: int) -> bytes | None:
    with database.reading() as connection:
        query = select(revisions.c.mask).where(revisions.c.id == revision_id)
        packed: bytes | None = connection.execute(query).scalar_one()
    return packed
