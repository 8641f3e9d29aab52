# SPDX-License-Identifier: Apache-2.0
"""Files that appear complete or not at all, whenever the process dies or the power fails."""

from __future__ import annotations

import logging
import os
import re
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

if sys.platform != "win32":
    import fcntl

_LOG = logging.getLogger(__name__)
_BINARY = getattr(os, "O_BINARY", 0)  # on Windows, where line ends would be translated
_ABANDONED_AFTER_S = 3600.0
_SQLITE_SIDE_FILES = ("-journal", "-wal", "-shm")


@contextmanager
def atomic_file(path: Path, *, mode: int = 0o666) -> Iterator[IO[bytes]]:
    """Open a file for writing that replaces `path` when the block ends, and is removed when it fails.

    Args:
        path: The file; its folder must exist.
        mode: Permissions of the file, from which the umask is taken away; 0o600 for secrets.

    What a killed process left of an earlier attempt is removed.

    Raises:
        OSError: It cannot be written; what was at `path` is unchanged.
    """
    _remove_unlocked(path)
    with temporary_path(path) as temporary:
        with os.fdopen(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | _BINARY, mode), "wb") as file:
            _lock(file.fileno())
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        synchronise_folder(path.parent)


@contextmanager
def temporary_path(path: Path) -> Iterator[Path]:
    """Name an unused hidden file beside `path`; where it still exists at the end, it is removed.

    Side files that SQLite leaves beside an interrupted database are removed with it.
    """
    temporary = path.with_name(f".{path.name}-{uuid.uuid4().hex}")
    try:
        yield temporary
    finally:
        for end in ("", *_SQLITE_SIDE_FILES):
            with suppress(OSError):
                temporary.with_name(temporary.name + end).unlink(missing_ok=True)


def abandoned(path: Path) -> list[Path]:
    """Return the hidden files beside `path` that unfinished writes left there, or that are being written now.

    The caller knows which of both it is, for instance because it holds a lock that all writers hold.
    """
    form = re.compile(re.escape(f".{path.name}-") + "[0-9a-f]{32}(-journal|-wal|-shm)?")
    try:
        return [entry for entry in path.parent.iterdir() if form.fullmatch(entry.name)]
    except OSError:
        return []


def remove_abandoned(path: Path) -> None:
    """Remove what unfinished writes of `path` left; nobody may be writing it now."""
    for leftover in abandoned(path):
        with suppress(OSError):
            leftover.unlink()


def _remove_unlocked(path: Path) -> None:
    """Remove what unfinished writes of `path` left, as far as it is certain that nobody writes it."""
    for leftover in abandoned(path):
        with suppress(OSError):
            # On a disk without locks nothing is certain; a clock that is wrong by less than an hour does no harm.
            if time.time() - leftover.stat().st_mtime > _ABANDONED_AFTER_S:
                handle = os.open(leftover, os.O_RDWR)
                try:
                    if _lock(handle):
                        leftover.unlink()
                finally:
                    os.close(handle)


def _lock(handle: int) -> bool:
    """Lock a file that is being written until it is closed; return whether that was possible."""
    if sys.platform == "win32":
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # another process has it, or the disk has no locks
        return False
    return True


def synchronise_file(path: Path) -> None:
    """Make the content of a file that was closed survive a power cut."""
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def synchronise_folder(folder: Path) -> None:
    """Make a rename or a new file in the folder survive a power cut, where the system can do that."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:  # some shares refuse to synchronise folders; the file itself is safe
        _LOG.debug("%s: cannot be synchronised (%s)", folder, error)
    finally:
        os.close(handle)
