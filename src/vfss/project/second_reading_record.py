# SPDX-License-Identifier: Apache-2.0
"""Record of one second reading, and how its project keeps it."""

from __future__ import annotations

import logging
import os
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, cast, get_args

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
        reader: The second reader, author of all annotations there.
        project: Id of the project that is read a second time.
        start: Whether the reader starts from nothing, or from proposals of the student that ships.
        clips: Content ids of its clips.
        created: Time of creation, aware, UTC.
        finished: Time at which the second reader finished, aware, UTC; None while the reading is in progress.
        first_finished: Time at which the first reader finished, aware, UTC; None before.
        first_until: Id of the last revision of the project to compare; None until the first reader has finished.
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
        """True until both readers have finished: neither may see the other's masks."""
        return self.finished is None or self.first_until is None


def keep_reading(connection: Connection, record: dict[str, Any]) -> None:
    """Keep the record of a reading in its own database."""
    here = (recollections.c.author == KEPT_BY, recollections.c.key == KEY)
    connection.execute(recollections.delete().where(*here))
    connection.execute(insert(recollections), [{"author": KEPT_BY, "key": KEY, "value": record}])


def record_of_reading(connection: Connection, folder: Path) -> dict[str, Any]:
    """Return the record of a reading; raise ProjectError if the database is of no reading."""
    here = (recollections.c.author == KEPT_BY, recollections.c.key == KEY)
    record = connection.execute(select(recollections.c.value).where(*here)).scalar()
    if not isinstance(record, dict):
        raise ProjectError("this is not a second reading", path=folder)
    return record


def read_reading(folder: Path) -> Reading:
    """Return the reading in a folder.

    Raises:
        ProjectError: There is none, or it cannot be read.
    """
    with closing(_open_to_read(folder / FILE)) as database, database.reading() as connection:
        record = record_of_reading(connection, folder)
        known = tuple(connection.execute(select(clips.c.id).order_by(clips.c.added, clips.c.id)).scalars())
    first = _first(folder)
    try:
        return Reading(
            folder=folder,
            reader=_text(record["reader"]),
            project=_text(record["project"]),
            start=_start(record["start"]),
            clips=known,
            created=_aware(record["created"]),
            finished=_time(record.get("finished")),
            first_finished=_time(first.get("time")),
            first_until=_revision(first.get("until")),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ProjectError(
            f"the record of this second reading is damaged ({error!r})",
            path=folder,
            remedy="Restore the folder from a backup. It was left as it is.",
        ) from error


def _first(folder: Path) -> dict[str, Any]:
    """Return when the first reader finished, as the project keeps it; empty if the project cannot be read."""
    elder = project_of_reading(folder)
    if elder is None:
        return {}
    try:
        with closing(_open_to_read(elder / FILE)) as database, database.reading() as connection:
            here = (recollections.c.author == KEPT_BY, recollections.c.key == f"first/{folder.name}")
            finish = connection.execute(select(recollections.c.value).where(*here)).scalar()
    except ProjectError as error:  # a second reader need not have access to the project
        _LOG.info("%s", error)
        return {}
    return finish if isinstance(finish, dict) else {}


def _open_to_read(path: Path) -> Database:
    """Open a database for reading, on a read-only disk too, where its write-ahead log cannot be created."""
    log = path.with_name(path.name + "-wal")
    waiting = log.exists() and log.stat().st_size > 0
    return Database(path, "read" if waiting or os.access(path.parent, os.W_OK) else "frozen")


def _time(value: Any) -> datetime | None:
    return None if value is None else _aware(value)


def _aware(value: Any) -> datetime:
    time = datetime.fromisoformat(value)
    if time.tzinfo is None:
        raise ValueError(f"{value!a} has no time zone")
    return time


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{value!a} is no text")
    return value


def _start(value: Any) -> Start:
    if value not in get_args(Start):
        raise ValueError(f"{value!a} is no start of a reading")
    return cast("Start", value)


def _revision(value: Any) -> int | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
        raise ValueError(f"{value!a} is no revision")
    return value
