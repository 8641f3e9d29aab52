# SPDX-License-Identifier: Apache-2.0
"""Creating and opening the database of a project; one that cannot be opened is never changed."""

from __future__ import annotations

import errno
import logging
import os
import sqlite3
import tempfile
import uuid
from contextlib import ExitStack, closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, insert, inspect, select
from sqlalchemy.exc import DBAPIError

from vfss.errors import ProjectError, SchemaError
from vfss.output.atomic_file import (
    abandoned,
    remove_abandoned,
    synchronise_file,
    synchronise_folder,
    temporary_path,
)
from vfss.output.disk import why_not_written
from vfss.output.private import create_private, make_private_folder
from vfss.project.contents import expect_contents
from vfss.project.database import Database
from vfss.project.migration import bring_up_to_date
from vfss.project.network_share import on_network
from vfss.project.tables import APPLICATION_ID, LAYOUT, layout, metadata, project, structures, tables_of
from vfss.schema import Schema

FILE = "vfss.sqlite"
TEMPORARY_STUDENT = "student.safetensors"
"""Name under which a student is copied into the project's folder of students."""

_CHECKED_BELOW = 256 << 20
"""Size in bytes up to which a database is checked completely at each opening, at about a gigabyte per second."""

_LOG = logging.getLogger(__name__)
_LEFT = "Restore the folder from a backup. The file was left as it is."


def make_folder(folder: Path) -> None:
    """Create the folder of a project and its missing parents, for its owner alone; see vfss.output.private.

    Raises:
        ProjectError: It cannot be created.
    """
    try:
        make_private_folder(folder / "students")
    except OSError as error:
        raise ProjectError(
            f"no project can be created here ({why_not_written(error, folder)})",
            path=folder,
            remedy="Choose a folder on a disk with room, where you may write.",
        ) from error


def create_database(path: Path, schema: Schema) -> None:
    """Create an empty project at path; a crash leaves no partial one, and no project replaces another.

    Raises:
        ProjectError: There is one already, or the folder cannot be written.
    """
    taken = ProjectError("there is a project already", path=path, remedy="Open it, or choose another folder.")
    if path.exists():
        raise taken
    try:
        with temporary_path(path) as temporary:
            create_private(temporary)  # whose permissions SQLite gives to the files beside it too
            _fill(temporary, schema)
            _put_in_place(temporary, path)
    except FileExistsError as error:
        raise taken from error
    except (OSError, DBAPIError) as error:
        if path.exists():
            raise taken from error
        raise ProjectError(
            f"no project can be created here ({_reason(error, path)})",
            path=path.parent,
            remedy="Choose a folder on a disk with room, where you may write.",
        ) from error


def _reason(error: OSError | DBAPIError, path: Path) -> str:
    if isinstance(error, OSError):
        return why_not_written(error, path)
    full = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL
    return why_not_written(OSError(errno.ENOSPC, ""), path) if full else str(error.orig)


def _fill(path: Path, schema: Schema) -> None:
    engine = create_engine("sqlite://", creator=lambda: sqlite3.connect(path))
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql("PRAGMA synchronous = OFF")  # synchronised once, when it is complete
            connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
            metadata.create_all(connection)
            connection.execute(insert(layout).values(version=LAYOUT))
            row = {"id": uuid.uuid4().hex, "schema": schema.to_dict(), "created": datetime.now(UTC)}
            connection.execute(insert(project), [row])
            rows = [{"key": structure.key, "plane": structure.index} for structure in schema.structures]
            connection.execute(insert(structures), rows)
    finally:
        engine.dispose()
    synchronise_file(path)


def _put_in_place(temporary: Path, path: Path) -> None:
    try:
        os.link(temporary, path)  # unlike a rename, fails if another process was faster
    except FileExistsError:
        raise
    except OSError:  # some shares and memory cards have no hard links: claim the name first
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        temporary.replace(path)
    synchronise_folder(path.parent)


def open_database(path: Path, *, patience_s: float) -> tuple[Database, str, Schema]:
    """Open a database and return it with the project's id and schema; read-only if it cannot be written.

    Everything is read through a connection that cannot write before one that can is opened: a damaged file, or one that
    is no project, stays as it is. (Only SQLite ever opens it: closing another handle would drop the locks of this
    process.) A project of an older layout is migrated if it may be written, and else read as it is.

    Raises:
        ProjectError: There is no project, or it is damaged, not one of ours, or of a newer version.
    """
    _expect_file(path)
    writable = may_write(path)
    with ExitStack() as undo:
        database = undo.enter_context(closing(Database(path, "read", patience_s=patience_s)))
        try:
            identity, schema = _inspect(database)
        except ProjectError:
            # WAL needs a file beside the database; if none can be created and none holds unsaved work, open without.
            if writable:
                raise
            _expect_no_waiting_work(path)
            database.close()
            database = undo.enter_context(closing(Database(path, "frozen", patience_s=patience_s)))
            identity, schema = _inspect(database)
        if path.stat().st_size < _CHECKED_BELOW:
            expect_whole(database)
        if writable:
            database.close()
            database = undo.enter_context(closing(Database(path, "write", patience_s=patience_s)))
            _choose_journal(database)
            bring_up_to_date(database)
            _remove_abandoned(database)
        undo.pop_all()
    if not writable:
        _LOG.warning("%s: the folder is read-only, changes to the project are not possible", path.parent)
    return database, identity, schema


def _remove_abandoned(database: Database) -> None:
    """Remove unfinished copies that killed processes left, which hold as much as the database itself."""
    path, student = database.path, database.path.parent / "students" / TEMPORARY_STUDENT
    if abandoned(path) or abandoned(student):
        with suppress(ProjectError), database.writing():  # under this lock copies are made, so nobody makes one now
            remove_abandoned(path)
            remove_abandoned(student)


def _expect_file(path: Path) -> None:
    if not path.parent.is_dir():
        raise ProjectError("there is no such folder", path=path.parent, remedy="Check the path and the disk or share.")
    if not path.is_file():
        raise ProjectError(
            f"this folder is not a project (no {FILE} in it)", path=path.parent, remedy="Create a project here first."
        )
    if path.stat().st_size == 0:
        raise ProjectError("the database is damaged (the file is empty)", path=path, remedy=_LEFT)


def expect_whole(database: Database) -> None:
    """Check the whole database for consistency.

    Raises:
        ProjectError: It is damaged.
    """
    errors = [str(error) for error in database.pragma("quick_check(3)")]
    if errors != ["ok"]:
        raise ProjectError(f"the database is damaged ({'; '.join(errors)})", path=database.path, remedy=_LEFT)


def may_write(path: Path) -> bool:
    """Return whether the file may be changed and files created beside it; tested by trying, as flags can be wrong."""
    if not os.access(path, os.W_OK):
        return False
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            return True
    except OSError as error:
        return error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS)


def _expect_no_waiting_work(path: Path) -> None:
    log = path.with_name(path.name + "-wal")
    if log.exists() and log.stat().st_size > 0:
        raise ProjectError(
            "the last session did not end properly, and the changes it left cannot be recovered on a read-only disk",
            path=log,
            remedy="Nothing is lost: copy the whole folder to a disk where you may write and open it there.",
        )


def _inspect(database: Database) -> tuple[str, Schema]:
    path = database.path
    with database.reading() as connection:
        names = set(inspect(connection).get_table_names())
        if "layout" not in names:
            raise ProjectError("an SQLite database, but not of a project", path=path, remedy=_LEFT)
        version = connection.execute(select(layout.c.version)).scalar()
        if version is not None and version > LAYOUT:
            raise ProjectError(
                f"the project was made by a newer version of napari-vfss (layout {version}, this one reads {LAYOUT})",
                path=path,
                remedy="Update napari-vfss: pip install --upgrade napari-vfss.",
            )
        if version is None or not names.issuperset(tables_of(version)):
            raise ProjectError("the database is damaged (tables are missing)", path=path, remedy=_LEFT)
        database.layout = version
        row: Any = connection.execute(select(project)).first()
        if row is None:
            raise ProjectError("the database is damaged (it does not name its project)", path=path, remedy=_LEFT)
        try:
            schema = Schema.from_dict(row.schema)
        except SchemaError as error:
            raise ProjectError(
                f"the database is damaged (its schema: {error.what})", path=path, remedy=_LEFT
            ) from error
        expect_contents(connection, schema, version)
        return row.id, schema


def _choose_journal(database: Database) -> None:
    """Choose the write-ahead log where it is safe; else the older journal, with which readers may wait for a writer."""
    shared = on_network(database.path)
    try:
        database.pragma(f"journal_mode = {'delete' if shared else 'wal'}")
    except ProjectError as error:
        _LOG.info("%s", error)  # another program has it open: then its journal mode holds
    journal = database.pragma("journal_mode")
    if shared and journal == ["wal"]:
        raise ProjectError(
            "the project is on a network share, and another program has it open in a way that is unsafe there",
            path=database.path,
            remedy="Close it everywhere, then open it again.",
        )
    if journal != ["wal"]:
        _LOG.warning("%s: no write-ahead log on this disk or share; readers may wait for writers", database.path)
