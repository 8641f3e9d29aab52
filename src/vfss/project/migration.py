# SPDX-License-Identifier: Apache-2.0
"""Migration of projects of older layouts: a copy first, then everything in one transaction.

What each layout added is noted with the tables themselves (`since`), so that one rule serves all of them: a table that
the project lacks is created, and so is a column. All triggers are replaced.
"""

from __future__ import annotations

import logging
import sqlite3
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Connection, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.schema import CreateColumn

from vfss.errors import MaskError, ProjectError
from vfss.masks import seal
from vfss.output.atomic_file import synchronise_file, temporary_path
from vfss.output.private import create_private
from vfss.project.database import Database
from vfss.project.provenance import read_old_author
from vfss.project.tables import COUNT_MASKS, LAYOUT, RULES, added_columns, added_tables, layout, revisions

_LOG = logging.getLogger(__name__)


def bring_up_to_date(database: Database) -> None:
    """Migrate a project of an older layout to the newest one; nothing happens if it has that.

    Of several processes that open it at once, one migrates while the others wait.

    Raises:
        ProjectError: The migration failed; the project is as it was.
    """
    with database.reading() as connection:
        version = _version(connection)
    if version < LAYOUT:
        try:
            _migrate(database)
        except (ProjectError, OSError, SQLAlchemyError) as error:
            reason = error.what if isinstance(error, ProjectError) else str(error)
            remedy = error.remedy if isinstance(error, ProjectError) else ""
            raise ProjectError(
                f"the project is of an older version of napari-vfss and could not be brought up to date ({reason})",
                path=database.path,
                remedy=f"It is as it was, nothing is lost. {remedy}".strip(),
            ) from error
    database.layout = LAYOUT


def _migrate(database: Database) -> None:
    with database.writing() as connection:
        version = _version(connection)  # read again: another process may have migrated it meanwhile
        if version > LAYOUT:
            raise ProjectError(
                "a newer version migrated it meanwhile", remedy="Update napari-vfss, then open it again."
            )
        if version == LAYOUT:
            return
        copy = _back_up(database, version)
        with ExitStack() as undo:
            undo.callback(copy.unlink, missing_ok=True)
            for table in added_tables(version):
                table.create(connection)
            for column in added_columns(version):
                definition = CreateColumn(column).compile(dialect=connection.dialect)
                connection.exec_driver_sql(f"ALTER TABLE {column.table.name} ADD COLUMN {definition}")
            for name in RULES:
                connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {name}")
            if version < 4:
                _record_provenance(connection)
            if version < 5:
                _seal_masks(connection)
            if version < 6:
                connection.exec_driver_sql(f"INSERT INTO frame_progress {COUNT_MASKS}")
            for rule in RULES.values():
                connection.exec_driver_sql(rule)
            connection.execute(update(layout).values(version=LAYOUT))
            undo.pop_all()
    _LOG.warning(
        "%s: migrated from layout %d to %d; the old database is in %s", database.path, version, LAYOUT, copy.name
    )


def _record_provenance(connection: Connection) -> None:
    """Fill the columns of layout 4 from the names of authors, which recorded the provenance of proposals before.

    A name that does not tell stays as it is, with a null method. The triggers must be off: revisions are append-only.
    """
    distinct = select(revisions.c.origin, revisions.c.author, revisions.c.student).distinct()
    old = connection.execute(distinct).all()
    keys = ("old_origin", "old_author", "old_student")
    columns = ("author", "method", "source_frame", "adapted_count")
    connection.exec_driver_sql(f"CREATE TEMP TABLE old_authors ({', '.join(keys)}, {', '.join(columns)})")
    for row in old:
        made, author = read_old_author(row.origin, row.author, row.student)
        connection.exec_driver_sql(
            "INSERT INTO old_authors VALUES (?, ?, ?, ?, ?, ?, ?)",
            (*row, author, made.method, made.source_frame, made.adapted_count),
        )
    connection.exec_driver_sql("CREATE INDEX temp.old_authors_by_name ON old_authors (old_author, old_origin)")
    # One pass over all revisions, however many authors there are.
    connection.exec_driver_sql(
        f"UPDATE revisions SET {', '.join(f'{column} = new.{column}' for column in columns)} FROM old_authors AS new "
        "WHERE new.old_author = revisions.author AND new.old_origin = revisions.origin "
        "AND new.old_student IS revisions.student"
    )
    connection.exec_driver_sql("DROP TABLE old_authors")


def _seal_masks(connection: Connection) -> None:
    """Put the checksum of layout 5 over each stored mask, whose pixels stay byte for byte.

    Masks that are damaged, or do not fit their clip, stay as they are and are named when they are read. The triggers
    must be off: revisions are append-only.
    """
    driver = cast("sqlite3.Connection", connection.connection.dbapi_connection)
    driver.create_function("sealed", 3, _sealed, deterministic=True)
    # One pass over all revisions, and no row of them in memory.
    connection.exec_driver_sql(
        "UPDATE revisions SET mask = sealed(revisions.mask, clips.height, clips.width) FROM clips "
        "WHERE clips.id = revisions.clip AND revisions.mask IS NOT NULL"
    )


def _sealed(packed: Any, height: Any, width: Any) -> Any:
    try:
        return seal(packed, (height, width))
    except MaskError as error:
        _LOG.warning("a mask was left as it is: %s", error)
        return packed


def _version(connection: Connection) -> int:
    return int(connection.execute(select(layout.c.version)).scalar_one())


def _back_up(database: Database, version: int) -> Path:
    """Copy the database to a free name beside it; the caller holds the write lock, so nobody writes meanwhile."""
    folder, stem = database.path.parent, database.path.stem
    with temporary_path(database.path) as temporary:
        create_private(temporary)
        with closing(database.fresh()) as reader:
            reader.back_up(temporary)
        synchronise_file(temporary)
        number = 0
        while True:
            target = folder / f"{stem}-layout{version}{f'-{number}' if number else ''}.sqlite"
            if not target.exists():
                return temporary.replace(target)
            number += 1
