# SPDX-License-Identifier: Apache-2.0
"""Parts that the panel's sections share: a heading that folds the section, and buttons that show their key."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from napari_vfss.connections import Connections
from napari_vfss.controller.controller import AnnotationController
from napari_vfss.debounce import Debounce
from napari_vfss.keys.labels import explain
from napari_vfss.session.host import while_open
from napari_vfss.session.session import Session
from napari_vfss.user_config import UserConfigFile

# The border of the focused button takes the place of its padding, so that its text is never cut.
BUTTON_STYLE = "QPushButton { padding: 3px 2px; } QPushButton:focus { padding: 1px 0px; border: 2px solid #ffe08a; }"


class Section(QWidget):
    """One step of the work: a heading that shows or hides the body, with a short status beside it.

    Not superqt's QCollapsible, which would lose four things that people here rely on. It collapses by a maximum height
    of zero, so that Tab still walks through fields that nobody can see; here the body is hidden. Its height is fixed
    when it is expanded, so that a progress bar or an offer that appears later is cut off. Its heading is one button
    without room for a status beside the title. And its signal does not tell a click from a call in code, which
    `Folding` must know: only what a person folds is remembered.
    """

    folded_by_hand = Signal(str, bool)  # title, True where it is folded now

    def __init__(self, title: str, *, folded: bool = False) -> None:
        super().__init__()
        self.title = title
        self.heading = QToolButton()
        self.heading.setText(title)
        self.heading.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.heading.setCheckable(True)
        self.heading.setAutoRaise(True)
        self.heading.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.heading.setToolTip("Show or fold this step")
        self.heading.setStyleSheet(
            "QToolButton { font-weight: bold; border: none; background: transparent; padding: 1px; }"
        )
        self.heading.setIconSize(QSize(10, 10))
        self.summary = QLabel()
        self.summary.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        # Ignored: a long status is cut instead of making the panel wider than its dock.
        self.summary.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        head = QHBoxLayout()
        head.setContentsMargins(0, 0, 0, 0)
        head.addWidget(self.heading)
        head.addWidget(self.summary, 1)
        self._contents = QWidget()
        self.body = QVBoxLayout(self._contents)
        self.body.setContentsMargins(6, 0, 2, 2)
        self.body.setSpacing(3)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(1)
        outer.addLayout(head)
        outer.addWidget(self._contents)
        self.heading.toggled.connect(self._on_toggled)
        self.heading.clicked.connect(lambda shown: self.folded_by_hand.emit(self.title, not shown))
        self.heading.setChecked(not folded)
        self._on_toggled(not folded)

    @property
    def shown(self) -> bool:
        """True while the body is shown."""
        return bool(self.heading.isChecked())

    def unfold(self) -> None:
        """Show the body."""
        self.heading.setChecked(True)

    def fold(self) -> None:
        """Hide the body; work that was started in it continues."""
        self.heading.setChecked(False)

    def add_row(self, *widgets: QWidget, stretch: int | None = None) -> QHBoxLayout:
        """Add widgets side by side; `stretch` is the index of the one that takes the remaining width."""
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        for i, widget in enumerate(widgets):
            shares = stretch is None or i == stretch
            if isinstance(widget, QPushButton) and not shares:
                widget.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
            row.addWidget(widget, 1 if shares else 0)
        self.body.addLayout(row)
        return row

    def _on_toggled(self, shown: bool) -> None:
        self.heading.setArrowType(Qt.ArrowType.DownArrow if shown else Qt.ArrowType.RightArrow)
        self._contents.setVisible(shown)
        self.heading.setAccessibleName(f"{self.title}, {'shown' if shown else 'folded'}")


def button(
    text: str, tip: str, do: Callable[[], object], *, key: str = "", checkable: bool = False, key_on_face: bool = True
) -> QPushButton:
    """Create a push button with a tooltip that shows its key and does not take the keyboard from the picture.

    Args:
        text: What it does, in a word or two.
        tip: Tooltip, one sentence without a full stop.
        do: Called without arguments when pressed.
        key: Key of the standard layout that does the same; the button shows the one that is bound now.
        checkable: True for a button that stays down.
        key_on_face: False to show the key in the tooltip only.
    """
    push_button = QPushButton(text)
    push_button.setAccessibleName(text.rstrip("."))
    push_button.setCheckable(checkable)
    # Tab and F6 reach it; a click leaves the keyboard focus on the picture.
    push_button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    # Ignored: a row shares the panel's width, however narrow, instead of pushing it wider than its dock.
    push_button.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    push_button.setMinimumWidth(44)
    push_button.setStyleSheet(BUTTON_STYLE)
    push_button.clicked.connect(lambda _checked=False: do())
    explain(push_button, tip, keys=(key,) if key else (), text=text if key_on_face else "")
    return push_button


def tipped_button(text: str, tip: str, do: Callable[[], object], *, key: str) -> QPushButton:
    """Create a button that shows its key in the tooltip only, for rare actions and narrow rows."""
    return button(text, tip, do, key=key, key_on_face=False)


class SessionSection(Section):
    """Section that follows the session of the controller."""

    def __init__(self, controller: AnnotationController, title: str, *, folded: bool = False) -> None:
        super().__init__(title, folded=folded)
        self.controller = controller
        self.connections = Connections()
        self.session_connections = Connections()
        self.later = Debounce(self, self.refresh)
        self.connections.add(controller.session_changed, self._on_session)

    def close_connections(self) -> None:
        """Disconnect from the session and the controller."""
        self.session_connections.undo()
        self.connections.undo()

    @property
    def session(self) -> Session | None:
        """The open session."""
        return self.controller.session

    def clear(self) -> None:
        """Show that no clip is open; called before a session is shown, and when there is none."""
        self.summary.setText("")

    def show_session(self) -> None:
        """Show the controller's session and connect to it."""

    def refresh(self, *_: object) -> None:
        """Show the present state of the session."""

    @while_open
    def do(self, _session: Session, action: Callable[[], object]) -> None:
        """Run an action on the session after the stroke under way is written; show its errors."""
        with self.controller.showing_errors():
            self.controller.layers.flush()
            action()

    def _on_session(self) -> None:
        self.session_connections.undo()
        self.body.parentWidget().setEnabled(self.session is not None)
        self.clear()
        self.show_session()
        self.refresh()


class Folding:
    """Restores which sections are folded and remembers when a person folds one; unfolding by code is not remembered."""

    def __init__(self, sections: Sequence[Section], file: UserConfigFile) -> None:
        self._file = file
        self._connections = Connections()
        folded = file.values.get("folded")
        for section in sections:
            was_folded = folded.get(section.title) if isinstance(folded, dict) else None
            if isinstance(was_folded, bool):
                (section.fold if was_folded else section.unfold)()
            self._connections.add(section.folded_by_hand, self._remember)

    def fold_unless_remembered(self, sections: Sequence[Section]) -> None:
        """Fold sections, except those that a person has folded or unfolded before."""
        folded = self._file.values.get("folded")
        for section in sections:
            if not isinstance(folded, dict) or section.title not in folded:
                section.fold()

    def close(self) -> None:
        """Stop remembering."""
        self._connections.undo()

    def _remember(self, title: str, folded: bool) -> None:
        def change(values: dict[str, object]) -> dict[str, object]:
            before = values.get("folded")
            return {**values, "folded": {**(before if isinstance(before, dict) else {}), title: folded}}

        try:
            self._file.update(change)
        except OSError:  # the folder is not writable: the section stays folded while the window is open
            return
