# SPDX-License-Identifier: Apache-2.0
"""Tool bar over the picture, in the order of the work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from napari._qt.qt_resources import QColoredSVGIcon
from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import QAction, QToolBar, QToolButton, QWidget

from napari_vfss.connections import Connections
from napari_vfss.controller.controller import AnnotationController
from napari_vfss.keys.action import shown
from napari_vfss.viewer.structure_layer import CLICK


@dataclass(frozen=True)
class Tool:
    """One button of the tool bar.

    Attributes:
        action: Id of the action that it does.
        text: Word under the picture.
        icon: Name of one of napari's icons.
        tip: What it does, without a full stop.
        mode: Mode of the layer during which the button stays down; "" for none.
        needs_clip: False if it works without an open clip.
    """

    action: str
    text: str
    icon: str
    tip: str
    mode: str = ""
    needs_clip: bool = True


WORK: tuple[Tool | None, ...] = (
    Tool("window.start", "Open", "new_image", "Open recordings, a folder, a project or a sample", needs_clip=False),
    None,
    Tool("propose.clip", "Propose", "shuffle", "The student proposes masks on all frames"),
    Tool("tool.paint", "Paint", "paint", "Paint into the mask of the active structure", mode="paint"),
    Tool("tool.erase", "Erase", "erase", "Erase from the mask of the active structure", mode="erase"),
    Tool("correct.click", "Click", "select", "Left click adds, right click removes, a drag is a box", mode=CLICK),
    Tool("accept.frame", "Accept", "check", "Accept all masks on this frame"),
    Tool("propagate.both", "Propagate", "long_right_arrow", "Bring this frame's masks to its neighbours"),
    Tool("propagate.learn", "Learn", "roll", "Adapt the student to what was corrected on this clip"),
    Tool("window.export", "Export", "pop_out", "Export the accepted masks as a dataset"),
)
"""The order of the work; None is a gap."""

LISTS: tuple[Tool | None, ...] = (
    None,
    Tool("window.worklist", "Worklist", "canvas-grid-view", "All clips of the project, and how far they are"),
    Tool("window.label_check", "Label check", "warning", "Accepted masks that look wrong, worst first"),
    Tool("window.students", "Students", "copy_to_clipboard", "The students of this project: compare, use, go back"),
)
"""Pages over the picture."""


class ToolBar(QToolBar):
    """Buttons for the common loop; keys in the tips follow the user's."""

    def __init__(self, controller: AnnotationController, tools: Sequence[Tool | None], parent: QWidget) -> None:
        super().__init__("VFSS tools", parent)
        self.setObjectName("vfss_tool_bar")
        self.setMovable(False)
        self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
        self.setIconSize(QSize(20, 20))
        self._controller = controller
        self._connections, self._clip_connections = Connections(), Connections()
        self._tools: dict[str, tuple[Tool, QAction]] = {}
        for tool in tools:
            if tool is None:
                self.addSeparator()
            else:
                self._add(tool)
        self._connections.add(controller.session_changed, self._on_session)
        self._connections.add(controller.key_book.changed, self._write_keys)
        self._connections.add(controller.viewer.events.theme, self._colour)
        self._colour()
        self._write_keys()
        self._on_session()

    def button(self, action: str) -> QToolButton:
        """Return the button of an action."""
        widget = self.widgetForAction(self._tools[action][1])
        if not isinstance(widget, QToolButton):
            raise LookupError(action)
        return widget

    def close_connections(self) -> None:
        """Disconnect from controller and viewer."""
        self._clip_connections.undo()
        self._connections.undo()

    def _add(self, tool: Tool) -> None:
        action = QAction(tool.text, self)
        action.setCheckable(bool(tool.mode))
        action.triggered.connect(lambda _checked=False: self._do(tool))
        self.addAction(action)
        widget = self.widgetForAction(action)
        if widget is not None:
            widget.setAccessibleName(tool.text)
            widget.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._tools[tool.action] = (tool, action)

    def _do(self, tool: Tool) -> None:
        for action in self._controller.key_book.actions:
            if action.id == tool.action:
                self._controller.act(action)
        self._show_mode()

    def _on_session(self) -> None:
        self._clip_connections.undo()
        opened = self._controller.session is not None
        for tool, action in self._tools.values():
            action.setEnabled(opened or not tool.needs_clip)
        if opened:
            layers = self._controller.layers
            self._clip_connections.add(layers.editor_changed, self._follow_editor)
            self._follow_editor()
        self._show_mode()

    def _follow_editor(self) -> None:
        self._clip_connections.add(self._controller.layers.editor.events.mode, self._show_mode)

    def _show_mode(self, _event: object = None) -> None:
        mode = "" if self._controller.session is None else str(self._controller.layers.editor.mode)
        for tool, action in self._tools.values():
            if tool.mode:
                action.setChecked(tool.mode == mode)

    def _write_keys(self) -> None:
        for tool, action in self._tools.values():
            keys = shown(self._controller.key_book.keys_of(tool.action)[:1])
            action.setToolTip(f"{tool.tip} (key: {keys})" if keys else tool.tip)

    def _colour(self, _event: object = None) -> None:
        theme = str(self._controller.viewer.theme)
        for tool, action in self._tools.values():
            action.setIcon(QColoredSVGIcon.from_resources(tool.icon).colored(theme=theme))
