# SPDX-License-Identifier: Apache-2.0
"""Two masks as outlines over the picture, one solid and one dashed, so that they differ not only in colour."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Image
from napari.utils.colormaps import Colormap

from napari_vfss.viewer.clip_array import pixel_scale
from vfss.clips import Clip
from vfss.masks import BoolArray, ByteArray, bounding_box

NAME = "Comparison"
FIRST, SECOND = "#ffffff", "#ff3bd4"
DASH = 5  # pixels of a dash and of the gap after it


def outline(mask: BoolArray, thickness: int) -> BoolArray:
    """Return the pixels of a bool (H, W) plane within `thickness` of its border; the picture's edge is a border too."""
    from scipy.ndimage import binary_erosion  # takes half a second to import, and few compare revisions

    edge = np.zeros_like(mask)
    box = bounding_box(mask)
    if box is not None:
        inside = np.pad(mask[box], 1)
        eroded = binary_erosion(inside, iterations=thickness)
        edge[box] = (inside & ~eroded)[1:-1, 1:-1]
    return edge


def draw(first: BoolArray | None, second: BoolArray | None, out: ByteArray) -> None:
    """Draw two outlines into out, uint8 (H, W): 1 the first, solid; 2 the second, dashed, on top."""
    out[...] = 0
    thickness = max(1, round(max(out.shape) / 500))
    if first is not None:
        out[outline(first, thickness)] = 1
    if second is not None:
        y, x = np.ogrid[: out.shape[0], : out.shape[1]]
        dashes = ((x + y) // (DASH * thickness)) % 2 == 0
        out[outline(second, thickness) & dashes] = 2


class RevisionOutline:
    """A layer with two outlines, visible only while masks are compared."""

    def __init__(self, viewer: Any, clip: Clip) -> None:
        self._viewer = viewer
        self._shape = (clip.height, clip.width)
        self._scale = pixel_scale(clip)
        self._layer: Image | None = None

    @property
    def shown(self) -> bool:
        """True while outlines are visible."""
        return self._layer is not None and self._layer in self._viewer.layers and bool(self._layer.visible)

    @property
    def picture(self) -> ByteArray:
        """The drawn picture, uint8 (H, W): 0 nothing, 1 the first outline, 2 the second."""
        if self._layer is None or not self.shown:
            return np.zeros(self._shape, np.uint8)
        drawn: ByteArray = np.asarray(self._layer.data)
        return drawn

    def show(self, first: BoolArray | None, second: BoolArray | None) -> None:
        """Show two planes, bool (H, W), as outlines; None draws none."""
        layer = self._layer
        if layer is None or layer not in self._viewer.layers:
            layer = self._layer = self._add()
        draw(first, second, layer.data)
        layer.visible = True
        layer.refresh(extent=False, highlight=False, thumbnail=False)

    def clear(self) -> None:
        """Hide the outlines. The layer is kept, because napari removes layers too slowly for a frame step."""
        if self._layer is not None:
            self._layer.visible = False

    def close(self) -> None:
        """Remove the layer."""
        layer, self._layer = self._layer, None
        if layer is not None and layer in self._viewer.layers:
            self._viewer.layers.remove(layer)

    def _add(self) -> Image:
        colours = np.zeros((256, 4), np.float32)
        for index, colour in ((1, FIRST), (2, SECOND)):
            colours[index] = [*(int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)), 1.0]
        layer = Image(
            np.zeros(self._shape, np.uint8),
            name=NAME,
            contrast_limits=(0, 255),
            colormap=Colormap(colours, name="vfss comparison", interpolation="zero"),
            blending="translucent",
            interpolation2d="nearest",
            rgb=False,
            multiscale=False,
            scale=self._scale,
        )
        selection = self._viewer.layers.selection
        active = selection.active
        self._viewer.add_layer(layer)
        selection.active = active  # the selected tool stays selected
        return layer
