# SPDX-License-Identifier: Apache-2.0
"""The editable layer: one structure on one frame, with undo and redo that belong to the session."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap
from psygnal import Signal

from vfss.masks import BoolArray
from vfss.schema import Structure


class StructureLayer(Labels):
    """A Labels layer (H, W) whose undo and redo ask the session.

    napari's own history survives a change of frame and would then edit pixels of another frame or structure.
    """

    undo_asked = Signal()
    redo_asked = Signal()

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
