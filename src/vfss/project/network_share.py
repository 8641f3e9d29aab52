# SPDX-License-Identifier: Apache-2.0
"""Detection of network shares, where SQLite's write-ahead log, which shares memory between processes, is unsafe."""

from __future__ import annotations

import ctypes
import re
import sys
from pathlib import Path

_KINDS = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "glusterfs", "lustre", "ncpfs", "beegfs"})
_KINDS_IN_USER_SPACE = frozenset({"fuse.sshfs", "fuse.glusterfs", "fuse.smbnetfs", "fuse.rclone", "fuse.davfs"})
_MOUNTS = Path("/proc/self/mountinfo")
_ESCAPE = re.compile(r"\\([0-7]{3})")
_DRIVE_REMOTE = 4


def on_network(path: Path, mounts: Path = _MOUNTS) -> bool:
    """Return whether a file is known to be on another computer's disk; on macOS this is not known.

    Args:
        path: The file.
        mounts: The system's list of mounts, in the form of Linux' mountinfo.
    """
    if sys.platform == "win32":
        drive = path.resolve().drive
        return drive.startswith("\\\\") or ctypes.windll.kernel32.GetDriveTypeW(drive + "\\") == _DRIVE_REMOTE
    if not mounts.is_file():
        return False
    return _kind(path.resolve(), mounts.read_text("utf-8", "replace")) in _KINDS | _KINDS_IN_USER_SPACE


def _kind(path: Path, mounts: str) -> str:
    """Return the type of the innermost file system that holds a path; of two mounted at one point, the later."""
    best, kind = -1, ""
    for line in mounts.splitlines():
        left, _, right = line.partition(" - ")
        fields = left.split()
        if len(fields) < 5 or not right:
            continue
        point = Path(_ESCAPE.sub(lambda match: chr(int(match[1], 8)), fields[4]))
        if path.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), right.split()[0]
    return kind
