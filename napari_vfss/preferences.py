# SPDX-License-Identifier: Apache-2.0
"""Settings of this plugin in napari's Preferences."""

from __future__ import annotations

import getpass
from typing import Any

PLUGIN = "napari-vfss"
# Names of accounts that do not identify a person.
SHARED_ACCOUNTS = (
    "admin, administrator, annotator, clinic, default, defaultuser, guest, hospital, lab, labor, local, owner, pc, "
    "public, research, root, student, test, ubuntu, user, users, vfss, workstation, xray"
)


def author() -> str:
    """Return the name under which changes are written: the one in Preferences, else that of the computer's account."""
    name = str(setting("author", "")).strip()
    if name:
        return name
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # an account without a name, as in some containers
        return "annotator"


def is_nobody(name: str) -> bool:
    """Return whether a name is that of a shared account, which does not identify a person."""
    return name.strip().casefold() in SHARED_ACCOUNTS.split(", ")


def author_is_known() -> bool:
    """Return whether a name was given or the account's name identifies a person."""
    return bool(str(setting("author", "")).strip()) or not is_nobody(author())


def store_author(name: str) -> bool:
    """Store a name in Preferences; return False if napari does not know the plugin, so that nothing was stored."""
    from napari.settings import get_plugin_settings

    try:
        get_plugin_settings(PLUGIN).annotation.author = name
    except (KeyError, AttributeError):
        return False
    return True


def device() -> str:
    """Return the device that the student runs on: auto, cpu or cuda."""
    return str(setting("device", "auto"))


def frames_kept() -> int:
    """Return the number of frames whose masks are kept in memory."""
    return max(2, int(setting("frames_in_memory", 6)))


def setting(name: str, default: Any) -> Any:
    """Return a setting of this plugin; the default where napari has none."""
    from napari.settings import get_plugin_settings

    try:
        return getattr(get_plugin_settings(PLUGIN).annotation, name, default)
    except (KeyError, AttributeError):  # napari has not registered the plugin (run from a source folder)
        return default
