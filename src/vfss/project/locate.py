# SPDX-License-Identifier: Apache-2.0
"""Finding a moved recording by its content, never by its name."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from vfss.clips.content_id import content_id
from vfss.clips.folders import frame_files
from vfss.errors import ClipError
from vfss.project.database_files import FILE

READINGS = "readings"
"""Folder within a project's that holds its second readings, each a project of its own."""

_MOST = 100_000  # entries searched per starting folder: a search must end, even at the root of a network share


def project_of_reading(folder: Path) -> Path | None:
    """Return the folder of the project of which a folder is a second reading; None if it is none."""
    above = folder.parent
    return above.parent if above.name == READINGS and (above.parent / FILE).is_file() else None


def size_of(path: Path) -> int:
    """Return the size of a recording in bytes: of the file, or of all frames in the folder."""
    return sum(file.stat().st_size for file in frame_files(path)) if path.is_dir() else path.stat().st_size


def exists(path: Path) -> bool:
    """Return whether there is something at a path; False too for one that no system can have, or that is not shown."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def is_recording(path: Path, clip_id: str, size: int) -> bool:
    """Return whether the path holds a recording; it is hashed only if the size is right."""
    try:
        # Devices and pipes are no recordings, and reading them may never end.
        whole = path.is_file() or path.is_dir()
        return whole and size_of(path) == size and content_id(path) == clip_id
    except (OSError, ValueError, ClipError):  # what cannot be read is not the recording
        return False


def why_not_there(path: Path, size: int) -> str:
    """Return why the last known path of a recording does not hold it: gone, unreadable, or changed since.

    Args:
        path: The path.
        size: Bytes of the recording.
    """
    try:
        found = size_of(path)
        if path.is_file():
            with path.open("rb") as stream:
                stream.read(1)
    except PermissionError:
        return "permission to read the recording is denied"
    except (OSError, ValueError, ClipError):
        return "the recording is no longer there"
    if found != size:
        return f"what is there is no longer the recording: it has {found} bytes instead of {size}"
    return "what is there is no longer the recording: its bytes were changed"


def find_recording(clip_id: str, size: int, *, is_folder: bool, folders: Iterable[tuple[Path, int]]) -> Path | None:
    """Return the first path in or below some folders that holds a recording; None if there is none.

    Args:
        clip_id: Content id of the recording.
        size: Its bytes.
        is_folder: True for a folder of pictures.
        folders: Folders to search, each with the number of levels below it; a file is checked itself.
    """
    for folder, depth in dict.fromkeys((folder.resolve(), depth) for folder, depth in folders):
        for candidate in islice(_walk(folder, is_folder, depth), _MOST):
            if is_recording(candidate, clip_id, size):
                return candidate
    return None


def _walk(root: Path, folders: bool, depth: int) -> Iterator[Path]:
    """Yield files (or folders) below root, the nearest first, without hidden ones and links to folders."""
    if root.is_file():
        yield root
        return
    level = [root]
    for _ in range(depth + 1):
        below: list[Path] = []
        for folder in level:
            if folders:
                yield folder
            inner, files = _entries(folder)
            below += inner
            if not folders:
                yield from files
        level = below


def _entries(folder: Path) -> tuple[list[Path], list[Path]]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        shown = [entry for entry in entries if not entry.name.startswith(".")]
        inner = [Path(entry.path) for entry in shown if entry.is_dir(follow_symlinks=False)]
        return inner, [Path(entry.path) for entry in shown if entry.is_file()]
    except OSError:  # an unreadable folder counts as empty
        return [], []
