# SPDX-License-Identifier: Apache-2.0
"""A section of the panel that follows what is open on the desk."""

from __future__ import annotations

from collections.abc import Callable

from napari_vfss.connections import Connections
from napari_vfss.controller.controller import Desk
from napari_vfss.ui.section import Later, Section


class DeskSection(Section):
    """A section that follows the desk's session."""

    def __init__(self, desk: Desk, title: str, *, folded: bool = False) -> None:
        super().__init__(title, folded=folded)
        self.desk = desk
        self.connections = Connections()
        self.session_connections = Connections()
        self.later = Later(self, self.refresh)
        self.connections.add(desk.session_changed, self._on_session)

    def close_connections(self) -> None:
        """Let go of everything."""
        self.session_connections.undo()
        self.connections.undo()

    def show_session(self) -> None:
        """Show the session of the desk; connect to it."""

    def refresh(self, *_: object) -> None:
        """Show what changed."""

    def do(self, action: Callable[[], object]) -> None:
        """Do something to the session after what is under the pen was written; tell errors."""
        if self.desk.session is not None and self.desk.layers is not None:
            with self.desk.telling():
                self.desk.layers.flush()
                action()

    def _on_session(self) -> None:
        self.session_connections.undo()
        self.body.parentWidget().setEnabled(self.desk.session is not None)
        self.show_session()
        self.refresh()
