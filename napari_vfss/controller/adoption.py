# SPDX-License-Identifier: Apache-2.0
"""Adoption of layers: a recording that napari's own File > Open added becomes a session."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from qtpy.QtCore import QTimer

from napari_vfss.session.host import Host
from napari_vfss.viewer.clip_array import ClipFrames


class LayerAdoption:
    """Watches for layers of recordings that are in no session, and opens a session in their place."""

    def __init__(self, host: Host, open_clip: Callable[[Path], object]) -> None:
        """Watch a viewer.

        Args:
            host: Whose viewer.
            open_clip: Opens a session on a recording.
        """
        self._host, self._open_clip = host, open_clip

    def on_inserted(self, event: Any) -> None:
        """Adopt a layer that was added, unless a session added it."""
        layer = event.value
        metadata = getattr(layer, "metadata", {})
        frames = metadata.get("vfss_frames")
        if isinstance(frames, ClipFrames) and frames.source is not None and not metadata.get("vfss_session", False):
            # The layer can be replaced only once napari has finished adding it.
            QTimer.singleShot(0, lambda: self.adopt(layer))

    def adopt(self, layer: Any) -> None:
        """Open the recording of a layer as a session, which replaces the layer."""
        viewer, frames = self._host.viewer, layer.metadata["vfss_frames"]
        if layer in viewer.layers and frames.source is not None:
            viewer.layers.remove(layer)
            frames.close()
            self._open_clip(frames.source)
