# SPDX-License-Identifier: Apache-2.0
"""Binding of keys: on viewer and layers while a clip is open, and in the whole window.

They are bound in code, because napari ignores key bindings of a manifest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from app_model.types import KeyBinding
from qtpy.QtCore import Qt
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QShortcut, QWidget

from napari_vfss.connections import Connections
from napari_vfss.keys.action import GROUPS, Action, binding, shown
from napari_vfss.keys.book import KeyBook

Act = Callable[[Action[Any]], object]
"""Does what an action stands for."""


def help_rows(book: KeyBook) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return every group of actions with its rows (keys, title), in the order in which they are listed."""
    names = dict.fromkeys((*GROUPS, *(action.group for action in book.actions)))
    groups = [
        (name, [(shown(book.keys_of(a.id)) or "no key", a.title) for a in book.actions if a.group == name])
        for name in names
    ]
    return [(name, rows) for name, rows in groups if rows]


class KeyBindings:
    """Binds keys on the viewer and on the layers of a clip while it is open."""

    def __init__(self, book: KeyBook, act: Act, targets: Callable[[], Sequence[Any]]) -> None:
        """Bind the keys.

        Args:
            book: Which key does what.
            act: Called with an action when one of its keys is pressed.
            targets: Returns the viewer and the layers of the clip as they are now. Keys are bound on the layers too,
                because napari's own bindings there take precedence over those of the viewer.
        """
        self._book, self._act, self._targets = book, act, targets
        self._keys: dict[KeyBinding, Callable[[Any], object]] = {}
        self._bound: list[Any] = []
        self._connections = Connections()
        self._connections.add(book.changed, self._rebind)
        self._rebind()

    def bind(self) -> None:
        """Bind on all targets that are not bound yet; to be called again after a layer was added."""
        for target in self._targets():
            if any(target is bound for bound in self._bound):
                continue
            for key, do in self._keys.items():
                target.bind_key(key, do, overwrite=True)
            self._bound.append(target)

    def close(self) -> None:
        """Unbind all keys."""
        self._connections.undo()
        self._unbind()

    def _rebind(self) -> None:
        self._unbind()
        self._keys = {
            binding(key): self._callback(action)
            for action in self._book.actions
            if action.place == "clip"
            for key in self._book.keys_of(action.id)
        }
        self.bind()

    def _unbind(self) -> None:
        for target in self._bound:
            for key in self._keys:
                target.bind_key(key, None)
        self._bound.clear()

    def _callback(self, action: Action[Any]) -> Callable[[Any], object]:
        return lambda _target: self._act(action)


class WindowKeys:
    """Keys that work in the whole window, whether or not a clip is open."""

    def __init__(self, book: KeyBook, act: Act, window: QWidget) -> None:
        self._book, self._act, self._window = book, act, window
        self._made: list[QShortcut] = []
        self._connections = Connections()
        self._connections.add(book.changed, self._make)
        self._make()

    def close(self) -> None:
        """Remove the keys."""
        self._connections.undo()
        self._clear()

    def _make(self) -> None:
        self._clear()
        for action in self._book.actions:
            keys = self._book.keys_of(action.id) if action.place == "window" else ()
            # "?" needs Shift on most keyboards, and not every system removes that Shift from the key event.
            for key in (*keys, *("Shift+?" for key in keys if key == "?")):
                # On a Mac, Qt calls the command key Ctrl, as we do.
                shortcut = QShortcut(QKeySequence(key), self._window)
                shortcut.setContext(Qt.ShortcutContext.WindowShortcut)
                shortcut.setAutoRepeat(False)
                shortcut.activated.connect(self._callback(action))
                self._made.append(shortcut)

    def _clear(self) -> None:
        for shortcut in self._made:
            shortcut.setEnabled(False)
            shortcut.setParent(None)
            shortcut.deleteLater()
        self._made.clear()

    def _callback(self, action: Action[Any]) -> Callable[[], object]:
        return lambda: self._act(action)
