# SPDX-License-Identifier: Apache-2.0
"""Files that appear complete or not at all, whenever the process dies or the power fails."""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

_LOG = logging.getLogger(__name__)
_BINARY = getattr(os, "O_BINARY", 0)  # on Windows, where line ends would be translated
_SQLITE_SIDE_FILES = ("-journal", "-wal", "-shm")


@contextmanager
def atomic_file(path: Path, *, mode: int = 0o666) -> Iterator[IO[bytes]]:
    """Open a file for writing that replaces `path` when the block ends, and is removed when it fails.

    Args:
        path: The file; its folder must exist.
        mode: Permissions of the file, from which the umask is taken away; 0o600 for secrets.

    Raises:
        OSError: It cannot be written; what was at `path` is unchanged.
    """
    with temporary_path(path) as temporary:
        with os.fdopen(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | _BINARY, mode), "wb") as file:
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
