# SPDX-License-Identifier: Apache-2.0
"""The editable layer: one structure on one frame, with undo and redo that belong to the session."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Generator
from typing import Any, ClassVar

import numpy as np
from napari.layers import Labels
from napari.layers.base import no_op
from napari.layers.labels._labels_constants import Mode
from napari.utils.colormaps import DirectLabelColormap
from psygnal import Signal

from vfss.masks import BoolArray
from vfss.schema import Structure

CLICK = "pick"
"""The mode for clicks and boxes. As napari's pick mode it would have no use here: every label paints the structure."""

SLACK = 5.0  # pixels of the screen that the mouse may move during a click
LEFT, RIGHT, MIDDLE = 1, 2, 3


def _point(layer: StructureLayer, event: Any) -> Generator[None, None, None]:
    """Handle press, moves and release of a button: a click, a box, or with the middle button panning of the picture."""
    button, start, pressed = event.button, _position(layer, event), np.asarray(event.pos)
    last, dragged = start, False
    yield
    while event.type == "mouse_move":
        if button == MIDDLE:
            # The picture moves under the mouse, and with it the positions of the events.
            now = np.asarray(event.pos)
            layer.panned.emit(*((now - pressed)[::-1] / event.camera_zoom))
            pressed = now
        elif button == LEFT:
            last = _position(layer, event)
            dragged = dragged or bool(np.abs(np.asarray(event.pos) - pressed).max() > SLACK)
            if dragged:
                layer.box_moved.emit(start, last)
        yield
    if dragged:
        layer.boxed.emit(start, last)
    elif button in (LEFT, RIGHT):
        layer.clicked.emit(*start, button == LEFT)


def _point_again(layer: StructureLayer, event: Any) -> None:
    if event.button in (LEFT, RIGHT):
        layer.clicked.emit(*_position(layer, event), event.button == LEFT)


def _position(layer: StructureLayer, event: Any) -> tuple[float, float]:
    """Return the position of the mouse in pixels of the frame: y, x."""
    y, x = layer.world_to_data(event.position)[-2:]
    return float(y), float(x)


class StructureLayer(Labels):
    """A Labels layer (H, W) whose undo and redo are the session's, and whose pick mode makes clicks and boxes.

    napari's own history survives a change of frame and would then edit pixels of another frame or structure.
    """

    undo_requested = Signal()
    redo_requested = Signal()
    clicked = Signal(float, float, bool)  # y, x in pixels of the frame; True for the left button
    box_moved = Signal(object, object)  # opposite corners (y, x) of the box being dragged
    boxed = Signal(object, object)  # opposite corners (y, x)
    panned = Signal(float, float)  # movement of the middle button in pixels of the frame (y, x)

    def __init__(self, height: int, width: int, **settings: Any) -> None:
        super().__init__(np.zeros((height, width), np.uint8), **settings)

    def undo(self) -> None:
        """Request the session's undo."""
        self.undo_requested.emit()

    def redo(self) -> None:
        """Request the session's redo."""
        self.redo_requested.emit()

    # Outside a block, napari emits the event before the change is made, and listeners would read the old pixels.

    def fill(self, *args: Any, **settings: Any) -> None:
        """Fill an area, and emit the event afterwards."""
        with self.block_history():
            super().fill(*args, **settings)

    def paint_polygon(self, *args: Any, **settings: Any) -> None:
        """Fill a polygon, and emit the event afterwards."""
        with self.block_history():
            super().paint_polygon(*args, **settings)

    @property
    def mask(self) -> BoolArray:
        """Painted pixels, bool (H, W)."""
        painted: BoolArray = np.asarray(self.data) > 0
        return painted

    def show(self, mask: BoolArray) -> None:
        """Show another plane, bool (H, W)."""
        self.data[...] = mask
        self.refresh(extent=False, highlight=False, thumbnail=False)

    def set_structure(self, structure: Structure) -> None:
        """Show a structure's name and colour."""
        rgb = np.asarray(structure.rgb, np.float32) / 255.0
        clear = np.zeros(4, np.float32)
        # Whatever label is chosen in napari's own controls, it paints this structure.
        self.colormap = DirectLabelColormap(color_dict={None: np.array([*rgb, 1.0], np.float32), 0: clear})
        self.name = f"{structure.name} (correct here)"

    _drag_modes: ClassVar[dict[Mode, Callable[..., Any]]] = {**Labels._drag_modes, Mode.PICK: _point}
    # napari makes a double click of two quick clicks, and the second one would be lost.
    _double_click_modes: ClassVar[dict[Mode, Callable[..., Any]]] = defaultdict(
        lambda: no_op, {Mode.PICK: _point_again}
    )

    @property
    def _type_string(self) -> str:
        return "labels"  # otherwise writers and icons would look for a layer type named after this class


def calm_brush(viewer: Any) -> None:
    """Draw no box behind the brush's circle."""
    # napari 0.9 draws a box behind the brush's circle and never hides it again. Drawn in a viewer without layers,
    # that box alone makes Mesa's software OpenGL (remote desktops, Xvfb) follow a null pointer and kill the process.
    overlay = viewer.canvas.overlays.get("_brush_circle")
    if overlay is not None:
        overlay.box = False
