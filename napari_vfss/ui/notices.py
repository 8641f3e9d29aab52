# SPDX-License-Identifier: Apache-2.0
"""Two bars below the sections: a structure that leaves the one it nests in, and changes that could not be saved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from qtpy.QtWidgets import QFileDialog, QFrame, QHBoxLayout, QLabel, QMessageBox, QPushButton, QVBoxLayout

from napari_vfss.connections import Connections
from napari_vfss.controller.controller import AnnotationController
from napari_vfss.keys.labels import KEYS, explain
from napari_vfss.session.host import while_open, while_open_or
from napari_vfss.session.nesting import NestingWatch
from napari_vfss.session.session import Session
from napari_vfss.ui.colours import WARNING_STYLE
from napari_vfss.ui.section import button, tipped_button
from vfss.masks.nesting import Break
from vfss.wording import count, listed

LEFT_TIP = (
    "Change nothing. Bolus in the airway is a finding, not a mistake; bolus in the mouth or the oesophagus is "
    "where it belongs before and after the swallow."
)


class _Notice(QFrame):
    """A text about the open session, with buttons; whoever shows it closes its connections."""

    def __init__(self, controller: AnnotationController) -> None:
        super().__init__()
        self._controller = controller
        self._connections, self._session_connections = Connections(), Connections()
        self.text = QLabel()
        self.text.setWordWrap(True)

    def close_connections(self) -> None:
        """Disconnect from the session and the controller."""
        self._session_connections.undo()
        self._connections.undo()

    @property
    def session(self) -> Session | None:
        """The open session."""
        return self._controller.session


class NestingNotice(_Notice):
    """Shows one undecided nesting break of the current frame with three ways to resolve it; hidden if there is none.

    It is outside the part of the panel that scrolls, so that nothing moves away from under the mouse.
    """

    def __init__(self, controller: AnnotationController) -> None:
        super().__init__(controller)
        self.grow = tipped_button("Grow", "", lambda: self._decide(NestingWatch.grow_parent), key="Ctrl+Alt+G")
        self.cut = tipped_button("Cut", "", lambda: self._decide(NestingWatch.cut_child), key="Ctrl+Alt+X")
        self.leave = tipped_button("Leave", LEFT_TIP, lambda: self._decide(NestingWatch.leave), key="Ctrl+Alt+Z")
        # A warning sign and a bar at the side, so that the notice does not depend on colour alone.
        self.setObjectName("vfss_nesting_notice")
        self.setStyleSheet(
            "#vfss_nesting_notice { border-left: 4px solid #ffb454; border-radius: 3px; background: #3d3524; }"
            "QLabel { color: white; background: transparent; }"
        )
        row = self._row = QHBoxLayout()
        row.setSpacing(4)
        for choice in (self.grow, self.cut, self.leave):
            row.addWidget(choice, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(6, 4, 4, 4)
        column.setSpacing(4)
        column.addWidget(self.text)
        column.addLayout(row)
        self._connections.add(controller.session_changed, self._on_session)
        self._on_session()

    def refresh(self) -> None:
        """Show the first undecided break of the current frame."""
        self.setVisible(self._show_break())

    @while_open_or(False)
    def _show_break(self, _session: Session) -> bool:
        watch = self._controller.nesting
        here = watch.here()
        if not here:
            return False
        shown, schema = here[0], watch.session.schema
        child, parent = schema[shown.child].name, schema[shown.parent].name
        others = [frame for frame in sorted(watch.breaks) if frame != watch.session.frame]
        also = f" Also undecided: frame{'s' if len(others) > 1 else ''} {_few(others)}." if others else ""
        self.text.setText(f"⚠ {watch.describe(shown)}{also}")
        self.grow.setText(f"Grow {parent}")
        tips = ((self.grow, f"Add that part of {child} to {parent}"), (self.cut, f"Remove that part from {child}"))
        for choice, tip in tips:
            explain(choice, tip, keys=choice.property(KEYS), shown_for=self._controller.key_book.shown_for)
        self.cut.setText(f"Cut {child}")
        self.leave.setText(f"Leave: in {schema[shown.lies_in].name}" if shown.lies_in else "Leave as it is")
        for place, choice in enumerate((self.grow, self.cut, self.leave)):
            self._row.setStretch(place, len(choice.text()) + 2)  # names of structures differ much in length
        return True

    def _on_session(self) -> None:
        self._session_connections.undo()
        self._follow()
        self.refresh()

    @while_open
    def _follow(self, _session: Session) -> None:
        self._session_connections.add(self._controller.nesting.changed, self.refresh)

    @while_open
    def _decide(self, _session: Session, decide: Callable[[NestingWatch, Break], object]) -> None:
        controller, watch = self._controller, self._controller.nesting
        with controller.showing_errors():
            controller.layers.flush()  # may change which breaks are undecided
            for first in watch.here()[:1]:
                decide(watch, first)


def _few(frames: list[int]) -> str:
    """List frame numbers, counted from 1, and shorten a list of more than five."""
    return listed([str(frame + 1) for frame in frames], 5)


class ForeignLayerNotice(_Notice):
    """Shown while a Labels layer is active that is not part of the dataset; offers the way back."""

    def __init__(self, controller: AnnotationController) -> None:
        super().__init__(controller)
        tip = "Paint on the active structure again"
        self.back = tipped_button("Back to the structures", tip, self._go_back, key="Ctrl+Alt+Shift+G")
        outer = QVBoxLayout(self)
        outer.setContentsMargins(2, 2, 2, 2)
        outer.addWidget(self.text)
        outer.addWidget(self.back)
        self._connections.add(controller.session_changed, self._on_session)
        self._on_session()

    def _on_session(self) -> None:
        self._session_connections.undo()
        if self._controller.session is not None:
            self._session_connections.add(self._controller.guard.foreign_changed, self._show)
        self._show()

    def _show(self) -> None:
        layer = None if self._controller.session is None else self._controller.guard.foreign
        if layer is not None:
            self.text.setText(f"You are painting on “{layer.name}”, which is not part of the dataset.")
        self.setVisible(layer is not None)

    def _go_back(self) -> None:
        if self._controller.session is not None:
            self._controller.guard.return_to_structures()


STAY, AGAIN, ELSEWHERE, LOSE = "Stay here", "Save again", "Save elsewhere...", "Close without saving"


class UnsavedBar(_Notice):
    """Shown while changes are not saved: how many, and two ways to save them."""

    def __init__(self, controller: AnnotationController) -> None:
        super().__init__(controller)
        tip = "Try again to write them into the project"
        self.again = button(AGAIN, tip, controller.unsaved_guard.save_again, key="Ctrl+Alt+W", key_on_face=False)
        self.elsewhere = tipped_button(
            ELSEWHERE, "Write them into a new project in another folder", self.save_elsewhere, key="Ctrl+Alt+Shift+W"
        )
        self.text.setStyleSheet(f"{WARNING_STYLE} font-weight: bold;")
        below = QHBoxLayout()
        below.addWidget(self.again)
        below.addWidget(self.elsewhere)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(2, 2, 2, 2)
        outer.addWidget(self.text)
        outer.addLayout(below)
        self._connections.add(controller.session_changed, self._on_session)
        self._on_session()

    def save_elsewhere(self) -> bool:
        """Ask for a folder and save there; return True if everything was written."""
        name = QFileDialog.getExistingDirectory(self, "Empty folder for a new project with these changes")
        return bool(name) and self._controller.unsaved_guard.save_elsewhere(Path(name))

    def may_part(self, *, may_stay: bool = True) -> bool:
        """Ask what to do with changes that cannot be saved.

        Args:
            may_stay: False if the clip closes in any case and cannot stay open.

        Returns:
            True if the clip may be closed: everything is saved, or the person discarded the changes.
        """
        while self._controller.unsaved_guard.waiting:
            answer = self.ask(may_stay)
            if answer == AGAIN:
                self._controller.unsaved_guard.save_again()
            elif answer == ELSEWHERE:
                self.save_elsewhere()
            elif answer == LOSE:
                self._controller.unsaved_guard.discard()
            elif may_stay:
                return False
        return True

    def ask(self, may_stay: bool) -> str:
        """Show the question; return the text of the button that was pressed."""
        box = QMessageBox(self.window())
        box.setIcon(QMessageBox.Icon.Warning)
        box.setWindowTitle("Not saved")
        box.setText(f"{count(self._controller.unsaved_guard.waiting, 'change')} could not be written into the project.")
        box.setInformativeText(
            "Free some space on the disk, or reconnect it, and save again. Or save into a new project in another "
            "folder. If you close without saving, these changes are lost."
        )
        roles = QMessageBox.ButtonRole
        choices: dict[str, QPushButton] = {
            AGAIN: box.addButton(AGAIN, roles.AcceptRole),
            ELSEWHERE: box.addButton(ELSEWHERE, roles.AcceptRole),
            LOSE: box.addButton(LOSE, roles.DestructiveRole),
        }
        if may_stay:
            choices[STAY] = box.addButton(STAY, roles.RejectRole)
            box.setEscapeButton(choices[STAY])
        box.setDefaultButton(choices[AGAIN])
        box.exec()
        pressed = box.clickedButton()
        return next((text for text, choice in choices.items() if choice is pressed), STAY)

    def _on_session(self) -> None:
        self._session_connections.undo()
        self._follow_session()
        self._show()

    @while_open
    def _follow_session(self, session: Session) -> None:
        self._session_connections.add(session.unsaved_changed, self._show)

    def _show(self, *_: object) -> None:
        unsaved = self._controller.unsaved_guard.waiting
        self.text.setText(f"! {count(unsaved, 'change')} not saved")
        self.setVisible(unsaved > 0)
