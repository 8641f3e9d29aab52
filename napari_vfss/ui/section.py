# SPDX-License-Identifier: Apache-2.0
"""Parts that the panel's sections share: a heading that folds, buttons that show their key."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from napari_vfss.connections import Connections
from napari_vfss.controller.controller import AnnotationController
from napari_vfss.debounce import Debounce
from napari_vfss.keys.labels import explain
from napari_vfss.user_config import UserConfigFile

# The frame of the button that has the keyboard takes the room of its padding: the words stay whole.
BUTTON_STYLE = "QPushButton { padding: 3px 2px; } QPushButton:focus { padding: 1px 0px; border: 2px solid #ffe08a; }"


class Section(QWidget):
    """One step of the work: a heading that folds its body away, with a word on how things stand."""

    folded_by_hand = Signal(str, bool)  # title, True where it is folded now

    def __init__(self, title: str, *, folded: bool = False) -> None:
        super().__init__()
        self.title = title
        self._heading = QToolButton()
        self._heading.setText(title)
        self._heading.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._heading.setCheckable(True)
        self._heading.setAutoRaise(True)
        self._heading.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._heading.setToolTip("Show or fold this step")
        self._heading.setStyleSheet(
            "QToolButton { font-weight: bold; border: none; background: transparent; padding: 1px; }"
        )
        self._heading.setIconSize(QSize(10, 10))
        self.summary = QLabel()
        self.summary.setStyleSheet("color: palette(mid);")
        self.summary.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        head = QHBoxLayout()
        head.setContentsMargins(0, 0, 0, 0)
        head.addWidget(self._heading)
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
        self._heading.toggled.connect(self._on_toggled)
        self._heading.clicked.connect(lambda shown: self.folded_by_hand.emit(self.title, not shown))
        self._heading.setChecked(not folded)
        self._on_toggled(not folded)

    def unfold(self) -> None:
        """Show the body."""
        self._heading.setChecked(True)

    def fold(self) -> None:
        """Hide the body; what is in it goes on."""
        self._heading.setChecked(False)

    def add_row(self, *widgets: QWidget, stretch: int | None = None) -> QHBoxLayout:
        """Add widgets side by side; `stretch` is the index of the one that takes the room."""
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
        self._heading.setArrowType(Qt.ArrowType.DownArrow if shown else Qt.ArrowType.RightArrow)
        self._contents.setVisible(shown)
        self._heading.setAccessibleName(f"{self.title}, {'shown' if shown else 'folded'}")


def button(
    text: str, tip: str, do: Callable[[], object], *, key: str = "", checkable: bool = False, key_on_face: bool = True
) -> QPushButton:
    """A push button that shows its key, leaves the keyboard to the picture, and explains itself.

    Args:
        text: What it does, in a word or two.
        tip: One sentence more.
        do: Called without arguments when pressed.
        key: Key of the standard layout that does the same; the button shows the one that is bound now.
        checkable: True for a button that stays down.
        key_on_face: False where only the tip has room for the key.
    """
    made = QPushButton(text)
    made.setAccessibleName(text.rstrip("."))
    made.setCheckable(checkable)
    # Tab and F6 reach it, a click leaves the keyboard to the picture.
    made.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    # Ignored: a row shares the panel's width, however narrow, instead of pushing it wider than its dock.
    made.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    made.setMinimumWidth(44)
    made.setStyleSheet(BUTTON_STYLE)
    made.clicked.connect(lambda _checked=False: do())
    explain(made, tip, keys=(key,) if key else (), text=text if key_on_face else "")
    return made


def tipped_button(text: str, tip: str, do: Callable[[], object], *, key: str) -> QPushButton:
    """A button that says its key in the tip only: it is pressed now and then, or has no room."""
    return button(text, tip, do, key=key, key_on_face=False)


class SessionSection(Section):
    """A section that follows the desk's session."""

    def __init__(self, controller: AnnotationController, title: str, *, folded: bool = False) -> None:
        super().__init__(title, folded=folded)
        self.controller = controller
        self.connections = Connections()
        self.session_connections = Connections()
        self.later = Debounce(self, self.refresh)
        self.connections.add(controller.session_changed, self._on_session)

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
        if self.controller.session is not None and self.controller.layers is not None:
            with self.controller.telling():
                self.controller.layers.flush()
                action()

    def _on_session(self) -> None:
        self.session_connections.undo()
        self.body.parentWidget().setEnabled(self.controller.session is not None)
        self.show_session()
        self.refresh()


class Folding:
    """Folds sections as they were left, and remembers when a person folds one; what unfolds by itself is not kept."""

    def __init__(self, sections: Sequence[Section], file: UserConfigFile) -> None:
        self._file = file
        self._connections = Connections()
        folded = file.values.get("folded")
        for section in sections:
            left = folded.get(section.title) if isinstance(folded, dict) else None
            if isinstance(left, bool):
                (section.fold if left else section.unfold)()
            self._connections.add(section.folded_by_hand, self._remember)

    def close(self) -> None:
        """Remember no more."""
        self._connections.undo()

    def _remember(self, title: str, folded: bool) -> None:
        def change(values: dict[str, object]) -> dict[str, object]:
            before = values.get("folded")
            return {**values, "folded": {**(before if isinstance(before, dict) else {}), title: folded}}

        try:
            self._file.update(change)
        except OSError:  # a folder that cannot be written: it is folded for as long as the window is open
            return
