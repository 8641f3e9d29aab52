# SPDX-License-Identifier: Apache-2.0
"""The stabilised view: the picture is turned and shifted so that some structures stand still (C2 to C4 in vfss12)."""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtCore import QObject, Signal

from napari_vfss.connections import Connections
from napari_vfss.jobs.survey import MaskSurvey
from napari_vfss.session.session import Session
from napari_vfss.viewer.layers import ClipLayers
from vfss.motion.stabilise import SteadyPath, steady_path
from vfss.schema import Schema

_AT_LEAST = 2  # structures: one alone does not tell how far the picture is turned


class StabilisedView(QObject):
    """Sets the transforms of a clip's layers for the current frame; masks and recording stay what they are."""

    changed = Signal()

    def __init__(self, survey: MaskSurvey, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.on = False
        self._survey = survey
        self._session: Session | None = None
        self._layers: ClipLayers | None = None
        self._path: SteadyPath | None = None
        self._connections = Connections()

    def open(self, session: Session, layers: ClipLayers) -> None:
        """Be ready for another clip; it is shown as recorded until a person asks."""
        self.close()
        self._session, self._layers = session, layers
        self._connections.add(session.frame_changed, self._apply)
        self._connections.add(layers.editor_changed, self._apply)
        self._connections.add(layers.message, self._apply)  # told when any layer was put back
        self._connections.add(self._survey.changed, self._on_survey)

    def close(self) -> None:
        """Let go of the clip."""
        self._connections.undo()
        self.on = False
        self._session = self._layers = self._path = None

    def toggle(self) -> bool:
        """Stabilise the view, or show it as recorded again; False where that is not possible (see why_not)."""
        if not self.on:
            self._path = self._found_path()
            if self._path is None:
                return False
        self.on = not self.on
        self._apply()
        self.changed.emit()
        return True

    @property
    def words(self) -> str:
        """What to say of the current frame; empty where all is as recorded."""
        if not self.on or self._path is None or self._session is None:
            return ""
        if self._path.found[self._session.frame]:
            return "stabilised"
        return f"no {_names(self._session.schema)} here: held as before"

    def _found_path(self) -> SteadyPath | None:
        if self._session is None:
            return None
        columns = [structure.index for structure in self._session.schema.stabilising]
        path = steady_path(self._survey.findings.centres, columns) if columns else None
        return path if path is not None and path.found.any() else None

    def _on_survey(self) -> None:
        if self.on:
            # Masks were corrected: the path may be another; without any it stays as it was.
            self._path = self._found_path() or self._path
            self._apply()
            self.changed.emit()

    def _apply(self, *_: object) -> None:
        session, layers = self._session, self._layers
        if session is None or layers is None:
            return
        held = self.on and self._path is not None
        matrix = self._path.matrices[session.frame] if held and self._path is not None else np.eye(3)
        for layer in (layers.image, layers.overlay, layers.editor):
            _place(layer, matrix)


def why_not(schema: Schema) -> str:
    """Return why the view of a clip cannot be stabilised, and what to do."""
    if len(schema.stabilising) < _AT_LEAST:
        return f"The view cannot be stabilised: schema {schema.id} names no two structures with stabilises_view."
    return f"The view cannot be stabilised: {_names(schema)} have no masks yet. Propose the clip first."


def _names(schema: Schema) -> str:
    *names, last = (structure.name for structure in schema.stabilising)
    return f"{', '.join(names)} and {last}" if names else last


def _place(layer: Any, matrix: Any) -> None:
    """Give a layer a transform of its last two axes, (3, 3), where it has another one."""
    whole = np.eye(layer.ndim + 1)
    whole[-3:, -3:] = matrix
    if not np.array_equal(np.asarray(layer.affine.affine_matrix), whole):
        layer.affine = whole
