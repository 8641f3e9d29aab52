# SPDX-License-Identifier: Apache-2.0
"""Open the program's window: a napari viewer with the panel docked, arranged before it is shown."""

from __future__ import annotations

from pathlib import Path

import napari

from napari_vfss.program.window import ProgramWindow
from napari_vfss.ui.panel import AnnotationPanel

TITLE = "VFSS annotation (research software, not a medical device)"


def open_program(project: Path | None = None) -> ProgramWindow:
    """Open the window of the program and show it.

    Args:
        project: Project that recordings join; None for the one of their folder.
    """
    viewer = napari.Viewer(title=TITLE, show=False, show_welcome_screen=False)
    panel = AnnotationPanel.of(viewer)
    panel.controller.project_folder = project
    program = ProgramWindow(panel)
    program.show()
    return program
