# SPDX-License-Identifier: Apache-2.0
"""The question before retraining: quick or with teachers, and how long each would take on this computer."""

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

QUICK, DISTIL = "quick", "distil"
_SAID = {
    QUICK: ("Quick", "Learns what you and your colleagues accepted, and repeats what it knew."),
    DISTIL: (
        "Distil",
        "Also looks at frames nobody has corrected yet: large networks on this computer learn your corrections, "
        "and teach the student there.",
    ),
}
_NO_TEACHER = (
    "No teacher network was found on this computer. A person who may install software gets them with<br>"
    "<code>vfss-train download mobile-sam lite-medsam</code>"
)


_NOTHING = (
    "There is nothing to learn from yet: accept some frames of a patient to learn from first. "
    "Patients are set aside for comparing by themselves; accept frames of more patients where all of yours are."
)


class RetrainChoice(QDialog):
    """Lets a person choose how to retrain.

    Attributes:
        planning: Works out how long each way would take.
    """

    def __init__(self, project: Path, parent: QWidget | None = None, *, command: list[str] | None = None) -> None:
        """Ask about one project; estimating begins at once.

        Args:
            project: Folder of the project.
            parent: Window that it belongs to.
            command: Another program to estimate with, as a list of words.
        """
        super().__init__(parent)
        self.setWindowTitle("Train the next student")
        self.setMinimumWidth(480)
        self._plans: dict[str, dict[str, Any]] = {}
        self._connections = Connections()
        self.planning = Planning(self)
        body = QVBoxLayout(self)
        body.setSpacing(6)
        self.frames = QLabel("Training goes on beside this window; you can keep working.")
        self.frames.setWordWrap(True)
        body.addWidget(self.frames)
        self.ways: dict[str, QRadioButton] = {}
        self._said: dict[str, QLabel] = {}
        for name, (title, words) in _SAID.items():
            self.ways[name] = QRadioButton(title)
            self.ways[name].toggled.connect(self._refresh)
            self._said[name] = _indented(words)
            body.addWidget(self.ways[name])
            body.addWidget(self._said[name])
        self.teachers: dict[str, QCheckBox] = {}
        self._teachers_body = QVBoxLayout()
        self._teachers_body.setContentsMargins(24, 0, 0, 0)
        body.addLayout(self._teachers_body)
        self.bar = QProgressBar()
        self.bar.setRange(0, 0)
        self.bar.setFixedHeight(16)
        self.note = QLabel("Measuring how fast this computer is: a minute the first time, then at once.")
        self.note.setWordWrap(True)
        body.addWidget(self.bar)
        body.addWidget(self.note)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.start_button = self.buttons.addButton("Start training", QDialogButtonBox.ButtonRole.AcceptRole)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        body.addWidget(self.buttons)
        self.ways[QUICK].setChecked(True)
        self._connections.add(self.planning.event_received, self._on_told)
        self._connections.add(self.planning.ended, self._on_ended)
        self.finished.connect(self._close)
        self.planning.start(project, command=command)
        self._refresh()

    @property
    def arguments(self) -> tuple[str, ...]:
        """Options of `vfss-train fit` for what was chosen."""
        if self.ways[QUICK].isChecked():
            return ("--recipe", QUICK)
        return ("--recipe", DISTIL, "--taught-by", ",".join(self._chosen()))

    def seconds(self, way: str) -> float | None:
        """Estimate for a way with the teachers chosen, s; None while it is not known."""
        plan = self._plans.get(way)
        if plan is None:
            return None
        added = {one["name"]: float(one["seconds"]) for one in plan["teachers"]}
        return float(plan["seconds"]) + sum(added[name] for name in self._chosen() if way == DISTIL)

    def _chosen(self) -> list[str]:
        return [name for name, box in self.teachers.items() if box.isChecked()]

    def _on_told(self, event: dict[str, Any]) -> None:
        if event["event"] != "plan":
            return
        self._plans[str(event["recipe"])] = event
        if event["recipe"] == DISTIL:
            self._list_teachers(event)
        if not event["frames"]:
            self.frames.setText(_NOTHING)
            self._refresh()
            return
        held_out = int(event["held_out"])
        compared = f"{held_out} of other patients to compare old and new." if held_out else "none to compare on."
        self.frames.setText(
            f"{int(event['frames'])} accepted frames to learn from, {compared} "
            "Training goes on beside this window; you can keep working."
        )
        self._refresh()

    def _list_teachers(self, plan: dict[str, Any]) -> None:
        for one in plan["teachers"]:
            box = QCheckBox(f"{one['name']}   +{duration(one['seconds'])}, {one['bytes'] / 1e6:.0f} MB on disk")
            box.setToolTip(f"Licence of its weights: {one['licence']}")
            # The large ones take hours where there is no GPU: a person asks for them.
            box.setChecked(float(one["seconds"]) <= max(3600.0, min(t["seconds"] for t in plan["teachers"])))
            box.toggled.connect(self._refresh)
            self.teachers[str(one["name"])] = box
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
        """Say what is known, and let a person start what can be started."""
        for way, (title, _words) in _SAID.items():
            seconds = self.seconds(way)
            self.ways[way].setText(title if seconds is None else f"{title}   about {duration(seconds)}")
        distils = bool(self._chosen())
        self.ways[DISTIL].setEnabled(bool(self.teachers))
        # An estimate that failed is said, and keeps nobody from the quick way.
        known = not self.planning.running or all(way in self._plans for way in _SAID)
        known = known and all(plan["frames"] for plan in self._plans.values())
        self.start_button.setEnabled(known and (self.ways[QUICK].isChecked() or distils))

    def _close(self, *_: object) -> None:
        self._connections.undo()
        self.planning.abandon()


def duration(seconds: float) -> str:
    """A time in words: 40 s, 12 min, 3 h 20 min."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def _indented(words: str) -> QLabel:
    label = QLabel(words)
    label.setWordWrap(True)
    label.setContentsMargins(24, 0, 0, 0)
    return label
