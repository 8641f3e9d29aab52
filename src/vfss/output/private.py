# SPDX-License-Identifier: Apache-2.0
"""Permissions of what holds patients' data: for its owner alone, or for the group where a group shares the folder.

A folder that exists keeps its permissions, and who may work in it may read and write what is put there: a group's
folder stays a group's. What is made new is nobody else's business, whatever the umask says. Windows has no such bits;
there a new file inherits the rights of its folder.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

_OWNER_FILE, _GROUP_FILE = 0o600, 0o660
_OWNER_FOLDER, _GROUP_FOLDER = 0o700, 0o770 | stat.S_ISGID


def private_mode(folder: Path) -> int:
    """Return the permissions of a new file in a folder: the owner's, and the group's where it may write there."""
    return _GROUP_FILE if folder.stat().st_mode & stat.S_IWGRP else _OWNER_FILE


def create_private(path: Path) -> None:
    """Create an empty file that nobody else can read.

    Raises:
        OSError: It exists, or cannot be created.
    """
    mode = private_mode(path.parent)
    handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _OWNER_FILE)
    try:
        if os.name != "nt":
            os.fchmod(handle, mode)
    finally:
        os.close(handle)


def make_private_folder(folder: Path) -> None:
    """Make a folder and its missing parents that nobody else can enter; one that exists stays as it is.

    Within a folder that belongs to a group (set-group-ID, and writable for the group) the group can enter it too.

    Raises:
        OSError: It cannot be made.
    """
    if folder.is_dir():
        return
    make_private_folder(folder.parent)
    above = folder.parent.stat().st_mode
    shared = bool(above & stat.S_ISGID and above & stat.S_IWGRP)
    try:
        folder.mkdir(_OWNER_FOLDER)
    except FileExistsError:
        if not folder.is_dir():
            raise
        return  # another process was faster
    if os.name != "nt":
        folder.chmod(_GROUP_FOLDER if shared else _OWNER_FOLDER)
