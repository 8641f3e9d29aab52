# SPDX-License-Identifier: Apache-2.0
"""Looking: tells the session what is drawn in the window, and accepts what was looked at."""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject
from qtpy.QtOpenGLWidgets import QOpenGLWidget
from qtpy.QtWidgets import QWidget

from napari_vfss.connections import Connections
from vfss.errors import ProjectError

if TYPE_CHECKING:
    from napari_vfss.controller.controller import AnnotationController
    from napari_vfss.viewer.layers import ClipLayers

_FAINT = 0.1  # opacity below which masks are as good as hidden


class ViewedTracker(QObject):
    """Follows the canvas of the desk's window: what it has drawn was looked at."""

    def __init__(self, controller: AnnotationController) -> None:
        """Follow the desk's session, from the next one on."""
        super().__init__(controller)
        self._controller = controller
        self._connections = Connections()
        self._session_connections = Connections()
        self._connections.add(controller.session_changed, self._on_session)

    def close(self) -> None:
        """Let go of everything."""
        self._session_connections.undo()
        self._connections.undo()

    def accept(self) -> None:
        """Accept what was looked at: in the range chosen on the timeline, else around the current frame."""
        if self._controller.session is not None:
            self._controller.session.viewed.accept(self._controller.timeline.chosen)

    def _on_session(self) -> None:
        self._session_connections.undo()
        parent = self._controller.parent()
        if self._controller.session is None or not isinstance(parent, QWidget):
            return
        canvas = parent.window().findChild(QOpenGLWidget)
        if canvas is not None:
            self._session_connections.add(canvas.frameSwapped, self._on_drawn)

    def _on_drawn(self) -> None:
        session, layers = self._controller.session, self._controller.layers
        if session is None or layers is None:
            return
        hidden = hidden_structures(layers)
        with contextlib.suppress(ProjectError):  # a frame that cannot be read was told of when it was to be shown
            if hidden is not None:
                session.viewed.note(hidden)


def hidden_structures(layers: ClipLayers) -> Collection[str] | None:
    """Keys of structures whose masks a person cannot see on the session's frame; None: all of them."""
    session, there = layers.session, (layers.overlay, layers.editor)
    if layers.shown_frame != session.frame or not layers.overlay.visible:
        return None
    if any(layer not in layers.viewer.layers or layer.opacity < _FAINT for layer in there):
        return None
    return layers.hidden if layers.editor.visible else layers.hidden | {session.structure}
