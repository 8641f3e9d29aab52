# SPDX-License-Identifier: Apache-2.0
"""Choose the student, and train a new one on the accepted annotations."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QDialog, QLabel, QProgressBar

import vfss
from napari_vfss.controller.controller import AnnotationController
from napari_vfss.session.host import while_open, while_open_or
from napari_vfss.session.session import Session
from napari_vfss.ui.section import SessionSection, button, tipped_button
from napari_vfss.ui.students.verdict import sentences, verdict_of_event
from vfss.wording import listed

if TYPE_CHECKING:
    from napari_vfss.ui.dialogs.case_ids import CaseIdsDialog
    from napari_vfss.ui.dialogs.patients import PatientsDialog
    from napari_vfss.ui.dialogs.retrain import RetrainChoice
    from napari_vfss.ui.loss_curve import LossCurve

UNKNOWN = "unknown"
KEPT = "<br>It is kept on the students page, where you can look at it side by side, or use it nevertheless."
_NAMED = 3  # recordings, frames or masks that could not be read


class StudentSection(SessionSection):
    """Chooses which student proposes masks, and trains a new one."""

    def __init__(self, controller: AnnotationController) -> None:
        super().__init__(controller, "Student", folded=True)
        self._build_choice()
        self._build_progress()
        self._build_offer()
        self._left_out: list[str] = []
        self.choice: RetrainChoice | None = None
        self.patients: PatientsDialog | None = None
        self.cases: CaseIdsDialog | None = None
        self.connections.add(self.students.activated, self._on_chosen)
        self.connections.add(controller.retraining.started, self._on_started)
        self.connections.add(controller.retraining.event_received, self._on_event)
        self.connections.add(controller.retraining.ended, self._on_ended)
        self._set_running(False)
        self._hide_offer()
        self._on_session()

    def _build_choice(self) -> None:
        self.students = QComboBox()
        self.students.setToolTip("The student that proposes masks in this project")
        self.students.setAccessibleName("Student")
        self.students.setMinimumContentsLength(10)
        self.students.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        tip = "Train a new student on the accepted masks of this project, in the background"
        self.retrain_button = button("Retrain...", tip, self.ask, key="Ctrl+Alt+R", key_on_face=False)
        tip = "Show the patients of this project, and assign them to training, validation or test"
        self.patients_button = tipped_button("Patients...", tip, self.show_patients, key="Ctrl+Alt+Shift+P")
        tip = "Show all students with figures and reasons; compare, name, export, go back"
        self.page_button = tipped_button("Students...", tip, self._show_page, key="Ctrl+Alt+T")
        self.add_row(self.students, self.page_button, stretch=0)
        self.add_row(self.retrain_button, self.patients_button, stretch=0)
        tip = "Confirm whose each recording is: until then it is used for training only"
        self.cases_button = tipped_button("Case ids...", tip, self.show_cases, key="Ctrl+Alt+8")
        self.add_row(self.cases_button)

    def _build_progress(self) -> None:
        self.bar = QProgressBar()
        self.bar.setFixedHeight(16)
        self.cancel_button = tipped_button(
            "Cancel",
            "Stop training; the present student is kept",
            self.controller.retraining.cancel,
            key="Ctrl+Alt+Shift+R",
        )
        self.add_row(self.bar, self.cancel_button, stretch=0)
        self._curve: LossCurve | None = None

    @property
    def curve(self) -> LossCurve:
        """Plot of the training; made when the first one begins, as pyqtgraph takes long to import."""
        if self._curve is None:
            from napari_vfss.ui.loss_curve import LossCurve

            self._curve = LossCurve()
            self._curve.setVisible(False)
            self.body.insertWidget(self.body.indexOf(self.offer), self._curve)
        return self._curve

    def _build_offer(self) -> None:
        self._offered = ""
        self.offer = QLabel()
        self.offer.setWordWrap(True)
        self.use_button = tipped_button(
            "Use the new student", "Use it for proposals from now on", self._use_offered, key="Ctrl+Alt+U"
        )
        self.keep_button = tipped_button(
            "Keep the present one",
            "Go on with the present student; the new one stays in the list",
            self._hide_offer,
            key="Ctrl+Alt+Shift+U",
        )
        self.body.addWidget(self.offer)
        self.add_row(self.use_button, self.keep_button)

    def _show_page(self) -> None:
        self.controller.action_requested.emit("window.students")

    def clear(self) -> None:
        """List no students."""
        super().clear()
        self.students.clear()

    @while_open
    def show_session(self, session: Session) -> None:
        """List the project's students."""
        self._list_students()
        self.session_connections.add(session.student_changed, self._list_students)

    @while_open
    def _list_students(self, session: Session) -> None:
        self.students.clear()
        with self.controller.showing_errors():
            current = session.project.current_student()
            self.students.addItem("as shipped", None)
            for record in session.project.students():
                score = record.scores.get("mean_dice")
                dice = "" if score is None else f"  Dice {score:.3f}"
                named = record.name or f"{record.added.astimezone():%d %b %H:%M}"
                self.students.addItem(f"{named}{dice}", record.id)
            self.students.setCurrentIndex(0 if current is None else self.students.findData(current.id))

    @while_open
    def _on_chosen(self, session: Session, row: int) -> None:
        with self.controller.showing_errors():
            session.choose_student(self.students.itemData(row))

    @while_open
    def ask(self, session: Session) -> None:
        """Ask how to train, in a dialog that does not block the window, and start."""
        if self.controller.retraining.running:
            return
        self._hide_offer()
        self.unfold()
        with self.controller.showing_errors():
            self.controller.save()
        if self.choice is not None:
            self.choice.reject()
        from napari_vfss.ui.dialogs.retrain import RetrainChoice  # reads the project, with its database

        self.choice = RetrainChoice(session.project.folder, self)
        self.choice.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.choice.cases.confirmed.connect(self.reread_record)
        self.choice.finished.connect(self._on_choice)
        self.choice.open()

    @while_open
    def show_patients(self, session: Session) -> None:
        """Show the patients and their splits, in a dialog that does not block the window."""
        if self.patients is not None:
            return
        from napari_vfss.ui.dialogs.patients import PatientsDialog

        with self.controller.showing_errors():
            self.controller.save()
            self.patients = PatientsDialog(vfss.Project.open(session.project.folder), self)
            self.patients.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
            self.patients.finished.connect(self._on_patients_closed)
            self.patients.open()

    @while_open
    def show_cases(self, session: Session) -> None:
        """Show the case ids of all recordings to be confirmed, in a dialog that does not block the window."""
        if self.cases is not None:
            return
        with self.controller.showing_errors():
            self.controller.save()
            from napari_vfss.ui.dialogs.case_ids import CaseIdsDialog

            self.cases = CaseIdsDialog(session.project.folder, self)
            self.cases.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
            self.cases.confirmed.connect(self.reread_record)
            self.cases.finished.connect(self._on_cases_closed)
            self.cases.open()

    @while_open
    def reread_record(self, session: Session) -> None:
        """Show the case that the open clip has now."""
        with self.controller.showing_errors():
            session.reread_record()

    def _on_cases_closed(self, _result: int) -> None:
        self.cases = None

    def _on_patients_closed(self, _result: int) -> None:
        self.patients = None

    def _on_choice(self, result: int) -> None:
        choice, self.choice = self.choice, None
        if choice is not None and result == QDialog.DialogCode.Accepted:
            with self.controller.showing_errors():
                self.controller.retrain(choice.arguments)

    def close_connections(self) -> None:
        """Disconnect from everything and close open dialogs."""
        for dialog in (self.choice, self.patients, self.cases):
            if dialog is not None:
                dialog.reject()
        super().close_connections()

    def _on_started(self) -> None:
        self._left_out.clear()
        self.unfold()
        self.curve.clear_points()
        self.curve.setVisible(True)
        self.bar.setRange(0, 0)
        self.bar.setFormat("starting the trainer...")
        self._set_running(True)

    def _on_event(self, event: dict[str, Any]) -> None:
        kind = event["event"]
        if kind == "start":
            self.bar.setRange(0, max(1, int(event.get("total_steps", 1))))
            estimate = event.get("estimate_s")
            self.bar.setFormat("step %v of %m" + (f", about {_minutes(float(estimate))}" if estimate else ""))
        elif kind == "step":
            self.bar.setValue(int(event.get("step", 0)))
            self.curve.add_loss(float(event.get("step", 0)), float(event.get("loss", 0.0)))
        elif kind == "prepare":
            self.bar.setRange(0, max(1, int(event.get("total", 1))))
            self.bar.setValue(int(event.get("done", 0)))
            self.bar.setFormat(f"{event.get('of', 'reading frames')}, %v of %m")
        elif kind == "validation" and event.get("mean_dice") is not None:
            self.curve.add_dice(float(event.get("step", 0)), float(event["mean_dice"]))
        elif kind == "left_out":
            self._left_out.append(str(event.get("message", "")))
        elif kind == "done":
            self._offer(event)

    def _offer(self, event: dict[str, Any]) -> None:
        project = self.controller.retraining.project
        if self._project_folder() != project:
            self.controller.show_message(f"A new student is ready in {project}: open that project to use it.")
            return
        self._offered = str(event.get("student", ""))
        self.offer.setText(offer_text(event))
        verdict = verdict_of_event(event)
        for widget in (self.offer, self.keep_button):
            widget.setVisible(True)
        # What the gate does not offer can be used from the students page only, after a second question.
        self.use_button.setVisible(verdict is None or verdict.passed)

    @while_open_or(None)
    def _project_folder(self, session: Session) -> Path | None:
        return session.project.folder

    def _use_offered(self) -> None:
        self._choose_offered()
        self._hide_offer()

    @while_open
    def _choose_offered(self, session: Session) -> None:
        if self._offered:
            with self.controller.showing_errors():
                session.choose_student(self._offered)
                self.controller.show_message("The new student is used for proposals from now on.")

    def _hide_offer(self) -> None:
        self._offered = ""
        for widget in (self.offer, self.use_button, self.keep_button):
            widget.setVisible(False)

    def _on_ended(self, message: str) -> None:
        self._set_running(False)
        self._list_students()
        if message:
            self.controller.show_message(message, problem="cancelled" not in message)
        elif self._left_out:
            message = f"{listed(self._left_out, _NAMED)}. Frames are counted from 0 here."
            self.controller.show_message(message, problem=True)

    def _set_running(self, running: bool) -> None:
        for widget in (self.bar, self.cancel_button):
            widget.setVisible(running)
        self.retrain_button.setEnabled(not running)


def offer_text(event: dict[str, Any]) -> str:
    """Return the message that offers a new student, from the trainer's last event."""
    new, old = (_dice(event.get(key)) for key in ("scores", "previous_scores"))
    verdict = verdict_of_event(event)
    if verdict is not None:
        figures = "" if new == UNKNOWN else f"Dice on held-out patients: <b>{new}</b> (present student: {old}). "
        return f"A new student is ready. {figures}{sentences(verdict)}{'' if verdict.passed else KEPT}"
    if new == UNKNOWN:
        return (
            "A new student is ready. It could not be evaluated: all accepted frames are of patients it was trained on. "
            "Accept frames of more patients to see scores."
        )
    return f"A new student is ready. Dice on held-out patients: <b>{new}</b> (present student: {old})."


def _dice(scores: Any) -> str:
    value = scores.get("mean_dice") if isinstance(scores, dict) else None
    return UNKNOWN if value is None else f"{float(value):.3f}"


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
