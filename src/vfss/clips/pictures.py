# SPDX-License-Identifier: Apache-2.0
"""Clips stored as a folder of PNG or JPEG pictures."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image

from vfss.clips.bounds import check_frame_count, check_frame_size, check_scans
from vfss.clips.cached import CACHE_BYTES, LazyClip
from vfss.clips.clip import ASSUMED_FPS, Frame
from vfss.clips.first_look import spread
from vfss.clips.grey import collapse, measured_window
from vfss.clips.library_errors import DECODING_ERRORS, reason
from vfss.clips.pixel_aspect import believable_aspect
from vfss.clips.tagged_orientation import ORIENTATION_TAG, orientation_note
from vfss.errors import ClipError, printable
from vfss.wording import listed

PICTURE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg"})
_SIZES_CHECKED = 2000
"""Number of pictures whose size is checked on opening; in longer folders evenly spaced, so that opening stays quick."""
_FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "GIF", "JPEG2000", "TIFF")
"""Formats that are read, whatever the suffix: not those for which Pillow starts other programs."""
_MOST_NAMED = 3  # pictures that are named in a note
_ONE_RECORDING = "Keep only the pictures of one recording in a folder: same size, same depth."
_PICTURE_ERRORS: tuple[type[Exception], ...] = (*DECODING_ERRORS, Image.DecompressionBombError)


class FolderClip(LazyClip):
    """A clip whose frames are the pictures of a folder."""

    def __init__(
        self,
        folder: Path,
        files: Sequence[Path],
        first: Frame,
        clip_id: str,
        cache_bytes: int,
        *,
        pixel_aspect: float = 1.0,
        notes: tuple[str, ...] = (),
    ) -> None:
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
            times_from="assumed" if len(files) > 1 else "file",
            pixel_aspect=pixel_aspect,
            notes=notes,
            window=measured_window([first], bits) if bits > 8 else None,
            cache_bytes=cache_bytes,
        )
        self._folder = folder
        self._files = files
        self._first = first

    def keep(self, t: int, frame: Frame) -> None:
        """Put frame t, uint8 or uint16 (H, W), into the cache: it was read to learn the size."""
        self._cache_frame(t, frame)

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
    check_frame_count(len(files), path=folder)
    start, first = _first_picture(files, folder)
    step = -(-len(files) // _SIZES_CHECKED)
    checked = range(0, len(files), step)
    damaged = [t for t in checked if not _has_size(files[t], folder, t, (first.shape[0], first.shape[1]))]
    aspect, doubted = _aspect(files[start])
    unreadable = printable(listed([files[t].name for t in damaged], _MOST_NAMED))
    found = (
        f"{unreadable} cannot be read: the other pictures can be used" if damaged else None,
        _gaps(files),
        _turned(files[start]),
        doubted,
    )
    notes = tuple(note for note in found if note)
    clip = FolderClip(folder, files, first, clip_id, cache_bytes, pixel_aspect=aspect, notes=notes)
    clip.keep(start, first)
    return clip


def _first_picture(files: Sequence[Path], folder: Path) -> tuple[int, Frame]:
    """Return number and grey values of the first of a few pictures that can be read.

    Raises:
        ClipError: None can be.
    """
    first: ClipError | None = None
    for t in spread(len(files)):
        try:
            return t, read_picture(files[t], folder, t)
        except ClipError as error:
            first = first or error
    raise first or ClipError("holds no pictures", path=folder, remedy=_ONE_RECORDING)


def _has_size(file: Path, folder: Path, t: int, size: tuple[int, int]) -> bool:
    """Return whether a picture has the size of the first one; False if it is damaged.

    Raises:
        ClipError: It has another size.
    """
    try:
        with Image.open(file, formats=_FORMATS) as picture:
            height, width = picture.height, picture.width
    except _PICTURE_ERRORS:
        return False
    if (height, width) != size:
        raise ClipError(
            f"{file.name} has {height} rows and {width} columns, the first {size[0]} and {size[1]}",
            path=folder,
            frame=t,
            remedy=_ONE_RECORDING,
        )
    return True


def _aspect(file: Path) -> tuple[float, str | None]:
    """Return the aspect of a picture's pixels, from its numbers of pixels per unit across and down, and a note."""
    try:
        with Image.open(file, formats=_FORMATS) as picture:
            found = picture.info.get("aspect") or picture.info.get("jfif_density") or picture.info.get("dpi")
            across, down = (float(value) for value in found or (1, 1))
    except _PICTURE_ERRORS:
        return 1.0, None
    return (1.0, None) if across == down else believable_aspect(down, across, "the resolution of its pictures")


def _turned(file: Path) -> str | None:
    """Return a note if a picture asks to be turned or mirrored."""
    try:
        with Image.open(file, formats=_FORMATS) as picture:
            return orientation_note(picture.getexif().get(ORIENTATION_TAG))
    except _PICTURE_ERRORS:
        return None


def _gaps(files: Sequence[Path]) -> str | None:
    """Return a note where numbers in names that otherwise rise evenly leave some out."""
    numbers = [_last_number(file) for file in files]
    steps = Counter(b - a for a, b in pairwise(n for n in numbers if n is not None))
    if None in numbers or len(steps) < 2:
        return None
    usual, times = steps.most_common(1)[0]
    after = [b for a, b in pairwise(files) if (_last_number(b) or 0) - (_last_number(a) or 0) > usual]
    if usual < 1 or 2 * times <= len(files) - 1 or min(steps) < usual:
        return None
    names = printable(listed([file.name for file in after], _MOST_NAMED))
    return f"the numbers in the names leave out some before {names}: pictures may be missing"


def _last_number(file: Path) -> int | None:
    found = re.findall(r"[0-9]+", file.stem)
    return int(found[-1]) if found else None


def picture_files(folder: Path) -> list[Path]:
    """Return the PNG and JPEG files directly in `folder` except hidden ones, in natural order (2 before 10).

    Raises:
        OSError: The folder cannot be listed.
    """
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if is_picture(entry.name) and entry.is_file()]
    return [folder / name for name in sorted(names, key=natural_order)]


def is_picture(name: str) -> bool:
    """Return whether a file of this name is a frame of a recording stored as a folder of pictures."""
    return not name.startswith(".") and Path(name).suffix.lower() in PICTURE_SUFFIXES


def natural_order(name: str) -> tuple[list[tuple[int, int, str]], str]:
    """Return the key that sorts names with numbers by the numbers: 2 before 10."""
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
        with Image.open(file, formats=_FORMATS) as picture:
            check_frame_size(picture.height, picture.width, path=folder, frame=t)
            if picture.info.get("progressive"):
                check_scans(file.read_bytes())
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
