# SPDX-License-Identifier: Apache-2.0
"""Button with a menu that corrects names and pieces of masks, and the two small forms that it opens."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtWidgets import QComboBox, QDialog, QDialogButtonBox, QDoubleSpinBox, QFormLayout, QLabel, QMenu, QPushButton

from napari_vfss.controller.actions import NAME_ACTIONS, NAME_KEYS
from napari_vfss.controller.controller import AnnotationController
from napari_vfss.controller.renaming import EXTENTS, Extent
from napari_vfss.keys.labels import explain
from napari_vfss.session.host import while_open
from napari_vfss.session.session import Session

SIZES = {"%": "percent of the mask", "px": "pixels"}
_TIP = "Rename vertebrae by one level from the active one on, exchange two names, remove specks"


class NamesButton(QPushButton):
    """Opens a menu of corrections of names and pieces."""

    def __init__(self, controller: AnnotationController) -> None:
        super().__init__("Names")
        self._controller = controller
        self.form: QDialog | None = None
        explain(self, _TIP, keys=())
        self.setAccessibleName("Names and pieces")
        menu = QMenu(self)
        menu.setToolTipsVisible(True)
        does: dict[str, Callable[[], object]] = {
            "names.exchange": self.ask_exchange,
            "names.specks": self.ask_specks,
        }
        actions = {}
        for action in NAME_ACTIONS:
            entry = actions[action.id] = menu.addAction("")
            entry.setToolTip(f"{action.title[0].upper()}{action.title[1:]}")
            entry.triggered.connect(self._doing(does.get(action.id) or self._acting(action.do)))

        def show_keys() -> None:
            for action in NAME_ACTIONS:
                dots = "..." if action.id in does else ""
                title = f"{action.title[0].upper()}{action.title[1:]}{dots}"
                actions[action.id].setText(f"{title}\t{controller.key_book.shown_for(NAME_KEYS[action.id])}")

        show_keys()
        menu.aboutToShow.connect(show_keys)
        self.setMenu(menu)

    @property
    def session(self) -> Session | None:
        """The open session."""
        return self._controller.session

    @while_open
    def ask_exchange(self, session: Session) -> None:
        """Ask for two structures and the frames, and exchange the names."""
        form = self.form = ExchangeForm(self._controller, session, self)
        form.open()

    @while_open
    def ask_specks(self, session: Session) -> None:
        """Ask for a size, the structures and the frames, and remove the specks."""
        form = self.form = SpecksForm(self._controller, session, self)
        form.open()

    def _acting(self, do: Callable[[AnnotationController], object]) -> Callable[[], object]:
        return lambda: do(self._controller)

    def _doing(self, do: Callable[[], object]) -> Callable[..., None]:
        def run(*_checked: object) -> None:
            do()

        return run


class _Form(QDialog):
    """A form that asks on which frames, with a button that does it."""

    def __init__(self, controller: AnnotationController, parent: NamesButton, title: str, do: str) -> None:
        super().__init__(parent.window())
        self._controller = controller
        self.setWindowTitle(title)
        self.rows = QFormLayout(self)
        self.frames = _choice({str(key): text for key, text in EXTENTS.items()}, "Frames")
        nearest = controller.names.nearest_extent
        self.frames.setCurrentIndex(self.frames.findData(nearest))
        if nearest == "frame":
            self.frames.removeItem(self.frames.findData("range"))  # none is chosen
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.do_button = self.buttons.addButton(do, QDialogButtonBox.ButtonRole.AcceptRole)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)

    def finish(self, note: str) -> None:
        """Add the rows that all forms end with."""
        self.rows.addRow("On", self.frames)
        text = QLabel(note)
        text.setWordWrap(True)
        self.rows.addRow(text)
        self.rows.addRow(self.buttons)

    @property
    def extent(self) -> Extent:
        """The chosen frames."""
        extent: Extent = self.frames.currentData()
        return extent


class ExchangeForm(_Form):
    """Asks which two structures have each other's name."""

    def __init__(self, controller: AnnotationController, session: Session, parent: NamesButton) -> None:
        super().__init__(controller, parent, "Exchange two names", "Exchange")
        names = {s.key: s.name for s in session.schema.structures}
        keys = list(names)
        self.one, self.other = _choice(names, "First structure"), _choice(names, "Second structure")
        here = keys.index(session.structure)
        self.one.setCurrentIndex(here)
        self.other.setCurrentIndex(here + 1 if here + 1 < len(keys) else here - 1)
        for choice in (self.one, self.other):
            choice.currentIndexChanged.connect(self._check)
        self.rows.addRow("The mask of", self.one)
        self.rows.addRow("and the mask of", self.other)
        self.finish("Accepted masks stay accepted. Ctrl+Z undoes all of it.")
        self.accepted.connect(self._do)

    def _check(self, *_: object) -> None:
        self.do_button.setEnabled(self.one.currentData() != self.other.currentData())

    def _do(self) -> None:
        self._controller.names.exchange(self.one.currentData(), self.other.currentData(), self.extent)


class SpecksForm(_Form):
    """Asks below which size parts are removed, and of which structures."""

    def __init__(self, controller: AnnotationController, session: Session, parent: NamesButton) -> None:
        super().__init__(controller, parent, "Remove specks", "Remove")
        self._keys = session.schema.keys
        self.size = QDoubleSpinBox()
        self.size.setAccessibleName("Size below which parts are removed")
        self.size.setToolTip("Smaller parts are removed; the largest part of a mask always stays")
        self.size.setDecimals(0)
        self.size.setRange(1, 100_000)
        self.size.setValue(5)
        self.unit = _choice(SIZES, "Unit of the size")
        self.structures = _choice({session.structure: session.active.name, "": "All structures"}, "Structures")
        self.rows.addRow("Parts smaller than", self.size)
        self.rows.addRow("in", self.unit)
        self.rows.addRow("Of", self.structures)
        self.finish("The largest part of a mask always stays. Changed masks are edited, to be accepted again.")
        self.accepted.connect(self._do)

    def _do(self) -> None:
        chosen, share = self.structures.currentData(), self.unit.currentData() == "%"
        size = self.size.value()
        self._controller.names.remove_specks(
            (chosen,) if chosen else self._keys,
            pixels=0.0 if share else size,
            share=min(1.0, size / 100) if share else 0.0,
            extent=self.extent,
        )


def _choice(texts: dict[str, str], name: str) -> QComboBox:
    choice = QComboBox()
    choice.setAccessibleName(name)
    choice.setToolTip(name)
    for key, text in texts.items():
        choice.addItem(text, key)
    return choice
