# SPDX-License-Identifier: Apache-2.0
"""open_clip: choose the reader for a recording by its first bytes and suffix."""

from __future__ import annotations

import os
import re
from itertools import islice
from pathlib import Path

from vfss.clips import folders
from vfss.clips.cached import CACHE_BYTES
from vfss.clips.clip import Clip
from vfss.clips.content_id import content_id
from vfss.clips.dicom.recognition import begins_like_dicom, has_dicom_mark, starts_with_element
from vfss.clips.folders import frame_files
from vfss.clips.library_errors import COPY_AGAIN, reason
from vfss.clips.pictures import is_picture
from vfss.clips.video.recognition import HEAD_BYTES, video_container
from vfss.errors import ClipError, SeveralRecordingsError, printable
from vfss.wording import listed

VIDEO_SUFFIXES = frozenset(
    {".avi", ".divx", ".mp4", ".m4v", ".mov", ".3gp", ".3g2", ".mkv", ".webm", ".mpg", ".mpeg", ".mpe", ".m2v", ".vob"}
    | {".m2ts", ".mts", ".wmv", ".asf", ".flv", ".ogv"}
)
STACK_SUFFIXES = frozenset({".tif", ".tiff"})
DICOM_SUFFIXES = frozenset({".dcm", ".dicom"})
SHARED_SUFFIXES = frozenset({".ts", ".mod", ".tod", ".dv", ".qt"})
"""Suffixes of videos that other kinds of files have as well: such a file counts only if its content is a video."""
SUFFIXES = VIDEO_SUFFIXES | SHARED_SUFFIXES | STACK_SUFFIXES | DICOM_SUFFIXES
"""Lower-case suffixes of files that can hold a recording. Content decides what a file is, whatever its suffix."""

_MOST_LOOKED_AT = 5000  # files of a folder that are looked at before a recording is found
_MOST_BESIDE = 50  # files beside pictures that are looked at
_DIGITS = re.compile(r"[0-9]+")
_TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_KINDS = (
    "a video (AVI, MP4, MOV, MKV, MPG, VOB, WMV), DICOM, a TIFF stack"
    " or a folder of PNG or JPEG pictures or DICOM images"
)


def open_clip(path: str | Path, *, cache_bytes: int = CACHE_BYTES, rotation: int | None = None) -> Clip:
    """Open a recording: video, DICOM, TIFF stack, or a folder of pictures or single DICOM images.

    A folder that holds one recording as a file opens that recording; `source` tells which.

    Args:
        path: File or folder.
        cache_bytes: Upper bound of the memory for decoded frames.
        rotation: How frames of a video are turned from the stored ones, as `Clip.rotation` gives it: 0 for not at all,
            None for what the file declares. Masks fit a clip that is opened with the rotation they were made at.

    Raises:
        SeveralRecordingsError: It is a folder of several recordings; a person has to choose one of them.
        ClipError: It is missing, unreadable, damaged, truncated or not a recording; the message says what to do.
    """
    path = Path(path).expanduser()
    head = _head(path)
    if head is None:
        return _open_folder(path, cache_bytes, rotation)
    if not head:
        raise ClipError("the file is empty", path=path, remedy=COPY_AGAIN)
    suffix = path.suffix.lower()
    if _is_dicom(head, path):
        from vfss.clips.dicom.clip import open_dicom

        return open_dicom(path, content_id(path), cache_bytes=cache_bytes)
    container = video_container(head)
    if head[:4] in _TIFF_MAGIC or (suffix in STACK_SUFFIXES and not container):
        from vfss.clips.tiff import open_stack

        return open_stack(path, content_id(path), cache_bytes=cache_bytes)
    if not container and suffix not in VIDEO_SUFFIXES | SHARED_SUFFIXES:
        remedy = "Open the folder that contains it." if is_picture(path.name) else "Choose another file, or convert it."
        raise ClipError(f"is not {_KINDS}", path=path, remedy=remedy)
    from vfss.clips.video.clip import open_video

    return open_video(path, content_id(path), cache_bytes=cache_bytes, rotation=rotation)


def _open_folder(folder: Path, cache_bytes: int, rotation: int | None) -> Clip:
    try:
        files = frame_files(folder)
        if files and is_picture(files[0].name):
            from vfss.clips.pictures import open_folder

            clip = open_folder(folder, content_id(folder), cache_bytes=cache_bytes)
            clip.notes += _beside_pictures(folder)
            return clip
        if _are_images(files):
            from vfss.clips.dicom.series import open_series

            series = open_series(folder, files, content_id(folder), cache_bytes=cache_bytes)
            series.notes += _beside_images(folder, files)
            return series
    except OSError as error:
        raise ClipError(f"cannot be listed ({reason(error)})", path=folder, remedy="Ask for permission.") from error
    recordings = recordings_in(folder)
    if not recordings:
        raise ClipError(
            "the folder holds no recording: no PNG or JPEG pictures, DICOM images, videos or TIFF stacks",
            path=folder,
            remedy="Open the recording file itself.",
        )
    if len(recordings) > 1:
        names = listed([str(found.relative_to(folder)) for found in recordings], 5)
        what = f"is a folder of {len(recordings)} recordings: {names}"
        raise SeveralRecordingsError(what, path=folder, recordings=recordings)
    return open_clip(recordings[0], cache_bytes=cache_bytes, rotation=rotation)


def _beside_pictures(folder: Path) -> tuple[str, ...]:
    """Return a note about recordings beside the pictures of a folder, which may be those that are looked for."""
    with os.scandir(folder) as entries:
        others = [Path(entry.path) for entry in entries if not is_picture(entry.name) and entry.is_file()]
    found = sorted(file.name for file in others[:_MOST_BESIDE] if _looks_like_recording(file))
    names = printable(listed(found, 3))
    return (f"beside these pictures the folder holds {names}, to be opened by itself",) if found else ()


def _beside_images(folder: Path, files: list[Path]) -> tuple[str, ...]:
    """Return a note about files that are named like the images of a series and are none, because they are damaged."""
    patterns, known = {_DIGITS.sub("", file.name) for file in files}, {file.name for file in files}
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.name not in known and entry.is_file()]
    found = sorted(name for name in names if _DIGITS.sub("", name) in patterns)
    are = "is no DICOM file and is" if len(found) == 1 else "are no DICOM files and are"
    return (f"{printable(listed(found, 3))} {are} left out",) if found else ()


def _are_images(files: list[Path]) -> bool:
    """Return whether DICOM files are the frames of one recording, as far as some of them show."""
    from vfss.clips.dicom.series import is_single_image

    if len(files) < 2:
        return False
    readable = []
    for file in {files[0], files[1], files[-1]}:
        try:
            readable.append(is_single_image(file))
        except (ClipError, OSError):  # opening the series says which file it leaves out
            continue
    return all(readable)


def is_dicom_series(source: Path) -> bool:
    """Return whether a recording is a folder of single DICOM images."""
    try:
        files = frame_files(source) if source.is_dir() else []
        return bool(files) and not is_picture(files[0].name) and is_dicom(files[0])
    except (ClipError, OSError):
        return False


def _is_one_recording(folder: Path) -> bool:
    try:
        files = frame_files(folder)
        return bool(files) and (is_picture(files[0].name) or _are_images(files))
    except OSError:
        return False


def recordings_in(folder: str | Path) -> list[Path]:
    """Return the recordings in a folder, or else in the folders below it, in natural order: what a person can choose.

    Files are recognised by their names and first bytes; a folder of pictures or of single DICOM images below it is one
    recording. At most 1,000 are listed, from at most 20,000 files and folders.
    """
    return folders.recordings_in(Path(folder).expanduser(), _looks_like_recording, _is_one_recording)


def can_open(path: str | Path) -> bool:
    """Return whether a path looks like a recording or a folder with some, by names and first bytes only; never raises.

    Of folders below a folder nothing is looked at.
    """
    try:
        path = Path(path).expanduser()
        if path.is_dir():
            with os.scandir(path) as entries:
                files = [Path(entry.path) for entry in islice(entries, _MOST_LOOKED_AT) if entry.is_file()]
            if any(is_picture(file.name) or file.name.upper() == "DICOMDIR" for file in files):
                return True
            return any(not file.name.startswith(".") and _looks_like_recording(file) for file in files)
        return path.is_file() and _looks_like_recording(path)
    except (OSError, ValueError, RuntimeError, TypeError):
        return False


def _looks_like_recording(file: Path) -> bool:
    """Return whether a file looks like a recording, by name and first bytes only."""
    if file.suffix.lower() in SUFFIXES - SHARED_SUFFIXES:
        return True
    if is_picture(file.name):
        return False
    try:
        with file.open("rb") as stream:
            head = stream.read(HEAD_BYTES)
    except OSError:
        return False
    return begins_like_dicom(head) or head[:4] in _TIFF_MAGIC or bool(video_container(head))


def is_dicom(path: Path) -> bool:
    """Return whether open_clip reads a recording as DICOM.

    Raises:
        ClipError: It is missing or unreadable.
    """
    head = _head(path)
    return head is not None and _is_dicom(head, path)


def _is_dicom(head: bytes, path: Path) -> bool:
    if has_dicom_mark(head):
        return True
    if head[:4] in _TIFF_MAGIC or video_container(head):
        return False
    return path.suffix.lower() in DICOM_SUFFIXES or starts_with_element(head)


def _head(path: Path) -> bytes | None:
    """Return the first bytes of a file, None for a folder."""
    try:
        if path.is_dir():
            return None
        if path.exists() and not path.is_file():
            raise ClipError("is neither a file nor a folder", path=path, remedy=f"Open {_KINDS}.")
        with path.open("rb") as stream:
            return stream.read(HEAD_BYTES)
    except FileNotFoundError as error:
        raise ClipError(
            "there is no such file or folder", path=path, remedy="Check the name, or whether its drive is connected."
        ) from error
    except PermissionError as error:
        raise ClipError(
            "permission to read it is denied", path=path, remedy="Ask for permission, or for a copy."
        ) from error
    except (OSError, ValueError) as error:
        raise ClipError(f"cannot be read ({reason(error)})", path=path, remedy="Copy it to a local drive.") from error
