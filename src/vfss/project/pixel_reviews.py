# SPDX-License-Identifier: Apache-2.0
"""Reviews of pixels: who checked a recording, and what must be hidden before it leaves the site.

The table is created with the first review: a project without reviews stays readable by all versions. It is append-only:
a later review supersedes an earlier one, and a withdrawal is a row of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    Column,
    Connection,
    ForeignKey,
    Index,
    MetaData,
    Table,
    insert,
    inspect,
    select,
)

from vfss.errors import DatasetError, ProjectError
from vfss.project.column_types import Data, Flag, LongWords, UtcTime, Whole, Words, name_columns
from vfss.project.database import Database
from vfss.project.tables import clips, keep_append_only
from vfss.redaction import Redaction
from vfss.wording import listed

_own = MetaData()

pixel_reviews = Table(
    "pixel_reviews",
    _own,
    Column("id", Whole(), primary_key=True, autoincrement=True),
    Column("clip", Words(), ForeignKey(clips.c.id), nullable=False),
    Column("redaction", Data(dict), nullable=False),
    Column("withdrawn", Flag(), nullable=False),
    Column("reviewer", Words(), CheckConstraint("reviewer <> ''"), nullable=False),
    Column("time", UtcTime(), nullable=False),
    Column("text", LongWords(), nullable=False),
    Index("pixel_reviews_of_a_clip", "clip", "id"),
    sqlite_autoincrement=True,
)

name_columns(_own)
keep_append_only(pixel_reviews, "pixel reviews")


@dataclass(frozen=True)
class PixelReview:
    """Result of a person's check of the pixels of one recording.

    Attributes:
        clip: Content id of the clip.
        redaction: What must be hidden; it may be nothing.
        reviewer: Person who checked.
        time: Time of the review, aware, UTC.
        text: Free text of the reviewer; it stays in the project.
        withdrawn: True if this withdraws an earlier review: the clip counts as not reviewed.
    """

    clip: str
    redaction: Redaction
    reviewer: str
    time: datetime
    text: str = ""
    withdrawn: bool = False


def not_reviewed(names: Sequence[str], path: Path | None = None) -> DatasetError:
    """Return the error that refuses to write recordings, given by name, whose pixels were not reviewed."""
    return DatasetError(
        f"the pixels of {listed(names, 3)} were not reviewed: names may be visible in the pictures",
        path=path,
        remedy="Review them first: in the panel press Export..., there Review pixels...; or with: "
        "vfss deidentify PROJECT --prepare DIR.",
    )


class PixelReviews:
    """Adds, withdraws and reads reviews of pixels; each call is one transaction."""

    def __init__(self, database: Database) -> None:
        """Keep them in a database; nothing is written before the first one."""
        self._database = database

    def of(self, clip_id: str) -> PixelReview | None:
        """Return the newest review of a clip; None if there is none, or the newest was withdrawn."""
        newest = self.history(clip_id)[-1:]
        return newest[0] if newest and not newest[0].withdrawn else None

    def history(self, clip_id: str) -> list[PixelReview]:
        """Return all reviews and withdrawals of a clip, oldest first."""
        with self._database.reading() as connection:
            return _rows(connection, clip_id)

    def accept(self, clip_id: str, redaction: Redaction, *, reviewer: str, text: str = "") -> PixelReview:
        """Append the review of a person who checked the pixels of a clip.

        Args:
            clip_id: Content id of the clip.
            redaction: What must be hidden on all frames.
            reviewer: Person who checked.
            text: Free text.

        Raises:
            ProjectError: The reviewer is missing, there is no such clip, or the redaction does not fit its frames.
        """
        _expect_named(reviewer)
        review = PixelReview(clip_id, redaction, reviewer, datetime.now(UTC), text)
        with self._database.writing() as connection:
            _expect_fitting(connection, clip_id, redaction)
            _append(connection, review)
        return review

    def withdraw(self, clip_id: str, *, reviewer: str) -> PixelReview:
        """Withdraw the newest review, so that the clip counts as not reviewed; its history stays.

        Raises:
            ProjectError: The reviewer is missing, or there is nothing to withdraw.
        """
        _expect_named(reviewer)
        with self._database.writing() as connection:
            newest = _rows(connection, clip_id)[-1:]
            if not newest or newest[0].withdrawn:
                raise ProjectError(f"clip {clip_id} has no review of its pixels to withdraw")
            withdrawal = replace(newest[0], reviewer=reviewer, time=datetime.now(UTC), text="", withdrawn=True)
            _append(connection, withdrawal)
        return withdrawal


def _append(connection: Connection, review: PixelReview) -> None:
    _own.create_all(connection)
    row = {
        "clip": review.clip,
        "redaction": review.redaction.to_dict(),
        "withdrawn": review.withdrawn,
        "reviewer": review.reviewer,
        "time": review.time,
        "text": review.text,
    }
    connection.execute(insert(pixel_reviews), [row])


def _rows(connection: Connection, clip_id: str) -> list[PixelReview]:
    if not inspect(connection).has_table(pixel_reviews.name):
        return []
    query = select(pixel_reviews).where(pixel_reviews.c.clip == clip_id).order_by(pixel_reviews.c.id)
    return [
        PixelReview(row.clip, Redaction.from_dict(row.redaction), row.reviewer, row.time, row.text, row.withdrawn)
        for row in connection.execute(query).all()
    ]


def _expect_named(reviewer: str) -> None:
    if not reviewer.strip():
        raise ProjectError("a review needs the name of the reviewer", remedy="Enter your name or initials.")


def _expect_fitting(connection: Connection, clip_id: str, redaction: Redaction) -> None:
    row: Any = connection.execute(select(clips.c.height, clips.c.width).where(clips.c.id == clip_id)).first()
    if row is None:
        raise ProjectError(f"the project has no clip {clip_id}", remedy="Add the recording to the project first.")
    try:
        redaction.expect_within(row.height, row.width)
    except DatasetError as error:
        raise ProjectError(error.what, remedy=error.remedy) from error
