# SPDX-License-Identifier: Apache-2.0
"""One row for the tools that correct a whole plane at once."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QHBoxLayout, QLabel, QMenu, QPushButton, QSpinBox, QWidget, QWidgetAction

from napari_vfss.connections import Connections
from napari_vfss.controller.actions import MASK_TOOL_KEYS
from napari_vfss.controller.controller import AnnotationController
from napari_vfss.session.corrections import REACH, Corrections
from napari_vfss.ui.section import button
from napari_vfss.viewer.structure_layer import CLICK

CLICK_TIP = "Point at it: a left click adds, a right click removes, a drag is a box; Backspace takes the last one back"
TOOLS = (
    ("paint", "Paint", "P", "Add pixels with the brush"),
    ("erase", "Erase", "E", "Take pixels away with the brush"),
    ("polygon", "Area", "G", "Click around an area; a double click closes and fills it"),
    ("fill", "Fill", "F", "Fill a closed outline"),
    (CLICK, "Click", MASK_TOOL_KEYS["correct.click"], CLICK_TIP),
    ("pan_zoom", "Move", "Z", "Move and zoom the picture; or hold Space"),
)
"""Tools for the mouse: napari's mode, text, key, explanation."""

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
    ("All open structures from the previous frame", "copy_all_previous", lambda tools: tools.copy_all(-1)),
    ("All open structures from the next frame", "copy_all_next", lambda tools: tools.copy_all(1)),
)


class CorrectTools(QWidget):
    """Smooth; change the shape; copy from neighbours; fill between two accepted frames."""

    def __init__(self, controller: AnnotationController) -> None:
        super().__init__()
        self._controller = controller
        self.smooth = button(
            "Smooth", "Calm the outline", self._doing(Corrections.smooth), key=MASK_TOOL_KEYS["correct.smooth"]
        )
        self.shape = self._menu("Shape", "Shrink, grow, fill holes, keep the largest part", SHAPE)
        self.copy = self._menu(
            "Copy",
            "Take the mask of a neighbouring frame, for this structure or for all that no person has spoken on",
            COPY,
        )
        self.interpolate = button(
            "Between",
            "Fill the open frames between the two around this one on which the structure is accepted",
            self._doing(Corrections.interpolate),
            key=MASK_TOOL_KEYS["correct.interpolate"],
        )
        self.pixels = self._add_pixels()
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        for widget in (self.smooth, self.shape, self.copy, self.interpolate):
            row.addWidget(widget, len(widget.text()) + 3)  # a row shares its width: the longer word gets more

    def show_session(self, click: QPushButton, status: QLabel, connections: Connections) -> None:
        """Follow the session's tools.

        Args:
            click: Button of the Click tool.
            status: Where it is said what a click waits for.
            connections: Undone when the session goes.
        """
        clicks = self._controller.click_tool
        if clicks is not None:

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
        if self._controller.corrections is not None:
            self.pixels.blockSignals(True)
            self.pixels.setValue(self._controller.corrections.pixels)
            self.pixels.blockSignals(False)

    def _menu(self, text: str, tip: str, entries: tuple[tuple[str, str, Do], ...]) -> QPushButton:
        made = button(text, tip, lambda: None)
        menu = QMenu(made)
        made_actions = [menu.addAction(title) for title, _, _ in entries]
        for action, (_, _, do) in zip(made_actions, entries, strict=True):
            action.triggered.connect(self._doing(do))

        def name() -> None:
            for action, (title, tool, _) in zip(made_actions, entries, strict=True):
                # What follows the tab is shown where a menu has its keys, and binds none.
                action.setText(f"{title}\t{self._controller.key_book.shown_for(MASK_TOOL_KEYS[f'correct.{tool}'])}")

        name()
        menu.aboutToShow.connect(name)
        made.setMenu(menu)
        return made

    def _add_pixels(self) -> QSpinBox:
        line = QWidget()
        row = QHBoxLayout(line)
        row.setContentsMargins(10, 2, 10, 2)
        pixels = QSpinBox()
        pixels.setRange(*REACH)
        pixels.setSuffix(" px")
        pixels.setToolTip("Pixels that Shrink and Grow go by")
        pixels.valueChanged.connect(self._on_pixels)
        row.addWidget(QLabel("Shrink and grow by"))
        row.addWidget(pixels)
        entry = QWidgetAction(self.shape)
        entry.setDefaultWidget(line)
        menu = self.shape.menu()
        menu.insertAction(menu.actions()[0], entry)
        return pixels

    def _doing(self, do: Do) -> Callable[[], None]:
        def run(_checked: bool = False) -> None:
            controller = self._controller
            if controller.corrections is not None and controller.layers is not None:
                with controller.telling():
                    controller.layers.flush()
                    do(controller.corrections)

        return run

    def _on_pixels(self, pixels: int) -> None:
        if self._controller.corrections is not None:
            self._controller.corrections.pixels = pixels


def _shift() -> bool:
    return bool(QApplication.keyboardModifiers() & Qt.KeyboardModifier.ShiftModifier)
