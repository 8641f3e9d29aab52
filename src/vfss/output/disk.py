# SPDX-License-Identifier: Apache-2.0
"""Why something could not be written, in words for a person: above all that a disk is full, and which."""

from __future__ import annotations

import errno
from pathlib import Path

_FULL = frozenset({errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)})


def why_not_written(error: OSError, path: Path) -> str:
    """Return why a file or folder could not be written: "the disk at MOUNT is full", or what the system says.

    Args:
        error: The system's error.
        path: What was to be written; it need not exist.
    """
    if error.errno in _FULL:
        return f"the disk at {disk_of(path)} is full"
    return error.strerror or str(error)


def disk_of(path: Path) -> Path:
    """Return the mount point of the disk that holds a file or folder, or will hold it."""
    place = path.absolute()
    while not place.is_mount() and place != place.parent:
        place = place.parent
    return place
