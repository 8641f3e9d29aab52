# SPDX-License-Identifier: Apache-2.0
"""Case key: the random ids of patients, recordings and annotators in exports; it never leaves the site."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from vfss.errors import DatasetError
from vfss.output.atomic_file import abandoned, atomic_file, remove_abandoned
from vfss.output.disk import why_not_written
from vfss.output.private import make_private_folder
from vfss.plain_data import parse_json

FILE = "case-key.json"

_WHAT = "case key of napari-vfss: keep it secret, and apart from everything that was exported"
_VERSION = 1
_LETTERS = "23456789bcdfghjkmnpqrstvwxz"
"""No vowels and no look-alikes: ids spell no words and can be read out."""
_LENGTH = 8
_NAME = re.compile(r"(case|clip|annotator)-[0-9a-z]{1,40}\Z")  # names of files and folders are made of it
_TABLES = ("cases", "recordings", "annotators")
_PATIENCE_S = 20.0
_LEFT = "It was left as it is: restore it from a backup, or name another file with --key, under which all ids are new."


class CaseKey:
    """File that maps patients, recordings and authors to random ids, and back.

    A patient has the same id in all exports made with the same key. Several processes may use one file: the first one
    assigns the id, under a lock. The file is created when the first id is needed, readable by its owner only.

    Attributes:
        path: The file.
    """

    def __init__(self, path: str | Path) -> None:
        """Read the key if there is one.

        Raises:
            DatasetError: It is damaged or unreadable.
        """
        self.path = Path(path).absolute()
        self._known = self._read()
        if abandoned(self.path):  # as secret as the key
            with suppress(DatasetError), self._locked():
                pass

    def case(self, patient: str) -> str:
        """Return the random case id of a patient, "case-" and eight letters or digits, assigned when first needed."""
        return self._name("cases", patient, lambda taken: _random("case-", taken))

    def recording(self, clip_id: str) -> str:
        """Return the random recording id of a clip, "clip-" and eight letters or digits, assigned when first needed."""
        return self._name("recordings", clip_id, lambda taken: _random("clip-", taken))

    @property
    def recordings(self) -> dict[str, str]:
        """Clip ids by recording id, of all that were assigned so far."""
        return {} if self._known is None else {name: clip for clip, name in self._known["recordings"].items()}

    def annotator(self, author: str) -> str:
        """Return the pseudonym of an author or reviewer, "annotator-" and a number, assigned when first needed."""
        return self._name("annotators", author, lambda taken: f"annotator-{len(taken) + 1}")

    def uid(self, uid: str) -> str:
        """Return the DICOM UID "2.25...." that replaces another one: always the same, meaningless without the key."""
        if self._known is None:
            with self._locked() as known:
                self._write(known)
        secret = bytes.fromhex((self._known or {})["secret"])
        digest = hmac.new(secret, uid.strip().encode(), hashlib.sha256).digest()
        return f"2.25.{uuid.UUID(bytes=digest[:16], version=4).int}"

    def new_uid(self, keyword: str, clip_id: str) -> str:
        """Return the DICOM UID of a clip that has none of its own, e.g. the SOPInstanceUID of a video in exports."""
        return self.uid(f"{keyword} of {clip_id}")

    def expect_outside(self, folder: str | Path) -> None:
        """Refuse an export into a folder that holds the key.

        Raises:
            DatasetError: The key lies in or below that folder.
        """
        if self.path.resolve().is_relative_to(Path(folder).resolve()):
            raise DatasetError(
                "the case key is inside the folder to export into: with it, patients can be identified",
                path=self.path,
                remedy="Export into another folder, or move the key out of it.",
            )

    def _name(self, table: str, original: str, new: Callable[[set[str]], str]) -> str:
        if self._known is None or original not in self._known[table]:
            with self._locked() as known:
                names = known[table]
                if original not in names:
                    names[original] = new(set(names.values()))
                    self._write(known)
        return str((self._known or {})[table][original])

    @contextmanager
    def _locked(self) -> Iterator[dict[str, Any]]:
        """Lock the file and give its present content; what the block changes in it becomes known here."""
        try:
            make_private_folder(self.path.parent)
            with FileLock(self.path.with_name(f".{self.path.name}.lock"), timeout=_PATIENCE_S, mode=0o600):
                remove_abandoned(self.path)  # all who write it hold the lock
                known = self._read() or {"what": _WHAT, "version": _VERSION, "secret": secrets.token_hex(32)} | {
                    table: {} for table in _TABLES
                }
                yield known
                self._known = known
        except Timeout as error:
            raise DatasetError(
                f"another program kept the case key locked for {_PATIENCE_S:g} s",
                path=self.path,
                remedy="Wait until it has finished, then try again.",
            ) from error
        except OSError as error:
            raise DatasetError(
                f"the case key cannot be written ({why_not_written(error, self.path)})",
                path=self.path,
                remedy="Name a file that you may write, outside the export, with --key.",
            ) from error

    def _read(self) -> dict[str, Any] | None:
        """Return the content of the file; None if there is no file."""
        try:
            data = parse_json(self.path.read_text("utf-8"))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise DatasetError(
                f"the case key cannot be read ({error.strerror or error})", path=self.path, remedy=_LEFT
            ) from error
        except ValueError as error:
            raise DatasetError(f"the case key is damaged ({error})", path=self.path, remedy=_LEFT) from error
        fault = _fault(data)
        if fault:
            raise DatasetError(f"the case key is damaged, or no case key ({fault})", path=self.path, remedy=_LEFT)
        return dict(data)

    def _write(self, known: dict[str, Any]) -> None:
        """Write the file completely or not at all, readable for its owner only."""
        with atomic_file(self.path, mode=0o600) as file:
            file.write(json.dumps(known, ensure_ascii=False, indent=1).encode())


def _fault(data: Any) -> str:
    """Return what is wrong with parsed JSON as a key; empty if nothing is."""
    if not isinstance(data, dict) or data.get("what") != _WHAT:
        return "its header is missing"
    if data.get("version") != _VERSION:
        return f"version {data.get('version')}, this program reads {_VERSION}"
    if not re.fullmatch("[0-9a-f]{64}", str(data.get("secret"))):
        return "it has no secret"
    return next(filter(None, (_fault_of_table(table, data.get(table)) for table in _TABLES)), "")


def _fault_of_table(table: str, names: Any) -> str:
    if not isinstance(names, dict):
        return f"it has no {table}"
    if not all(isinstance(name, str) and _NAME.match(name) for name in names.values()):
        return f"one of its {table} has a name that no export uses"
    return f"two of its {table} share a name" if len(set(names.values())) < len(names) else ""


def _random(kind: str, taken: set[str]) -> str:
    while True:
        name = kind + "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))
        if name not in taken:
            return name
