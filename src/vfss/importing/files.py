# SPDX-License-Identifier: Apache-2.0
"""Read foreign files: JSON objects, clip ids and frame numbers in file names, folders in natural order."""

from __future__ import annotations

import json
import mmap
import re
from pathlib import Path, PurePosixPath
from typing import Any

from vfss.errors import DatasetError

MALFORMED = (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError)
"""Exceptions that reading malformed foreign JSON can raise."""

_CLIP = re.compile(r"b2-[0-9a-f]{40}(?![0-9a-f])")
_FRAME = re.compile(r"_([0-9]{6,9})\Z")
_NUMBER = re.compile(r"[0-9]{1,18}(?![0-9])")
_SUFFIXES = (".nii.gz", ".nii", ".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp")


def read_object(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file.

    Raises:
        DatasetError: The file is missing, not JSON, or not an object.
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
        f"is malformed {what} ({type(error).__name__}: {error})",
        path=path,
        remedy="Export it again from the program that made it.",
    )


def stem(name: str) -> str:
    """Return the name of a file without folder and suffix; "case.nii.gz" is "case"."""
    last = PurePosixPath(name.replace("\\", "/")).name
    for suffix in _SUFFIXES:
        if last.lower().endswith(suffix):
            return last[: -len(suffix)]
    return PurePosixPath(last).stem


def last_number(name: str) -> int | None:
    """Return the last number in a file's name; None if there is none."""
    numbers = _NUMBER.findall(stem(name))
    return int(numbers[-1]) if numbers else None


def clip_and_frame(name: str) -> tuple[str | None, int | None]:
    """Return the clip's content id in a file's name, and the zero-based frame if the name is that of an export."""
    plain = stem(name)
    clip = _CLIP.search(plain)
    if clip is None:
        return None, None
    frame = _FRAME.fullmatch(plain[clip.end() :])
    return clip[0], (int(frame[1]) if frame is not None and clip.start() == 0 else None)


def natural(name: str) -> list[tuple[int, int, str]]:
    """Return the key for natural sorting: 2 before 10."""
    parts = re.split(r"([0-9]{1,18})", name.casefold())
    return [(0, int(part), "") if i % 2 else (1, 0, part) for i, part in enumerate(parts)]


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
