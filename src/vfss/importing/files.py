# SPDX-License-Identifier: Apache-2.0
"""Read foreign files: JSON objects within bounds, folders in natural order."""

from __future__ import annotations

import json
import mmap
from pathlib import Path
from typing import Any

from vfss.errors import DatasetError, MaskError
from vfss.importing.names import natural

MALFORMED = (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError, MaskError)
"""Exceptions that reading malformed foreign JSON can raise."""

POLYGONS = "polygons are outlines: pixels along them, holes and specks may differ from the masks they were made of"
"""What is lost in polygons."""

MOST_JSON_BYTES = 1 << 29
"""Size of the largest JSON that is read: parsed, it takes several times as much memory."""

_LONGEST = 200  # characters of a library's message


def read_object(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file.

    Raises:
        DatasetError: The file is missing, not JSON, or not an object.
    """
    try:
        expect_size(path, MOST_JSON_BYTES)
        data = json.loads(path.read_text("utf-8-sig"))
    except FileNotFoundError as error:
        raise DatasetError("there is no such file", path=path, remedy="Check the path.") from error
    except (OSError, ValueError, RecursionError, MemoryError) as error:  # a truncated file is a ValueError
        what = "it nests too deeply" if isinstance(error, RecursionError) else str(error) or type(error).__name__
        raise DatasetError(
            f"cannot be read as JSON ({what[:_LONGEST]})",
            path=path,
            remedy="Copy or export it again: it may be cut off.",
        ) from error
    if not isinstance(data, dict):
        raise DatasetError(f"holds a JSON {type(data).__name__}, not an object", path=path)
    return data


def expect_size(path: Path, most: int) -> None:
    """Refuse a file of more than `most` bytes, before it is read.

    Raises:
        DatasetError: It is larger.
        OSError: There is no such file.
    """
    size = path.stat().st_size
    if size > most:
        raise DatasetError(
            f"has {size} bytes, more than the {most} that are read at once",
            path=path,
            remedy="Export it in parts, for example one per recording.",
        )


def object_or_empty(path: Path) -> dict[str, Any]:
    """Return the object in a small JSON file, {} if there is none."""
    try:
        return read_object(path) if path.is_file() else {}
    except DatasetError:
        return {}


def mentions(path: Path, *members: str) -> bool:
    """Return whether all members are named in a JSON file of any size; False if it cannot be read."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return all(content.find(f'"{member}"'.encode()) >= 0 for member in members)
    except (OSError, ValueError):  # an empty file cannot be mapped
        return False


def malformed(path: Path, error: Exception, what: str) -> DatasetError:
    """Return the error for foreign data that lack something or have an unexpected value."""
    return DatasetError(
        f"is malformed {what} ({_explained(error)})",
        path=path,
        remedy="Export it again from the program that made it.",
    )


def _explained(error: Exception) -> str:
    text = " ".join(str(error).split())
    text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
    return text.rstrip(".") if isinstance(error, MaskError) else f"{type(error).__name__}: {text}"


def entries_of(folder: Path) -> list[Path]:
    """Return files and folders of a folder in natural order, hidden ones left out; none if it is not a folder.

    Raises:
        DatasetError: The folder cannot be read.
    """
    try:
        entries = [path for path in folder.iterdir() if not path.name.startswith((".", "_"))] if folder.is_dir() else []
    except OSError as error:
        raise DatasetError(f"cannot be read ({error.strerror or error})", path=folder) from error
    return sorted(entries, key=lambda path: natural(path.name))


def files_in(folder: Path, *suffixes: str) -> list[Path]:
    """Return the files of a folder whose name ends in one of the suffixes, in natural order."""
    return [path for path in entries_of(folder) if path.name.lower().endswith(suffixes) and path.is_file()]
