# SPDX-License-Identifier: Apache-2.0
"""Row of tools that correct a whole mask at once: smooth, shape, copy, fill between."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QApplication,
    QHBoxLayout,
    QLabel,
    QMenu,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
    QWidgetAction,
)

from napari_vfss.connections import Connections
from napari_vfss.controller.actions import MASK_TOOL_KEYS
from napari_vfss.controller.controller import AnnotationController
from napari_vfss.session.corrections import REACH, Corrections
from napari_vfss.session.host import while_open
from napari_vfss.session.session import Session
from napari_vfss.ui.section import button
from napari_vfss.ui.sections.names import NamesButton
from napari_vfss.viewer.structure_layer import CLICK

CLICK_TIP = "Prompt the student: left click adds, right click removes, drag draws a box; Backspace undoes the last one"
TOOLS = (
    ("paint", "Paint", "P", "Add pixels with the brush"),
    ("erase", "Erase", "E", "Remove pixels with the brush"),
    ("polygon", "Polygon", "G", "Click around an area; a double click closes and fills it"),
    ("fill", "Fill", "F", "Fill a closed outline"),
    (CLICK, "Click", MASK_TOOL_KEYS["correct.click"], CLICK_TIP),
    ("pan_zoom", "Move", "Z", "Move and zoom the picture; holding Space does the same"),
)
"""Tools for the mouse: napari's mode, text, key, tooltip."""

Do = Callable[[Corrections], object]

SHAPE: tuple[tuple[str, str, Do], ...] = (
    ("Shrink", "shrink", Corrections.shrink),
    ("Grow", "grow", Corrections.grow),
    ("Fill holes", "fill_holes", Corrections.fill_holes),
    ("Keep the largest part", "largest", Corrections.keep_largest),
)
COPY: tuple[tuple[str, str, Do], ...] = (
    ("From the previous frame", "copy_previous", lambda tools: tools.copy_all(-1) if _shift() else tools.copy(-1)),
    ("From the next frame", "copy_next", lambda tools: tools.copy_all(1) if _shift() else tools.copy(1)),
    ("All unannotated structures from the previous frame", "copy_all_previous", lambda tools: tools.copy_all(-1)),
    ("All unannotated structures from the next frame", "copy_all_next", lambda tools: tools.copy_all(1)),
)


class CorrectTools(QWidget):
    """Buttons to smooth, reshape, copy from neighbouring frames, and fill between two accepted frames."""

    def __init__(self, controller: AnnotationController) -> None:
        super().__init__()
        self._controller = controller
        self.smooth = button(
            "Smooth", "Smooth the outline", self._doing(Corrections.smooth), key=MASK_TOOL_KEYS["correct.smooth"]
        )
        self.shape = self._menu("Shape", "Shrink, grow, fill holes, keep the largest part", SHAPE)
        self.copy = self._menu(
            "Copy",
            "Copy masks from a neighbouring frame: the active structure, or all that are not annotated here",
            COPY,
        )
        self.interpolate = button(
            "Fill between",
            "Fill the unannotated frames between the nearest accepted frames before and after this one",
            self._doing(Corrections.interpolate),
            key=MASK_TOOL_KEYS["correct.interpolate"],
        )
        self.pixels = self._add_pixels()
        self.names = NamesButton(controller)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        for widgets in ((self.smooth, self.shape, self.copy), (self.names, self.interpolate)):
            row = QHBoxLayout()
            row.setSpacing(4)
            for widget in widgets:
                row.addWidget(widget, len(widget.text()) + 5)  # a row shares its width: longer texts get more
            column.addLayout(row)

    @property
    def session(self) -> Session | None:
        """The open session."""
        return self._controller.session

    def show_session(self, click: QPushButton, status: QLabel, connections: Connections) -> None:
        """Follow the tools of the session.

        Args:
            click: Button of the Click tool.
            status: Label that shows what a click is waiting for.
            connections: Undone when the session closes.
        """
        clicks = self._controller.click_tool

        def allow(why_not: str) -> None:
            click.setEnabled(not why_not)
            if why_not:
                click.setToolTip(why_not)
            else:
                key = self._controller.key_book.shown_for(MASK_TOOL_KEYS["correct.click"])
                click.setToolTip(f"{CLICK_TIP} (key: {key})" if key else CLICK_TIP)

        connections.add(clicks.available, allow)
        connections.add(clicks.status, status.setText)
        allow(clicks.queue.why_not)
        self.pixels.blockSignals(True)
        self.pixels.setValue(self._controller.corrections.pixels)
        self.pixels.blockSignals(False)

    def _menu(self, text: str, tip: str, entries: tuple[tuple[str, str, Do], ...]) -> QPushButton:
        menu_button = button(text, tip, lambda: None)
        menu = QMenu(menu_button)
        actions = [menu.addAction(title) for title, _, _ in entries]
        for action, (_, _, do) in zip(actions, entries, strict=True):
            action.triggered.connect(self._doing(do))

        def show_keys() -> None:
            for action, (title, tool, _) in zip(actions, entries, strict=True):
                # Text after a tab is shown in the column of keys, and binds none.
                action.setText(f"{title}\t{self._controller.key_book.shown_for(MASK_TOOL_KEYS[f'correct.{tool}'])}")

        show_keys()
        menu.aboutToShow.connect(show_keys)
        menu_button.setMenu(menu)
        return menu_button

    def _add_pixels(self) -> QSpinBox:
        entry_row = QWidget()
        row = QHBoxLayout(entry_row)
        row.setContentsMargins(10, 2, 10, 2)
        pixels = QSpinBox()
        pixels.setRange(*REACH)
        pixels.setSuffix(" px")
        pixels.setToolTip("Number of pixels by which Shrink and Grow move the outline")
        pixels.valueChanged.connect(self._on_pixels)
        row.addWidget(QLabel("Shrink and grow by"))
        row.addWidget(pixels)
        entry = QWidgetAction(self.shape)
        entry.setDefaultWidget(entry_row)
        menu = self.shape.menu()
        menu.insertAction(menu.actions()[0], entry)
        return pixels

    def _doing(self, do: Do) -> Callable[[], None]:
        return lambda *_checked: self._correct(do)

    @while_open
    def _correct(self, _session: Session, do: Do) -> None:
        with self._controller.showing_errors():
            self._controller.layers.flush()
            do(self._controller.corrections)

    @while_open
    def _on_pixels(self, _session: Session, pixels: int) -> None:
        self._controller.corrections.pixels = pixels


def _shift() -> bool:
    return bool(QApplication.keyboardModifiers() & Qt.KeyboardModifier.ShiftModifier)
