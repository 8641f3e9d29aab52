# SPDX-License-Identifier: Apache-2.0
"""The window: napari with the panel docked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import napari

from napari_vfss.commands import panel_of

TITLE = "VFSS annotation (research software, not a medical device)"


def open_window(project: Path | None = None) -> tuple[Any, Any]:
    """A napari viewer with the panel docked: (viewer, panel)."""
    viewer = napari.Viewer(title=TITLE)
    panel = panel_of(viewer)
    panel.desk.project_folder = project
    return viewer, panel
