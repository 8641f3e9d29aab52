# SPDX-License-Identifier: Apache-2.0
"""Commands of napari's menus and command palette; they act on the panel, which is opened if necessary."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import napari

from napari_vfss.ui.panel import PLUGIN, AnnotationPanel

HELP_WIDGET = "Keyboard and intended use"


def open_project(viewer: napari.viewer.Viewer) -> None:
    """Ask for a project, or for a folder of a new one, and open it."""
    AnnotationPanel.of(viewer).clip.ask_for_project()


def new_project(viewer: napari.viewer.Viewer) -> None:
    """Ask for folder and schema of a new project, and create it."""
    AnnotationPanel.of(viewer).clip.ask_for_new_project()


def export(viewer: napari.viewer.Viewer) -> None:
    """Ask how to export the project's annotations as a dataset."""
    AnnotationPanel.of(viewer).export.ask_and_export()


def import_masks(viewer: napari.viewer.Viewer) -> None:
    """Import masks of another program as proposals."""
    AnnotationPanel.of(viewer).importing.ask_and_import()


def retrain(viewer: napari.viewer.Viewer) -> None:
    """Ask how to train a new student from the project's accepted annotations."""
    AnnotationPanel.of(viewer).student.ask()


def show_help(viewer: napari.viewer.Viewer) -> None:
    """Show keys and intended use."""
    viewer.window.add_plugin_dock_widget(PLUGIN, HELP_WIDGET, tabify=True)


def change_keys(viewer: napari.viewer.Viewer) -> None:
    """Show the page on which keys are changed."""
    AnnotationPanel.of(viewer).keyboard.show_page()


TITLE = "VFSS annotation (research software, not a medical device)"


def open_window(project: Path | None = None) -> tuple[Any, Any]:
    """Open a napari viewer with the panel docked; return viewer and panel."""
    viewer = napari.Viewer(title=TITLE)
    panel = AnnotationPanel.of(viewer)
    panel.controller.project_folder = project
    return viewer, panel
