# SPDX-License-Identifier: Apache-2.0
"""A folder in the making: `<out>.partial` until it is whole; kept when it is not, to be gone on with."""

from __future__ import annotations

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
from vfss.output.json_files import to_json

MARK, SUFFIX = "EXPORT_NOT_FINISHED", ".partial"
_JOURNAL = "journal.jsonl"
_LOCK = "lock"
_SYNC_EVERY = 64  # rows; a power cut costs at most so many frames, a killed process none


class PartialFolder:
    """Work under way beside the place where it will stand.

    Attributes:
        folder: The place.
        path: Where the work lies until finish().
    """

    def __init__(self, folder: Path, job: str | None = None) -> None:
        """Prepare.

        Args:
            folder: The dataset to make; it must not exist, or be empty.
            job: Says what is being made. Only work on the same job is gone on with, other work makes way. None for
                work that is never gone on with: nothing is left of it when it does not come to its end.
        """
        self.folder = folder.resolve()
        self.path = self.folder.parent / f"{self.folder.name}{SUFFIX}"
        self._job = job
        self._finished = False
        self._lock = FileLock(self.path / MARK / _LOCK, thread_local=False)
        self._journal: IO[bytes] | None = None
        self._rows = 0

    def __enter__(self) -> PartialFolder:
        try:
            self._begin()
        except OSError as error:
            self._leave()
            raise self._not_writable(error) from error
        except DatasetError:
            self._leave()
            raise
        return self

    def _begin(self) -> None:
        if self.folder.exists() and (not self.folder.is_dir() or any(self.folder.iterdir())):
            raise DatasetError(
                "the folder to export into is not empty", path=self.folder, remedy="Name a new one, or empty it first."
            )
        mark = self.path / MARK
        if self.path.exists() and not mark.is_dir():  # something that is none of our business
            raise DatasetError(
                "stands in the way, and is no unfinished export", path=self.path, remedy="Move or rename it."
            )
        mark.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise DatasetError(
                "another export to this folder is under way", path=self.folder, remedy="Wait for it, or name another."
            ) from error
        if not self._is_same_job():
            for entry in self.path.iterdir():
                if entry != mark:
                    shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
            (mark / _JOURNAL).unlink(missing_ok=True)
            (mark / "job").write_text(self._job or "", "utf-8")
        self._journal = (mark / _JOURNAL).open("ab")

    def begun(self) -> int | None:
        """Rows that an interrupted attempt at the same job has kept; None where there was none. Takes no lock."""
        if not self._is_same_job():
            return None
        try:
            return sum("frame" in row for row in self.kept())
        except (OSError, ValueError):
            return 0

    def _is_same_job(self) -> bool:
        if self._job is None:
            return False
        try:
            return (self.path / MARK / "job").read_text("utf-8") == self._job
        except (OSError, UnicodeDecodeError):
            return False

    def keep(self, row: Mapping[str, Any]) -> None:
        """Append plain data to what a later attempt finds."""
        if self._journal is None:
            raise RuntimeError("outside of its with block")
        self._journal.write(_line(row))
        self._journal.flush()
        self._rows += 1
        if self._rows % _SYNC_EVERY == 0:
            os.fsync(self._journal.fileno())

    def kept(self) -> Iterator[dict[str, Any]]:
        """All that was kept, oldest first, line by line; a line that was cut off ends it."""
        with (self.path / MARK / _JOURNAL).open("rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    return
                yield json.loads(line)

    def keep_only(self, wanted: Callable[[dict[str, Any]], bool]) -> None:
        """Forget what is not wanted, and a last line that a power cut left incomplete."""
        path = self.path / MARK / _JOURNAL
        self._close_journal()  # Windows replaces no open file
        with atomic_file(path) as file:
            for row in self.kept():
                if wanted(row):
                    file.write(_line(row))
        self._journal = path.open("ab")

    def finish(self) -> None:
        """Give the folder its name."""
        self._leave()
        shutil.rmtree(self.path / MARK)
        if self.folder.exists():  # empty, as checked; Windows does not rename onto it
            self.folder.rmdir()
        self.path.rename(self.folder)
        self._finished = True

    def discard(self) -> None:
        """Take the work away."""
        self._leave()
        shutil.rmtree(self.path, ignore_errors=True)

    def _leave(self) -> None:
        self._close_journal()
        self._lock.release()

    def _close_journal(self) -> None:
        if self._journal is not None:
            self._journal.close()
            self._journal = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._job is None and not self._finished:
            self.discard()
        self._leave()
        if isinstance(error, OSError):
            raise self._not_writable(error) from error

    def _not_writable(self, error: OSError) -> DatasetError:
        return DatasetError(
            f"cannot be written ({error.strerror or error})",
            path=self.folder,
            remedy="Check the free space and the rights of the folder, then do it again: an export goes on from there.",
        )


def _line(row: Mapping[str, Any]) -> bytes:
    return to_json(row).encode() + b"\n"
