# SPDX-License-Identifier: Apache-2.0
"""JSON of other programs: an object, or an error that says what was found."""

from __future__ import annotations

import json
import mmap
from pathlib import Path
from typing import Any

from vfss.errors import DatasetError

MALFORMED = (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError)
"""What reading foreign JSON can raise where it is not as it should be."""


def read_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        DatasetError: It is missing, not JSON, or no object.
    """
    try:
        data = json.loads(path.read_text("utf-8-sig"))
    except FileNotFoundError as error:
        raise DatasetError("there is no such file", path=path, remedy="Check the path.") from error
    except (OSError, ValueError, RecursionError) as error:  # a truncated file is a ValueError
        raise DatasetError(
            f"cannot be read as JSON ({error})", path=path, remedy="Copy or export it again: it may be cut off."
        ) from error
    if not isinstance(data, dict):
        raise DatasetError(f"holds a JSON {type(data).__name__}, not an object", path=path)
    return data


def object_or_nothing(path: Path) -> dict[str, Any]:
    """The object in a small JSON file, {} where there is none."""
    try:
        return read_object(path) if path.is_file() else {}
    except DatasetError:
        return {}


def mentions(path: Path, *words: str) -> bool:
    """Whether all of these members are named somewhere in a JSON file, however large; False where it is unreadable."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return all(content.find(f'"{word}"'.encode()) >= 0 for word in words)
    except (OSError, ValueError):  # an empty file cannot be mapped
        return False


def malformed(path: Path, error: Exception, what: str) -> DatasetError:
    """The error for foreign data that lack something or have something else in its place."""
    return DatasetError(
        f"is malformed {what} ({type(error).__name__}: {error})",
        path=path,
        remedy="Export it again from the program that made it.",
    )
