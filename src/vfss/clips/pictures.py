# SPDX-License-Identifier: Apache-2.0
"""Clips stored as a folder of PNG or JPEG pictures."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from vfss.clips.cached import CACHE_BYTES, LazyClip
from vfss.clips.clip import ASSUMED_FPS, Frame
from vfss.clips.grey import collapse, measured_window
from vfss.clips.library_errors import DECODING_ERRORS, reason
from vfss.errors import ClipError

PICTURE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg"})
_SIZES_CHECKED = 2000
"""Number of pictures whose size is checked on opening; in longer folders evenly spaced, so that opening stays quick."""
_ONE_RECORDING = "Keep only the pictures of one recording in a folder: same size, same depth."
_PICTURE_ERRORS: tuple[type[Exception], ...] = (*DECODING_ERRORS, Image.DecompressionBombError)


class FolderClip(LazyClip):
    """A clip whose frames are the pictures of a folder."""

    def __init__(self, folder: Path, files: Sequence[Path], first: Frame, clip_id: str, cache_bytes: int) -> None:
        """Create the clip; size and depth are those of the first picture, uint8 or uint16 (H, W)."""
        bits = 8 * first.itemsize
        super().__init__(
            clip_id=clip_id,
            source=folder,
            n_frames=len(files),
            height=first.shape[0],
            width=first.shape[1],
            bits=bits,
            times_s=np.arange(len(files)) / ASSUMED_FPS,
            window=measured_window([first], bits) if bits > 8 else None,
            cache_bytes=cache_bytes,
        )
        self._folder = folder
        self._files = files
        self._first = first

    def reopen(self) -> FolderClip:
        """Open the same recording again, with its own cache."""
        clip = FolderClip(self._folder, self._files, self._first, self.id, self._cache_bytes)
        return self._copy_flags_to(clip)

    def _release(self) -> None:
        """Do nothing: no file stays open between frames."""

    def _read(self, t: int) -> Frame:
        frame = read_picture(self._files[t], self._folder, t)
        if frame.shape != (self.height, self.width) or frame.dtype != self.dtype:
            raise ClipError(
                f"{self._files[t].name} is {frame.dtype} {frame.shape}, the first {self.dtype} {self._first.shape}",
                path=self.source,
                frame=t,
                remedy=_ONE_RECORDING,
            )
        return frame


def open_folder(folder: Path, clip_id: str, *, cache_bytes: int = CACHE_BYTES) -> FolderClip:
    """Open a folder of PNG or JPEG pictures, in the order of the numbers in their names.

    Raises:
        ClipError: It holds no pictures, or pictures that cannot be read or differ in size.
    """
    files = picture_files(folder)
    if not files:
        raise ClipError(
            "the folder holds no PNG or JPEG pictures", path=folder, remedy="Open the recording file itself."
        )
    first = read_picture(files[0], folder, 0)
    step = -(-len(files) // _SIZES_CHECKED)
    for t in range(0, len(files), step):
        _check_size(files[t], folder, t, (first.shape[0], first.shape[1]))
    return FolderClip(folder, files, first, clip_id, cache_bytes)


def _check_size(file: Path, folder: Path, t: int, size: tuple[int, int]) -> None:
    try:
        with Image.open(file) as picture:
            height, width = picture.height, picture.width
    except _PICTURE_ERRORS as error:
        raise ClipError(
            f"{file.name} is not a readable picture ({reason(error)})",
            path=folder,
            frame=t,
            remedy="Copy it again from its source, or remove it.",
        ) from error
    if (height, width) != size:
        raise ClipError(
            f"{file.name} has {height} rows and {width} columns, the first {size[0]} and {size[1]}",
            path=folder,
            frame=t,
            remedy=_ONE_RECORDING,
        )


def picture_files(folder: Path) -> list[Path]:
    """Return the PNG and JPEG files directly in `folder` except hidden ones, in natural order (2 before 10).

    Raises:
        OSError: The folder cannot be listed.
    """
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if is_picture(entry.name) and entry.is_file()]
    return [folder / name for name in sorted(names, key=_natural)]


def is_picture(name: str) -> bool:
    """Return whether a file of this name is a frame of a recording stored as a folder of pictures."""
    return not name.startswith(".") and Path(name).suffix.lower() in PICTURE_SUFFIXES


def _natural(name: str) -> tuple[list[tuple[int, int, str]], str]:
    # ASCII digits only: str.isdigit also accepts superscripts, which int() does not.
    parts = re.split(r"([0-9]+)", name.casefold())
    return [(0, int(part), "") if i % 2 else (1, 0, part) for i, part in enumerate(parts)], name


def read_picture(file: Path, folder: Path, t: int) -> Frame:
    """Read the grey values of one PNG or JPEG file, uint8 or uint16 (H, W).

    Args:
        file: The picture.
        folder: Its folder, for the error message.
        t: Its frame index, for the error message.

    Raises:
        ClipError: It is missing, unreadable or damaged.
    """
    try:
        with Image.open(file) as picture:
            return _grey(picture)
    except _PICTURE_ERRORS as error:
        raise ClipError(
            f"{file.name} cannot be read ({reason(error)})",
            path=folder,
            frame=t,
            remedy="Copy it again from its source, or remove it.",
        ) from error


def _grey(picture: Image.Image) -> Frame:
    if picture.mode == "L":
        return np.array(picture)
    if picture.mode.startswith("I"):
        return np.array(picture).astype(np.uint16)
    if picture.mode == "1":
        return np.array(picture.convert("L"))
    return collapse(np.array(picture.convert("RGB")))
