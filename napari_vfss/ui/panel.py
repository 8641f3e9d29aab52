# SPDX-License-Identifier: Apache-2.0
"""The annotation panel: a section for each step of the work, in order; structures first on small screens."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSize, Qt, QTimer, Signal
from qtpy.QtGui import QResizeEvent, QShowEvent
from qtpy.QtWidgets import QAbstractButton, QFrame, QLabel, QScrollArea, QVBoxLayout, QWidget

from napari_vfss.connections import Connections
from napari_vfss.controller.actions import all_actions
from napari_vfss.controller.controller import AnnotationController
from napari_vfss.debounce import Debounce
from napari_vfss.menu import register_menu
from napari_vfss.ui.about import SHORT_WORDING, WORDING
from napari_vfss.ui.close_watcher import CloseWatcher
from napari_vfss.ui.job_bar import JobBar
from napari_vfss.ui.keys.keyboard import FOCUS_STYLE, Keyboard
from napari_vfss.ui.late_pages import PAGES
from napari_vfss.ui.name_question import NameQuestion
from napari_vfss.ui.notices import ForeignLayerNotice, NestingNotice, UnsavedBar
from napari_vfss.ui.pages import Pages
from napari_vfss.ui.section import Section, SessionSection
from napari_vfss.ui.sections.annotate import AcceptSection, CorrectSection, ProposeSection, StructureSection
from napari_vfss.ui.sections.clip import ClipSection
from napari_vfss.ui.sections.export import ExportSection
from napari_vfss.ui.sections.history import HistorySection
from napari_vfss.ui.sections.import_masks import ImportSection
from napari_vfss.ui.sections.marks import MarksSection
from napari_vfss.ui.sections.people import PeopleSection
from napari_vfss.ui.sections.propagate import PropagateSection
from napari_vfss.ui.sections.student import StudentSection
from napari_vfss.ui.students.acts import STUDENT_ACTS
from napari_vfss.ui.students.retrain_notice import RetrainNotice
from napari_vfss.ui.timeline.docking import TimelinePlace
from napari_vfss.ui.worklist.place import WorklistPlace

if TYPE_CHECKING:
    import napari

PLUGIN, TITLE = "napari-vfss", "VFSS annotation"
WIDTH = 340
MESSAGE_MS = 20_000
LEAST_HEIGHT = 430
"""Height in pixels below which not all steps can be shown."""
SLACK_HEIGHT = 30
"""So much higher it must be before they are all shown again, or it would go to and fro."""


class AnnotationPanel(QWidget):
    """The dock widget "VFSS annotation"."""

    closing = Signal()  # before anything is closed

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self.setObjectName("vfss_annotation_panel")
        self.viewer = napari_viewer
        self.controller = AnnotationController(napari_viewer, all_actions, self)
        self._build_sections()
        self.timeline = TimelinePlace(self.controller, self)
        self.worklist = WorklistPlace(self.controller, self)
        self.pages = Pages(self.controller, {**PAGES, "worklist": self.worklist.page}, self)
        self.unsaved = UnsavedBar(self.controller)
        self.controller.unsaved_guard.ask = lambda may_stay: self.unsaved.may_part(may_stay=may_stay)
        self.nesting = NestingNotice(self.controller)
        self.foreign = ForeignLayerNotice(self.controller)
        self.jobs = JobBar(self.controller, self.importing.importing)
        self.name_question = NameQuestion(self.controller, self.people.take_name, self)
        self.retrain_notice = RetrainNotice(self.controller)
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
        self._always_structures_first = False
        self._folded_for_room: list[Section] | None = None  # while structures come first
        self._resized = Debounce(self, self._on_resized, 300)
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
        self.closing.emit()
        self.controller.close()
        self.keyboard.close()
        for section in self._sections:
            section.close_connections()
        self.unsaved.close_connections()
        for notice in (self.nesting, self.foreign, self.jobs, self.retrain_notice):
            notice.close_connections()
        self.name_question.close()
        self._connections.undo()
        self.pages.close()
        self.worklist.close()
        self.timeline.close()
        self._forget_menu()

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802
        """Dock the timeline and take the width that the rows need."""
        super().showEvent(event)
        if self.timeline.widget is None:
            self.timeline.show()
        self.keyboard.enter_window()
        self.fit_width()

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802
        """Show the structures first where there is no room for all steps."""
        super().resizeEvent(event)
        self._resized.ask()

    def _on_resized(self) -> None:
        # Only once the window has its layout: while it is built, everything is small for a moment.
        if not self.isVisible() or self._always_structures_first:
            return
        if self.height() < LEAST_HEIGHT:
            self._put_structures_first()
        elif self.height() > LEAST_HEIGHT + SLACK_HEIGHT:
            self._put_in_order_of_work()

    def show_structures_first(self) -> None:
        """Arrange the panel as beside a tool bar, whatever its height: structures and their tools, the rest folded."""
        self._always_structures_first = True
        self._put_structures_first()

    def _put_structures_first(self) -> None:
        if self._folded_for_room is not None:
            return
        first = (self.structures, self.correct, self.accept)
        for place, section in enumerate(first):
            self._column.removeWidget(section)
            self._column.insertWidget(place, section)
        others = [section for section in self._sections if section not in first]
        before = [section for section in others if section.shown]
        self.keyboard.folding.fold_unless_remembered(others)
        self._folded_for_room = [section for section in before if not section.shown]

    def _put_in_order_of_work(self) -> None:
        if self._folded_for_room is None:
            return
        for place, section in enumerate(self._sections):
            self._column.removeWidget(section)
            self._column.insertWidget(place, section)
        for section in self._folded_for_room:
            section.unfold()
        self._folded_for_room = None

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
            "notice.structures": self.foreign.back,
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
            "window.retrain_later": self.retrain_notice.later,
        }
        return {
            "start": lambda: self.pages.toggle("start"),
            "open": self.clip.ask_for_clip,
            "project": self.clip.ask_for_project,
            "new_project": self.clip.ask_for_new_project,
            "range": self.propose.range_button.click,
            "window.label_check": lambda: self.pages.toggle("label_check"),
            "names.exchange": self.correct.more.names.ask_exchange,
            "names.specks": self.correct.more.names.ask_specks,
            "export": self.export.ask_and_export,
            "import": self.importing.ask_and_import,
            "retrain": self.student.ask,
            "worklist": lambda: self.pages.toggle("worklist"),
            "progress": lambda: self.pages.toggle("progress"),
            "worklist_dock": self.worklist.toggle_dock,
            "window.students": lambda: self.pages.toggle("students"),
            **{f"students.{name}": partial(self._on_students, name) for name in STUDENT_ACTS},
            **{name: button.click for name, button in buttons.items()},
        }

    def _on_students(self, name: str) -> None:
        """Show the students page and do there what a key stands for."""
        self.pages.press("students", name)

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
        add(jobs.renaming.started, self._show_progress)
        add(self.controller.exporting.started, self._show_export)
        add(self.controller.exporting.ended, self._show_export)
        add(self.importing.importing.started, self._show_import)
        add(self.controller.retraining.started, self._show_student)
        add(self.controller.retraining.ended, self._show_student)

    def _lay_out(self) -> None:
        inside = self._inside = QWidget()
        column = self._column = QVBoxLayout(inside)
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
        footer.setStyleSheet("font-size: 11px;")
        outer = QVBoxLayout(self)
        outer.setContentsMargins(2, 2, 2, 2)
        outer.setSpacing(2)
        outer.addWidget(scroll, 1)
        outer.addWidget(self.unsaved)
        outer.addWidget(self.nesting)
        outer.addWidget(self.foreign)
        outer.addWidget(self.jobs)
        outer.addWidget(self.retrain_notice)
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
        else:
            self._message_time.start()

    def _show_progress(self) -> None:
        self._bring_into_view(self.propagate, self.propagate.cancel_button)

    def _show_export(self, *_: object) -> None:
        self._bring_into_view(self.export, self.export)

    def _show_import(self, *_: object) -> None:
        self._bring_into_view(self.importing, self.importing)

    def _show_student(self, *_: object) -> None:
        self._bring_into_view(self.student, self.student)

    def _bring_into_view(self, section: SessionSection, part: QWidget) -> None:
        # Once the section has grown by its bar: on a small screen Cancel would be out of sight. The rows of running
        # jobs below do for a folded one.
        if section.shown:
            QTimer.singleShot(0, lambda: self._scroll.ensureWidgetVisible(part))

    def _clear_message(self) -> None:
        self.message.setVisible(False)

    def _adopt_open_clip(self) -> None:
        for layer in list(self.viewer.layers):
            if "vfss_frames" in layer.metadata and not layer.metadata.get("vfss_session"):
                self.controller.adoption.adopt(layer)
                return
