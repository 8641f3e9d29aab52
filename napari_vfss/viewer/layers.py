# SPDX-License-Identifier: Apache-2.0
"""The three layers of a clip in the viewer: its frames, all structures as one picture, and the active structure."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import Any

import numpy as np
from napari.layers import Image, Layer
from napari.utils.colormaps import Colormap
from psygnal import Signal
from qtpy.QtCore import QTimer

from napari_vfss.connections import Connections
from napari_vfss.jobs.worker import explain
from napari_vfss.session.session import Session
from napari_vfss.viewer.camera import Camera, Rectangle
from napari_vfss.viewer.clip_array import ClipFrames, clip_layer_settings, pixel_scale
from napari_vfss.viewer.overlay import Overlay, palette
from napari_vfss.viewer.structure_layer import StructureLayer, calm_brush
from vfss.errors import ClipError, ProjectError
from vfss.masks import BoolArray

OVERLAY_NAME = "All structures"
AXES = ("frame", "y", "x")
READ_ONLY = (
    "This project is open read-only: its folder cannot be written. To correct masks, get write permission for the "
    "folder, or copy it to a disk where you have it, and open it there."
)
LOCKED = "Frames are shown one by one in two dimensions; the view was reset."


class ClipLayers:
    """Shows a session in a viewer and turns strokes into changes of the session.

    Attributes:
        viewer: The napari viewer.
        session: The session.
        hidden: Keys of hidden structures.
        image: Layer of the recording.
        overlay: Layer of all structures but the active one.
        editor: Editable layer of the active structure.
    """

    clip_removed = Signal()
    editor_changed = Signal()
    message = Signal(str)

    def __init__(self, viewer: Any, session: Session) -> None:
        self.viewer = viewer
        self.session = session
        self.hidden: set[str] = set()
        self._closing = False
        self._shown: tuple[int, str] | None = None
        self._shown_mask: BoolArray = np.zeros((session.clip.height, session.clip.width), np.bool_)
        self._painter = Overlay(session.schema, session.clip.height, session.clip.width)
        self._frames = ClipFrames(session.clip)
        self.image = self._add_image()
        self.overlay = self._add_overlay()
        self.editor = self._add_editor()
        self._connections = Connections()
        self._view = Camera(viewer)
        calm_brush(viewer)
        self._connect()
        self._step_viewer()
        if viewer.dims.ndim == len(AXES):  # shown next to the slider instead of "-3"
            viewer.dims.axis_labels = AXES
        self.show_frame()

    def close(self) -> None:
        """Write the stroke in progress, disconnect from the viewer and remove the layers."""
        self.flush()
        self._closing = True
        self._connections.undo()
        self._view.close()
        for layer in (self.editor, self.overlay, self.image):
            if layer in self.viewer.layers:
                self.viewer.layers.remove(layer)

    def flush(self) -> None:
        """Write a stroke that is in the layer but not in the project yet."""
        if self._shown is None:
            return
        mask = self.editor.mask
        if not np.array_equal(mask, self._shown_mask):
            frame, structure = self._shown
            self._shown_mask = mask
            self.session.stroke(mask, frame=frame, structure=structure)

    def show_frame(self) -> None:
        """Show the current frame and structure of the session."""
        session = self.session
        place = (session.frame, session.structure)
        if place != self._shown:
            self.flush()
        elif not np.array_equal(self.editor.mask, self._shown_mask):
            self._paint_overlay()  # keep the stroke in progress
            return
        self._shown = place
        self._paint_overlay()
        self._shown_mask = session.work.planes[session.active.index].copy()
        self.editor.show(self._shown_mask)

    def set_hidden(self, structure: str, hidden: bool) -> None:
        """Hide or show one structure."""
        (self.hidden.add if hidden else self.hidden.discard)(structure)
        self._show_editor(self.overlay.visible)
        self._paint_overlay()

    def toggle_masks(self) -> None:
        """Hide all structures, or show them again."""
        visible = not self.overlay.visible
        self.overlay.visible = visible
        self._show_editor(visible)

    @property
    def shown_frame(self) -> int | None:
        """The frame whose masks are in the layers; None before the first one."""
        return None if self._shown is None else self._shown[0]

    def set_tool(self, mode: str) -> None:
        """Select a tool of napari's Labels layer: paint, erase, polygon, fill, pick (clicks) or pan_zoom."""
        self.viewer.layers.selection.active = self.editor
        if self.session.project.read_only and mode != "pan_zoom":
            self.message.emit(READ_ONLY)
        else:
            self.editor.mode = mode

    def camera(self) -> dict[str, Any]:
        """Return the visible rectangle (top, left, bottom, right) and contrast of the view, as JSON types."""
        image = self.image
        contrast = {"contrast": [float(c) for c in image.contrast_limits], "gamma": float(image.gamma)}
        return {"visible": self._view.visible().values, **contrast}

    def fit_frame(self) -> None:
        """Bring the whole frame into view."""
        clip = self.session.clip
        y, x = pixel_scale(clip)
        self._view.fit(Rectangle(0.0, 0.0, clip.height * y, clip.width * x))

    def fit_field(self) -> None:
        """Bring the exposed field of the current frame into view; the whole frame where none is found."""
        from vfss.clips.exposed_field import largest_area  # with scipy, which takes long to import

        clip = self.session.clip
        low, high = clip.window
        shown = (self._frames[self.session.frame].astype(np.float32) - low) * (255.0 / max(1, high - low))
        area = largest_area(np.clip(shown, 0, 255).astype(np.uint8), clip.pixel_aspect)
        if area is None:
            self.fit_frame()
            return
        (top, bottom), (left, right) = area
        tall, wide = (n * scale for n, scale in zip((clip.height, clip.width), pixel_scale(clip), strict=True))
        self._view.fit(Rectangle(top * tall, left * wide, bottom * tall, right * wide))

    def restore_camera(self, view: dict[str, Any]) -> None:
        """Restore a view that camera() returned; without one, show the exposed field.

        What is not of that form is left out. Earlier versions kept centre and zoom, which depends on the screen.
        """
        visible = _finite(view.get("visible"), 4)
        if visible and visible[0] < visible[2] and visible[1] < visible[3]:
            self._view.show(Rectangle(*visible))
        else:
            self.fit_field()
        contrast, gamma = _finite(view.get("contrast"), 2), _finite([view.get("gamma")], 1)
        if contrast and contrast[0] < contrast[1] and gamma and gamma[0] > 0:
            self.image.contrast_limits, self.image.gamma = contrast, gamma[0]

    def _add_image(self) -> Layer:
        record, clip = self.session.record, self.session.clip
        settings = clip_layer_settings(self._frames, name=record.patient, inverted=clip.inverted, window=clip.window)
        settings["metadata"]["vfss_session"] = True
        return self._added(Image(self._frames, **settings))

    def _add_overlay(self) -> Layer:
        clip = self.session.clip
        colours = Colormap(palette(self.session.schema), name="vfss structures", interpolation="zero")
        picture = np.zeros((clip.height, clip.width), np.uint8)
        layer = Image(
            picture,
            name=OVERLAY_NAME,
            contrast_limits=(0, 255),
            colormap=colours,
            blending="translucent",
            interpolation2d="nearest",
            rgb=False,
            multiscale=False,
            scale=pixel_scale(clip),
        )
        return self._added(layer)

    def _add_editor(self) -> StructureLayer:
        clip, project = self.session.clip, self.session.project
        metadata = {"vfss_project": str(project.folder), "vfss_clip": clip.id}
        layer = StructureLayer(clip.height, clip.width, metadata=metadata, opacity=0.55, scale=pixel_scale(clip))
        layer.brush_size = max(4, clip.height // 48)
        layer.set_structure(self.session.active)
        self._added(layer)
        layer.editable = not project.read_only
        self.viewer.layers.selection.active = layer
        return layer

    def _added(self, layer: Layer) -> Layer:
        # The viewer that napari passes to plugins returns a proxy, never the layer that its events bring.
        self.viewer.add_layer(layer)
        return layer

    def _connect(self) -> None:
        viewer, session, add = self.viewer, self.session, self._connections.add
        add(viewer.dims.events.current_step, self._on_step)
        add(viewer.dims.events.ndisplay, self._keep_flat)
        add(viewer.dims.events.order, self._keep_order)
        add(viewer.layers.events.removed, self._on_removed)
        add(session.frame_changed, self._on_frame)
        add(session.structure_changed, self._on_structure)
        add(session.masks_changed, self._on_masks)
        add(session.flags_changed, self._on_flags)
        add(self._frames.problem, self._on_problem)
        self._connect_editor()

    def _connect_editor(self) -> None:
        add = self._connections.add
        add(self.editor.events.paint, self._on_paint)
        add(self.editor.events.n_edit_dimensions, self._keep_two_dimensions)
        add(self.editor.undo_requested, self._after_flush(self.session.undo))
        add(self.editor.redo_requested, self._after_flush(self.session.redo))

    def _after_flush(self, action: Callable[[], bool]) -> Callable[[], None]:
        def run() -> None:
            self.flush()
            action()

        return run

    @property
    def _axis(self) -> int:
        return int(self.viewer.dims.ndim) - ClipFrames.ndim

    def _step_viewer(self) -> None:
        if self.viewer.dims.current_step[self._axis] != self.session.frame:
            self.viewer.dims.set_current_step(self._axis, self.session.frame)

    def _on_step(self, event: Any = None) -> None:
        if self.image in self.viewer.layers:
            self.session.go_to(int(self.viewer.dims.current_step[self._axis]))

    def _on_frame(self, frame: int) -> None:
        self._step_viewer()
        # An exception raised here would interrupt napari in its own step.
        try:
            self.show_frame()
        except ProjectError as error:
            self.message.emit(str(error))

    def _on_structure(self, structure: str) -> None:
        self.flush()
        self.editor.set_structure(self.session.active)
        self._show_editor(self.overlay.visible)
        self.show_frame()

    def _on_masks(self, frame: int) -> None:
        if frame == self.session.frame:
            self.show_frame()

    def _on_flags(self) -> None:
        self.image.colormap = "gray_r" if self.session.clip.inverted else "gray"
        self.image.name = self.session.record.patient

    def _on_paint(self, event: Any = None) -> None:
        self.flush()

    def _on_problem(self, error: ClipError) -> None:
        self.message.emit(explain(error))

    def _paint_overlay(self) -> None:
        session = self.session
        without = {session.schema[key].index for key in self.hidden} | {session.active.index}
        self._painter.paint(session.work.planes, self.overlay.data, without=without)
        self.overlay.refresh(extent=False, highlight=False, thumbnail=False)

    def _show_editor(self, masks_shown: bool) -> None:
        visible = masks_shown and self.session.structure not in self.hidden
        # Setting it again has an effect in napari: it would restore an earlier tool.
        if self.editor.visible != visible:
            self.editor.visible = visible

    def _keep_two_dimensions(self, event: Any = None) -> None:
        if self.editor.n_edit_dimensions != 2:
            self.editor.n_edit_dimensions = 2

    def _keep_flat(self, event: Any = None) -> None:
        # In 3D, napari would decode the whole clip into one volume.
        if self.viewer.dims.ndisplay != 2:
            self.viewer.dims.ndisplay = 2
            self.message.emit(LOCKED)

    def _keep_order(self, event: Any = None) -> None:
        order = tuple(range(self.viewer.dims.ndim))
        if tuple(self.viewer.dims.order) != order:
            self.viewer.dims.order = order
            self.message.emit(LOCKED)

    def _on_removed(self, event: Any) -> None:
        if self._closing:
            return
        if event.value is self.image:
            self.flush()
            self.clip_removed.emit()
        elif event.value in (self.overlay, self.editor):
            self.flush()
            QTimer.singleShot(0, self.put_back)  # when napari has finished the removal

    def put_back(self, *, with_recording: bool = False) -> None:
        """Add layers again that were removed from the layer list: the masks are in the project, not in the layers.

        Args:
            with_recording: True to restore the recording too, whose removal otherwise closes the clip.
        """
        if self._closing or (self.image not in self.viewer.layers and not with_recording):
            return
        if self.image not in self.viewer.layers:
            self.image = self._add_image()
            self.viewer.layers.move(len(self.viewer.layers) - 1, 0)
            self.editor_changed.emit()
        if self.overlay not in self.viewer.layers:
            self.overlay = self._add_overlay()
            self.viewer.layers.move(len(self.viewer.layers) - 1, self.viewer.layers.index(self.image) + 1)
        if self.editor not in self.viewer.layers:
            self._connections.forget(self.editor.events.paint, self.editor.events.n_edit_dimensions)
            self._connections.forget(self.editor.undo_requested, self.editor.redo_requested)
            self.editor = self._add_editor()
            self._connect_editor()
            self.editor_changed.emit()
        self._shown = None
        self.show_frame()
        self.message.emit("The layer was restored: it shows the project, where every mask is stored.")


def _finite(values: Any, count: int) -> tuple[float, ...]:
    """Return that many finite numbers; empty if the values are anything else, as kept values of any origin can be."""
    if not isinstance(values, list) or len(values) != count:
        return ()
    whole = all(isinstance(value, int | float) and isfinite(value) for value in values)
    return tuple(map(float, values)) if whole else ()
