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
from vfss.errors import ClipError

VIDEO_SUFFIXES = frozenset({".avi", ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".asf"})
STACK_SUFFIXES = frozenset({".tif", ".tiff"})
DICOM_SUFFIXES = frozenset({".dcm", ".dicom"})
SUFFIXES = VIDEO_SUFFIXES | STACK_SUFFIXES | DICOM_SUFFIXES
"""Lower-case suffixes of files that hold a recording; a DICOM file without suffix is recognised by its content."""

_DICOM_MAGIC_AT, _DICOM_MAGIC = 128, b"DICM"
_TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_KINDS = "a video (AVI, MP4, MOV, MKV, MPG, WMV), DICOM, a TIFF stack or a folder of PNG or JPEG pictures"


def open_clip(path: str | Path, *, cache_bytes: int = CACHE_BYTES) -> Clip:
    """Open a recording: video, DICOM, TIFF stack, or a folder of PNG or JPEG pictures.

    Args:
        path: File or folder.
        cache_bytes: Upper bound of the memory for decoded frames.

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
    if head[:4] in _TIFF_MAGIC or suffix in STACK_SUFFIXES:
        from vfss.clips.tiff import open_stack

        return open_stack(path, content_id(path), cache_bytes=cache_bytes)
    if suffix not in VIDEO_SUFFIXES:
        remedy = "Open the folder that contains it." if is_picture(path.name) else "Choose another file, or convert it."
        raise ClipError(f"is not {_KINDS}", path=path, remedy=remedy)
    from vfss.clips.video.clip import open_video

    return open_video(path, content_id(path), cache_bytes=cache_bytes)


def can_open(path: str | Path) -> bool:
    """Return whether a path looks like a recording, by name and first bytes only; quick, and never raises."""
    try:
        path = Path(path).expanduser()
        if path.is_dir():
            with os.scandir(path) as entries:
                return any(is_picture(entry.name) and entry.is_file() for entry in entries)
        if not path.is_file():
            return False
        if path.suffix.lower() in SUFFIXES:
            return True
        with path.open("rb") as stream:
            stream.seek(_DICOM_MAGIC_AT)
            return stream.read(len(_DICOM_MAGIC)) == _DICOM_MAGIC
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
    return head[_DICOM_MAGIC_AT:] == _DICOM_MAGIC or path.suffix.lower() in DICOM_SUFFIXES


def _head(path: Path) -> bytes | None:
    """Return the first bytes of a file, None for a folder."""
    try:
        if path.is_dir():
            return None
        if path.exists() and not path.is_file():
            raise ClipError("is neither a file nor a folder", path=path, remedy=f"Open {_KINDS}.")
        with path.open("rb") as stream:
            return stream.read(_DICOM_MAGIC_AT + len(_DICOM_MAGIC))
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
