# SPDX-License-Identifier: Apache-2.0
"""Undoes what napari's own tools can do to the layers of a clip, and says so; masks are never at risk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap
from psygnal import Signal
from qtpy.QtCore import QTimer

from napari_vfss.connections import Connections
from napari_vfss.viewer.layers import ClipLayers

ORDER = "The recording lies below the masks again: above them it would hide them."
GRID = "The grid was switched off: it shows recording and masks apart, so that strokes would miss."
LABEL = "The label stays 1: it paints the active structure. To remove pixels, use the eraser."
COLOUR = "The colours are those of the structures; the colour mode was set back."


class LayerGuard:
    """Keeps order, colours and label of a clip's layers, and watches for strokes on foreign layers."""

    message = Signal(str)
    foreign_changed = Signal()

    def __init__(self, viewer: Any, layers: ClipLayers) -> None:
        self._viewer, self._layers = viewer, layers
        self._active: Any = None
        self._connections = Connections()
        add = self._connections.add
        add(viewer.layers.events.reordered, self._on_order)
        add(viewer.layers.events.inserted, self._on_order)
        add(viewer.canvas.grid.events.enabled, self._on_grid)
        add(viewer.layers.selection.events.active, self._on_active)
        add(layers.editor_changed, self._follow_editor)
        self._follow_editor()

    @property
    def foreign(self) -> Any:
        """The Labels layer outside the dataset that is active; None if there is none."""
        return self._active

    def close(self) -> None:
        """Watch no longer."""
        self._connections.undo()

    def return_to_structures(self) -> None:
        """Make the layer of the active structure the one that is painted on."""
        self._viewer.layers.selection.active = self._layers.editor

    def _follow_editor(self) -> None:
        editor = self._layers.editor
        self._connections.add(editor.events.selected_label, self._on_label)
        self._connections.add(editor.events.colormap, self._on_colour)

    def _on_order(self, _event: Any = None) -> None:
        ours = self._places()
        if ours is not None and ours != sorted(ours):
            _later(self._put_in_order)  # napari is still moving the layer

    def _places(self) -> list[int] | None:
        """Return where recording, overlay and editable layer lie, from below; None while one of them is missing."""
        layers = (self._layers.image, self._layers.overlay, self._layers.editor)
        listed = self._viewer.layers
        return [listed.index(layer) for layer in layers] if all(layer in listed for layer in layers) else None

    def _put_in_order(self) -> None:
        places = self._places()
        if places is None or places == sorted(places):
            return
        listed = self._viewer.layers
        for layer, place in zip(
            (self._layers.image, self._layers.overlay, self._layers.editor), sorted(places), strict=True
        ):
            at = listed.index(layer)
            if at != place:
                listed.move(at, place if at > place else place + 1)
        self.message.emit(ORDER)

    def _on_grid(self, _event: Any = None) -> None:
        if self._viewer.canvas.grid.enabled:
            self._viewer.canvas.grid.enabled = False
            self.message.emit(GRID)

    def _on_label(self, _event: Any = None) -> None:
        editor = self._layers.editor
        if int(editor.selected_label) != 1:
            editor.selected_label = 1
            self.message.emit(LABEL)

    def _on_colour(self, _event: Any = None) -> None:
        editor = self._layers.editor
        if not isinstance(editor.colormap, DirectLabelColormap):
            editor.set_structure(self._layers.session.active)
            self.message.emit(COLOUR)

    def _on_active(self, _event: Any = None) -> None:
        active = _bare(self._viewer.layers.selection.active)
        foreign = active if isinstance(active, Labels) and active is not self._layers.editor else None
        if foreign is not self._active:
            self._active = foreign
            self.foreign_changed.emit()


def _bare(layer: Any) -> Any:
    # The viewer that napari passes to plugins gives proxies, of which no two are the same object.
    return getattr(layer, "__wrapped__", layer)


def _later(do: Callable[[], object]) -> None:
    QTimer.singleShot(0, do)
