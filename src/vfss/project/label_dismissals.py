# SPDX-License-Identifier: Apache-2.0
"""Masks that a person looked at again and found right, so that the label check does not show them again."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import insert, select

from vfss.errors import ProjectError
from vfss.project.database import Database
from vfss.project.tables import label_dismissals, present
from vfss.schema import Schema

Place = tuple[str, int, str]  # clip, frame, key of the structure


class LabelDismissals:
    """Keeps who found which mask right, and when; it counts for that mask only: a changed one is checked again."""

    def __init__(self, database: Database, schema: Schema) -> None:
        """Keep them in a database whose planes are in the order of the schema."""
        self._database, self._schema = database, schema

    def dismiss(self, place: Place, author: str) -> None:
        """Keep that the present mask of a place is right; twice is once.

        Raises:
            ProjectError: There is no mask, no author, or the project cannot be written.
        """
        if not author.strip():
            raise ProjectError("who found the mask right is not known", remedy="Enter your name or initials.")
        clip, frame, key = place
        query = select(present.c.revision).where(
            present.c.clip == clip, present.c.frame == frame, present.c.plane == self._schema[key].index
        )
        with self._database.writing() as connection:
            revision = connection.execute(query).scalar()
            if revision is None:
                raise ProjectError(f"{key} has no mask that could be right", frame=frame, remedy="Check again.")
            known = select(label_dismissals.c.revision).where(label_dismissals.c.revision == revision)
            if connection.execute(known).scalar() is None:
                row = {"revision": revision, "author": author, "time": datetime.now(UTC)}
                connection.execute(insert(label_dismissals), [row])

    def places(self) -> dict[Place, tuple[str, datetime]]:
        """Return the places whose present mask was found right, each with author and time (aware, UTC).

        A project of an earlier layout that cannot be written has none.
        """
        if self._database.layout < label_dismissals.info["since"]:
            return {}
        query = select(
            present.c.clip, present.c.frame, present.c.plane, label_dismissals.c.author, label_dismissals.c.time
        ).join_from(label_dismissals, present, present.c.revision == label_dismissals.c.revision)
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return {(row.clip, row.frame, self._schema.keys[row.plane]): (row.author, row.time) for row in rows}
