# SPDX-License-Identifier: Apache-2.0
"""Background work on students of a project: compare two, show canaries, propose anew, count corrections."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtCore import Signal

from napari_vfss.jobs.files import FileJob
from napari_vfss.jobs.worker import spare_threads
from vfss.comparison.comparing import (
    AGREEMENT,
    PHANTOM_SEEDS,
    StudentComparison,
    compare,
    frame_time,
    keep_comparison,
    measure,
    measure_on_phantoms,
    needs_phantoms,
)
from vfss.errors import ClipError, StudentError
from vfss.evaluation.gate import Evidence
from vfss.project import Project
from vfss.proposals.renewal import outdated, renew_clip
from vfss.proposals.side_by_side import side_by_side, spread
from vfss.proposals.student import proposed_keys
from vfss.student import Student, load_checkpoint, load_student


class StudentJob(FileJob):
    """Work with students, whose runtime errors reach the person as messages."""

    def _work(self, do: Callable[[Any], tuple[str, object]], order: Any) -> None:
        self._begin(self._plainly, do, order)

    @staticmethod
    def _plainly(do: Callable[[Any], tuple[str, object]], order: Any) -> tuple[str, object]:
        try:
            return do(order)
        except RuntimeError as error:  # superqt takes it for the end of the program
            raise StudentError(
                f"the student failed ({error})", remedy="Nothing is lost. Close other programs and try again."
            ) from error


@dataclass(frozen=True)
class ComparisonOrder:
    """A student of a project to compare with the one in use; `extend`: with frames annotated since, too."""

    project: Path
    student: str
    extend: bool = False


class Comparing(StudentJob):
    """Compares a student with the one in use, and keeps in the project what the gate says."""

    def start(self, order: ComparisonOrder) -> None:
        """Start a comparison; ignored while another one runs."""
        self._work(self._compare, order)

    def _compare(self, order: ComparisonOrder) -> tuple[str, StudentComparison | None]:
        with Project.open(order.project) as project:
            files = (project.student_path(), project.student_path(order.student))
            checkpoints = [load_checkpoint(path) for path in files]
            students = [load_student(path, "cpu", threads=spare_threads()) for path in files]
            frozen = project.hold_out.freeze(project.splits(), extend=order.extend)
            extra = len(PHANTOM_SEEDS) if needs_phantoms(frozen) else 0
            total = max(1, 2 * frozen.count + extra)
            held = [
                measure(project, student, frozen, partial(self._on_part, i * frozen.count, total))
                for i, student in enumerate(students)
            ]
            drawn = None
            if extra and not self._cancelled:
                at = partial(self._on_part, 2 * frozen.count, total)
                first, second = measure_on_phantoms(students, seeds=PHANTOM_SEEDS, progress=at)
                drawn = (first, second)
            if self._cancelled:
                return "Cancelled; nothing was kept of the comparison.", None
            latency = None
            if checkpoints[0].config != checkpoints[1].config:
                latency = _timed(students, checkpoints[1].config.input_size)
            ids, keys = (students[0].id, students[1].id), (students[0].keys, students[1].keys)
            agreement = project.shelf.get(order.student).scores.get(AGREEMENT)
            evidence = Evidence(None, latency=latency, agreement=agreement if isinstance(agreement, float) else None)
            comparison = compare(project.schema, ids, keys, evidence, hold_out=(held[0], held[1]), phantoms=drawn)
            keep_comparison(project, comparison)
        return "", comparison

    def _on_part(self, before: int, total: int, done: int, _of: int) -> bool:
        return self._on_progress(before + done, total)


def _timed(students: list[Student], input_size: int) -> tuple[float, float]:
    old, new = frame_time(students, np.zeros((2 * input_size, 2 * input_size), np.uint8))
    return old, new


@dataclass(frozen=True)
class CanaryOrder:
    """Clips of a project that the student in use and another one propose side by side."""

    project: Path
    student: str | None
    clips: tuple[str, ...]


class ShowingCanaries(StudentJob):
    """Proposes by two students on a few frames of each canary; nothing is written."""

    shown = Signal(str, object)  # id of the clip, SidePair

    def start(self, order: CanaryOrder) -> None:
        """Start; ignored while it runs."""
        self._work(self._show, order)

    def _show(self, order: CanaryOrder) -> tuple[str, int]:
        n, failed = 0, []
        with Project.open(order.project) as project:
            path = project.student_path(order.student) if order.student else "default"
            old = load_student(project.student_path(), "cpu", threads=spare_threads())
            new = load_student(path, "cpu", threads=spare_threads())
            records = {record.id: record for record in project.clips()}
            total = sum(len(spread(records[clip].n_frames)) for clip in order.clips)
            for clip in order.clips:
                try:
                    for pair in side_by_side(project, clip, old, new):
                        n += 1
                        self.shown.emit(clip, pair)
                        if not self._on_progress(n, total):
                            return "Cancelled; the frames done so far are shown.", n
                except ClipError as error:  # the other clips may be readable
                    failed.append(f"{records[clip].path.name} is left out: {error}")
        return " ".join(failed), n


@dataclass(frozen=True)
class RenewalOrder:
    """Clips of a project on which outdated proposals are made anew; all of them if none is named."""

    project: Path
    clips: tuple[str, ...] = ()


class Renewing(StudentJob):
    """Proposes anew by the student in use what nobody accepted."""

    renewed = Signal(str, object, object)  # id of the clip, frames, list of RenewedMask

    def start(self, order: RenewalOrder) -> None:
        """Start; ignored while it runs."""
        self._work(self._renew, order)

    def _renew(self, order: RenewalOrder) -> tuple[str, int]:
        done, failed = 0, []
        with Project.open(order.project) as project:
            student = load_student(project.student_path(), "cpu", threads=spare_threads())
            records = [one for one in project.clips() if not order.clips or one.id in order.clips]
            keys = proposed_keys(project, student)
            total = sum(len(outdated(project, record.id, student.id, keys)) for record in records)
            for record in records:
                try:
                    for frames, masks in renew_clip(project, record, student):
                        done += len(frames)
                        self.renewed.emit(record.id, frames, masks)
                        if not self._on_progress(done, total):
                            return "Cancelled; what was proposed anew stays.", done
                except ClipError as error:  # the other clips may be readable
                    failed.append(f"{record.path.name} is left out: {error}")
        return " ".join(failed), done
