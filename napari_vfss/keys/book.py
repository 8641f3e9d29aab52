# SPDX-License-Identifier: Apache-2.0
"""Which key does what now: the layout, what a person changed, and what is left of the defaults."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from qtpy.QtCore import QObject, Signal

from napari_vfss.keys.action import Action, KeyTextError, Layout, all_actions, binding, normal, shown
from napari_vfss.user_config import UserConfigFile
from vfss.schema import Schema

LAYOUTS: dict[Layout, str] = {
    "right": "Mouse in the right hand",
    "left": "Mouse in the left hand",
}


class KeyBook(QObject):
    """Keys of all actions, kept in a file of the user; windows that share the file follow each other."""

    changed = Signal()

    def __init__(self, parent: QObject | None = None, *, file: UserConfigFile | None = None) -> None:
        super().__init__(parent)
        self._file = file or UserConfigFile("keys.json", self)
        self._file.changed.connect(self._on_file)
        self.complaint = self._file.complaint
        self.actions: tuple[Action, ...] = ()
        self._keys: dict[str, tuple[str, ...]] = {}
        self.take_schema(Schema.load())

    def take_schema(self, schema: Schema) -> None:
        """Take the structures of a project: each has an action of its own."""
        self.actions = all_actions(schema)
        self._work_out()
        self.changed.emit()

    @property
    def layout(self) -> Layout:
        """The layout in use."""
        return "left" if self._file.values.get("layout") == "left" else "right"

    def keys_of(self, action: str) -> tuple[str, ...]:
        """Keys that do an action now; none for an unknown action."""
        return self._keys.get(action, ())

    def shown_for(self, standard: str) -> str:
        """The first key that now does what a key of the standard layout does there; the same where nothing does."""
        for action in self.actions:
            if any(normal(key) == normal(standard) for key in action.keys):
                return shown(self.keys_of(action.id)[:1])
        return standard

    def owner(self, key: str) -> Action | None:
        """The action that a key does now."""
        for action in self.actions:
            if any(normal(own) == normal(key) for own in self.keys_of(action.id)):
                return action
        return None

    def is_changed(self, action: str) -> bool:
        """True where a person gave it other keys than the layout does."""
        return action in self._own()

    def choose_layout(self, layout: Layout) -> None:
        """Take a layout; each keeps its own changes."""
        self._file.update(lambda values: {**values, "layout": layout})

    def bind(self, action: str, keys: Iterable[str]) -> None:
        """Give an action other keys in this layout; an action that had one of them loses it.

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
                    raise KeyTextError(f"{shown(own)} is napari's key to {other.title}", remedy="Take another key.")
                changes[other.id] = left
        self._change(lambda own: {**own, **changes})

    def reset(self, action: str | None = None) -> None:
        """Go back to the layout's keys, for one action or all.

        Where another action was given a default key of this one meanwhile, it keeps it.
        """
        self._change(lambda own: {} if action is None else {key: own[key] for key in own if key != action})

    def _change(self, change: Any) -> None:
        layout = self.layout

        def changed(values: dict[str, Any]) -> dict[str, Any]:
            every = values.get("changed")
            every = dict(every) if isinstance(every, dict) else {}
            return {**values, "layout": layout, "changed": {**every, layout: change(_clean(every.get(layout)))}}

        self._file.update(changed)

    def _own(self) -> dict[str, list[str]]:
        every = self._file.values.get("changed")
        return _clean(every.get(self.layout)) if isinstance(every, dict) else {}

    def _on_file(self) -> None:
        self.complaint = self._file.complaint
        self._work_out()
        self.changed.emit()

    def _work_out(self) -> None:
        own = self._own()
        keys = {action.id: tuple(own[action.id]) for action in self.actions if action.id in own}
        # What a person chose comes first: a default of a later version never takes a key away from it.
        taken = {normal(key) for chosen in keys.values() for key in chosen}
        for action in self.actions:
            if action.id not in keys:
                free = tuple(key for key in action.default_keys(self.layout) if normal(key) not in taken)
                # Of two defaults the first one counts, such as a key that a project's own schema gives a structure.
                taken.update(normal(key) for key in free)
                keys[action.id] = free
        self._keys = keys


def check_key(key: str) -> None:
    """See whether a key can be bound; "?" can, though where it lies differs from keyboard to keyboard.

    Raises:
        KeyTextError: It cannot.
    """
    if key != "?":
        binding(key)


def _clean(own: Any) -> dict[str, list[str]]:
    """What a file says of changed keys, without what no version of this program can have written."""
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
