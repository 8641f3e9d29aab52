# SPDX-License-Identifier: Apache-2.0
"""Keys of the picture: bound in code while a clip is open, because napari ignores those of a manifest."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from app_model.types import KeyBinding
from qtpy.QtCore import Qt
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QShortcut, QWidget

from napari_vfss.connections import Connections
from napari_vfss.keys.action import GROUPS, Action, binding, shown
from napari_vfss.keys.book import KeyBook

if TYPE_CHECKING:
    from napari_vfss.controller.controller import AnnotationController
    from napari_vfss.viewer.layers import ClipLayers


def help_rows(book: KeyBook) -> list[tuple[str, list[tuple[str, str]]]]:
    """Every group with its rows (keys, what they do), in the order in which they are shown."""
    names = dict.fromkeys((*GROUPS, *(action.group for action in book.actions)))
    groups = [
        (name, [(shown(book.keys_of(a.id)) or "no key", a.title) for a in book.actions if a.group == name])
        for name in names
    ]
    return [(name, rows) for name, rows in groups if rows]


class KeyBindings:
    """Binds the keys of a clip on the viewer and on the clip's layers, and unbinds them on close."""

    def __init__(self, controller: AnnotationController, layers: ClipLayers) -> None:
        """Bind.

        Args:
            controller: What the actions act on.
            layers: Layers of its clip, on which keys are bound too: napari's own would come first there.
        """
        self._controller, self._layers = controller, layers
        self._keys: dict[KeyBinding, Callable[[Any], None]] = {}
        self._bound: list[Any] = []
        self._connections = Connections()
        self._connections.add(controller.key_book.changed, self._bind_anew)
        self._bind_anew()

    def bind(self) -> None:
        """Bind on the viewer and on every layer of the clip; again after a layer was put back."""
        layers = self._layers
        for target in (self._controller.viewer, layers.image, layers.overlay, layers.editor):
            if any(target is bound for bound in self._bound):
                continue
            for key, do in self._keys.items():
                target.bind_key(key, do, overwrite=True)
            self._bound.append(target)

    def close(self) -> None:
        """Unbind everything."""
        self._connections.undo()
        self._unbind()

    def _bind_anew(self) -> None:
        self._unbind()
        book = self._controller.key_book
        self._keys = {
            binding(key): self._doing(action)
            for action in book.actions
            if action.place == "clip"
            for key in book.keys_of(action.id)
        }
        self.bind()

    def _unbind(self) -> None:
        for target in self._bound:
            for key in self._keys:
                target.bind_key(key, None)
        self._bound.clear()

    def _doing(self, action: Action) -> Callable[[Any], None]:
        return lambda _target: self._controller.act(action)


class WindowKeys:
    """Keys that work in the whole window, with a clip or without."""

    def __init__(self, controller: AnnotationController, window: QWidget) -> None:
        self._controller, self._window = controller, window
        self._made: list[QShortcut] = []
        self._connections = Connections()
        self._connections.add(controller.key_book.changed, self._make)
        self._make()

    def close(self) -> None:
        """Take the keys away."""
        self._connections.undo()
        self._clear()

    def _make(self) -> None:
        self._clear()
        book = self._controller.key_book
        for action in book.actions:
            keys = book.keys_of(action.id) if action.place == "window" else ()
            # "?" needs Shift on most keyboards, and not every system takes that Shift out again.
            for key in (*keys, *("Shift+?" for key in keys if key == "?")):
                # On a Mac, Qt too calls the command key Ctrl.
                shortcut = QShortcut(QKeySequence(key), self._window)
                shortcut.setContext(Qt.ShortcutContext.WindowShortcut)
                shortcut.setAutoRepeat(False)
                shortcut.activated.connect(self._doing(action))
                self._made.append(shortcut)

    def _clear(self) -> None:
        for shortcut in self._made:
            shortcut.setEnabled(False)
            shortcut.setParent(None)
            shortcut.deleteLater()
        self._made.clear()

    def _doing(self, action: Action) -> Callable[[], None]:
        return lambda: self._controller.act(action)
