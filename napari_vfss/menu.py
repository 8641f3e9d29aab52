# SPDX-License-Identifier: Apache-2.0
"""Commands in the Plugins menu, registered in code because napari accepts only widgets from a manifest there."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from app_model import Application
from app_model.types import Action, MenuRule
from psygnal import EmitLoopError

MENU = "napari/plugins/napari-vfss"
COMMANDS = (
    ("open_project", "Open project..."),
    ("new_project", "New project..."),
    ("export", "Export dataset..."),
    ("import_masks", "Import masks..."),
    ("retrain", "Retrain the student"),
    ("show_help", "Keyboard help"),
    ("change_keys", "Change keys..."),
)


def register_menu() -> Callable[[], None]:
    """Add the commands to Plugins > VFSS; return a function that removes them."""
    application = Application.get_app("napari")
    if application is None or f"napari-vfss.menu.{COMMANDS[0][0]}" in application.commands:
        return _nothing  # no napari application, or registered already by another window of this process
    actions: list[Action[Any, Any]] = [
        Action(
            id=f"napari-vfss.menu.{name}",
            title=title,
            callback=f"napari_vfss.commands:{name}",
            menus=[MenuRule(id=MENU, group="4_vfss", order=order)],
        )
        for order, (name, title) in enumerate(COMMANDS)
    ]
    return partial(_forget, application.register_actions(actions))


def _forget(dispose: Callable[[], None]) -> None:
    # The command palette of a closed window may still be connected and fail (napari 0.9). Whatever was disposed of
    # before that is gone from the list, so that the next call continues with the rest.
    for _ in range(4 * len(COMMANDS)):
        try:
            dispose()
        except EmitLoopError:
            continue
        return


def _nothing() -> None:
    """Remove nothing, because nothing was registered."""
