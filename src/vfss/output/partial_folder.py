# SPDX-License-Identifier: Apache-2.0
"""A folder that gets its name when it is complete: `<out>.partial` until then, kept so that work can resume."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from filelock import FileLock, Timeout

from vfss.errors import DatasetError
from vfss.output.atomic_file import atomic_file
from vfss.output.disk import why_not_written
from vfss.output.json_files import to_json

MARK, SUFFIX = "EXPORT_NOT_FINISHED", ".partial"
_JOURNAL = "journal.jsonl"
_LOCK = "lock"
_SYNC_EVERY = 64  # rows; a power cut loses at most so many frames, a killed process none


class PartialFolder:
    """A folder being written beside its final path, with a journal from which an interrupted job resumes.

    Attributes:
        folder: Final path.
        path: Path until finish().
    """

    def __init__(self, folder: Path, job: str | None = None) -> None:
        """Set the paths; entering the context creates the folder.

        Args:
            folder: The folder to write; it must not exist, or be empty.
            job: Description of what is written. Only work on the same job is resumed, other work is deleted. None for
                work that cannot be resumed: if it does not finish, it is deleted.
        """
        self.folder = folder.resolve()
        self.path = self.folder.parent / f"{self.folder.name}{SUFFIX}"
        self._job = job
        self._finished = False
        self._lock = FileLock(self.path / MARK / _LOCK, thread_local=False)
        self._journal: IO[bytes] | None = None
        self._appended = 0

    def __enter__(self) -> PartialFolder:
        try:
            self._open()
        except OSError as error:
            self._release()
            raise self._not_writable(error) from error
        except DatasetError:
            self._release()
            raise
        return self

    def _open(self) -> None:
        if self.folder.exists() and (not self.folder.is_dir() or any(self.folder.iterdir())):
            raise DatasetError(
                "the folder to export into is not empty",
                path=self.folder,
                remedy="Choose a new one, or empty it first.",
            )
        mark = self.path / MARK
        if self.path.exists() and not mark.is_dir():  # not a folder of ours
            raise DatasetError(
                "is in the way and is not an unfinished export", path=self.path, remedy="Move or rename it."
            )
        mark.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise DatasetError(
                "another export to this folder is running",
                path=self.folder,
                remedy="Wait for it, or choose another folder.",
            ) from error
        if not self._is_same_job():
            for entry in self.path.iterdir():
                if entry != mark:
                    shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
            (mark / _JOURNAL).unlink(missing_ok=True)
            (mark / "job").write_text(self._job or "", "utf-8")
        self._journal = (mark / _JOURNAL).open("ab")

    def frames_done(self) -> int | None:
        """Return how many frames an interrupted run of the same job wrote; None without one. No lock is taken."""
        if not self._is_same_job():
            return None
        try:
            return sum("frame" in row for row in self.rows())
        except (OSError, ValueError):
            return 0

    def _is_same_job(self) -> bool:
        if self._job is None:
            return False
        try:
            return (self.path / MARK / "job").read_text("utf-8") == self._job
        except (OSError, UnicodeDecodeError):
            return False

    def append(self, row: Mapping[str, Any]) -> None:
        """Append plain data to the journal, which a resumed run reads."""
        if self._journal is None:
            raise RuntimeError("append was called outside of the with block")
        self._journal.write(_line(row))
        self._journal.flush()
        self._appended += 1
        if self._appended % _SYNC_EVERY == 0:
            os.fsync(self._journal.fileno())

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield the rows of the journal, oldest first, up to a line that was cut off or damaged."""
        with (self.path / MARK / _JOURNAL).open("rb") as file:
            for line in file:
                row = _row(line)
                if row is None:
                    return
                yield row

    def filter_rows(self, keep: Callable[[dict[str, Any]], bool]) -> None:
        """Remove rows from the journal that are not to be kept, and a last line that a power cut left incomplete."""
        path = self.path / MARK / _JOURNAL
        self._close_journal()  # Windows replaces no open file
        with atomic_file(path) as file:
            for row in self.rows():
                if keep(row):
                    file.write(_line(row))
        self._journal = path.open("ab")

    def finish(self) -> None:
        """Remove the journal and move the folder to its final path."""
        self._release()
        shutil.rmtree(self.path / MARK)
        if self.folder.exists():  # empty, as checked; Windows does not rename onto it
            self.folder.rmdir()
        self.path.rename(self.folder)
        self._finished = True

    def discard(self) -> None:
        """Delete the folder."""
        self._release()
        shutil.rmtree(self.path, ignore_errors=True)

    def _release(self) -> None:
        self._close_journal()
        self._lock.release()

    def _close_journal(self) -> None:
        if self._journal is not None:
            with contextlib.suppress(OSError):  # each row was flushed; on a full disk the failed one is tried again
                self._journal.close()
            self._journal = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._job is None and not self._finished:
            self.discard()
        self._release()
        if isinstance(error, OSError):
            raise self._not_writable(error) from error

    def _not_writable(self, error: OSError) -> DatasetError:
        return DatasetError(
            f"cannot be written ({why_not_written(error, self.folder)})",
            path=self.folder,
            remedy="Check free space and permissions of the folder, then run it again: an export resumes from there.",
        )


def _row(line: bytes) -> dict[str, Any] | None:
    """Return the row on a line; None if it is none that append() wrote."""
    try:
        row = json.loads(line)
        return row if line.endswith(b"\n") and isinstance(row, dict) and _line(row) else None
    except (ValueError, RecursionError):
        return None


def _line(row: Mapping[str, Any]) -> bytes:
    return to_json(row).encode() + b"\n"
