# SPDX-License-Identifier: Apache-2.0
"""The exception tree.

    VfssError
    ├── ClipError             a recording cannot be opened, found or decoded
    │   └── SeveralRecordingsError    a folder holds several, one must be chosen
    ├── SchemaError           a list of structures is malformed, or two do not fit together
    ├── MaskError             planes of a wrong shape, dtype or count
    ├── ProjectError          a project folder cannot be read or written
    │   └── ConflictError     someone else changed the same frame and structure meanwhile
    ├── StudentError          a student file is missing, foreign, damaged or does not fit
    ├── DatasetError          an export or import cannot be done
    └── TrainingError         a training run cannot start or continue

Every message tells what went wrong, where, and what to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

_CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\t\n"}


class VfssError(Exception):
    """An error that a user can act on: what went wrong, where, and the remedy."""

    def __init__(
        self, what: str, *, remedy: str = "", path: str | Path | None = None, frame: int | None = None
    ) -> None:
        """Compose the message from its parts.

        Args:
            what: What went wrong and what was found, without a full stop.
            remedy: What the user can do about it.
            path: File or folder concerned.
            frame: Zero-based frame index concerned.
        """
        self.what = printable(what)
        self.remedy = printable(remedy)
        self.path = None if path is None else Path(path)
        self.frame = frame
        where = "" if self.path is None else f"{self.path}: "
        at = "" if frame is None else f"frame {frame}: "
        super().__init__(printable(f"{where}{at}{what}." + (f" {remedy}" if remedy else "")))


def printable(text: str) -> str:
    r"""Return a text that every output can encode and no terminal obeys.

    Bytes of a file name that are not UTF-8, and control characters except tab and newline, are written as \xfc.
    """
    text = text.translate(_CONTROL)
    try:
        return text.encode(errors="surrogateescape").decode(errors="backslashreplace")
    except UnicodeEncodeError:  # surrogates that no file name gives
        return text.encode(errors="backslashreplace").decode()


class ClipError(VfssError):
    """A recording cannot be opened, found or decoded."""


class SeveralRecordingsError(ClipError):
    """A folder holds several recordings; a person has to choose one.

    Attributes:
        recordings: Files and folders of recordings, in the order in which they are offered.
    """

    def __init__(self, what: str, *, path: Path, recordings: Sequence[Path]) -> None:
        """Compose the message; the remedy is to open one of them."""
        super().__init__(what, path=path, remedy="Open one of them.")
        self.recordings = tuple(recordings)


class SchemaError(VfssError):
    """A list of structures is malformed, or two of them do not fit together."""


class MaskError(VfssError):
    """Mask planes of a wrong shape, dtype or count."""


class ProjectError(VfssError):
    """A project folder cannot be read or written."""


class ConflictError(ProjectError):
    """Someone else changed the same frame and structure meanwhile; nothing is overwritten."""


class StudentError(VfssError):
    """A student file is missing, foreign, damaged, or does not fit the schema."""


class DatasetError(VfssError):
    """An export or import cannot be done."""


class TrainingError(VfssError):
    """A training run cannot start or continue."""
