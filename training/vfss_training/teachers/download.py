# SPDX-License-Identifier: Apache-2.0
"""Downloading weights of teachers: taken up where it broke off, kept only with the right hash."""

from __future__ import annotations

import errno
import http.client
import json
import os
import re
import shutil
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from vfss.errors import TrainingError
from vfss.version import __version__
from vfss_training.teachers.table import TeacherEntry
from vfss_training.teachers.weights import default_folder, misfit, note, verified_file

_CHUNK = 1 << 18
_SPARE = 1 << 24
"""Bytes that are left free on the disk."""
_SCHEMES = ("http", "https", "file")
_WHOLE, _PART, _BEYOND = 200, 206, 416

Progress = Callable[[int, int], None]
"""Called with bytes that are there and in all (0: unknown); may raise to stop, and the same call goes on later."""


def download(
    entry: TeacherEntry,
    folder: Path | None = None,
    *,
    url: str | None = None,
    progress: Progress | None = None,
    timeout: float = 30.0,
) -> Path:
    """Put a teacher's weights into a folder, whole and of the right hash, or not at all.

    What has come so far lies beside as FILE.part, and the next call goes on from there where the server can.

    Args:
        entry: The teacher.
        folder: Where to; None: default_folder().
        url: Where from, http, https or file; None: entry.url. An archive where the entry has a member, and the address
            does not end with its name.
        progress: Told how far it is.
        timeout: Longest silence of the server, s.

    Returns:
        The file. One that is there already is only checked.

    Raises:
        TrainingError: No connection, a cut one, another file, or no space.
    """
    place = default_folder() if folder is None else folder
    target = place / entry.file
    if target.is_file():
        return verified_file(entry, target)
    address = url or entry.url
    if urlsplit(address).scheme not in _SCHEMES:
        raise TrainingError(f"cannot download {address!r}", remedy=f"Name an address of {', '.join(_SCHEMES)}.")
    try:
        place.mkdir(parents=True, exist_ok=True)
        fetch = _Fetch(entry, address, target, progress or (lambda done, total: None), timeout)
        fetch.whole()
        fetch.keep()
    except OSError as error:
        raise _not_written(error, place) from error
    return target


def _not_written(error: OSError, place: Path) -> TrainingError:
    """Why a folder cannot be written to."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        remedy = "Make space and give the same command again; it goes on where it stopped."
        return TrainingError("the disk is full", path=place, remedy=remedy)
    return TrainingError(f"cannot write ({error})", path=place, remedy="Choose a folder you may write to: --folder.")


@dataclass
class _Fetch:
    """One download under way."""

    entry: TeacherEntry
    url: str
    target: Path
    progress: Progress
    timeout: float

    def __post_init__(self) -> None:
        self.archive = bool(self.entry.member) and not self.url.endswith(self.entry.member.rsplit("/", 1)[-1])
        name = f"{self.target.name}.zip" if self.archive else self.target.name
        self.part = self.target.with_name(f"{name}.part")
        self.memory = self.target.with_name(f"{name}.part.json")
        """Address, validator and size of what the part is a part of."""

    def whole(self) -> None:
        """Fetch until all is there."""
        there = self._there()
        if there and there == self._remembered().get("total"):
            return
        response = self._asked(there)
        if response is None:  # the part is of something else, or longer than the whole
            self._forget()
            there, response = 0, self._asked(0)
        if response is None:
            raise TrainingError(f"{self._host} refuses to send {self.url}", remedy=self._by_hand)
        with response:
            status = getattr(response, "status", None) or _WHOLE
            there = there if status == _PART else 0
            total = there + int(response.headers.get("Content-Length") or 0)
            total = 0 if total == there else total
            self._check_size(total, there)
            self._remember(response, total)
            with self.part.open("r+b" if there else "wb") as file:
                if there:
                    file.seek(there)
                    file.truncate()
                self._copy(response, file, there, total)

    def _there(self) -> int:
        """Bytes to go on from; 0 where the part is of another address, or nothing could tell a glued file."""
        size = self.part.stat().st_size if self.part.is_file() else 0
        known = self._remembered()
        sure = bool(self.entry.sha256 or self.entry.md5 or known.get("validator"))
        return size if size and sure and known.get("url") == self.url else 0

    def _asked(self, there: int) -> Any:
        """The server's answer, from a byte on where it can; None where what is there does not belong to it."""
        request = urllib.request.Request(self.url, headers={"User-Agent": f"napari-vfss/{__version__}"})
        known = self._remembered()
        if there and urlsplit(self.url).scheme != "file":
            request.add_header("Range", f"bytes={there}-")
            if known.get("validator"):
                request.add_header("If-Range", known["validator"])
        try:
            response = urllib.request.urlopen(request, timeout=self.timeout)
        except urllib.error.HTTPError as error:
            with error:
                if error.code == _BEYOND and there:
                    return None
                raise TrainingError(
                    f"{self._host} answers {error.code} {error.reason}", remedy=self._by_hand
                ) from error
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise TrainingError(
                f"cannot reach {self._host} ({reason})", remedy=f"Check the connection. {self._by_hand}"
            ) from error
        if getattr(response, "status", None) == _PART and not self._goes_on(response, there, known):
            response.close()
            return None
        return response

    def _goes_on(self, response: Any, there: int, known: dict[str, Any]) -> bool:
        """Whether an answer is the rest of what is there."""
        found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", response.headers.get("Content-Range", ""))
        if found is None or int(found[1]) != there:
            return False
        same_size = not known.get("total") or found[3] in {"*", str(known["total"])}
        validator = _validator(response)
        return same_size and (not known.get("validator") or not validator or validator == known["validator"])

    def _check_size(self, total: int, there: int) -> None:
        """Refuse another file, and one that the disk has no room for, before it has come."""
        expected = 0 if self.archive else self.entry.bytes
        if total and expected and total != expected:
            raise TrainingError(
                f"{self._host} has another file: {total:,} bytes, not {expected:,}", remedy=self._by_hand
            )
        missing = (total or expected) - there + (self.entry.bytes if self.archive else 0)
        if shutil.disk_usage(self.part.parent).free < missing + _SPARE:
            raise OSError(errno.ENOSPC, "no space left")

    def _copy(self, response: Any, file: IO[bytes], there: int, total: int) -> None:
        """What the server sends, to the end."""
        while True:
            self.progress(there, total)
            try:
                chunk = response.read(_CHUNK)
            except (OSError, http.client.HTTPException) as error:
                raise self._cut(there, total) from error
            if not chunk:
                break
            file.write(chunk)
            there += len(chunk)
        if total and there != total:
            raise self._cut(there, total)
        file.flush()
        os.fsync(file.fileno())

    def _cut(self, there: int, total: int) -> TrainingError:
        size = total or self.entry.bytes
        return TrainingError(
            f"the connection to {self._host} was cut: {there:,}{f' of {size:,}' if size else ''} bytes are there",
            path=self.part,
            remedy="Give the same command again; it goes on from there.",
        )

    def keep(self) -> None:
        """Give the file its name, if its hash is right."""
        whole = self._unpacked() if self.archive else self.part
        problem = misfit(self.entry, whole, self.target)
        if problem:
            whole.unlink(missing_ok=True)
            self._forget()
            raise TrainingError(
                f"what {self._host} sent are not the weights of teacher {self.entry.name!r}: {problem}; it was removed",
                remedy=f"Give the same command again. {self._by_hand}",
            )
        whole.replace(self.target)
        note(self.entry, self.target)
        self._forget()

    def _unpacked(self) -> Path:
        """The member of the archive as a file."""
        out = self.target.with_name(f"{self.target.name}.part")
        try:
            with zipfile.ZipFile(self.part) as archive:
                names = [name for name in archive.namelist() if f"/{name}".endswith(f"/{self.entry.member}")]
                if len(names) != 1:
                    raise zipfile.BadZipFile(f"{len(names)} files named {self.entry.member}")
                if shutil.disk_usage(out.parent).free < archive.getinfo(names[0]).file_size + _SPARE:
                    raise OSError(errno.ENOSPC, "no space left")
                with archive.open(names[0]) as packed, out.open("wb") as file:
                    shutil.copyfileobj(packed, file, _CHUNK)
        except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
            out.unlink(missing_ok=True)
            self._forget()
            raise TrainingError(
                f"what {self._host} sent is no archive with {self.entry.member} ({error}); it was removed",
                remedy=f"Give the same command again. {self._by_hand}",
            ) from error
        return out

    def _remember(self, response: Any, total: int) -> None:
        text = json.dumps({"url": self.url, "validator": _validator(response), "total": total})
        self.memory.write_text(text + "\n", "utf-8")

    def _remembered(self) -> dict[str, Any]:
        with suppress(OSError, ValueError):
            found = json.loads(self.memory.read_text("utf-8"))
            return found if isinstance(found, dict) else {}
        return {}

    def _forget(self) -> None:
        self.part.unlink(missing_ok=True)
        self.memory.unlink(missing_ok=True)

    @property
    def _host(self) -> str:
        return urlsplit(self.url).hostname or self.url

    @property
    def _by_hand(self) -> str:
        return f"Or get {self.entry.file} from {self.entry.source} and put it into {self.target.parent}."


def _validator(response: Any) -> str:
    """What tells this version of the server's file from another: a strong ETag, else its time; empty: nothing."""
    etag = str(response.headers.get("ETag", ""))
    return etag if etag.startswith('"') else str(response.headers.get("Last-Modified", ""))
