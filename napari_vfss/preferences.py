# SPDX-License-Identifier: Apache-2.0
"""What a person set in napari's Preferences for this plugin."""

from __future__ import annotations

import getpass
from typing import Any

PLUGIN = "napari-vfss"
# Accounts that say nothing of who sits there.
SHARED_ACCOUNTS = (
    "admin, administrator, annotator, clinic, default, defaultuser, guest, hospital, lab, labor, local, owner, pc, "
    "public, research, root, student, test, ubuntu, user, users, vfss, workstation, xray"
)


def author() -> str:
    """Name under which changes are written: the one in Preferences, else that of the computer's account."""
    name = str(_value("author", "")).strip()
    if name:
        return name
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # an account without a name, as in some containers
        return "annotator"


def is_nobody(name: str) -> bool:
    """True for the name of an account that could be anybody's."""
    return name.strip().casefold() in SHARED_ACCOUNTS.split(", ")


def author_is_known() -> bool:
    """False where nobody gave a name and the account's name could be anybody's."""
    return bool(str(_value("author", "")).strip()) or not is_nobody(author())


def keep_author(name: str) -> bool:
    """Keep a name in Preferences; False where napari does not know the plugin, so that it holds for this window."""
    from napari.settings import get_plugin_settings

    try:
        get_plugin_settings(PLUGIN).annotation.author = name
    except (KeyError, AttributeError):
        return False
    return True


def device() -> str:
    """Where the student computes: auto, cpu or cuda."""
    return str(_value("device", "auto"))


def frames_kept() -> int:
    """Number of frames whose masks stay in memory."""
    return max(2, int(_value("frames_in_memory", 6)))


def _value(name: str, default: Any) -> Any:
    from napari.settings import get_plugin_settings

    try:
        return getattr(get_plugin_settings(PLUGIN).annotation, name, default)
    except (KeyError, AttributeError):  # napari has not registered the plugin (run from a source folder)
        return default
