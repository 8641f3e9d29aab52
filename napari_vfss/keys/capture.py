# SPDX-License-Identifier: Apache-2.0
"""Keys pressed on the key page: their names, and what else uses them."""

from __future__ import annotations

from app_model import Application
from app_model.backends.qt import qkey2modelkey
from app_model.types import KeyCode
from qtpy.QtCore import Qt
from qtpy.QtGui import QKeyEvent

from napari_vfss.keys.action import binding, normal


def pressed(event: QKeyEvent) -> str:
    """Return a key press as text, such as "Ctrl+Shift+Z"; text that cannot be bound for an unknown key."""
    if event.text() == "?":
        return "?"
    held = event.modifiers()
    names = (
        ("Ctrl", Qt.KeyboardModifier.ControlModifier),
        ("Shift", Qt.KeyboardModifier.ShiftModifier),
        ("Alt", Qt.KeyboardModifier.AltModifier),
        ("Meta", Qt.KeyboardModifier.MetaModifier),
    )
    try:
        code = qkey2modelkey(Qt.Key(event.key()))
    except ValueError:  # a key that Qt has no name for
        code = KeyCode.UNKNOWN
    last = event.text() or "this key" if code == KeyCode.UNKNOWN else str(code)
    return "+".join([*(name for name, modifier in names if held & modifier), last])


def menu_command(key: str) -> str:
    """Return the command of napari's menus that receives this key before the picture does; empty for none."""
    application = Application.get_app("napari")
    if application is None:
        return ""
    wanted = str(binding(key))
    for name, command in application.commands:
        rule = application.keybindings.get_keybinding(name)
        if rule is not None and str(rule.keybinding) == wanted:
            return str(command.title)
    return ""


def napari_use(key: str) -> str:
    """Return what napari itself uses a key for in a viewer or on the layers of a clip; empty for nothing."""
    from napari.settings import get_settings

    for command, keys in get_settings().shortcuts.shortcuts.items():
        if any(str(other) == normal(key) for other in keys) and not any(kind in command for kind in _OTHER_LAYERS):
            return str(command).removeprefix("napari:").replace("_", " ")
    return ""


_OTHER_LAYERS = ("points", "shape", "vector", "tracks", "surface", "vertex", "ellipse", "rectangle", "path", "line")
