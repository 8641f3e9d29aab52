# SPDX-License-Identifier: Apache-2.0
"""Database of a project: connections, transactions, and its errors as messages for people."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Literal, cast
from urllib.parse import quote

from sqlalchemy import Connection, Engine, Pool, QueuePool, create_engine, event
from sqlalchemy.exc import DBAPIError, StatementError

from vfss.errors import ProjectError
from vfss.output.disk import disk_of
from vfss.project.column_types import BadValueError
from vfss.project.network_share import on_network

Access = Literal["write", "read", "frozen"]
"""write: all; read: sees the changes of others, makes none; frozen: a file on a read-only disk that nobody changes."""

_URI = {"write": "mode=rw", "read": "mode=ro", "frozen": "mode=ro&immutable=1"}
_SETTINGS = (
    "foreign_keys = ON",
    "trusted_schema = OFF",  # triggers and views of a foreign file may call nothing that has side effects
    "synchronous = FULL",
    "fullfsync = ON",  # macOS: fsync alone does not reach the disk
    "journal_size_limit = 67108864",
)
_BACKUP = "Restore it from a backup, or ask for help before anything is written to the folder; it was left as it is."
_FULL_BELOW = 1 << 16  # bytes: with less free space, any error on writing is taken for a full disk


class Database:
    """One SQLite file: a connection for each thread that needs one, one transaction for each `writing` block.

    Safe to use from several threads and processes at once; a forked process gets connections of its own.

    Attributes:
        path: The SQLite file.
        access: What is allowed.
        layout: Version of its tables; 0 until they were read.
    """

    def __init__(self, path: Path, access: Access = "write", *, patience_s: float = 10.0) -> None:
        """Prepare connections to the file, which must exist.

        Args:
            path: The SQLite file.
            access: What is allowed.
            patience_s: How long to wait for another process to finish writing, in seconds.
        """
        self.path = path
        self.access = access
        self.layout = 0
        self._patience_s = patience_s
        self._engine = self._new_engine()
        self._process = os.getpid()
        self._left_to_parent: list[Pool] = []
        self._closed = False
        # A share may renumber its files; a local disk does not.
        self._identity = None if on_network(path) else _identity(path)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a connection that sees one moment of the project and never waits for writers.

        Raises:
            ProjectError: The database cannot be read.
        """
        with self._transaction("DEFERRED") as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give a connection that is the only writer until the block ends; on any error nothing of the block is kept.

        Raises:
            ProjectError: The database cannot be written.
        """
        if self.access != "write":
            raise self.read_only()
        with self._transaction("IMMEDIATE") as connection:
            # SQLite would continue to write into a deleted file, and all of it would be lost.
            identity = _identity(self.path)
            if identity is None or self._identity not in (None, identity):
                raise ProjectError(
                    "the project was moved, deleted or replaced while it was open, nothing was written",
                    path=self.path,
                    remedy="Open the project again in the place where it is now, then repeat the last change.",
                )
            yield connection

    def pragma(self, statement: str) -> list[Any]:
        """Return the values of a PRAGMA run outside any transaction; statement is trusted text such as "journal_mode".

        Raises:
            ProjectError: The database cannot be read.
        """
        with self._driver() as driver:
            return [row[0] for row in driver.execute(f"PRAGMA {statement}")]

    def back_up(self, target: Path) -> None:
        """Copy the database as it is at this moment, even while others write.

        Raises:
            ProjectError: The database cannot be read or the copy cannot be written.
        """
        with self._driver() as driver, closing(sqlite3.connect(target)) as copy:
            try:
                driver.backup(copy)
            except sqlite3.Error as error:
                if getattr(error, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_FULL:
                    raise
                raise ProjectError(
                    f"the copy cannot be written: the disk at {disk_of(target)} is full",
                    path=target,
                    remedy="Choose a folder on a disk with room.",
                ) from error

    def fresh(self) -> Database:
        """Return the same file opened again for reading, with nothing cached, so that it shows what is on disk."""
        return Database(self.path, "frozen" if self.access == "frozen" else "read", patience_s=self._patience_s)

    def close(self) -> None:
        """Close all connections; later use raises ProjectError."""
        self._closed = True
        self._engine.dispose()

    @contextmanager
    def _transaction(self, kind: Literal["DEFERRED", "IMMEDIATE"]) -> Iterator[Connection]:
        engine = self._checked_engine().execution_options(begin=f"BEGIN {kind}")
        with self.plain_errors(), engine.begin() as connection:
            yield connection

    @contextmanager
    def _driver(self) -> Iterator[sqlite3.Connection]:
        with self.plain_errors(), self._checked_engine().connect() as connection:
            yield cast("sqlite3.Connection", connection.connection.dbapi_connection)

    def _checked_engine(self) -> Engine:
        if self._closed:
            raise ProjectError("the project is closed", path=self.path.parent, remedy="Open it again.")
        if os.getpid() != self._process:
            # Connections must not cross a fork, not even to be closed: that would drop the parent's locks.
            self._left_to_parent.append(self._engine.pool)
            self._engine.dispose(close=False)
            self._process = os.getpid()
        return self._engine

    def _new_engine(self) -> Engine:
        name = self.path.resolve().as_posix()
        # As bytes: a name on a disk need not be Unicode.
        uri = f"file://{'' if name.startswith('/') else '/'}{quote(os.fsencode(name))}?{_URI[self.access]}"

        def connect() -> sqlite3.Connection:
            connection = sqlite3.connect(
                uri, uri=True, timeout=self._patience_s, isolation_level=None, check_same_thread=False
            )
            try:
                for setting in _SETTINGS:
                    connection.execute(f"PRAGMA {setting}")
            except (sqlite3.Error, UnicodeDecodeError):
                connection.close()
                raise
            return connection

        engine = create_engine("sqlite://", creator=connect, poolclass=QueuePool, pool_size=4, max_overflow=60)
        event.listen(engine, "begin", _begin)
        return engine

    @contextmanager
    def plain_errors(self) -> Iterator[None]:
        """Turn errors of the database, and bad values in it, into a ProjectError for a person."""
        try:
            yield
        except DBAPIError as error:
            raise self._as_project_error(error.orig) from error
        except StatementError as error:
            raise ProjectError(
                f"a value cannot be kept ({error.orig})",
                path=self.path,
                remedy="Give Unicode text and only JSON values.",
            ) from error
        except (BadValueError, UnicodeDecodeError) as error:  # SQLite quotes damaged names in its own messages
            raise ProjectError(f"the database is damaged ({error})", path=self.path, remedy=_BACKUP) from error
        except sqlite3.Error as error:
            raise self._as_project_error(error) from error

    def _as_project_error(self, error: BaseException | None) -> ProjectError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
            return ProjectError(f"the database is damaged ({error})", path=self.path, remedy=_BACKUP)
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return ProjectError(
                f"another program kept the project locked for {self._patience_s:g} s",
                path=self.path,
                remedy="Wait until it has finished, or close it, then repeat the change.",
            )
        if code == sqlite3.SQLITE_FULL or (code != sqlite3.SQLITE_CONSTRAINT and self._disk_is_full()):
            return ProjectError(
                f"the disk at {disk_of(self.path)} is full, the last change was not written",
                path=self.path,
                remedy="Everything before it is safe. Make room on the disk, then repeat the change.",
            )
        if code == sqlite3.SQLITE_READONLY:
            return self.read_only()
        if code == sqlite3.SQLITE_CONSTRAINT:
            return ProjectError(f"the project refuses the change ({error})", path=self.path)
        return ProjectError(
            f"the database cannot be used ({error})",
            path=self.path,
            remedy="Check that the folder exists, that you may write in it, and that its disk or share is connected.",
        )

    def _disk_is_full(self) -> bool:
        try:
            return shutil.disk_usage(self.path.parent).free < _FULL_BELOW
        except OSError:
            return False

    def read_only(self) -> ProjectError:
        """Return the error to raise if the project cannot be changed."""
        return ProjectError(
            "the project can only be read, not changed",
            path=self.path,
            remedy="Get permission to write in its folder, or copy the folder to a disk where you have it.",
        )


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options()["begin"])
