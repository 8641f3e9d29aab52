# SPDX-License-Identifier: Apache-2.0
"""What names of files tell: frame numbers, clips of ours, and the order in which people count."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from vfss.errors import DatasetError

_CLIP = re.compile(r"b2-[0-9a-f]{40}(?![0-9a-f])")
_FRAME = re.compile(r"_([0-9]{6,9})\Z")
_NUMBER = re.compile(r"[0-9]{1,18}(?![0-9])")
_SUFFIXES = (".nii.gz", ".nii", ".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp")


def stem(name: str) -> str:
    """Name of a file without folder and suffix; "case.nii.gz" is "case"."""
    last = PurePosixPath(name.replace("\\", "/")).name
    for suffix in _SUFFIXES:
        if last.lower().endswith(suffix):
            return last[: -len(suffix)]
    return PurePosixPath(last).stem


def last_number(name: str) -> int | None:
    """The last number in a file's name, None where there is none."""
    found = _NUMBER.findall(stem(name))
    return int(found[-1]) if found else None


def clip_and_frame(name: str) -> tuple[str | None, int | None]:
    """Content id of the clip in a file's name, and the zero-based frame where the name is as our exports give it."""
    plain = stem(name)
    clip = _CLIP.search(plain)
    if clip is None:
        return None, None
    frame = _FRAME.fullmatch(plain[clip.end() :])
    return clip[0], (int(frame[1]) if frame is not None and clip.start() == 0 else None)


def natural(name: str) -> list[tuple[int, int, str]]:
    """Key for sorting as people count: 2 before 10."""
    parts = re.split(r"([0-9]{1,18})", name.casefold())
    return [(0, int(part), "") if i % 2 else (1, 0, part) for i, part in enumerate(parts)]


def listed(folder: Path) -> list[Path]:
    """Files and folders of a folder as people count, hidden ones left out; none for what is no folder.

    Raises:
        DatasetError: The folder cannot be read.
    """
    try:
        found = [path for path in folder.iterdir() if not path.name.startswith((".", "_"))] if folder.is_dir() else []
    except OSError as error:
        raise DatasetError(f"cannot be read ({error.strerror or error})", path=folder) from error
    return sorted(found, key=lambda path: natural(path.name))


def files_in(folder: Path, *suffixes: str) -> list[Path]:
    """Files of a folder whose name ends so, as people count."""
    return [path for path in listed(folder) if path.name.lower().endswith(suffixes) and path.is_file()]
