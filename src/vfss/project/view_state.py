# SPDX-License-Identifier: Apache-2.0
"""What a person was looking at: small values by author and key, so that reopening goes on where one stopped."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, insert, select

from vfss.project.database import Database
from vfss.project.tables import recollections


class Recollections:
    """View state of persons; the last one written is kept."""

    def __init__(self, database: Database) -> None:
        """Keep them in that database."""
        self._database = database

    def remember(self, author: str, key: str, value: Any) -> None:
        """Keep a value that JSON can say."""
        here = (recollections.c.author == author, recollections.c.key == key)
        with self._database.writing() as connection:
            connection.execute(delete(recollections).where(*here))
            connection.execute(insert(recollections), [{"author": author, "key": key, "value": value}])

    def recall(self, author: str, key: str) -> Any:
        """The value kept, None where there is none."""
        here = (recollections.c.author == author, recollections.c.key == key)
        with self._database.reading() as connection:
            return connection.execute(select(recollections.c.value).where(*here)).scalar()
