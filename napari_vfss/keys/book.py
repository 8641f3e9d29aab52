# SPDX-License-Identifier: Apache-2.0
"""Which key does what: the layout, the user's changes, and the remaining defaults."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from qtpy.QtCore import QObject, Signal

from napari_vfss.keys.action import Action, KeyTextError, Layout, binding, normal, shown
from napari_vfss.user_config import UserConfigFile
from vfss.schema import Schema

LAYOUTS: dict[Layout, str] = {
    "right": "Mouse in the right hand",
    "left": "Mouse in the left hand",
}


class KeyBook(QObject):
    """Keys of all actions, stored in a file of the user; windows that share the file follow each other.

    Attributes:
        warning: Why the file could not be read; empty if it could.
        actions: Every action, in the order in which they are listed.
    """

    changed = Signal()

    def __init__(
        self,
        actions_of: Callable[[Schema], tuple[Action[Any], ...]],
        parent: QObject | None = None,
        *,
        file: UserConfigFile | None = None,
    ) -> None:
        """Read the user's keys.

        Args:
            actions_of: Returns every action for a schema, whose structures have actions of their own.
            parent: Owner in Qt's sense.
            file: File of the user's keys; by default the one in the configuration folder.
        """
        super().__init__(parent)
        self._actions_of = actions_of
        self.file = file or UserConfigFile("keys.json", self)
        self.file.changed.connect(self._on_file)
        self.warning = self.file.warning
        self.actions: tuple[Action[Any], ...] = ()
        self._keys: dict[str, tuple[str, ...]] = {}
        self.set_schema(Schema.load())

    def set_schema(self, schema: Schema) -> None:
        """Replace the actions by those for the structures of a project."""
        self.actions = self._actions_of(schema)
        self._assign_keys()
        self.changed.emit()

    @property
    def layout(self) -> Layout:
        """The layout in use."""
        return "left" if self.file.values.get("layout") == "left" else "right"

    def keys_of(self, action: str) -> tuple[str, ...]:
        """Return the keys of an action; none for an unknown action."""
        return self._keys.get(action, ())

    def shown_for(self, standard: str) -> str:
        """Return the first key of the action that has this key in the standard layout; the key itself if none has."""
        for action in self.actions:
            if any(normal(key) == normal(standard) for key in action.keys):
                return shown(self.keys_of(action.id)[:1])
        return standard

    def owner(self, key: str) -> Action[Any] | None:
        """Return the action of a key; None for a free key."""
        for action in self.actions:
            if any(normal(own) == normal(key) for own in self.keys_of(action.id)):
                return action
        return None

    def is_changed(self, action: str) -> bool:
        """Return whether the user changed the keys of an action."""
        return action in self._own()

    def choose_layout(self, layout: Layout) -> None:
        """Switch to a layout; each layout has its own changes."""
        self.file.update(lambda values: {**values, "layout": layout})

    def bind(self, action: str, keys: Iterable[str]) -> None:
        """Change the keys of an action in this layout; an action that had one of them loses it.

        Raises:
            KeyTextError: A key cannot be bound.
            OSError: The file cannot be written.
        """
        wanted = tuple(dict.fromkeys(keys))
        for key in wanted:
            check_key(key)
        taken = {normal(key) for key in wanted}
        changes: dict[str, list[str]] = {action: list(wanted)}
        for other in self.actions:
            own = self.keys_of(other.id)
            left = [key for key in own if normal(key) not in taken]
            if other.id != action and len(left) < len(own):
                if other.place == "napari":
                    raise KeyTextError(f"{shown(own)} is napari's key to {other.title}", remedy="Choose another key.")
                changes[other.id] = left
        self._change(lambda own: {**own, **changes})

    def reset(self, action: str | None = None) -> None:
        """Restore the layout's keys, for one action or all.

        If another action was given a default key of this one meanwhile, it keeps the key.
        """
        self._change(lambda own: {} if action is None else {key: own[key] for key in own if key != action})

    def _change(self, change: Any) -> None:
        layout = self.layout

        def changed(values: dict[str, Any]) -> dict[str, Any]:
            every = values.get("changed")
            every = dict(every) if isinstance(every, dict) else {}
            return {**values, "layout": layout, "changed": {**every, layout: change(_clean(every.get(layout)))}}

        self.file.update(changed)

    def _own(self) -> dict[str, list[str]]:
        every = self.file.values.get("changed")
        return _clean(every.get(self.layout)) if isinstance(every, dict) else {}

    def _on_file(self) -> None:
        self.warning = self.file.warning
        self._assign_keys()
        self.changed.emit()

    def _assign_keys(self) -> None:
        own = self._own()
        keys = {action.id: tuple(own[action.id]) for action in self.actions if action.id in own}
        # The user's choices come first: a default of a later version never takes a key away from them.
        taken = {normal(key) for chosen in keys.values() for key in chosen}
        for action in self.actions:
            if action.id not in keys:
                free = tuple(key for key in action.default_keys(self.layout) if normal(key) not in taken)
                # Of two equal defaults the first one counts, such as the key that a project's schema gives a structure.
                taken.update(normal(key) for key in free)
                keys[action.id] = free
        self._keys = keys


def check_key(key: str) -> None:
    """Check that a key can be bound; "?" can, although its position differs from keyboard to keyboard.

    Raises:
        KeyTextError: It cannot be bound.
    """
    if key != "?":
        binding(key)


def _clean(own: Any) -> dict[str, list[str]]:
    """Return the changed keys in a file, without entries that no version of this program can have written."""
    cleaned: dict[str, list[str]] = {}
    for action, keys in own.items() if isinstance(own, dict) else ():
        if isinstance(keys, list) and all(isinstance(key, str) and _can_be_bound(key) for key in keys):
            cleaned[str(action)] = list(keys)
    return cleaned


def _can_be_bound(key: str) -> bool:
    try:
        check_key(key)
    except (KeyTextError, ValueError):
        return False
    return True
