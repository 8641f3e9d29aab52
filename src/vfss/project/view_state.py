# SPDX-License-Identifier: Apache-2.0
"""View state: small values by author and key, so that a clip reopens as it was left."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, insert, select

from vfss.project.database import Database
from vfss.project.tables import recollections


class Recollections:
    """Keeps small values by author and key; the last one written counts."""

    def __init__(self, database: Database) -> None:
        """Keep them in a database."""
        self._database = database

    def remember(self, author: str, key: str, value: Any) -> None:
        """Keep a JSON value."""
        here = (recollections.c.author == author, recollections.c.key == key)
        with self._database.writing() as connection:
            connection.execute(delete(recollections).where(*here))
            connection.execute(insert(recollections), [{"author": author, "key": key, "value": value}])

    def recall(self, author: str, key: str) -> Any:
        """Return the value that was kept, None where there is none."""
        here = (recollections.c.author == author, recollections.c.key == key)
        with self._database.reading() as connection:
            return connection.execute(select(recollections.c.value).where(*here)).scalar()
