# SPDX-License-Identifier: Apache-2.0
"""The stabilised view: the picture is rotated and shifted to keep some structures (C2 to C4 in vfss12) in place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, Signal

from napari_vfss.connections import Connections
from napari_vfss.jobs.survey import MaskSurvey
from napari_vfss.session.host import Host, while_open, while_open_or
from napari_vfss.session.session import Session
from napari_vfss.viewer.clip_array import pixel_scale
from vfss.schema import Schema

if TYPE_CHECKING:
    from vfss.motion.stabilise import StabilisingPath


class StabilisedView(QObject):
    """Sets the transforms of a clip's layers for the current frame; masks and recording stay as they are."""

    changed = Signal()

    def __init__(self, host: Host, survey: MaskSurvey, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.on = False
        self._host, self._survey = host, survey
        self._path: StabilisingPath | None = None
        self._connections = Connections()

    @property
    def session(self) -> Session | None:
        """The open session."""
        return self._host.session

    def open(self) -> None:
        """Follow the clip that was opened; it is shown as recorded until stabilisation is switched on."""
        self.close()
        self._follow()

    def close(self) -> None:
        """Disconnect from the clip."""
        self._connections.undo()
        self.on = False
        self._path = None

    def toggle(self) -> bool:
        """Stabilise the view, or show it as recorded again; return False if that is not possible (see why_not)."""
        if not self.on:
            self._path = self._new_path()
            if self._path is None:
                return False
        self.on = not self.on
        self._apply()
        self.changed.emit()
        return True

    @property
    def status(self) -> str:
        """Status of the current frame, for display; empty if the view is as recorded."""
        return self._status()

    @while_open
    def _follow(self, session: Session) -> None:
        layers = self._host.layers
        self._connections.add(session.frame_changed, self._apply)
        self._connections.add(layers.editor_changed, self._apply)
        self._connections.add(layers.message, self._apply)  # emitted when any layer was put back
        self._connections.add(self._survey.changed, self._on_survey)

    @while_open_or("")
    def _status(self, session: Session) -> str:
        if not self.on or self._path is None:
            return ""
        if self._path.is_known[session.frame]:
            return "stabilised"
        return f"no {_names(session.schema)} here: held as before"

    @while_open_or(None)
    def _new_path(self, session: Session) -> StabilisingPath | None:
        from vfss.motion.stabilise import stabilising_path  # with scipy, which takes long to import

        columns = [structure.index for structure in session.schema.stabilising]
        # What is turned is the picture in the viewer's world: centres are wanted there, not on stored pixels.
        centres = self._survey.findings.centres * np.array(pixel_scale(session.clip), np.float32)
        path = stabilising_path(centres, columns) if columns else None
        return path if path is not None and path.is_known.any() else None

    def _on_survey(self) -> None:
        if self.on:
            # Masks were corrected, so the path may have changed; without a new path the old one is kept.
            self._path = self._new_path() or self._path
            self._apply()
            self.changed.emit()

    @while_open
    def _apply(self, session: Session, *_: object) -> None:
        layers = self._host.layers
        matrix = self._path.matrices[session.frame] if self.on and self._path is not None else np.eye(3)
        for layer in (layers.image, layers.overlay, layers.editor):
            _transform(layer, matrix)


def why_not(schema: Schema) -> str:
    """Return why the view of a clip cannot be stabilised, and what to do."""
    from vfss.motion.stabilise import LEAST_STRUCTURES

    if len(schema.stabilising) < LEAST_STRUCTURES:
        return f"The view cannot be stabilised: schema {schema.id} names no two structures with stabilises_view."
    return f"The view cannot be stabilised: {_names(schema)} have no masks yet. Propose the clip first."


def _names(schema: Schema) -> str:
    *names, last = (structure.name for structure in schema.stabilising)
    return f"{', '.join(names)} and {last}" if names else last


def _transform(layer: Any, matrix: Any) -> None:
    """Set the transform of a layer's last two axes, a (3, 3) matrix, unless it is set already."""
    affine = np.eye(layer.ndim + 1)
    affine[-3:, -3:] = matrix
    if not np.array_equal(np.asarray(layer.affine.affine_matrix), affine):
        layer.affine = affine
