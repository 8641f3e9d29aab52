# SPDX-License-Identifier: Apache-2.0
"""The worklist of a project: reads a row of facts per clip, and keeps who works on it and what is finished."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Subquery, Table, func, inspect, select, text, update

from vfss.clips import Swallow
from vfss.errors import ProjectError
from vfss.masks import MaskState
from vfss.project.database import Database
from vfss.project.path_text import text_to_path
from vfss.project.pixel_reviews import pixel_reviews
from vfss.project.provenance import Origin
from vfss.project.swallow_list import read_swallows
from vfss.project.tables import FINAL, clips, columns_of, frame_progress, present, revisions, tables_of
from vfss.project.worklist_row import WorklistRow
from vfss.schema import Schema

Ranges = list[tuple[int, int]]
BY_PERSONS: tuple[Origin, ...] = ("hand", "undo", "redo")
"""Origins of revisions that a person wrote."""


class Worklist:
    """Reads the rows of a project's clips and changes who works on them; each call is one transaction."""

    def __init__(self, database: Database, schema: Schema) -> None:
        """Read from a database whose planes are in the order of the schema."""
        self._database = database
        self._schema = schema

    def rows(self) -> list[WorklistRow]:
        """Return a row per clip, in the order in which they were added.

        Masks are counted by the database as they are written, so that this takes some 50 ms for 400 clips of 300
        frames; only a project that cannot be migrated, on a read-only disk, is counted mask by mask.

        Raises:
            ProjectError: The database cannot be read.
        """
        with self._database.reading() as connection:
            known = connection.execute(
                select(*columns_of(clips, self._database.layout)).order_by(clips.c.added, clips.c.id)
            ).all()
            interest = {row.id: _of_interest(read_swallows(row.swallows, row.n_frames), row.n_frames) for row in known}
            counts = self._counts(connection)
            complete = self._complete(connection, interest)
            newest = _newest(connection, [row.revision for row in counts.values()])
            reviewed = _reviewed(connection)
        facts = _Facts(len(self._schema), interest, counts, complete, newest, reviewed)
        return [facts.row(row) for row in known]

    def doubtful(self, clip_id: str, below: float) -> int:
        """Return how many proposals of a clip have a confidence below a value, 0..1, or none that is known.

        It reads the revision of each proposal, some milliseconds a clip: to be called in the background.
        """
        query = (
            select(func.count())
            .select_from(present)
            .join(revisions, present.c.revision == revisions.c.id)
            .where(
                present.c.clip == clip_id,
                present.c.state == int(MaskState.PROPOSED),
                func.coalesce(revisions.c.confidence, -1.0) < below,
            )
        )
        with self._database.reading() as connection:
            return int(connection.execute(query).scalar_one())

    def assign(self, clip_ids: Iterable[str], annotator: str | None) -> None:
        """Give clips to an annotator, by name; None or an empty name to nobody.

        Raises:
            ProjectError: There is no such clip, or the project cannot be written.
        """
        name = (annotator or "").strip() or None
        self._set(clip_ids, {"assigned_to": name})

    def declare_finished(self, clip_ids: Iterable[str], author: str) -> None:
        """Declare clips finished, whatever is still open in them; the author and the time are kept.

        A clip that was declared finished already keeps its author and time.

        Raises:
            ProjectError: The author is missing, there is no such clip, or the project cannot be written.
        """
        if not author.strip():
            raise ProjectError(
                "who declares a clip finished needs a name", remedy="Enter your name or initials in the panel."
            )
        self._set(clip_ids, {"finished_by": author, "finished_at": datetime.now(UTC)}, only_unfinished=True)

    def declare_unfinished(self, clip_ids: Iterable[str]) -> None:
        """Withdraw what `declare_finished` did; a clip whose frames are all complete counts as finished nevertheless.

        Raises:
            ProjectError: There is no such clip, or the project cannot be written.
        """
        self._set(clip_ids, {"finished_by": None, "finished_at": None})

    def _set(self, clip_ids: Iterable[str], values: dict[str, Any], *, only_unfinished: bool = False) -> None:
        wanted = sorted(set(clip_ids))
        with self._database.writing() as connection:
            known = set(connection.execute(select(clips.c.id).where(clips.c.id.in_(wanted))).scalars())
            if unknown := [clip_id for clip_id in wanted if clip_id not in known]:
                raise ProjectError(f"the project has no clip {unknown[0]}", remedy="Read the worklist again.")
            change = update(clips).where(clips.c.id.in_(wanted)).values(values)
            connection.execute(change.where(clips.c.finished_by.is_(None)) if only_unfinished else change)

    def _counted(self) -> Table | Subquery:
        """Return the masks by frame: as counted by the database, or by counting all where the layout is older."""
        if frame_progress.name in tables_of(self._database.layout):
            return frame_progress
        number = {
            "proposed": present.c.state == int(MaskState.PROPOSED),
            "edited": present.c.state == int(MaskState.EDITED),
            "final": present.c.state.in_([int(state) for state in FINAL]),
        }
        counts = [func.sum(func.iif(which, 1, 0)).label(name) for name, which in number.items()]
        newest = func.max(present.c.revision).label("revision")
        query = select(present.c.clip, present.c.frame, *counts, newest).group_by(present.c.clip, present.c.frame)
        return query.subquery("counted")

    def _counts(self, connection: Connection) -> dict[str, Any]:
        counted = self._counted()
        sums = [func.sum(counted.c[name]).label(name) for name in ("proposed", "edited", "final")]
        newest = func.max(counted.c.revision).label("revision")
        query = select(counted.c.clip, *sums, newest).group_by(counted.c.clip)
        return {row.clip: row for row in connection.execute(query)}

    def _complete(self, connection: Connection, interest: Mapping[str, Ranges]) -> dict[str, int]:
        """Return how many frames of interest are complete, by clip."""
        counted = self._counted()
        wanted = [[clip_id, *ends] for clip_id, ranges in interest.items() for ends in ranges]
        ranges = (
            text("SELECT value ->> 0 AS clip, value ->> 1 AS first, value ->> 2 AS last FROM json_each(:wanted)")
            .bindparams(wanted=json.dumps(wanted))
            .columns(clip=clips.c.id.type, first=present.c.frame.type, last=present.c.frame.type)
            .cte("ranges")
        )
        query = (
            select(ranges.c.clip, func.count().label("frames"))
            .select_from(ranges)
            .join(
                counted,
                (counted.c.clip == ranges.c.clip) & counted.c.frame.between(ranges.c.first, ranges.c.last),
            )
            .where(counted.c.final >= len(self._schema))
            .group_by(ranges.c.clip)
        )
        return {row.clip: int(row.frames) for row in connection.execute(query)}


@dataclass(frozen=True)
class _Facts:
    """What was read of all clips, by their ids.

    Attributes:
        structures: Number of structures.
        interest: Frames of interest.
        counts: Masks by state.
        complete: Number of complete frames.
        newest: Author, time and origin of revisions, by their ids.
        reviewed: Clips whose pixels were reviewed.
    """

    structures: int
    interest: dict[str, Ranges]
    counts: dict[str, Any]
    complete: dict[str, int]
    newest: dict[int, Any]
    reviewed: set[str]

    def row(self, clip: Any) -> WorklistRow:
        """Return the row of a clip, given its row of the table of clips."""
        counts = self.counts.get(clip.id)
        newest = None if counts is None else self.newest.get(counts.revision)
        declared = clip.finished_by is not None and clip.finished_at is not None
        return WorklistRow(
            id=clip.id,
            name=text_to_path(clip.path).name,
            case=clip.patient,
            assigned_to=clip.assigned_to,
            facing=clip.facing,
            n_frames=clip.n_frames,
            swallows=len(clip.swallows),
            masks=clip.n_frames * self.structures,
            proposed=0 if counts is None else int(counts.proposed),
            edited=0 if counts is None else int(counts.edited),
            final=0 if counts is None else int(counts.final),
            frames_of_interest=sum(last - first + 1 for first, last in self.interest[clip.id]),
            frames_complete=self.complete.get(clip.id, 0),
            finished_by=clip.finished_by if declared else None,
            finished_at=clip.finished_at if declared else None,
            reviewed=clip.id in self.reviewed,
            touched_at=None if newest is None else newest.time,
            touched_by=None if newest is None else newest.author,
            touched_by_person=newest is not None and newest.origin in BY_PERSONS,
            revision=0 if counts is None else int(counts.revision),
        )


def _of_interest(swallows: Sequence[Swallow], n_frames: int) -> Ranges:
    """Return the frames of interest as ranges that do not overlap, first and last frame each, in order."""
    ranges: Ranges = []
    for swallow in sorted(swallows, key=lambda swallow: swallow.first):
        if ranges and swallow.first <= ranges[-1][1] + 1:
            ranges[-1] = ranges[-1][0], max(ranges[-1][1], swallow.last)
        else:
            ranges.append((swallow.first, swallow.last))
    return ranges or [(0, n_frames - 1)]


def _newest(connection: Connection, ids: Sequence[int]) -> dict[int, Any]:
    """Return author, time and origin of revisions by their ids."""
    wanted = text("SELECT value FROM json_each(:ids)").bindparams(ids=json.dumps([int(one) for one in ids]))
    query = select(revisions.c.id, revisions.c.author, revisions.c.time, revisions.c.origin).where(
        revisions.c.id.in_(wanted.columns(value=revisions.c.id.type))
    )
    return {row.id: row for row in connection.execute(query)}


def _reviewed(connection: Connection) -> set[str]:
    """Return the ids of the clips whose newest review was not withdrawn."""
    if not inspect(connection).has_table(pixel_reviews.name):
        return set()
    newest = select(func.max(pixel_reviews.c.id)).group_by(pixel_reviews.c.clip)
    query = select(pixel_reviews.c.clip).where(pixel_reviews.c.id.in_(newest), pixel_reviews.c.withdrawn.is_(False))
    return set(connection.execute(query).scalars())
