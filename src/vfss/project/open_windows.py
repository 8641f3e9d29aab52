# SPDX-License-Identifier: Apache-2.0
"""Which windows have which clip of a project open, so that two people do not work on the same one unknowingly."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, insert, select

from vfss.project.database import Database
from vfss.project.tables import open_windows, tables_of
from vfss.project.worklist_row import OpenWindow

GONE_AFTER_S = 15.0
"""Seconds after which a window that said nothing counts as gone: closed, crashed, or its computer asleep."""


class OpenWindows:
    """Keeps which windows are open; each says so again every few seconds.

    Windows on several computers compare times, so that their clocks must agree within a few seconds.
    """

    def __init__(self, database: Database) -> None:
        """Keep them in a database."""
        self._database = database

    def say(self, window: str, *, author: str, host: str, clip_id: str, now: datetime | None = None) -> None:
        """Keep that a window has a clip open now, in place of what it said before; forget the windows that are gone.

        Args:
            window: Id of the window.
            author: Who works in it.
            host: Name of the computer.
            clip_id: Content id of the clip.
            now: The time, aware; None for that of this computer.

        Raises:
            ProjectError: There is no such clip, or the project cannot be written.
        """
        now = now or datetime.now(UTC)
        row = {"window": window, "author": author, "host": host, "clip": clip_id, "seen": now}
        gone = (open_windows.c.window == window) | (open_windows.c.seen < now - timedelta(seconds=GONE_AFTER_S))
        with self._database.writing() as connection:
            connection.execute(delete(open_windows).where(gone))
            connection.execute(insert(open_windows), [row])

    def leave(self, window: str) -> None:
        """Forget a window: it closes, or opens a clip of another project.

        Raises:
            ProjectError: The project cannot be written.
        """
        with self._database.writing() as connection:
            connection.execute(delete(open_windows).where(open_windows.c.window == window))

    def others(self, window: str = "", *, now: datetime | None = None) -> list[OpenWindow]:
        """Return all windows but one that are open, in the order of their authors.

        Args:
            window: Id of the window that asks.
            now: The time, aware; None for that of this computer.

        Raises:
            ProjectError: The database cannot be read.
        """
        if open_windows.name not in tables_of(self._database.layout):
            return []
        since = (now or datetime.now(UTC)) - timedelta(seconds=GONE_AFTER_S)
        query = select(open_windows).where(open_windows.c.window != window, open_windows.c.seen >= since)
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(open_windows.c.author, open_windows.c.window)).all()
        return [OpenWindow(row.window, row.author, row.host, row.clip, row.seen) for row in rows]
