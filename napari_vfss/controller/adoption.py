# SPDX-License-Identifier: Apache-2.0
"""Bare clips that a reader or a sample added to the viewer move into a session of the desk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer

from napari_vfss.viewer.clip_array import ClipFrames

if TYPE_CHECKING:
    from napari_vfss.controller.controller import Desk


class Adoption:
    """Watches for layers of clips that are in no session."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def on_inserted(self, event: Any) -> None:
        """A layer was added."""
        layer, layers = event.value, self._desk.layers
        metadata = getattr(layer, "metadata", {})
        frames = metadata.get("vfss_frames")
        own = layers is not None and layer is layers.image
        bare = isinstance(frames, ClipFrames) and frames.source is not None and not metadata.get("vfss_session", False)
        if bare and not own:
            # It moves when napari is done with adding it.
            QTimer.singleShot(0, lambda: self.adopt(layer))

    def adopt(self, layer: Any) -> None:
        """Open the clip of a layer in that layer's place."""
        desk, frames = self._desk, layer.metadata["vfss_frames"]
        if layer in desk.viewer.layers and frames.source is not None:
            desk.viewer.layers.remove(layer)
            frames.close()
            desk.open(frames.source)
