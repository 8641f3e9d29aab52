# SPDX-License-Identifier: Apache-2.0
"""When changes wait to be written: a line that says so, and the question before they would be lost."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QLabel, QMessageBox, QPushButton, QVBoxLayout, QWidget

from napari_vfss.connections import Connections
from napari_vfss.controller.controller import Desk
from napari_vfss.ui.section import button, tipped_button

STAY, AGAIN, ELSEWHERE, LOSE = "Stay here", "Save again", "Save elsewhere...", "Close without saving"


class UnsavedBar(QWidget):
    """Shown while changes wait: how many, and two ways to save them."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self._connections = Connections()
        self._session_connections = Connections()
        self.words = QLabel()
        self.words.setWordWrap(True)
        tip = "Try once more to write them into the project"
        self.again = button(AGAIN, tip, desk.saving.again, key="Ctrl+Alt+W", key_on_face=False)
        self.elsewhere = tipped_button(
            ELSEWHERE, "Write them into a new project in another folder", self.save_elsewhere, key="Ctrl+Alt+Shift+W"
        )
        self.setStyleSheet("QLabel { font-weight: bold; color: #ffb454; }")
        below = QHBoxLayout()
        below.addWidget(self.again)
        below.addWidget(self.elsewhere)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(2, 2, 2, 2)
        outer.addWidget(self.words)
        outer.addLayout(below)
        self._connections.add(desk.session_changed, self._on_session)
        self._on_session()

    def close_connections(self) -> None:
        """Let go of everything."""
        self._session_connections.undo()
        self._connections.undo()

    def save_elsewhere(self) -> bool:
        """Ask for a folder and write there; True where all is written."""
        name = QFileDialog.getExistingDirectory(self, "Empty folder for a new project with these changes")
        return bool(name) and self._desk.saving.elsewhere(Path(name))

    def may_part(self, *, may_stay: bool = True) -> bool:
        """Ask what is to become of changes that cannot be saved.

        Args:
            may_stay: False where what holds them closes in any case.

        Returns:
            True where the clip may be closed: everything is saved, or the person gave it up.
        """
        while self._desk.saving.waiting:
            answer = self.ask(may_stay)
            if answer == AGAIN:
                self._desk.saving.again()
            elif answer == ELSEWHERE:
                self.save_elsewhere()
            elif answer == LOSE:
                self._desk.saving.give_up()
            elif may_stay:
                return False
        return True

    def ask(self, may_stay: bool) -> str:
        """Put the question; returns the text of the button that was pressed."""
        box = QMessageBox(self.window())
        box.setIcon(QMessageBox.Icon.Warning)
        box.setWindowTitle("Not saved")
        box.setText(f"{_count(self._desk.saving.waiting)} could not be written into the project.")
        box.setInformativeText(
            "Make room on the disk, or connect it again, and save again. Or save into a new project in another folder. "
            "If you close now without saving, they are lost."
        )
        roles = QMessageBox.ButtonRole
        made: dict[str, QPushButton] = {
            AGAIN: box.addButton(AGAIN, roles.AcceptRole),
            ELSEWHERE: box.addButton(ELSEWHERE, roles.AcceptRole),
            LOSE: box.addButton(LOSE, roles.DestructiveRole),
        }
        if may_stay:
            made[STAY] = box.addButton(STAY, roles.RejectRole)
            box.setEscapeButton(made[STAY])
        box.setDefaultButton(made[AGAIN])
        box.exec()
        pressed = box.clickedButton()
        return next((text for text, one in made.items() if one is pressed), STAY)

    def _on_session(self) -> None:
        self._session_connections.undo()
        session = self._desk.session
        if session is not None:
            self._session_connections.add(session.unsaved_changed, self._show)
        self._show()

    def _show(self, *_: object) -> None:
        count = self._desk.saving.waiting
        self.words.setText(f"! {_count(count)} not saved")
        self.setVisible(count > 0)


def _count(changes: int) -> str:
    return "1 change" if changes == 1 else f"{changes} changes"
