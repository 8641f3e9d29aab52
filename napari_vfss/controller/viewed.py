# SPDX-License-Identifier: Apache-2.0
"""Records which masks the window has drawn, and accepts those that were viewed."""

from __future__ import annotations

import contextlib
from collections.abc import Collection

from qtpy.QtCore import QObject
from qtpy.QtOpenGLWidgets import QOpenGLWidget
from qtpy.QtWidgets import QWidget

from napari_vfss.connections import Connections
from napari_vfss.session.host import Host, while_open
from napari_vfss.session.session import Session
from napari_vfss.viewer.layers import ClipLayers
from vfss.errors import ProjectError

_FAINT = 0.1  # opacity below which masks count as hidden


class ViewedTracker(QObject):
    """Follows the canvas of the host's window: masks that it has drawn were viewed."""

    def __init__(self, host: Host, parent: QObject) -> None:
        """Follow the sessions of a host, from the next one on."""
        super().__init__(parent)
        self._host = host
        self._connections = Connections()
        self._session_connections = Connections()
        self._connections.add(host.session_changed, self._on_session)

    @property
    def session(self) -> Session | None:
        """The open session."""
        return self._host.session

    def close(self) -> None:
        """Disconnect everything."""
        self._session_connections.undo()
        self._connections.undo()

    @while_open
    def accept(self, session: Session, within: tuple[int, int] | None) -> None:
        """Accept the viewed masks in a range of frames (first, last); None: around the current frame."""
        session.viewed.accept(within)

    def _on_session(self) -> None:
        self._session_connections.undo()
        self._follow_canvas()

    @while_open
    def _follow_canvas(self, _session: Session) -> None:
        parent = self._host.parent()
        canvas = parent.window().findChild(QOpenGLWidget) if isinstance(parent, QWidget) else None
        if canvas is not None:
            self._session_connections.add(canvas.frameSwapped, self._on_drawn)

    @while_open
    def _on_drawn(self, session: Session) -> None:
        hidden = hidden_structures(self._host.layers)
        with contextlib.suppress(ProjectError):  # the error was shown when the frame was to be displayed
            if hidden is not None:
                session.viewed.note(hidden)


def hidden_structures(layers: ClipLayers) -> Collection[str] | None:
    """Return keys of structures whose masks are not visible on the session's frame; None if none is visible."""
    session, mask_layers = layers.session, (layers.overlay, layers.editor)
    if layers.shown_frame != session.frame or not layers.overlay.visible:
        return None
    if any(layer not in layers.viewer.layers or layer.opacity < _FAINT for layer in mask_layers):
        return None
    return layers.hidden if layers.editor.visible else layers.hidden | {session.structure}
