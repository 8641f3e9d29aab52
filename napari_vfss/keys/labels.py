# SPDX-License-Identifier: Apache-2.0
"""Keys on buttons and in tooltips, kept up to date with the bound keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from qtpy.QtWidgets import QPushButton, QWidget

from napari_vfss.connections import Connections
from napari_vfss.keys.book import KeyBook

TIP, TEXT, KEYS = "vfss_tip", "vfss_text", "vfss_keys"


def _unchanged(key: str) -> str:
    return key


def explain(
    widget: QWidget,
    tip: str,
    *,
    keys: Sequence[str] = (),
    text: str = "",
    shown_for: Callable[[str], str] = _unchanged,
) -> None:
    """Set a tooltip that names a widget's keys, and a button's text with its first key.

    Args:
        widget: The widget.
        tip: Tooltip, without a full stop.
        keys: Keys of the standard layout.
        text: Text of the button beside its key; empty if there is no room for the key.
        shown_for: Returns the bound key for one of the standard layout; for tips that change while the panel is shown.
    """
    widget.setProperty(TIP, tip)
    widget.setProperty(TEXT, text)
    widget.setProperty(KEYS, list(keys))
    _write(widget, shown_for)


class KeyLabels:
    """Updates the texts that `explain` set on all widgets below a root when keys change."""

    def __init__(self, root: QWidget, book: KeyBook) -> None:
        self._root, self._book = root, book
        self._connections = Connections()
        self._connections.add(book.changed, self.write)
        self.write()

    def close(self) -> None:
        """Stop updating."""
        self._connections.undo()

    def write(self) -> None:
        """Write the bound keys on all widgets; to be called again after widgets were added."""
        for widget in self._root.findChildren(QWidget):
            if widget.property(KEYS):
                _write(widget, self._book.shown_for)


def _write(widget: QWidget, shown_for: Callable[[str], str]) -> None:
    keys = [key for key in map(shown_for, widget.property(KEYS) or ()) if key]
    tip, text = str(widget.property(TIP)), str(widget.property(TEXT))
    widget.setToolTip(f"{tip} ({'key' if len(keys) == 1 else 'keys'}: {', '.join(keys)})" if keys else tip)
    if text and isinstance(widget, QPushButton):
        widget.setText("  ".join([text, *keys[:1]]))
