# SPDX-License-Identifier: Apache-2.0
"""open_clip: choose the reader for a recording by its first bytes and suffix."""

from __future__ import annotations

import os
from pathlib import Path

from vfss.clips.cached import CACHE_BYTES
from vfss.clips.clip import Clip
from vfss.clips.content_id import content_id
from vfss.clips.library_errors import COPY_AGAIN, reason
from vfss.clips.pictures import is_picture
from vfss.clips.video.recognition import HEAD_BYTES, video_container
from vfss.errors import ClipError

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

_DICOM_MAGIC_AT, _DICOM_MAGIC = 128, b"DICM"
_TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_KINDS = "a video (AVI, MP4, MOV, MKV, MPG, VOB, WMV), DICOM, a TIFF stack or a folder of PNG or JPEG pictures"


def open_clip(path: str | Path, *, cache_bytes: int = CACHE_BYTES, rotation: int | None = None) -> Clip:
    """Open a recording: video, DICOM, TIFF stack, or a folder of PNG or JPEG pictures.

    Args:
        path: File or folder.
        cache_bytes: Upper bound of the memory for decoded frames.
        rotation: How frames of a video are turned from the stored ones, as `Clip.rotation` gives it: 0 for not at all,
            None for what the file declares. Masks fit a clip that is opened with the rotation they were made at.

    Raises:
        ClipError: It is missing, unreadable, damaged, truncated, or not a recording; the message says what to do.
    """
    path = Path(path).expanduser()
    head = _head(path)
    if head is None:
        from vfss.clips.pictures import open_folder

        return open_folder(path, content_id(path), cache_bytes=cache_bytes)
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


def can_open(path: str | Path) -> bool:
    """Return whether a path looks like a recording, by name and first bytes only; quick, and never raises."""
    try:
        path = Path(path).expanduser()
        if path.is_dir():
            with os.scandir(path) as entries:
                return any(is_picture(entry.name) and entry.is_file() for entry in entries)
        if not path.is_file():
            return False
        if path.suffix.lower() in SUFFIXES - SHARED_SUFFIXES:
            return True
        with path.open("rb") as stream:
            head = stream.read(HEAD_BYTES)
        return _has_dicom_mark(head) or head[:4] in _TIFF_MAGIC or bool(video_container(head))
    except (OSError, ValueError, RuntimeError, TypeError):
        return False


def is_dicom(path: Path) -> bool:
    """Return whether open_clip reads a recording as DICOM.

    Raises:
        ClipError: It is missing or unreadable.
    """
    head = _head(path)
    return head is not None and _is_dicom(head, path)


def _is_dicom(head: bytes, path: Path) -> bool:
    if _has_dicom_mark(head):
        return True
    other = head[:4] in _TIFF_MAGIC or video_container(head)
    return path.suffix.lower() in DICOM_SUFFIXES and not other


def _has_dicom_mark(head: bytes) -> bool:
    return head[_DICOM_MAGIC_AT : _DICOM_MAGIC_AT + len(_DICOM_MAGIC)] == _DICOM_MAGIC


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
