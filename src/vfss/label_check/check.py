# SPDX-License-Identifier: Apache-2.0
"""The check of a project: scores of all reasons combined into one order, worst first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from vfss.label_check.disagreement import disagreement, distances
from vfss.label_check.jumps import jumps
from vfss.label_check.levels import levels
from vfss.label_check.measures import ClipMeasures, FloatArray, measure
from vfss.label_check.overlaps import overlaps, pieces
from vfss.label_check.shapes import shape_in_clip, shape_in_project

if TYPE_CHECKING:
    from vfss.project import Project
    from vfss.schema import Schema
    from vfss.student import Student

Reason = Literal["student", "shape", "patients", "jump", "level", "overlap", "pieces"]
REASONS: dict[Reason, str] = {
    "student": "the student draws it elsewhere",
    "shape": "its size, shape or place is unusual in this clip",
    "patients": "its size or shape is unusual beside the other clips",
    "jump": "it does not fit the frames before and after",
    "level": "the order or distance of the levels is unusual",
    "overlap": "it lies in another structure",
    "pieces": "it has several pieces",
}
"""Reasons in words."""
WEIGHTS: dict[Reason, float] = {"jump": 2.0, "student": 2.0}
"""What each reason counts in the order beside one; those that compare a mask with its own film count for more."""


@dataclass(frozen=True)
class Finding:
    """An accepted mask and what speaks against it.

    Attributes:
        clip: Content id of the clip.
        frame: Zero-based frame index.
        structure: Key of the structure.
        score: What all reasons together say, from 0; only the order means something.
        reasons: Reasons whose limit it exceeds, the strongest first.
    """

    clip: str
    frame: int
    structure: str
    score: float
    reasons: tuple[Reason, ...]

    @property
    def words(self) -> str:
        """The reasons as a sentence for people."""
        text = "; ".join(REASONS[reason] for reason in self.reasons)
        return f"{text[:1].upper()}{text[1:]}." if text else ""


@dataclass(frozen=True)
class Stage:
    """Progress of a check: steps done and in all, and once it is done, the findings, worst first."""

    done: int
    total: int
    findings: tuple[Finding, ...] | None = None


def check_labels(project: Project, student: Student | None = None) -> Iterator[Stage]:
    """Check all accepted masks of a project; the last stage has the findings.

    Args:
        project: The project.
        student: Its proposals are compared with the masks; None: masks are compared among each other only. A student
            that learnt from these very masks agrees with their mistakes, too.

    Raises:
        VfssError: A recording cannot be opened, or the project cannot be read.
    """
    records = project.clips()
    frames = sum(record.n_frames for record in records) if student is not None else 0
    total, done = len(records) + frames, 0
    all_measures: list[ClipMeasures] = []
    for record in records:
        all_measures.append(measure(project, record.id))
        done += 1
        yield Stage(done, total)
    apart: list[FloatArray] | None = None
    if student is not None:
        apart = []
        for record, measures in zip(records, all_measures, strict=True):
            here: FloatArray = np.full(measures.accepted.shape, np.nan, np.float32)
            with project.open_clip(record.id) as clip:
                for frame, row in distances(project, clip, student):
                    here[frame] = row
                    yield Stage(done + frame + 1, total)
            done += record.n_frames
            apart.append(here)
    yield Stage(total, total, combine(all_measures, project.schema, apart))


def combine(
    all_measures: Sequence[ClipMeasures], schema: Schema, apart: list[FloatArray] | None = None
) -> tuple[Finding, ...]:
    """Return all accepted masks of some clips in the order in which to look at them, worst first.

    Args:
        all_measures: Measures of each clip.
        schema: The structures.
        apart: 1 - Dice to a student's proposals for each clip, float32 (T, S), NaN where not known; None without one.
    """
    if not all_measures:
        return ()
    among, others = shape_in_project(all_measures), None if apart is None else disagreement(apart)
    findings: list[Finding] = []
    for i, measures in enumerate(all_measures):
        scores: dict[Reason, FloatArray] = {
            "shape": shape_in_clip(measures),
            "patients": among[i],
            "jump": jumps(measures),
            "level": levels(measures, schema),
            "overlap": overlaps(measures),
            "pieces": pieces(measures),
        }
        if others is not None:
            scores["student"] = others[i]
        findings += _of_clip(measures, schema, scores)
    return tuple(sorted(findings, key=lambda finding: -finding.score))


def _of_clip(measures: ClipMeasures, schema: Schema, scores: Mapping[Reason, FloatArray]) -> Iterator[Finding]:
    # Each reason is bounded, so that several moderate ones outweigh a single one, however extreme.
    total = np.sum([WEIGHTS.get(r, 1.0) * score**2 / (1.0 + score**2) for r, score in scores.items()], axis=0)
    for frame, plane in np.argwhere(measures.accepted):
        here = {reason: float(score[frame, plane]) for reason, score in scores.items()}
        strong = sorted((r for r, score in here.items() if score >= 1.0), key=lambda r: -here[r])
        key = schema.structures[plane].key
        yield Finding(measures.clip, int(frame), key, float(total[frame, plane]), tuple(strong))
