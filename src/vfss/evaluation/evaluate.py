# SPDX-License-Identifier: Apache-2.0
"""Evaluate a student on a project: its proposals against what people accepted."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vfss.clips.readable import ReadableFrames
from vfss.errors import ClipError, MaskError
from vfss.masks import BoolArray, MaskState
from vfss.masks.metrics import dice, hd95
from vfss.project import ClipRecord, Project, Revision
from vfss.schema import Schema
from vfss.student import Proposal, Student, shared_keys
from vfss.student.readable import propose_readable
from vfss.wording import count


def evaluate(
    project: Project,
    student: Student,
    *,
    splits: Collection[str] | None = None,
    frames: Mapping[str, Collection[int]] | None = None,
    observe: Callable[[PlaneScore], None] | None = None,
    progress: Callable[[int, int], bool] | None = None,
) -> dict[str, Any]:
    """Propose masks on every annotated frame and compare them with the truth there.

    A plane counts if a person confirmed it: state ACCEPTED or EMPTY. Dice and HD95 are those of vfss.masks.metrics, by
    its rules for masks without pixels, in heights of a pixel. Per structure, over those frames:

    - "dice" and "planes": mean Dice, and the number of frames it is over: those where truth or proposal has pixels;
    - "hd95" and "distances": mean HD95, and the number of frames it is over: those where both have pixels;
    - "missed", "false" and "both_empty": frames where only the truth, only the proposal, and neither has pixels.

    Means without any frame are None; `mean_dice` is the mean over structures that have a figure. All means are over
    frames, so that patients with many frames count more; "patients" has the same mean for each patient alone.
    Structures that the student's schema lacks are listed under "not_known_to_student".

    Args:
        project: Project with clips and truth.
        student: Student to evaluate.
        splits: Only patients of these splits; all by default.
        frames: Only these zero-based frames, by id of the clip; all by default.
        observe: Called with the scores of each plane.
        progress: Called with frames done and in all; False stops early, with the figures of the frames done.

    Returns:
        {"student", "frames", "mean_dice", "structures": {key: {"dice", "planes", "hd95", "distances", "missed",
        "false", "both_empty"}}, "patients": {pseudonym: {"frames", "mean_dice"}}, "not_known_to_student", "left_out"},
        plain data for JSON. Left out, and named by a message each, are recordings, frames and masks that cannot be
        read.

    Raises:
        SchemaError: Student and project have no structure in common.
        ProjectError: The project cannot be read.
    """
    keys = list(shared_keys(student.keys, project.schema.keys))
    annotated = _only(list(_annotated_frames(project, splits, keys)), frames)
    total = sum(len(indices) for _, indices in annotated)
    patients = {record.patient: _Patient(keys) for record, _ in annotated}
    left_out: list[str] = []
    done = 0
    for record, indices in annotated:
        tallies = patients[record.patient].tallies
        for t, proposal, aspect in _proposals(project, student, record, indices, left_out):
            newest = project.newest(record.id, t)
            left_out += _tally_frame(record, t, newest, proposal, tallies, pixel_aspect=aspect, observe=observe)
            patients[record.patient].frames += 1
            done += 1
            if progress is not None and progress(done, total) is False:
                return _result(student, keys, patients, project.schema, left_out)
    return _result(student, keys, patients, project.schema, left_out)


def _proposals(
    project: Project, student: Student, record: ClipRecord, frames: list[int], left_out: list[str]
) -> Iterator[tuple[int, Proposal, float]]:
    """Yield the student's proposals on readable frames with the clip's pixel aspect; add messages on other frames."""
    name = record.path.name
    try:
        clip = project.open_clip(record.id)
    except ClipError as error:
        left_out.append(f"{name}, {count(len(frames), 'frame')}: {error}")
        return
    with clip:
        reader = ReadableFrames(clip)
        for t, proposal in propose_readable(student, reader, frames):
            yield t, proposal, clip.pixel_aspect
    left_out += [f"{name}, frame {t}: {error.what}" for t, error in reader.unreadable.items()]


@dataclass(frozen=True)
class PlaneScore:
    """Scores of one structure on one frame.

    Attributes:
        unit: Patient, or what else the frame is one of.
        place: Clip and zero-based frame.
        key: Key of the structure.
        dice: Dice, NaN where neither truth nor proposal has pixels.
        hd95: HD95 in heights of a pixel, NaN where one of them has none.
    """

    unit: str
    place: tuple[str, int]
    key: str
    dice: float
    hd95: float


def _only(
    annotated: list[tuple[ClipRecord, list[int]]], frames: Mapping[str, Collection[int]] | None
) -> list[tuple[ClipRecord, list[int]]]:
    if frames is None:
        return annotated
    chosen = [(record, [t for t in indices if t in frames.get(record.id, ())]) for record, indices in annotated]
    return [(record, indices) for record, indices in chosen if indices]


@dataclass
class _Tally:
    """Scores of one structure, frame by frame."""

    dices: list[float] = field(default_factory=list)
    distances: list[float] = field(default_factory=list)
    presence: Counter[tuple[bool, bool]] = field(default_factory=Counter)

    def add(self, truth: BoolArray, proposed: BoolArray, pixel_aspect: float) -> tuple[float, float]:
        """Add the scores of a plane, and return Dice and HD95."""
        self.presence[bool(truth.any()), bool(proposed.any())] += 1
        self.dices.append(dice(truth, proposed))
        self.distances.append(hd95(truth, proposed, (1.0, pixel_aspect)))
        return self.dices[-1], self.distances[-1]

    def to_dict(self) -> dict[str, float | int | None]:
        presence = self.presence
        return {
            "dice": _mean(self.dices),
            "planes": presence.total() - presence[False, False],
            "hd95": _mean(self.distances),
            "distances": presence[True, True],
            "missed": presence[True, False],
            "false": presence[False, True],
            "both_empty": presence[False, False],
        }


class _Patient:
    """Scores of one patient by structure, and the number of frames they are from."""

    def __init__(self, keys: Sequence[str]) -> None:
        self.tallies = {key: _Tally() for key in keys}
        self.frames = 0


def _joined(tallies: Sequence[_Tally]) -> _Tally:
    """Return the scores of several tallies together."""
    joined = _Tally()
    for tally in tallies:
        joined.dices += tally.dices
        joined.distances += tally.distances
        joined.presence += tally.presence
    return joined


def _mean(values: list[float]) -> float | None:
    """Return the mean of the values that are not nan; None without any."""
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else None


def _annotated_frames(
    project: Project, splits: Collection[str] | None, keys: list[str]
) -> Iterator[tuple[ClipRecord, list[int]]]:
    columns = [project.schema[key].index for key in keys]
    truth = [int(state) for state in MaskState if state.is_truth]
    sides = project.clip_splits()
    for record in project.clips():
        if splits is None or sides[record.id] in splits:
            frames = np.flatnonzero(np.isin(project.states(record.id)[:, columns], truth).any(axis=1))
            if frames.size:
                yield record, [int(t) for t in frames]


def _tally_frame(
    record: ClipRecord,
    t: int,
    revisions: dict[str, Revision],
    proposal: Proposal,
    tallies: dict[str, _Tally],
    *,
    pixel_aspect: float,
    observe: Callable[[PlaneScore], None] | None,
) -> list[str]:
    """Add the planes of one frame to the tallies where the truth is known; return messages on damaged masks."""
    damaged = []
    for key, tally in tallies.items():
        revision, plane = revisions.get(key), proposal.plane(key)
        if revision is None or plane is None or not revision.state.is_truth:
            continue
        try:
            truth = revision.mask
        except MaskError as error:
            damaged.append(f"{record.path.name}, frame {t}, {key}: {error.what}")
            continue
        scores = tally.add(np.zeros_like(plane) if truth is None else truth, plane, pixel_aspect)
        if observe is not None:
            observe(PlaneScore(record.patient, (record.id, t), key, *scores))
    return damaged


def _result(
    student: Student, keys: Sequence[str], patients: Mapping[str, _Patient], schema: Schema, left_out: list[str]
) -> dict[str, Any]:
    structures = {key: _joined([patient.tallies[key] for patient in patients.values()]).to_dict() for key in keys}
    of_patients = {
        name: {"frames": patient.frames, "mean_dice": _mean_dice(tally.to_dict() for tally in patient.tallies.values())}
        for name, patient in patients.items()
        if patient.frames
    }
    return {
        "student": student.id,
        "frames": sum(patient.frames for patient in patients.values()),
        "mean_dice": _mean_dice(structures.values()),
        "structures": structures,
        "patients": of_patients,
        "not_known_to_student": [key for key in schema.keys if key not in keys],
        "left_out": left_out,
    }


def _mean_dice(rows: Iterable[Mapping[str, float | int | None]]) -> float | None:
    """Return the mean Dice over the structures that have one; None without any."""
    means = [row["dice"] for row in rows if row["dice"] is not None]
    return float(np.mean(means)) if means else None
