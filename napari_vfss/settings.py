# SPDX-License-Identifier: Apache-2.0
"""What a person set in napari's Preferences for this plugin."""

from __future__ import annotations

import getpass
from typing import Any

PLUGIN = "napari-vfss"


def author() -> str:
    """Name under which changes are written: the one in Preferences, else that of the computer's account."""
    name = str(_value("author", "")).strip()
    if name:
        return name
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # an account without a name, as in some containers
        return "annotator"


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
