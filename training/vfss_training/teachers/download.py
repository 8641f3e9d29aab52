# SPDX-License-Identifier: Apache-2.0
"""Download of teachers' weights: interrupted downloads continue, and only files of the right hash are kept."""

from __future__ import annotations

import errno
import http.client
import json
import os
import re
import reprlib
import shutil
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from vfss.errors import TrainingError
from vfss.version import __version__
from vfss_training.teachers.table import TeacherEntry
from vfss_training.teachers.weights import (
    MOST_BYTES,
    default_folder,
    implausible,
    mismatch,
    note,
    note_path,
    verified_file,
)

_CHUNK = 1 << 18
_SPARE = 1 << 24
"""Bytes to leave free on the disk."""
_SCHEMES = ("http", "https", "file")
_OK, _PARTIAL_CONTENT, _RANGE_NOT_SATISFIABLE = 200, 206, 416

Progress = Callable[[int, int], None]
"""Called with the bytes received and in total (0: unknown); may raise to stop, and the same call continues later."""


def download(
    entry: TeacherEntry,
    folder: Path | None = None,
    *,
    url: str | None = None,
    progress: Progress | None = None,
    timeout: float = 30.0,
) -> Path:
    """Download a teacher's weights into a folder, complete and of the right hash, or not at all.

    An unfinished download is kept as FILE.part, and the next call continues it if the server can.

    Args:
        entry: The teacher.
        folder: Target folder; None: default_folder().
        url: Address, http, https or file; None: entry.url. It is an archive if the entry has a member and the address
            does not end with its name.
        progress: Called with the progress.
        timeout: Longest time without an answer of the server, s.

    Returns:
        The file. An existing one is only checked.

    Raises:
        TrainingError: There is no connection, it was interrupted, the file is a different one, or there is no space.
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
        job = _Download(entry, address, target, progress or (lambda done, total: None), timeout)
        job.fetch()
        job.keep()
    except OSError as error:
        raise _not_written(error, place) from error
    return target


def _not_written(error: OSError, place: Path) -> TrainingError:
    """Create the error of a folder that cannot be written to."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        remedy = "Free some space and run the same command again; it continues where it stopped."
        text = (
            "the disk is full" if error.strerror == os.strerror(error.errno) else f"the disk is full: {error.strerror}"
        )
        return TrainingError(text, path=place, remedy=remedy)
    return TrainingError(
        f"cannot write ({error})", path=place, remedy="Choose a folder that you may write to with --folder."
    )


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows a server to another address only if that is encrypted, or on the same host where nothing was."""

    def redirect_request(  # noqa: PLR0917  (urllib calls it)
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> Any:
        """Return the request for the new address.

        Raises:
            TrainingError: It is not encrypted.
        """
        old, new = urlsplit(req.full_url), urlsplit(newurl)
        if new.scheme != "https" and (old.scheme, old.hostname) != (new.scheme, new.hostname):
            raise TrainingError(
                f"{old.hostname} sends on to {newurl}, which is not encrypted (https)",
                remedy="Try again later, or get the file by hand: 'vfss-train teachers' says where it is from.",
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


@dataclass
class _Download:
    """One download in progress."""

    entry: TeacherEntry
    url: str
    target: Path
    progress: Progress
    timeout: float

    def __post_init__(self) -> None:
        self.archive = bool(self.entry.member) and not self.url.endswith(self.entry.member.rsplit("/", 1)[-1])
        name = f"{self.target.name}.zip" if self.archive else self.target.name
        self.part = self.target.with_name(f"{name}.part")
        self.record = self.target.with_name(f"{name}.part.json")
        """File with the address, validator and size of the download that the part belongs to."""

    def fetch(self) -> None:
        """Fetch until the file is complete."""
        received = self._received()
        if received and received == self._recorded().get("total"):
            return
        response = self._request(received)
        if response is None:  # the part belongs to another file, or is longer than this one
            self._forget()
            received, response = 0, self._request(0)
        if response is None:
            raise TrainingError(f"{self._host} refuses to send {self.url}", remedy=self._by_hand)
        with response:
            status = getattr(response, "status", None) or _OK
            received = received if status == _PARTIAL_CONTENT else 0
            total = self._total(response, received)
            self._check_size(total, received)
            self._write_record(response, total)
            with self.part.open("r+b" if received else "wb") as file:
                if received:
                    file.seek(received)
                    file.truncate()
                self._copy(response, file, received, total)

    def _total(self, response: Any, received: int) -> int:
        """Return the bytes of the complete file, as the server announces them; 0 if it does not."""
        length = response.headers.get("Content-Length")
        if length is None:
            return 0
        if re.fullmatch(r"[0-9]{1,15}", length.strip()) is None:
            raise TrainingError(
                f"{self._host} announces a length that is no number of bytes: {reprlib.repr(length)}",
                remedy=f"Try again later. {self._by_hand}",
            )
        return received + int(length) if int(length) else 0

    def _received(self) -> int:
        """Return the bytes to continue from; 0 if the part has another address, or a mixed file would go unnoticed."""
        size = self.part.stat().st_size if self.part.is_file() else 0
        known = self._recorded()
        verifiable = bool(self.entry.sha256 or self.entry.md5 or known.get("validator"))
        return size if size and verifiable and known.get("url") == self.url else 0

    def _request(self, received: int) -> Any:
        """Return the server's answer, from a byte on if it can; None if the part does not belong to this file."""
        request = urllib.request.Request(self.url, headers={"User-Agent": f"napari-vfss/{__version__}"})
        known = self._recorded()
        if received and urlsplit(self.url).scheme != "file":
            request.add_header("Range", f"bytes={received}-")
            if known.get("validator"):
                request.add_header("If-Range", known["validator"])
        try:
            response = urllib.request.build_opener(_SafeRedirects).open(request, timeout=self.timeout)
        except urllib.error.HTTPError as error:
            with error:
                if error.code == _RANGE_NOT_SATISFIABLE and received:
                    return None
                raise TrainingError(
                    f"{self._host} answers {error.code} {error.reason}", remedy=self._by_hand
                ) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            raise TrainingError(
                f"cannot reach {self._host} ({reason})", remedy=f"Check the connection. {self._by_hand}"
            ) from error
        if getattr(response, "status", None) == _PARTIAL_CONTENT and not self._continues(response, received, known):
            response.close()
            return None
        return response

    def _continues(self, response: Any, received: int, known: dict[str, Any]) -> bool:
        """True if an answer continues the part."""
        match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", response.headers.get("Content-Range", ""))
        if match is None or int(match[1]) != received:
            return False
        same_size = not known.get("total") or match[3] in {"*", str(known["total"])}
        validator = _validator(response)
        return same_size and (not known.get("validator") or not validator or validator == known["validator"])

    def _check_size(self, total: int, received: int) -> None:
        """Refuse a different file, and one that does not fit on the disk, before it is received."""
        expected = 0 if self.archive else self.entry.bytes
        if total and expected and total != expected:
            raise TrainingError(
                f"{self._host} offers a different file: {total:,} bytes, not {expected:,}", remedy=self._by_hand
            )
        if total > MOST_BYTES:
            raise TrainingError(
                f"{self._host} announces {total:,} bytes; no weights of a teacher have more than {MOST_BYTES:,}",
                remedy=self._by_hand,
            )
        missing = (total or expected) - received + (self.entry.bytes if self.archive else 0)
        if shutil.disk_usage(self.part.parent).free < missing + _SPARE:
            raise OSError(errno.ENOSPC, f"{missing:,} bytes are missing")

    def _copy(self, response: Any, file: IO[bytes], received: int, total: int) -> None:
        """Copy the answer to the end."""
        while True:
            self.progress(received, total)
            try:
                chunk = response.read(_CHUNK)
            except (OSError, http.client.HTTPException) as error:
                raise self._interrupted(received, total) from error
            if not chunk:
                break
            received += len(chunk)
            if received > MOST_BYTES:
                self._forget()
                raise TrainingError(
                    f"{self._host} sends more than {MOST_BYTES:,} bytes; what was received is removed",
                    remedy=self._by_hand,
                )
            file.write(chunk)
        if total and received != total:
            raise self._interrupted(received, total)
        file.flush()
        os.fsync(file.fileno())

    def _interrupted(self, received: int, total: int) -> TrainingError:
        size = total or self.entry.bytes
        return TrainingError(
            f"the connection to {self._host} was interrupted after {received:,}{f' of {size:,}' if size else ''} bytes",
            path=self.part,
            remedy="Run the same command again; it continues from there.",
        )

    def keep(self) -> None:
        """Rename the part to its final name, if its hash is right."""
        complete = self._unpacked() if self.archive else self.part
        problem = mismatch(self.entry, complete, self.target) or implausible(self.entry, complete)
        if problem:
            complete.unlink(missing_ok=True)
            self._forget()
            remembered = note_path(self.target)
            again = f"Delete {remembered} if the new file is the right one. " if remembered.exists() else ""
            raise TrainingError(
                f"{self._host} sent other weights than those of {self.entry.name!r}; they were removed: {problem}",
                remedy=f"{again}Run 'vfss-train download {self.entry.name}' again. {self._by_hand}",
            )
        complete.replace(self.target)
        note(self.entry, self.target)
        self._forget()

    def _unpacked(self) -> Path:
        """Extract the weights from the archive to a file."""
        out = self.target.with_name(f"{self.target.name}.part")
        try:
            with zipfile.ZipFile(self.part) as archive:
                names = [name for name in archive.namelist() if f"/{name}".endswith(f"/{self.entry.member}")]
                if len(names) != 1:
                    raise zipfile.BadZipFile(f"{len(names)} files named {self.entry.member}")
                size = archive.getinfo(names[0]).file_size
                if size > MOST_BYTES or (self.entry.bytes and size != self.entry.bytes):
                    raise zipfile.BadZipFile(f"{self.entry.member} has {size:,} bytes")
                if shutil.disk_usage(out.parent).free < size + _SPARE:
                    raise OSError(errno.ENOSPC, f"{size:,} bytes are missing")
                with archive.open(names[0]) as packed, out.open("wb") as file:
                    shutil.copyfileobj(packed, file, _CHUNK)
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError) as error:
            out.unlink(missing_ok=True)
            self._forget()
            raise TrainingError(
                f"{self._host} sent no archive with {self.entry.member} ({error}); it was removed",
                remedy=f"Run the same command again. {self._by_hand}",
            ) from error
        return out

    def _write_record(self, response: Any, total: int) -> None:
        text = json.dumps({"url": self.url, "validator": _validator(response), "total": total})
        self.record.write_text(text + "\n", "utf-8")

    def _recorded(self) -> dict[str, Any]:
        with suppress(OSError, ValueError, RecursionError):
            data = json.loads(self.record.read_text("utf-8"))
            return data if isinstance(data, dict) else {}
        return {}

    def _forget(self) -> None:
        self.part.unlink(missing_ok=True)
        self.record.unlink(missing_ok=True)

    @property
    def _host(self) -> str:
        return urlsplit(self.url).hostname or self.url

    @property
    def _by_hand(self) -> str:
        return f"Or get {self.entry.file} from {self.entry.source} and save it in {self.target.parent}."


def _validator(response: Any) -> str:
    """Return what identifies this version of the server's file: a strong ETag, else its time, else ""."""
    etag = str(response.headers.get("ETag", ""))
    return etag if etag.startswith('"') else str(response.headers.get("Last-Modified", ""))
