# SPDX-License-Identifier: Apache-2.0
"""What is known of one second reading, and how its project keeps that."""

from __future__ import annotations

import logging
import os
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, cast

from sqlalchemy import Connection, insert, select

from vfss.errors import ProjectError
from vfss.project.database import Database
from vfss.project.database_files import FILE
from vfss.project.locate import project_of_reading
from vfss.project.tables import clips, recollections

Start = Literal["nothing", "student"]
KEPT_BY, KEY = "second reading", "reading"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reading:
    """One second reading of a project.

    Attributes:
        folder: Its folder, a project of its own.
        reader: Who reads: author of all that a person writes there.
        project: Id of the project that is read a second time.
        start: From nothing, or from what the student that ships proposes.
        clips: Content ids of its clips.
        created: When it was made, aware, UTC.
        finished: When the second reader had finished, aware, UTC; None while the work goes on.
        first_finished: When the first reader had finished what is compared with it; None while not.
        first_until: Newest revision of the project that is compared; None while the first reader is at work.
    """

    folder: Path
    reader: str
    project: str
    start: Start
    clips: tuple[str, ...]
    created: datetime
    finished: datetime | None = None
    first_finished: datetime | None = None
    first_until: int | None = None

    @property
    def name(self) -> str:
        """Name of its folder."""
        return self.folder.name

    @property
    def blinded(self) -> bool:
        """True while one of the two is at work: neither may see the other's masks."""
        return self.finished is None or self.first_until is None


def keep_reading(connection: Connection, said: dict[str, Any]) -> None:
    """Keep what is said of a reading in its own database."""
    here = (recollections.c.author == KEPT_BY, recollections.c.key == KEY)
    connection.execute(recollections.delete().where(*here))
    connection.execute(insert(recollections), [{"author": KEPT_BY, "key": KEY, "value": said}])


def kept_of_reading(connection: Connection, folder: Path, key: str = KEY) -> dict[str, Any]:
    """What was said of a reading; ProjectError where the database is of no reading."""
    here = (recollections.c.author == KEPT_BY, recollections.c.key == key)
    said = connection.execute(select(recollections.c.value).where(*here)).scalar()
    if not isinstance(said, dict):
        raise ProjectError("this is no second reading", path=folder)
    return said


def read_reading(folder: Path) -> Reading:
    """The reading in a folder.

    Raises:
        ProjectError: There is none, or it cannot be read.
    """
    with closing(_look(folder / FILE)) as database, database.reading() as connection:
        said = kept_of_reading(connection, folder)
        known = tuple(connection.execute(select(clips.c.id).order_by(clips.c.added, clips.c.id)).scalars())
    first = _first(folder)
    return Reading(
        folder=folder,
        reader=str(said["reader"]),
        project=str(said["project"]),
        start=cast("Start", said["start"]),
        clips=known,
        created=datetime.fromisoformat(said["created"]),
        finished=_time(said.get("finished")),
        first_finished=_time(first.get("time")),
        first_until=first.get("until"),
    )


def _first(folder: Path) -> dict[str, Any]:
    """What the first reader said of being finished; nothing where the project is out of reach."""
    elder = project_of_reading(folder)
    if elder is None:
        return {}
    try:
        with closing(_look(elder / FILE)) as database, database.reading() as connection:
            here = (recollections.c.author == KEPT_BY, recollections.c.key == f"first/{folder.name}")
            said = connection.execute(select(recollections.c.value).where(*here)).scalar()
    except ProjectError as error:  # a second reader need not be let into the project
        _LOG.info("%s", error)
        return {}
    return said if isinstance(said, dict) else {}


def _look(path: Path) -> Database:
    """The database for reading, on a read-only disk too, where its log of unfinished work cannot be made."""
    log = path.with_name(path.name + "-wal")
    waiting = log.exists() and log.stat().st_size > 0
    return Database(path, "read" if waiting or os.access(path.parent, os.W_OK) else "frozen")


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
