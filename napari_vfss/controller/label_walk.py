# SPDX-License-Identifier: Apache-2.0
"""The list of masks that look wrong, and the walk through it. No widgets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal

from napari_vfss import preferences
from napari_vfss.jobs.label_checking import CheckOrder, LabelChecking
from napari_vfss.session.host import Host, while_open
from napari_vfss.session.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from vfss.label_check.check import Finding


class LabelWalk(QObject):
    """Checks the open clip's project, and goes to one finding after another.

    Attributes:
        checking: The job.
        findings: Masks with a reason to look at them again, worst first; those found right are left out.
        at: Number of the finding that was gone to last; -1 before the first.
        compared_with: Which student the masks were compared with, as a sentence.
    """

    changed = Signal()

    def __init__(self, host: Host, open_clip: Callable[[str], bool], parent: QObject) -> None:
        super().__init__(parent)
        self._host, self._open_clip = host, open_clip
        self.checking = LabelChecking(self)
        self.findings: list[Finding] = []
        self.at = -1
        self.compared_with = ""
        self._folder: Path | None = None
        self._coming: Path | None = None
        self.checking.found.connect(self._on_found)

    @property
    def session(self) -> Session | None:
        """The open session."""
        return self._host.session

    @while_open
    def check(self, session: Session, *, with_student: bool) -> None:
        """Check all clips of the project; says which student the masks are compared with."""
        with self._host.showing_errors():
            chosen = session.project.current_student() if with_student else None
            self.compared_with = "Compared among each other only."
            if with_student and chosen is None:
                self.compared_with = "Compared with the student that ships, which did not learn from these masks."
            elif chosen is not None:
                self.compared_with = (
                    "Compared with the project's own student, which may have learnt from these masks: "
                    "then it repeats their mistakes."
                )
            self._coming = session.project.folder
            source = session.student_source() if with_student else None
            self.checking.start(CheckOrder(session.project.folder, source, preferences.device()))

    @while_open
    def step(self, session: Session, direction: int) -> None:
        """Go to the next (1) or previous (-1) finding: its clip and frame, with its structure active."""
        if not self._is_of(session):
            self._host.show_message("Check the labels of this project first (Label check).")
        elif 0 <= self.at + direction < len(self.findings):
            self.go_to(self.at + direction)
        else:
            self._host.show_message("There is no further finding in this direction.")

    @while_open
    def go_to(self, session: Session, number: int) -> None:
        """Go to a finding by its number in the list."""
        if not self._is_of(session):
            return
        finding = self.findings[number]
        if finding.clip != session.clip.id and not self._open_clip(finding.clip):
            return
        self.at = number
        self._show(finding, f"{number + 1} of {len(self.findings)}")
        self.changed.emit()

    @while_open
    def dismiss(self, session: Session) -> None:
        """Keep that the mask gone to last is right, with author and time, and go to the next one."""
        if not (self._is_of(session) and 0 <= self.at < len(self.findings)):
            self._host.show_message("Go to a finding first.")
            return
        with self._host.showing_errors():
            finding = self.findings[self.at]
            session.project.label_dismissals.dismiss((finding.clip, finding.frame, finding.structure), session.author)
            del self.findings[self.at]
            self.at -= 1
            self.changed.emit()
            if self.at + 1 < len(self.findings):
                self.go_to(self.at + 1)
            else:
                self._host.show_message("That was the last finding.")

    @while_open
    def _show(self, session: Session, finding: Finding, number: str) -> None:
        session.go_to(finding.frame)
        session.choose(finding.structure)
        self._host.show_message(f"{number}: {session.active.name} on frame {finding.frame + 1}. {finding.words}")

    def _is_of(self, session: Session) -> bool:
        return self._folder == session.project.folder

    @while_open
    def _on_found(self, session: Session, findings: tuple[Finding, ...]) -> None:
        if session.project.folder != self._coming:
            return  # another project was opened meanwhile
        right = session.project.label_dismissals.places()
        self._folder, self.at = self._coming, -1
        self.findings = [f for f in findings if f.reasons and (f.clip, f.frame, f.structure) not in right]
        self.changed.emit()
