# SPDX-License-Identifier: Apache-2.0
"""Keys on buttons and in tips: always those that are bound now."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from qtpy.QtWidgets import QPushButton, QWidget

from napari_vfss.connections import Connections
from napari_vfss.keys.book import KeyBook

TIP, TEXT, KEYS = "vfss_tip", "vfss_text", "vfss_keys"


def _as_it_came(key: str) -> str:
    return key


def explain(
    widget: QWidget,
    tip: str,
    *,
    keys: Sequence[str] = (),
    text: str = "",
    shown_for: Callable[[str], str] = _as_it_came,
) -> None:
    """Give a widget a tip that names its keys, and a button a face with its first key.

    Args:
        widget: The widget.
        tip: A sentence, without a full stop.
        keys: Keys of the standard layout.
        text: What the button says beside its key; empty where the key has no room there.
        shown_for: Gives the key of now for one of the standard layout, for a tip that changes while the panel is shown.
    """
    widget.setProperty(TIP, tip)
    widget.setProperty(TEXT, text)
    widget.setProperty(KEYS, list(keys))
    _write(widget, shown_for)


class KeyLabels:
    """Keeps what `explain` wrote on the widgets below one in step with the keys."""

    def __init__(self, root: QWidget, book: KeyBook) -> None:
        self._root, self._book = root, book
        self._connections = Connections()
        self._connections.add(book.changed, self.write)
        self.write()

    def close(self) -> None:
        """Follow no longer."""
        self._connections.undo()

    def write(self) -> None:
        """Write the keys of now; again after widgets were added."""
        for widget in self._root.findChildren(QWidget):
            if widget.property(KEYS):
                _write(widget, self._book.shown_for)


def _write(widget: QWidget, shown_for: Callable[[str], str]) -> None:
    keys = [key for key in map(shown_for, widget.property(KEYS) or ()) if key]
    tip, text = str(widget.property(TIP)), str(widget.property(TEXT))
    widget.setToolTip(f"{tip} ({'key' if len(keys) == 1 else 'keys'}: {', '.join(keys)})" if keys else tip)
    if text and isinstance(widget, QPushButton):
        widget.setText("  ".join([text, *keys[:1]]))
