# SPDX-License-Identifier: Apache-2.0
"""The list of swallows and events in the panel: go to one, remove it, restore it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QAbstractItemView, QListWidget, QListWidgetItem

from napari_vfss.controller.controller import AnnotationController
from napari_vfss.session.host import while_open
from napari_vfss.session.session import Session
from napari_vfss.ui.section import SessionSection, tipped_button
from napari_vfss.ui.timeline.tooltips import describe_mark
from vfss.events import SWALLOW, name_of
from vfss.wording import count

if TYPE_CHECKING:
    from vfss.project.records import Mark

ROWS = 6


class MarksSection(SessionSection):
    """Lists swallows and events of the clip in order of time; a click goes to the frame."""

    timeline_asked = Signal()

    def __init__(self, controller: AnnotationController) -> None:
        super().__init__(controller, "Swallows and events", folded=True)
        self.list = QListWidget()
        self.list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.list.setToolTip("Click one to go to its frame")
        self.list.setFixedHeight(ROWS * 18 + 4)
        self.remove = tipped_button(
            "Remove", "Remove the chosen mark; its history stays in the project", self._remove, key="Ctrl+Alt+Y"
        )
        self.back = tipped_button(
            "Restore", "Restore the mark that was removed last", self._bring_back, key="Ctrl+Alt+Shift+Y"
        )
        self.body.addWidget(self.list)
        self.timeline = tipped_button(
            "Show timeline", "Show the timeline under the picture", self.timeline_asked.emit, key="Ctrl+Alt+M"
        )
        self.add_row(self.remove, self.back, self.timeline)
        self.connections.add(self.list.itemClicked, self._on_clicked)
        self.connections.add(self.list.itemSelectionChanged, self._show_buttons)
        self.connections.add(controller.timeline.marks_changed, self.refresh)
        self.connections.add(controller.timeline.session_changed, self.refresh)
        self._on_session()

    def clear(self) -> None:
        """Show no marks."""
        super().clear()
        self.list.clear()

    def show_session(self) -> None:
        """Follow the times of the clip."""
        super().show_session()
        self._follow()

    @while_open
    def _follow(self, session: Session) -> None:
        self.session_connections.add(session.times_changed, self.refresh)

    @while_open
    def refresh(self, session: Session, *_: object) -> None:
        """Show the marks of the session."""
        marks, chosen = self.controller.timeline.marks, self._chosen()
        self.clear()
        if marks is None:
            return
        for mark in marks.all:
            assumed = " assumed" if session.clip.times_from == "assumed" else ""
            item = QListWidgetItem(_line(mark, f"{session.clip.times_s[mark.first]:.2f} s{assumed}"))
            item.setData(Qt.ItemDataRole.UserRole, mark)
            item.setToolTip(describe_mark(mark))
            self.list.addItem(item)
            if chosen is not None and mark.mark == chosen.mark:
                self.list.setCurrentItem(item)
        swallows = len(marks.swallows)
        self.summary.setText(f"{count(swallows, 'swallow')}, {count(len(marks.all) - swallows, 'event')}")
        self._show_buttons()

    def _chosen(self) -> Mark | None:
        item = self.list.currentItem()
        return None if item is None else item.data(Qt.ItemDataRole.UserRole)

    def _show_buttons(self) -> None:
        marks = self.controller.timeline.marks
        self.remove.setEnabled(self._chosen() is not None)
        self.back.setEnabled(marks is not None and marks.can_bring_back)

    @while_open
    def _on_clicked(self, session: Session, item: QListWidgetItem) -> None:
        mark = item.data(Qt.ItemDataRole.UserRole)
        self.do(lambda: session.go_to(mark.first))

    def _remove(self) -> None:
        marks, mark = self.controller.timeline.marks, self._chosen()
        if marks is not None and mark is not None:
            self.do(lambda: marks.remove(mark))

    def _bring_back(self) -> None:
        marks = self.controller.timeline.marks
        if marks is not None:
            self.do(marks.bring_back)


def _line(mark: Mark, time: str) -> str:
    frames = f"{mark.first + 1}"
    if mark.kind == SWALLOW:
        frames += "-..." if mark.last is None else f"-{mark.last + 1}"
    return f"{frames}   {time}   {name_of(mark.kind, mark.text)}"
