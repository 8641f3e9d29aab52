# SPDX-License-Identifier: Apache-2.0
"""Keyboard of a window: window-wide keys, focus between picture and panel, key overlay and key page."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from qtpy.QtCore import QObject, Qt
from qtpy.QtOpenGLWidgets import QOpenGLWidget
from qtpy.QtWidgets import (
    QAbstractButton,
    QApplication,
    QComboBox,
    QLineEdit,
    QMainWindow,
    QScrollArea,
    QSlider,
    QTableView,
    QWidget,
)

from napari_vfss.connections import Connections
from napari_vfss.controller.controller import AnnotationController
from napari_vfss.keys.bindings import WindowKeys
from napari_vfss.keys.labels import KeyLabels
from napari_vfss.ui.keys.overlay import KeyOverlay
from napari_vfss.ui.keys.page import KeyPage
from napari_vfss.ui.section import Folding, Section
from napari_vfss.user_config import UserConfigFile

# The focused widget must be clearly visible: a border as light as the text, not another shade of grey.
FOCUS_STYLE = """
QPushButton:focus, QComboBox:focus, QLineEdit:focus, QSpinBox:focus, QCheckBox:focus, QToolButton:focus,
QSlider:focus, QTableView:focus { border: 2px solid #ffe08a; }
"""


class Keyboard(QObject):
    """Everything in one window that concerns the keyboard, except for the keys of a clip.

    Attributes:
        overlay: The key overlay; None before it was first shown.
        page: The key page; None before it was first shown.
    """

    def __init__(
        self, panel: QWidget, controller: AnnotationController, requests: Mapping[str, Callable[[], object]]
    ) -> None:
        """Set up the keyboard of a panel.

        Args:
            panel: The panel; its window is the one whose keys are bound.
            controller: What the keys act on.
            requests: What to do for each request that an action makes of the panel, by its name.
        """
        super().__init__(panel)
        self._panel, self._controller = panel, controller
        self._requests = {
            "keys": self.toggle_overlay,
            "change_keys": self.show_page,
            "panel": self.change_focus,
            **requests,
        }
        self._labels = KeyLabels(panel, controller.key_book)
        self.folding = Folding(panel.findChildren(Section), UserConfigFile("panel.json", self))
        self._connections = Connections()
        self._make_reachable()
        self._keys: WindowKeys | None = None
        self._window: QWidget | None = None
        self.overlay: KeyOverlay | None = None
        self.page: KeyPage | None = None
        self._last: QWidget | None = None
        self._connections.add(controller.action_requested, self._on_request)

    def enter_window(self) -> None:
        """Bind keys in the window of the panel, unless it is a floating dock."""
        window = self._panel.window()
        if window is self._window or not isinstance(window, QMainWindow):
            return
        if self._window is not None:  # else a key page that was opened first would be closed
            self._leave_window()
        self._window = window
        self._keys = WindowKeys(self._controller.key_book, self._controller.act, window)
        self._labels.write()
        if self._controller.key_book.warning:
            self._controller.show_message(self._controller.key_book.warning, problem=True)

    def close(self) -> None:
        """Unbind all keys and disconnect from the window."""
        self._connections.undo()
        self._labels.close()
        self.folding.close()
        self._leave_window()

    def toggle_overlay(self) -> None:
        """Show or hide the key overlay."""
        if self._window is None:
            return
        if self.overlay is not None and self.overlay.isVisible():
            self.overlay.dismiss()
            return
        if self.overlay is None:
            self.overlay = KeyOverlay(self._window, self._controller.key_book)
            self.overlay.change_asked.connect(self.show_page)
        self.overlay.show_keys()

    def show_page(self) -> None:
        """Show the key page."""
        if self.overlay is not None:
            self.overlay.dismiss()
        if self.page is None:
            self.page = KeyPage(self._controller.key_book, self._panel)
        self.page.show()
        self.page.raise_()
        self.page.activateWindow()

    def change_focus(self) -> None:
        """Move the focus from the panel to the picture, or from elsewhere to the last focused widget of the panel."""
        focus = QApplication.focusWidget()
        if focus is not None and self._panel.isAncestorOf(focus):
            self._last = focus
            self._focus_picture()
            return
        last = self._last
        wanted = last if last is not None and last.isVisibleTo(self._panel) and last.isEnabled() else None
        wanted = wanted or next(iter(stops(self._panel)), None)
        if wanted is not None:
            wanted.setFocus(Qt.FocusReason.TabFocusReason)
            scroll = self._panel.findChild(QScrollArea)
            if scroll is not None:
                scroll.ensureWidgetVisible(wanted)

    def _make_reachable(self) -> None:
        """Make every control reachable by Tab, but not focused by a click, and named for screen readers."""
        for widget in self._panel.findChildren(QWidget):
            if isinstance(widget, (QComboBox, QAbstractButton, QSlider, QTableView)):
                inner = isinstance(widget.parent(), QComboBox) or widget.objectName().startswith("qt_")
                widget.setFocusPolicy(widget.focusPolicy() if inner else Qt.FocusPolicy.TabFocus)
            elif isinstance(widget, QScrollArea):
                widget.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            elif isinstance(widget, QLineEdit):
                # Enter ends the input; the next letter is a key of the picture again.
                self._connections.add(widget.returnPressed, self._focus_picture)
            if widget.toolTip() and not widget.accessibleName():
                widget.setAccessibleName(widget.toolTip())

    def _focus_picture(self) -> None:
        canvas = None if self._window is None else self._window.findChild(QOpenGLWidget)
        if canvas is not None:
            canvas.setFocus(Qt.FocusReason.OtherFocusReason)

    def _on_request(self, name: str) -> None:
        if name in self._requests:
            self._requests[name]()

    def _leave_window(self) -> None:
        if self._keys is not None:
            self._keys.close()
        for shown in (self.overlay, self.page):
            if shown is not None:
                shown.close_for_good()
        self._keys = self._window = self.overlay = self.page = None


def stops(panel: QWidget) -> list[QWidget]:
    """Return the widgets of the panel at which Tab stops, in order."""
    widgets: list[QWidget] = []
    widget = panel.nextInFocusChain()
    while widget is not None and widget is not panel:
        stops_here = bool(widget.focusPolicy() & Qt.FocusPolicy.TabFocus)
        if stops_here and panel.isAncestorOf(widget) and widget.isVisibleTo(panel) and widget.isEnabled():
            widgets.append(widget)
        widget = widget.nextInFocusChain()
    return widgets
