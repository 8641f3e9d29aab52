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
"""The mode in which the mouse points: of no use otherwise, as whatever label is picked paints this structure."""

SLACK = 5.0  # pixels of the screen that a hand may slip by in a click
LEFT, RIGHT, MIDDLE = 1, 2, 3


def _point(layer: StructureLayer, event: Any) -> Generator[None, None, None]:
    """A press, moves and the release of a button: a click, a box, or with the middle button a pull of the picture."""
    button, start, pressed = event.button, _place(layer, event), np.asarray(event.pos)
    last, dragged = start, False
    yield
    while event.type == "mouse_move":
        if button == MIDDLE:
            # The picture moves under the mouse, and so do the places that events tell of.
            now = np.asarray(event.pos)
            layer.pulled.emit(*((now - pressed)[::-1] / event.camera_zoom))
            pressed = now
        elif button == LEFT:
            last = _place(layer, event)
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
        layer.clicked.emit(*_place(layer, event), event.button == LEFT)


def _place(layer: StructureLayer, event: Any) -> tuple[float, float]:
    """Where the mouse is, in pixels of the frame: y, x."""
    y, x = layer.world_to_data(event.position)[-2:]
    return float(y), float(x)


class StructureLayer(Labels):
    """A Labels layer (H, W) whose undo and redo ask the session, and whose pick mode points.

    napari's own history survives a change of frame and would then edit pixels of another frame or structure.
    """

    undo_asked = Signal()
    redo_asked = Signal()
    clicked = Signal(float, float, bool)  # y, x in pixels of the frame; True for the left button
    box_moved = Signal(object, object)  # opposite corners (y, x) of a box that is being dragged
    boxed = Signal(object, object)  # opposite corners (y, x)
    pulled = Signal(float, float)  # the middle button moved by so many pixels of the frame (y, x)

    def __init__(self, height: int, width: int, **settings: Any) -> None:
        super().__init__(np.zeros((height, width), np.uint8), **settings)

    def undo(self) -> None:
        """Ask for the structure's state before the last change."""
        self.undo_asked.emit()

    def redo(self) -> None:
        """Ask for what undo took away."""
        self.redo_asked.emit()

    # Outside a block, napari tells of a change before it has made it: whoever listens would read the old pixels.

    def fill(self, *args: Any, **settings: Any) -> None:
        """Fill an area, and then tell."""
        with self.block_history():
            super().fill(*args, **settings)

    def paint_polygon(self, *args: Any, **settings: Any) -> None:
        """Fill a polygon, and then tell."""
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

    def dress(self, structure: Structure) -> None:
        """Take a structure's name and colour."""
        rgb = np.asarray(structure.rgb, np.float32) / 255.0
        clear = np.zeros(4, np.float32)
        # Whatever label a person picks in napari's own controls, it paints this structure.
        self.colormap = DirectLabelColormap(color_dict={None: np.array([*rgb, 1.0], np.float32), 0: clear})
        self.name = f"{structure.name} (correct here)"

    _drag_modes: ClassVar[dict[Mode, Callable[..., Any]]] = {**Labels._drag_modes, Mode.PICK: _point}
    # Of two quick clicks napari makes a double click, and the second one would be lost.
    _double_click_modes: ClassVar[dict[Mode, Callable[..., Any]]] = defaultdict(
        lambda: no_op, {Mode.PICK: _point_again}
    )

    @property
    def _type_string(self) -> str:
        return "labels"  # else writers and icons would look for a layer type named after this class


def calm_brush(viewer: Any) -> None:
    """Draw no box behind the brush's circle."""
    # napari 0.9 draws a box behind the brush's circle and never hides it again. Drawn in a viewer without layers,
    # that box alone makes Mesa's software OpenGL (remote desktops, Xvfb) follow a null pointer and kill the process.
    overlay = viewer.canvas.overlays.get("_brush_circle")
    if overlay is not None:
        overlay.box = False
