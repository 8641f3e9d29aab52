# SPDX-License-Identifier: Apache-2.0
"""Form that creates a project of phantom clips with true masks, for practice, tests and training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import napari
from magicgui.widgets import ComboBox, Container, FileEdit, Label, ProgressBar, PushButton, SpinBox

from napari_vfss.connections import Connections
from napari_vfss.jobs.files import PhantomOrder, Phantoms
from napari_vfss.ui.close_watcher import CloseWatcher
from napari_vfss.ui.panel import AnnotationPanel
from vfss.phantom import STYLES


class PhantomForm(Container[Any]):
    """Asks what to create, creates it in the background, and opens it in the panel on request."""

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        self._viewer = napari_viewer
        self._project: Path | None = None
        self.folder = FileEdit(
            mode="d", label="Folder", value=Path.home() / "vfss_phantoms", tooltip="An empty folder for the new project"
        )
        self.clips = SpinBox(label="Clips", value=2, min=1, max=1000, tooltip="Each clip shows a patient of its own")
        self.frames = SpinBox(label="Frames per clip", value=60, min=1, max=9000, tooltip="30 per second")
        self.side = SpinBox(label="Size (pixels)", value=512, min=64, max=2048, step=2, tooltip="Height and width")
        self.seed = SpinBox(label="Seed", value=1, min=0, max=2**31 - 1, tooltip="The same seed gives the same clips")
        self.style = ComboBox(
            label="Style", choices=sorted(STYLES), value="standard", tooltip="Appearance of the X-ray image"
        )
        self.make_button = PushButton(text="Create clips")
        self.bar = ProgressBar(label="", visible=False)
        self.cancel_button = PushButton(text="Cancel", visible=False)
        self.message = Label(value="", visible=False)
        self.open_button = PushButton(text="Open clips", visible=False)
        self._asked = (self.folder, self.clips, self.frames, self.side, self.seed, self.style, self.make_button)
        super().__init__(
            widgets=[*self._asked, self.bar, self.cancel_button, self.message, self.open_button], label="Phantom clips"
        )
        self.message.native.setWordWrap(True)
        # Not a child of the form: a window that closes deletes its widgets before the worker has stopped.
        self.phantoms = Phantoms()
        self._close_watcher = CloseWatcher(self.native)
        self._connections = Connections()
        for signal, slot in (
            (self.make_button.clicked, self.make),
            (self.cancel_button.clicked, self.phantoms.cancel),
            (self.open_button.clicked, self.open_project),
            (self.phantoms.progressed, self._on_progress),
            (self.phantoms.ended, self._on_ended),
            (self._close_watcher.closed, self.close_form),
        ):
            self._connections.add(signal, slot)

    def close_form(self) -> None:
        """Stop the job, which keeps finished clips, and disconnect from the widgets."""
        self.phantoms.cancel()
        self._connections.undo()

    def make(self) -> None:
        """Start to create the clips that the form describes."""
        order = PhantomOrder(
            Path(self.folder.value),
            clips=self.clips.value,
            frames=self.frames.value,
            seed=self.seed.value,
            size=self.side.value,
            style=self.style.value,
        )
        self._project = None
        self._show_running(True)
        self.phantoms.start(order)

    def open_project(self) -> None:
        """Open the created project in the annotation panel."""
        if self._project is not None:
            AnnotationPanel.of(self._viewer).controller.open(self._project)

    def _on_progress(self, done: int, total: int) -> None:
        self.bar.max, self.bar.value = total, done

    def _on_ended(self, message: str, project: Path | None) -> None:
        self._project = project
        self._show_running(False)
        self.message.value = message
        self.message.visible = True
        self.open_button.visible = project is not None

    def _show_running(self, running: bool) -> None:
        for widget in self._asked:
            widget.enabled = not running
        self.bar.value = 0
        self.bar.visible = self.cancel_button.visible = running
        self.message.visible = self.open_button.visible = False
