# SPDX-License-Identifier: Apache-2.0
"""Dialog before training: quick or with teachers, and how long each takes on this computer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QDialog,
    QDialogButtonBox,
    QLabel,
    QProgressBar,
    QRadioButton,
    QVBoxLayout,
    QWidget,
)

from napari_vfss.connections import Connections
from napari_vfss.jobs.training import Planning
from napari_vfss.ui.dialogs.case_notice import CaseNotice
from vfss.wording import count

QUICK, DISTIL = "quick", "distil"
_CHOICES = {
    QUICK: ("Quick", "Trains the student on the masks that you and your colleagues accepted."),
    DISTIL: (
        "With teachers (distillation)",
        "Also uses frames without annotation: large networks on this computer learn from the accepted masks, and "
        "teach the student on the other frames.",
    ),
}
_NO_TEACHER = (
    "There is no teacher network on this computer. Someone who may install software can download them with<br>"
    "<code>vfss-train download mobile-sam lite-medsam</code>"
)


_NOTHING = (
    "There are no frames to train on yet: accept some frames of a patient in the training split first. Some patients "
    "are set aside for evaluation (see Patients...); if all of yours are, accept frames of more patients."
)
_NONE_HELD_OUT = "none of other patients to evaluate on: it will have no score (see Patients...)."


class RetrainChoice(QDialog):
    """Lets a person choose how to train the next student.

    Attributes:
        planning: Background job that estimates how long each choice would take.
    """

    def __init__(self, project: Path, parent: QWidget | None = None, *, command: list[str] | None = None) -> None:
        """Open the dialog on a project; the estimate begins at once.

        Args:
            project: Folder of the project.
            parent: Window that the dialog belongs to.
            command: Command line of another program that makes the estimate.
        """
        super().__init__(parent)
        self.setWindowTitle("Train the next student")
        self.setMinimumWidth(480)
        self._plans: dict[str, dict[str, Any]] = {}
        self._connections = Connections()
        self.planning = Planning(self)
        body = QVBoxLayout(self)
        body.setSpacing(6)
        self.cases = CaseNotice(project)
        body.addWidget(self.cases)
        self._add_choices(body)
        self._add_estimate(body)
        self._add_buttons(body)
        self.recipes[QUICK].setChecked(True)
        self._connections.add(self.planning.event_received, self._on_event)
        self._connections.add(self.planning.ended, self._on_ended)
        self._connections.add(self.cases.confirmed, self._plan_again)
        self.finished.connect(self._close)
        self._project, self._command = project, command
        self.planning.start(project, command=command)
        self._refresh()

    @property
    def arguments(self) -> tuple[str, ...]:
        """Options of `vfss-train fit` for the present choice."""
        if self.recipes[QUICK].isChecked():
            return ("--recipe", QUICK)
        return ("--recipe", DISTIL, "--taught-by", ",".join(self._chosen()))

    def seconds(self, recipe: str) -> float | None:
        """Return the estimate for a choice with the chosen teachers, s; None while it is unknown."""
        plan = self._plans.get(recipe)
        if plan is None:
            return None
        added = {one["name"]: float(one["seconds"]) for one in plan["teachers"]}
        return float(plan["seconds"]) + sum(added[name] for name in self._chosen() if recipe == DISTIL)

    def _add_choices(self, body: QVBoxLayout) -> None:
        self.frames = QLabel("Training runs in the background; you can keep working.")
        self.frames.setWordWrap(True)
        body.addWidget(self.frames)
        self.not_learnt = QLabel()
        self.not_learnt.setWordWrap(True)
        self.not_learnt.setVisible(False)
        body.addWidget(self.not_learnt)
        self.recipes: dict[str, QRadioButton] = {}
        for name, (title, explanation) in _CHOICES.items():
            self.recipes[name] = QRadioButton(title)
            self.recipes[name].toggled.connect(self._refresh)
            body.addWidget(self.recipes[name])
            body.addWidget(_indented(explanation))
        self.teachers: dict[str, QCheckBox] = {}
        self._teachers_body = QVBoxLayout()
        self._teachers_body.setContentsMargins(24, 0, 0, 0)
        body.addLayout(self._teachers_body)

    def _add_estimate(self, body: QVBoxLayout) -> None:
        self.bar = QProgressBar()
        self.bar.setRange(0, 0)
        self.bar.setFixedHeight(16)
        self.note = QLabel("Measuring the speed of this computer: takes a minute the first time.")
        self.note.setWordWrap(True)
        body.addWidget(self.bar)
        body.addWidget(self.note)

    def _add_buttons(self, body: QVBoxLayout) -> None:
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.start_button = self.buttons.addButton("Start training", QDialogButtonBox.ButtonRole.AcceptRole)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        body.addWidget(self.buttons)

    def _chosen(self) -> list[str]:
        return [name for name, box in self.teachers.items() if box.isChecked()]

    def _on_event(self, event: dict[str, Any]) -> None:
        if event["event"] != "plan":
            return
        self._plans[str(event["recipe"])] = event
        if event["recipe"] == DISTIL:
            self._list_teachers(event)
        if not event["frames"]:
            self.frames.setText(_NOTHING)
            self._refresh()
            return
        warning = str(event.get("not_learnt", ""))
        self.not_learnt.setText(f"⚠ {warning}")
        self.not_learnt.setVisible(bool(warning))
        held_out = int(event["held_out"])
        evaluated = f"{held_out} of other patients to evaluate on." if held_out else _NONE_HELD_OUT
        self.frames.setText(
            f"{count(int(event['frames']), 'accepted frame')} to train on, {evaluated} "
            "Training runs in the background; you can keep working."
        )
        self._refresh()

    def _list_teachers(self, plan: dict[str, Any]) -> None:
        for teacher in plan["teachers"]:
            seconds, megabytes = teacher["seconds"], teacher["bytes"] / 1e6
            box = QCheckBox(f"{teacher['name']}   +{duration(seconds)}, {megabytes:.0f} MB on disk")
            box.setToolTip(f"Licence of its weights: {teacher['licence']}")
            # Large ones take hours without a GPU: only a person chooses them.
            box.setChecked(float(seconds) <= max(3600.0, min(t["seconds"] for t in plan["teachers"])))
            box.toggled.connect(self._refresh)
            self.teachers[str(teacher["name"])] = box
            self._teachers_body.addWidget(box)
        if not plan["teachers"]:
            missing = _indented(_NO_TEACHER)
            missing.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            self._teachers_body.addWidget(missing)

    def _on_ended(self, problem: str) -> None:
        self.bar.hide()
        self.note.setText(problem)
        self.note.setVisible(bool(problem))
        self._refresh()

    def _refresh(self, *_: object) -> None:
        """Show the estimates, and enable what can be started."""
        for recipe, (title, _explanation) in _CHOICES.items():
            seconds = self.seconds(recipe)
            self.recipes[recipe].setText(title if seconds is None else f"{title}   about {duration(seconds)}")
        distils = bool(self._chosen())
        self.recipes[DISTIL].setEnabled(bool(self.teachers))
        # An estimate that failed is shown, but does not prevent quick training.
        known = not self.planning.running or all(recipe in self._plans for recipe in _CHOICES)
        known = known and all(plan["frames"] for plan in self._plans.values())
        self.start_button.setEnabled(known and (self.recipes[QUICK].isChecked() or distils))
        self._fit_height()

    def _plan_again(self) -> None:
        """Count the frames again: confirmed clips may now be held out."""
        self.planning.ended.disconnect(self._on_ended)  # the estimate under way is of no interest any more
        self.planning.abandon()
        self.planning.ended.connect(self._on_ended)
        self._plans.clear()
        for box in self.teachers.values():
            box.deleteLater()
        self.teachers.clear()
        self.bar.show()
        self.planning.start(self._project, command=self._command)
        self._refresh()

    def _fit_height(self) -> None:
        """Make room for texts that have come: a dialog does not grow with the labels that wrap in it."""
        layout = self.layout()
        if layout is not None and layout.hasHeightForWidth():
            self.resize(self.width(), max(self.height(), layout.totalHeightForWidth(self.width())))

    def _close(self, *_: object) -> None:
        self.cases.close_dialog()
        self._connections.undo()
        self.planning.abandon()


def duration(seconds: float) -> str:
    """Format a duration: 40 s, 12 min, 3 h 20 min."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def _indented(text: str) -> QLabel:
    label = QLabel(text)
    label.setWordWrap(True)
    label.setContentsMargins(24, 0, 0, 0)
    return label
