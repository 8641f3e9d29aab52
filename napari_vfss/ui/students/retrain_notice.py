# SPDX-License-Identifier: Apache-2.0
"""A calm notice that enough was corrected to train the student again; nothing starts by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QFrame, QHBoxLayout, QLabel, QVBoxLayout

from napari_vfss.connections import Connections
from napari_vfss.controller.controller import AnnotationController
from napari_vfss.jobs.counting_corrections import CountingCorrections
from napari_vfss.session.host import while_open, while_open_or
from napari_vfss.session.session import Session
from napari_vfss.ui.section import tipped_button
from vfss.project.corrected import Corrected, EnoughCorrected
from vfss.wording import count

EVERY_MS = 180_000
FIRST_MS = 4_000
LATER = "retrain/later"
"""Key under which a project keeps, for each person, how much was corrected when that person said "Later"."""


class RetrainNotice(QFrame):
    """Shown when enough was corrected since the last training; "Later" hides it until as much again was corrected.

    Attributes:
        enough: How much is enough.
    """

    def __init__(self, controller: AnnotationController) -> None:
        super().__init__()
        self._controller = controller
        self.enough = EnoughCorrected()
        self._connections = Connections()
        self._corrected = Corrected()
        self._asked: Path | None = None
        self.counting = CountingCorrections(controller)
        self.setObjectName("vfss_retrain_notice")
        self.setStyleSheet("#vfss_retrain_notice { border-left: 4px solid #4f86c6; border-radius: 3px; }")
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.retrain = tipped_button(
            "Retrain...",
            "Ask how to train a new student; nothing starts before you say so",
            self._retrain,
            key="Ctrl+Alt+R",
        )
        tip = "Hide this until as much again was corrected"
        self.later = tipped_button("Later", tip, self._later, key="Ctrl+Alt+Shift+L")
        row = QHBoxLayout()
        row.addWidget(self.retrain)
        row.addWidget(self.later)
        column = QVBoxLayout(self)
        column.setContentsMargins(6, 4, 4, 4)
        column.addWidget(self.text)
        column.addLayout(row)
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.check)
        add = self._connections.add
        add(controller.session_changed, self._on_session)
        add(controller.retraining.started, self.hide)
        add(controller.retraining.ended, self.check)
        add(self.counting.ended, self._on_counted)
        self.hide()
        self._on_session()

    @property
    def session(self) -> Session | None:
        """The open session."""
        return self._controller.session

    def close_connections(self) -> None:
        """Stop counting and disconnect."""
        self._timer.stop()
        self._connections.undo()

    @while_open
    def check(self, session: Session, *_: object) -> None:
        """Count in the background what was corrected since the last training."""
        self._timer.start(EVERY_MS)
        if not session.project.read_only and session.reading is None and not self.counting.running:
            self._asked = session.project.folder
            self.counting.start(session.project.folder)

    def _on_session(self) -> None:
        self.hide()
        self._timer.stop()
        if self.session is not None:
            self._timer.start(FIRST_MS)

    def _on_counted(self, _message: str, result: object) -> None:
        if isinstance(result, Corrected) and self._folder() == self._asked:
            self._corrected = result
            self._show()

    @while_open_or(None)
    def _folder(self, session: Session) -> Path | None:
        return session.project.folder

    @while_open
    def _show(self, session: Session) -> None:
        with self._controller.showing_errors():
            before = _read(session.project.recall(session.author, LATER))
            found = self._corrected
            since = Corrected(found.frames - before.frames, found.clips - before.clips)
            if found.frames < before.frames:  # a training came between: what was put off then counts no more
                since = found
            due = self.enough(since) and not self._controller.retraining.running
            parts = [count(found.frames, "frame was corrected", "frames were corrected")] if found.frames else []
            parts += [count(found.clips, "clip is finished", "clips are finished")] if found.clips else []
            self.text.setText(f"Since the last training {' and '.join(parts)}: the student can learn from them.")
            self.setVisible(due)

    def _retrain(self) -> None:
        self.hide()
        self._controller.action_requested.emit("retrain")

    def _later(self) -> None:
        self.hide()
        self._put_off()

    @while_open
    def _put_off(self, session: Session) -> None:
        with self._controller.showing_errors():
            kept = {"frames": self._corrected.frames, "clips": self._corrected.clips}
            session.project.remember(session.author, LATER, kept)


def _read(value: Any) -> Corrected:
    """Read what was kept at "Later"; a database can hold anything."""
    if not isinstance(value, dict):
        return Corrected()
    frames, clips = (n if isinstance(n := value.get(name), int) else 0 for name in ("frames", "clips"))
    return Corrected(frames, clips)
