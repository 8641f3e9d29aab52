# SPDX-License-Identifier: Apache-2.0
"""The past of a project: who wrote what, page by page, and what stood at an earlier moment."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial

from sqlalchemy import func, select

from vfss.project.database import Database
from vfss.project.records import UNCONFIRMED, Revision
from vfss.project.revision_reader import WITH_PIXELS, as_revision
from vfss.project.tables import columns_of, revisions

_AT_ONCE = 400  # values in one statement


class Past:
    """Reads revisions without their masks, which are fetched one by one where somebody looks at them."""

    def __init__(self, database: Database) -> None:
        """Read from that database."""
        self._database = database
        self._columns = [column for column in columns_of(revisions, database.layout) if column.name != "mask"]

    def page(
        self, clip_id: str, place: tuple[int, str] | None = None, *, before: int | None = None, limit: int = 200
    ) -> list[Revision]:
        """Some revisions of a clip, newest first.

        Args:
            clip_id: Content id of the clip.
            place: Frame and structure key; None for all of the clip.
            before: Only revisions with a smaller id, to go on where the last page ended.
            limit: At most so many.
        """
        ids = select(revisions.c.id).where(revisions.c.clip == clip_id)
        if place is not None:
            ids = ids.where(revisions.c.frame == place[0], revisions.c.structure == place[1])
        if before is not None:
            ids = ids.where(revisions.c.id < before)
        # The index tells which they are; only those rows are read and sorted, not all of the clip.
        newest = ids.order_by(revisions.c.id.desc()).limit(limit)
        query = select(*self._columns).where(revisions.c.id.in_(newest)).order_by(revisions.c.id.desc())
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return [as_revision(row, self._fetching(row.id, row.state)) for row in rows]

    def before(self, revision: Revision) -> Revision | None:
        """What stood at a revision's place before it, None where it was the first."""
        found = self.page(revision.clip, (revision.frame, revision.structure), before=revision.id, limit=1)
        return found[0] if found else None

    def proposal(self, clip_id: str, frame: int, structure: str) -> Revision | None:
        """Newest proposal of a structure on a frame, an imported mask too; None where there is none."""
        query = select(*self._columns).where(
            revisions.c.clip == clip_id, revisions.c.frame == frame, revisions.c.structure == structure
        )
        query = query.where(revisions.c.origin.in_(UNCONFIRMED)).order_by(revisions.c.id.desc()).limit(1)
        with self._database.reading() as connection:
            row = connection.execute(query).first()
        return None if row is None else as_revision(row, self._fetching(row.id, row.state))

    def standing(self, clip_id: str, until: int | None = None) -> dict[tuple[int, str], Revision]:
        """Newest revision of every place of a clip, by frame and structure key.

        Args:
            clip_id: Content id of the clip.
            until: As it stood after that revision was written; None for the present.
        """
        newest = select(func.max(revisions.c.id)).where(revisions.c.clip == clip_id)
        if until is not None:
            newest = newest.where(revisions.c.id <= until)
        newest = newest.group_by(revisions.c.frame, revisions.c.structure)
        query = select(*self._columns).where(revisions.c.id.in_(newest)).order_by(revisions.c.frame, revisions.c.id)
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return {(row.frame, row.structure): as_revision(row, self._fetching(row.id, row.state)) for row in rows}

    def masks(self, ids: Collection[int]) -> dict[int, bytes]:
        """Packed masks of many revisions by their ids; those without pixels are absent."""
        wanted, found = sorted(ids), dict[int, bytes]()
        with self._database.reading() as connection:
            for some in (wanted[i : i + _AT_ONCE] for i in range(0, len(wanted), _AT_ONCE)):
                query = select(revisions.c.id, revisions.c.mask).where(
                    revisions.c.id.in_(some), revisions.c.state.in_(WITH_PIXELS), revisions.c.mask.is_not(None)
                )
                found |= {row.id: row.mask for row in connection.execute(query)}
        return found

    def _fetching(self, revision_id: int, state: int) -> partial[bytes | None] | None:
        return None if state not in WITH_PIXELS else partial(self._packed, revision_id)

    def _packed(self, revision_id: int) -> bytes | None:
        with self._database.reading() as connection:
            query = select(revisions.c.mask).where(revisions.c.id == revision_id)
            packed: bytes | None = connection.execute(query).scalar_one()
        return packed
