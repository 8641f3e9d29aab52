# SPDX-License-Identifier: Apache-2.0
"""The case key: which random name stands for which patient, recording and annotator; it never leaves the house."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from vfss.errors import DatasetError
from vfss.output.atomic_file import atomic_file

FILE = "case-key.json"

_WHAT = "case key of napari-vfss: keep it secret, and apart from everything that was exported"
_VERSION = 1
_LETTERS = "23456789bcdfghjkmnpqrstvwxz"
"""No vowels and nothing that looks like something else: ids spell no words and survive being read out."""
_LENGTH = 8
_TABLES = ("cases", "recordings", "annotators")
_PATIENCE_S = 20.0
_LEFT = "It was left as it is: restore it from a backup, or name another file with --key, under which all ids are new."


class CaseKey:
    """The file that turns patients, recordings and authors into names that tell nothing, and back.

    The same patient has the same name in every export made with the same key. Several processes may use one file:
    whoever is first gives the name, under a lock. The file is made when the first name is needed, for its owner only.

    Attributes:
        path: The file.
    """

    def __init__(self, path: str | Path) -> None:
        """Read the key where there is one.

        Raises:
            DatasetError: It is damaged or unreadable.
        """
        self.path = Path(path).absolute()
        self._known = self._read()

    def case(self, patient: str) -> str:
        """Random case id of a patient, "case-" and eight letters or digits, made when first asked for."""
        return self._name("cases", patient, lambda taken: _random("case-", taken))

    def recording(self, clip_id: str) -> str:
        """Random recording id of a clip, "clip-" and eight letters or digits, made when first asked for."""
        return self._name("recordings", clip_id, lambda taken: _random("clip-", taken))

    @property
    def recordings(self) -> dict[str, str]:
        """Clip id by recording id, of all that were given until now."""
        return {} if self._known is None else {name: clip for clip, name in self._known["recordings"].items()}

    def annotator(self, author: str) -> str:
        """Pseudonym of an author or reviewer, "annotator-" and a number, made when first asked for."""
        return self._name("annotators", author, lambda taken: f"annotator-{len(taken) + 1}")

    def uid(self, uid: str) -> str:
        """DICOM UID "2.25...." that stands for another one: always the same, and telling nothing without the key."""
        if self._known is None:
            with self._locked() as known:
                self._write(known)
        secret = bytes.fromhex((self._known or {})["secret"])
        digest = hmac.new(secret, uid.strip().encode(), hashlib.sha256).digest()
        return f"2.25.{uuid.UUID(bytes=digest[:16], version=4).int}"

    def expect_outside(self, folder: str | Path) -> None:
        """Refuse an export into a folder that holds the key.

        Raises:
            DatasetError: The key lies in or below that folder.
        """
        if self.path.resolve().is_relative_to(Path(folder).resolve()):
            raise DatasetError(
                "the case key lies inside the folder to export into: with it, patients can be named again",
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
        """The key as it is on the disk now, while no other process changes it; becomes what is known."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(self.path.with_name(f".{self.path.name}.lock"), timeout=_PATIENCE_S, mode=0o600):
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
                f"the case key cannot be written ({error.strerror or error})",
                path=self.path,
                remedy="Name a file that you may write, outside the export, with --key.",
            ) from error

    def _read(self) -> dict[str, Any] | None:
        """What the file says; None where there is none."""
        try:
            data = json.loads(self.path.read_text("utf-8"))
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
            raise DatasetError(f"the case key is damaged or foreign ({fault})", path=self.path, remedy=_LEFT)
        return dict(data)

    def _write(self, known: dict[str, Any]) -> None:
        """Put the file in place as a whole, readable for its owner only."""
        with atomic_file(self.path, mode=0o600) as file:
            file.write(json.dumps(known, ensure_ascii=False, indent=1).encode())


def _fault(data: Any) -> str:
    """What keeps parsed JSON from being a key; empty where nothing does."""
    if not isinstance(data, dict) or data.get("what") != _WHAT:
        return "it does not call itself one"
    if data.get("version") != _VERSION:
        return f"version {data.get('version')}, this program reads {_VERSION}"
    if not re.fullmatch("[0-9a-f]{64}", str(data.get("secret"))):
        return "it has no secret"
    for table in _TABLES:
        names = data.get(table)
        if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
            return f"it has no {table}"
        if len(set(names.values())) < len(names):
            return f"two of its {table} share a name"
    return ""


def _random(kind: str, taken: set[str]) -> str:
    while True:
        name = kind + "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))
        if name not in taken:
            return name
