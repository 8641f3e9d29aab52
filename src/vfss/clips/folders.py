# SPDX-License-Identifier: Apache-2.0
"""What a folder holds: the frames of one recording, or recordings."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import islice
from pathlib import Path

from vfss.clips.dicom.recognition import HEAD_BYTES, begins_like_dicom
from vfss.clips.pictures import natural_order, picture_files

_DICOM_SUFFIXES = frozenset({"", ".dcm", ".dicom", ".dic", ".dc3", ".ima", ".img"})
_DIRECTORY = "DICOMDIR"
_MOST_ENTRIES = 20_000
_DEPTH = 4  # levels of folders below: a CD has DICOM, patient, study, series


def dicom_files(folder: Path) -> list[Path]:
    """Return the DICOM files directly in a folder by their first bytes, in natural order of their names.

    Only files without suffix, with a suffix of DICOM or with a number for a suffix (a UID) are looked into.

    Raises:
        OSError: The folder cannot be listed.
    """
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if _may_be_dicom(entry.name) and entry.is_file()]
    return [folder / name for name in sorted(names, key=natural_order) if _is_dicom(folder / name)]


def frame_files(folder: Path) -> list[Path]:
    """Return the files directly in a folder that are, one by one, the frames of its recording.

    These are its pictures, or its DICOM files where there are more of them (a CD may come with a logo).

    Raises:
        OSError: The folder cannot be listed.
    """
    pictures, images = picture_files(folder), dicom_files(folder)
    return images if len(images) > len(pictures) else pictures


def recordings_in(
    folder: Path, is_recording: Callable[[Path], bool], is_one: Callable[[Path], bool], *, most: int = 1000
) -> list[Path]:
    """Return the recordings in a folder, or if it has none in the folders below it, down to four levels.

    A folder directly in it that is one recording, of pictures or single images, counts as in it. Folders that cannot
    be read count as empty.

    Args:
        folder: Where to look.
        is_recording: Whether a file is a recording.
        is_one: Whether a folder below it is one recording, of pictures or single images.
        most: Number of recordings after which the search ends.
    """
    level, left = [folder], _MOST_ENTRIES
    found: list[Path] = []
    for _ in range(_DEPTH + 1):
        below: list[Path] = []
        for inner in level:
            if inner != folder and is_one(inner):
                found.append(inner)
                continue
            files, folders = _entries(inner)
            left -= len(files) + len(folders)
            if left < 0 or len(found) >= most:
                return found[:most]
            found += islice((file for file in files if file.name.upper() != _DIRECTORY and is_recording(file)), most)
            below += folders
        if found:
            found += filter(is_one, below if level == [folder] else ())  # beside the files of the folder itself
            break
        level = below
    return found[:most]


def _entries(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return files and folders in a folder in natural order, without hidden ones and links to folders."""
    try:
        with os.scandir(folder) as scanned:
            entries = [entry for entry in scanned if not entry.name.startswith(".")]
            entries.sort(key=lambda entry: natural_order(entry.name))
            files = [Path(entry.path) for entry in entries if entry.is_file()]
            return files, [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return [], []


def _may_be_dicom(name: str) -> bool:
    suffix = Path(name).suffix.lower()
    is_known = suffix in _DICOM_SUFFIXES or suffix.removeprefix(".").isdigit()
    return is_known and not name.startswith(".") and name.upper() != _DIRECTORY


def _is_dicom(file: Path) -> bool:
    try:
        with file.open("rb") as stream:
            return begins_like_dicom(stream.read(HEAD_BYTES))
    except OSError:
        return False
