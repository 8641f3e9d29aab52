# SPDX-License-Identifier: Apache-2.0
"""Our entries in the menus of the program: pages, napari's own tools, and Help > VFSS."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QAction, QMenu

from napari_vfss.ui.help_pages import HELP_PAGES

if TYPE_CHECKING:
    from napari_vfss.program.window import ProgramWindow


class ProgramMenus(QObject):
    """Adds our actions to napari's View and Help menus, and removes them when the window closes."""

    def __init__(self, program: ProgramWindow) -> None:
        super().__init__(program)
        self._program = program
        view, helping = program.viewer.window.view_menu, program.viewer.window.help_menu
        self.napari_tools = QAction("napari's layer list and controls", self)
        self.napari_tools.setCheckable(True)
        self.napari_tools.setToolTip("Show what napari itself has: layer list, layer controls, slider")
        self.napari_tools.toggled.connect(program.show_napari_tools)
        self.help = QMenu("VFSS", helping)
        for name, page in HELP_PAGES.items():
            self._add(page.title, partial(program.panel.pages.show, name))
        self.help.addSeparator()
        self._add("All keys over the picture", program.panel.keyboard.toggle_overlay)
        self._add("Change keys...", program.panel.keyboard.show_page)
        self._menus = (view, helping)
        view.addSeparator()
        view.addAction(self.napari_tools)
        before = helping.actions()
        helping.insertMenu(before[0] if before else None, self.help)

    def close(self) -> None:
        """Take our entries out of the menus."""
        view, helping = self._menus
        view.removeAction(self.napari_tools)
        helping.removeAction(self.help.menuAction())

    def _add(self, text: str, do: Callable[[], object]) -> None:
        action = self.help.addAction(text)
        if action is not None:
            action.triggered.connect(lambda _checked=False: do())
