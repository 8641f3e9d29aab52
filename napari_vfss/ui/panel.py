# SPDX-License-Identifier: Apache-2.0
"""The annotation panel: one section for each step of the work, from top to bottom."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_warning
from qtpy.QtCore import QSize, Qt, QTimer
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QAbstractButton, QFrame, QLabel, QScrollArea, QVBoxLayout, QWidget

from napari_vfss.connections import Connections
from napari_vfss.controller.actions import all_actions
from napari_vfss.controller.controller import AnnotationController
from napari_vfss.menu import register_menu
from napari_vfss.ui.about import SHORT_WORDING, WORDING
from napari_vfss.ui.close_watcher import CloseWatcher
from napari_vfss.ui.keys.keyboard import FOCUS_STYLE, Keyboard
from napari_vfss.ui.notices import NestingNotice, UnsavedBar
from napari_vfss.ui.section import SessionSection
from napari_vfss.ui.sections.annotate import AcceptSection, CorrectSection, ProposeSection, StructureSection
from napari_vfss.ui.sections.clip import ClipSection
from napari_vfss.ui.sections.export import ExportSection
from napari_vfss.ui.sections.history import HistorySection
from napari_vfss.ui.sections.import_masks import ImportSection
from napari_vfss.ui.sections.marks import MarksSection
from napari_vfss.ui.sections.people import PeopleSection
from napari_vfss.ui.sections.propagate import PropagateSection
from napari_vfss.ui.sections.student import StudentSection
from napari_vfss.ui.timeline.docking import TimelinePlace

if TYPE_CHECKING:
    import napari

PLUGIN, TITLE = "napari-vfss", "VFSS annotation"
WIDTH = 340
MESSAGE_MS = 20_000


class AnnotationPanel(QWidget):
    """The dock widget "VFSS annotation"."""

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self.setObjectName("vfss_annotation_panel")
        self.viewer = napari_viewer
        self.controller = AnnotationController(napari_viewer, all_actions, self)
        self._build_sections()
        self.timeline = TimelinePlace(self.controller, self)
        self.unsaved = UnsavedBar(self.controller)
        self.controller.unsaved_guard.ask = lambda may_stay: self.unsaved.may_part(may_stay=may_stay)
        self.nesting = NestingNotice(self.controller)
        self.message = QLabel()
        self._message_time = QTimer(self)
        self._message_time.setSingleShot(True)
        self._message_time.setInterval(MESSAGE_MS)
        self._lay_out()
        self.setStyleSheet(FOCUS_STYLE)
        self.keyboard = Keyboard(self, self.controller, self._requests())
        self._close_watcher = CloseWatcher(self, self.controller.unsaved_guard.may_close)
        self._connections = Connections()
        self._connect()
        self._closed = False
        self._forget_menu = register_menu()
        self._adopt_open_clip()

    @classmethod
    def of(cls, viewer: Any) -> AnnotationPanel:
        """Return the panel of a viewer, which is docked first if it is not there yet."""
        _, panel = viewer.window.add_plugin_dock_widget(PLUGIN, TITLE)
        return panel  # type: ignore[no-any-return]

    def sizeHint(self) -> QSize:  # noqa: N802
        """Wide enough for the list of structures, no wider."""
        return QSize(WIDTH, 640)

    def close_controller(self) -> None:
        """Save the view, stop background jobs and disconnect from the viewer."""
        if self._closed:
            return
        self._closed = True
        self.controller.close()
        self.keyboard.close()
        for section in self._sections:
            section.close_connections()
        self.unsaved.close_connections()
        self.nesting.close_connections()
        self._connections.undo()
        self.timeline.close()
        self._forget_menu()

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802
        """Dock the timeline and take the width that the rows need."""
        super().showEvent(event)
        if self.timeline.widget is None:
            self.timeline.show()
        self.keyboard.enter_window()
        self.fit_width()

    @property
    def _sections(self) -> tuple[SessionSection | ClipSection, ...]:
        work = (self.people, self.clip, self.structures, self.propose, self.correct, self.accept)
        return (*work, self.propagate, self.marks, self.history, self.importing, self.export, self.student)

    def _requests(self) -> dict[str, Callable[[], object]]:
        """Return what to do for each request of an action; a click on a disabled button does nothing."""
        buttons: dict[str, QAbstractButton] = {
            "marks.take_away": self.marks.remove,
            "marks.bring_back": self.marks.back,
            "nesting.grow": self.nesting.grow,
            "nesting.cut": self.nesting.cut,
            "nesting.leave": self.nesting.leave,
            "history.compare": self.history.proposal_button,
            "history.back": self.history.back_button,
            "propagate.only_active": self.propagate.only_active,
            "view.invert": self.clip.inverted,
            "window.sample": self.clip.sample_button,
            "window.timeline": self.marks.timeline,
            "window.readings": self.people.readings_button,
            "window.finish_reading": self.people.finish_button,
            "window.save_elsewhere": self.unsaved.elsewhere,
            "window.open_dataset": self.export.open_button,
            "window.stop_export": self.export.cancel_button,
            "window.stop_import": self.importing.cancel_button,
            "window.patients": self.student.patients_button,
            "window.cases": self.student.cases_button,
            "window.stop_training": self.student.cancel_button,
            "window.use_student": self.student.use_button,
            "window.keep_student": self.student.keep_button,
        }
        return {
            "open": self.clip.ask_for_clip,
            "project": self.clip.ask_for_project,
            "new_project": self.clip.ask_for_new_project,
            "range": self.propose.range_button.click,
            "export": self.export.ask_and_export,
            "import": self.importing.ask_and_import,
            "retrain": self.student.ask,
            **{name: button.click for name, button in buttons.items()},
        }

    def _build_sections(self) -> None:
        self.people = PeopleSection(self.controller)
        self.clip = ClipSection(self.controller)
        self.structures = StructureSection(self.controller)
        self.propose = ProposeSection(self.controller)
        self.correct = CorrectSection(self.controller)
        self.accept = AcceptSection(self.controller)
        self.marks = MarksSection(self.controller)
        self.propagate = PropagateSection(self.controller)
        self.history = HistorySection(self.controller)
        self.export = ExportSection(self.controller)
        self.importing = ImportSection(self.controller)
        self.student = StudentSection(self.controller)

    def _connect(self) -> None:
        add, jobs = self._connections.add, self.controller.student_jobs
        add(self._close_watcher.close_requested, self.controller.save)
        add(self._close_watcher.closed, self.close_controller)
        add(self.controller.message, self._on_message)
        add(self.marks.timeline_asked, self.timeline.show)
        add(self._message_time.timeout, self._clear_message)
        add(self.controller.session_changed, self._clear_message)
        add(jobs.propagating.started, self._show_progress)
        add(jobs.adapting.started, self._show_progress)
        add(self.controller.exporting.started, self._show_export)
        add(self.controller.exporting.ended, self._show_export)
        add(self.importing.importing.started, self._show_import)
        add(self.controller.retraining.started, self._show_student)
        add(self.controller.retraining.ended, self._show_student)

    def _lay_out(self) -> None:
        inside = self._inside = QWidget()
        column = QVBoxLayout(inside)
        column.setContentsMargins(2, 2, 4, 2)
        column.setSpacing(3)
        for section in self._sections:
            column.addWidget(section)
        column.addStretch(1)
        scroll = self._scroll = QScrollArea()
        scroll.setWidget(inside)
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.message.setWordWrap(True)
        self.message.setVisible(False)
        self.message.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        footer = QLabel(SHORT_WORDING)
        footer.setToolTip(WORDING)
        footer.setWordWrap(True)
        footer.setStyleSheet("font-size: 11px; color: #b4bac2;")
        outer = QVBoxLayout(self)
        outer.setContentsMargins(2, 2, 2, 2)
        outer.setSpacing(2)
        outer.addWidget(scroll, 1)
        outer.addWidget(self.unsaved)
        outer.addWidget(self.nesting)
        outer.addWidget(self.message)
        outer.addWidget(footer)

    def fit_width(self) -> None:
        """Take at least the width that the rows need."""
        # Known only once napari's style is applied: no row may reach under the scroll bar.
        bar = self._scroll.verticalScrollBar()
        bar_width = 0 if bar is None else bar.sizeHint().width()
        self.setMinimumWidth(max(WIDTH, self._inside.minimumSizeHint().width() + bar_width + 6))

    def _on_message(self, message: str, problem: bool) -> None:
        self.message.setStyleSheet(
            f"padding: 4px; border-radius: 3px; color: white; background: {'#8c3b3b' if problem else '#33557a'};"
        )
        self.message.setText(f"⚠ {message}" if problem else message)
        self.message.setVisible(True)
        if problem:
            self._message_time.stop()
            show_warning(message)
        else:
            self._message_time.start()

    def _show_progress(self) -> None:
        # Once the section has grown by its bar: on a small screen Cancel would be out of sight.
        QTimer.singleShot(0, lambda: self._scroll.ensureWidgetVisible(self.propagate.cancel_button))

    def _show_export(self, *_: object) -> None:
        QTimer.singleShot(0, lambda: self._scroll.ensureWidgetVisible(self.export))

    def _show_import(self, *_: object) -> None:
        QTimer.singleShot(0, lambda: self._scroll.ensureWidgetVisible(self.importing))

    def _show_student(self, *_: object) -> None:
        # Once the section has grown by its progress bar or its offer.
        QTimer.singleShot(0, lambda: self._scroll.ensureWidgetVisible(self.student))

    def _clear_message(self) -> None:
        self.message.setVisible(False)

    def _adopt_open_clip(self) -> None:
        for layer in list(self.viewer.layers):
            if "vfss_frames" in layer.metadata and not layer.metadata.get("vfss_session"):
                self.controller.adoption.adopt(layer)
                return
