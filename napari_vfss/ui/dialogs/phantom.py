# SPDX-License-Identifier: Apache-2.0
"""A form that makes phantom clips with their truth as a project: to practise on, to test with, to train from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import napari
from magicgui.widgets import ComboBox, Container, FileEdit, Label, ProgressBar, PushButton, SpinBox

from napari_vfss.connections import Connections
from napari_vfss.jobs.files import PhantomOrder, Phantoms
from napari_vfss.ui.close_watcher import CloseWatcher
from vfss.phantom import STYLES


class PhantomForm(Container[Any]):
    """Asks what to make, makes it beside the window, and opens it in the panel when asked to."""

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        self._viewer = napari_viewer
        self._project: Path | None = None
        self.folder = FileEdit(mode="d", label="Folder", value=Path.home() / "vfss_phantoms", tooltip="An empty one")
        self.clips = SpinBox(label="Clips", value=2, min=1, max=1000, tooltip="Each is a patient of its own")
        self.frames = SpinBox(label="Frames of each", value=60, min=1, max=9000, tooltip="At 30 a second")
        self.side = SpinBox(label="Size (pixels)", value=512, min=64, max=2048, step=2, tooltip="Height and width")
        self.seed = SpinBox(label="Seed", value=1, min=0, max=2**31 - 1, tooltip="The same seed makes the same clips")
        self.style = ComboBox(label="Style", choices=sorted(STYLES), value="standard", tooltip="Kind of X-ray film")
        self.make_button = PushButton(text="Make clips")
        self.bar = ProgressBar(label="", visible=False)
        self.cancel_button = PushButton(text="Cancel", visible=False)
        self.message = Label(value="", visible=False)
        self.open_button = PushButton(text="Open them", visible=False)
        self._asked = (self.folder, self.clips, self.frames, self.side, self.seed, self.style, self.make_button)
        super().__init__(
            widgets=[*self._asked, self.bar, self.cancel_button, self.message, self.open_button], label="Phantom clips"
        )
        self.message.native.setWordWrap(True)
        # No child of the form: a window that goes takes its widgets with it before the worker has stopped.
        self.phantoms = Phantoms()
        self._departure = CloseWatcher(self.native)
        self._connections = Connections()
        for signal, do in (
            (self.make_button.clicked, self.make),
            (self.cancel_button.clicked, self.phantoms.cancel),
            (self.open_button.clicked, self.open_project),
            (self.phantoms.progressed, self._on_progress),
            (self.phantoms.ended, self._on_ended),
            (self._departure.gone, self.close_form),
        ):
            self._connections.add(signal, do)

    def close_form(self) -> None:
        """Stop what is being made, which keeps the clips that are done, and let go of the widgets."""
        self.phantoms.cancel()
        self._connections.undo()

    def make(self) -> None:
        """Begin to make what the form says."""
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
        """Open what was made in the annotation panel."""
        from napari_vfss.commands import panel_of

        if self._project is not None:
            panel_of(self._viewer).controller.open(self._project)

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
