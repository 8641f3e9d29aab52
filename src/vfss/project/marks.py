# SPDX-License-Identifier: Apache-2.0
"""Marks: swallows and events that people set on a clip, append-only, each with its author.

The table is created with the first mark: a project without marks stays readable by all versions. The newest row of a
mark is the present one; changing or removing a mark appends a row, so that nothing a person set is ever lost.
`clips.swallows`, which exports read, is updated in the same transaction.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    Column,
    Connection,
    ForeignKey,
    Index,
    MetaData,
    Table,
    func,
    insert,
    inspect,
    select,
    update,
)

from vfss.errors import ConflictError, ProjectError
from vfss.events import SWALLOW
from vfss.project.column_types import MOST_FRAMES, BadValueError, Flag, LongWords, UtcTime, Whole, Words, name_columns
from vfss.project.database import Database
from vfss.project.records import RECORDING, Mark
from vfss.project.swallow_list import read_swallows
from vfss.project.tables import clips, keep_append_only

_own = MetaData()

marks = Table(
    "marks",
    _own,
    Column("id", Whole(), primary_key=True, autoincrement=True),
    Column("mark", Words(), nullable=False),  # rows of one mark share it
    Column("clip", Words(), ForeignKey(clips.c.id), nullable=False),
    Column("kind", Words(), CheckConstraint("kind <> ''"), nullable=False),
    Column("first", Whole(0, MOST_FRAMES - 1), CheckConstraint("first >= 0"), nullable=False),
    Column("last", Whole(0, MOST_FRAMES - 1)),
    Column("text", LongWords(), nullable=False),
    Column("removed", Flag(), nullable=False),
    Column("author", Words(), CheckConstraint("author <> ''"), nullable=False),
    Column("time", UtcTime(), nullable=False),
    CheckConstraint("last IS NULL OR last >= first", name="a_mark_does_not_end_before_it_begins"),
    Index("marks_of_a_clip", "clip", "mark", "id"),
    sqlite_autoincrement=True,
)

name_columns(_own)
keep_append_only(marks, "marks")


class Marks:
    """Sets, changes, removes and reads marks; each call is one transaction."""

    def __init__(self, database: Database) -> None:
        """Keep them in a database; nothing is written before the first mark is set."""
        self._database = database

    def of(self, clip_id: str) -> list[Mark]:
        """Return the present marks of a clip, by frame."""
        with self._database.reading() as connection:
            return self._present(connection, clip_id)

    def history(self, clip_id: str) -> list[Mark]:
        """Return all rows of a clip's marks, changed and removed ones too, oldest first."""
        with self._database.reading() as connection:
            return _rows(connection, clip_id)

    def last(self) -> int:
        """Return the id of the newest row, 0 if there is none; it grows whenever anyone changes a mark."""
        with self._database.reading() as connection:
            if not inspect(connection).has_table(marks.name):
                return 0
            return int(connection.execute(select(func.coalesce(func.max(marks.c.id), 0))).scalar_one())

    def set(self, clip_id: str, mark: Mark, *, author: str) -> Mark:
        """Append a mark, or a change of one that `of` returned.

        Args:
            clip_id: Content id of the clip.
            mark: Its new values; for a change with the `mark` and `id` of the one it changes.
            author: Person who sets it.

        Raises:
            ConflictError: Someone else changed this mark meanwhile; nothing was written.
            ProjectError: It does not fit the clip.
        """
        if not author.strip():
            raise ProjectError("a mark needs an author", remedy="Enter your name or initials.")
        with self._database.writing() as connection:
            _own.create_all(connection)
            self._check(connection, clip_id, mark)
            self._expect_unchanged(connection, clip_id, mark)
            present = self._present(connection, clip_id)
            _record_existing(connection, clip_id, present)
            written = replace(mark, mark=mark.mark or uuid.uuid4().hex, author=author, time=datetime.now(UTC))
            written = replace(written, id=_append(connection, clip_id, written))
            if mark.kind == SWALLOW:
                others = [other for other in present if other.mark != written.mark]
                _update_swallows(connection, clip_id, others if mark.removed else [*others, written])
        return written

    def remove(self, clip_id: str, mark: Mark, *, author: str) -> Mark:
        """Remove a mark; its history stays."""
        return self.set(clip_id, replace(mark, removed=True), author=author)

    def _present(self, connection: Connection, clip_id: str) -> list[Mark]:
        """Return the newest row of each mark, and the swallows that were set without one, by frame."""
        newest = {row.mark: row for row in _rows(connection, clip_id)}
        query = select(clips.c.swallows, clips.c.n_frames).where(clips.c.id == clip_id)
        clip = connection.execute(query).first()
        n_frames = 0 if clip is None else clip.n_frames
        listed = () if clip is None else read_swallows(clip.swallows, n_frames)
        wanted = {(swallow.first, swallow.last) for swallow in listed}
        for row in newest.values():
            if not row.first <= (row.first if row.last is None else row.last) < n_frames:
                raise BadValueError(f"marks has one from frame {row.first} to {row.last} of {n_frames}")
        present = [mark for mark in newest.values() if not mark.removed and _is_listed(mark, wanted)]
        known = {(mark.first, mark.last) for mark in present if mark.kind == SWALLOW}
        for first, last in wanted - known:
            name = f"{RECORDING}-{first}-{last}"
            present.append(Mark(SWALLOW, first, last, mark=name, id=newest[name].id if name in newest else 0))
        return sorted(present, key=lambda mark: (mark.first, mark.kind, mark.mark))

    def _check(self, connection: Connection, clip_id: str, mark: Mark) -> None:
        n_frames = connection.execute(select(clips.c.n_frames).where(clips.c.id == clip_id)).scalar()
        if n_frames is None:
            raise ProjectError(f"the project has no clip {clip_id}", remedy="Add the recording to the project first.")
        last = mark.first if mark.last is None else mark.last
        if not 0 <= mark.first <= last < n_frames:
            raise ProjectError(
                f"a mark from frame {mark.first + 1} to {last + 1} does not fit a clip of {n_frames} frames"
            )

    def _expect_unchanged(self, connection: Connection, clip_id: str, mark: Mark) -> None:
        query = select(marks).where(marks.c.clip == clip_id, marks.c.mark == mark.mark).order_by(marks.c.id.desc())
        newest: Any = connection.execute(query).first()
        untouched = newest is None or newest.id == mark.id or (mark.id == 0 and newest.author == RECORDING)
        if not untouched:
            raise ConflictError(
                f"{newest.author} changed this mark at {newest.time.astimezone():%Y-%m-%d %H:%M:%S}, after you opened "
                "the clip; your change was not written",
                frame=mark.first,
                remedy="Check the marks as they are now, then make the change again.",
            )


def _rows(connection: Connection, clip_id: str) -> list[Mark]:
    """Return all rows of a clip, oldest first."""
    if not inspect(connection).has_table(marks.name):
        return []
    rows = connection.execute(select(marks).where(marks.c.clip == clip_id).order_by(marks.c.id)).all()
    columns = ("kind", "first", "last", "text", "author", "time", "mark", "id", "removed")
    return [Mark(*(getattr(row, column) for column in columns)) for row in rows]


def _append(connection: Connection, clip_id: str, mark: Mark) -> int:
    row = {key: value for key, value in asdict(mark).items() if key != "id"}
    statement = insert(marks).returning(marks.c.id)
    return int(connection.execute(statement, [row | {"clip": clip_id}]).scalar_one())


def _record_existing(connection: Connection, clip_id: str, present: Iterable[Mark]) -> None:
    """Give swallows that came with the recording rows of their own, so that their history begins with them."""
    for swallow in present:
        if swallow.id == 0:
            _append(connection, clip_id, replace(swallow, author=RECORDING, time=datetime.now(UTC)))


def _update_swallows(connection: Connection, clip_id: str, present: Iterable[Mark]) -> None:
    complete = sorted({(m.first, m.last) for m in present if m.kind == SWALLOW and m.last is not None})
    swallows = [{"first": first, "last": last} for first, last in complete]
    connection.execute(update(clips).where(clips.c.id == clip_id).values(swallows=swallows))


def _is_listed(mark: Mark, wanted: set[tuple[int, int]]) -> bool:
    """Return False for a swallow that was removed from the clip's list without its mark."""
    return mark.kind != SWALLOW or mark.last is None or (mark.first, mark.last) in wanted
