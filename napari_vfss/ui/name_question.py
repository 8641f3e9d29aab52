# SPDX-License-Identifier: Apache-2.0
"""Asks for the annotator's name once, before the first stroke or acceptance of somebody who is not known."""

from __future__ import annotations

from collections.abc import Callable, Collection

from qtpy.QtCore import QObject, Qt
from qtpy.QtWidgets import QDialog, QDialogButtonBox, QLabel, QLineEdit, QVBoxLayout, QWidget

from napari_vfss import preferences
from napari_vfss.connections import Connections
from napari_vfss.controller.controller import AnnotationController
from napari_vfss.session.host import while_open
from napari_vfss.session.session import Session

CHANGES = ("paint", "erase", "fill", "polygon", "pick")
"""Modes of the layer in which a person changes masks."""
FIRST = "Your name or initials are stored with what you accept: type them first, then accept again."


class NameDialog(QDialog):
    """One line for a name."""

    def __init__(self, suggested: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Who is annotating?")
        label = QLabel("Your name or initials are stored with every change you make. You are asked only once.")
        label.setWordWrap(True)
        self.name = QLineEdit()
        self.name.setPlaceholderText(suggested)
        self.name.setAccessibleName("Your name or initials")
        self.name.setToolTip("Your name or initials")
        self.name.setMaxLength(80)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        self.ok = buttons.button(QDialogButtonBox.StandardButton.Ok)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        for widget in (label, self.name, buttons):
            column.addWidget(widget)
        self.name.textChanged.connect(self._on_text)
        self._on_text()

    def _on_text(self, *_: object) -> None:
        if self.ok is not None:
            self.ok.setEnabled(bool(self.name.text().strip()))


class NameQuestion(QObject):
    """Watches for the first change of an unknown annotator.

    Attributes:
        dialog: The question while it is asked.
    """

    def __init__(self, controller: AnnotationController, take: Callable[[str], object], parent: QWidget) -> None:
        """Watch a controller.

        Args:
            controller: Controller of the viewer.
            take: Stores the name that was typed.
            parent: Widget over whose window the question appears.
        """
        super().__init__(parent)
        self._controller, self._take, self._parent = controller, take, parent
        self._asked = False
        self.dialog: NameDialog | None = None
        self._connections, self._session_connections = Connections(), Connections()
        self._connections.add(controller.session_changed, self._on_session)

    @property
    def session(self) -> Session | None:
        """The open session."""
        return self._controller.session

    def close(self) -> None:
        """Watch no longer."""
        if self.dialog is not None:
            self.dialog.reject()
        self._session_connections.undo()
        self._connections.undo()

    @while_open
    def ask(self, session: Session) -> None:
        """Ask, in a dialog that keeps strokes away until it is answered; only once in a window."""
        if self._asked or not self._is_unknown():
            return
        self._asked = True
        self.dialog = NameDialog(session.author, self._parent.window())
        self.dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.dialog.accepted.connect(self._on_accepted)
        self.dialog.finished.connect(self._on_finished)
        self.dialog.open()

    def _is_unknown(self) -> bool:
        return not preferences.author_is_known()

    def _on_session(self) -> None:
        self._session_connections.undo()
        self._follow()

    @while_open
    def _follow(self, session: Session) -> None:
        if session.reading is not None:
            return  # the reader's name is part of the second reading
        self._session_connections.add(self._controller.layers.editor_changed, self._follow_editor)
        self._follow_editor()
        check = session.acceptance_check
        session.acceptance_check = lambda structures: self._check(check, structures)

    @while_open
    def _follow_editor(self, _session: Session) -> None:
        self._session_connections.add(self._controller.layers.editor.events.mode, self._on_mode)

    def _on_mode(self, event: object = None) -> None:
        if str(self._controller.layers.editor.mode) in CHANGES:
            self.ask()

    def _check(self, check: Callable[[Collection[str]], str] | None, structures: Collection[str]) -> str:
        if not self._asked and self._is_unknown():
            self.ask()
            return FIRST
        return "" if check is None else check(structures)

    def _on_accepted(self) -> None:
        if self.dialog is not None:
            self._take(self.dialog.name.text().strip())

    def _on_finished(self, _result: int) -> None:
        self.dialog = None
