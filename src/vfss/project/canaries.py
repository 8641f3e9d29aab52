# SPDX-License-Identifier: Apache-2.0
"""Canaries: up to three clips of a person's choice that two students propose side by side before a switch."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, insert, select

from vfss.errors import ProjectError
from vfss.project.database import Database
from vfss.project.tables import canaries

MOST = 3


class Canaries:
    """Keeps which clips of a project are its canaries."""

    def __init__(self, database: Database) -> None:
        """Keep them in a database."""
        self._database = database

    def clips(self) -> list[str]:
        """Return the ids of the canaries, in the order chosen."""
        if self._database.layout < 6:  # a project that can only be read
            return []
        with self._database.reading() as connection:
            return list(connection.execute(select(canaries.c.clip).order_by(canaries.c.place)).scalars())

    def choose(self, clip_ids: Sequence[str]) -> None:
        """Make these clips the canaries, in place of those chosen before.

        Raises:
            ProjectError: More than three, one twice, or one that the project does not have.
        """
        if len(clip_ids) > MOST or len(set(clip_ids)) != len(clip_ids):
            raise ProjectError(f"{len(clip_ids)} clips were chosen", remedy=f"Choose up to {MOST} different clips.")
        rows = [{"clip": clip, "place": place} for place, clip in enumerate(clip_ids)]
        with self._database.writing() as connection:
            connection.execute(delete(canaries))
            if rows:
                connection.execute(insert(canaries), rows)
