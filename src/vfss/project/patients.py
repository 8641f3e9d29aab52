# SPDX-License-Identifier: Apache-2.0
"""Patients of a project: their clips, their annotated frames, and the split that each is in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast, get_args

from vfss.errors import ProjectError
from vfss.project.project import Project
from vfss.project.records import Split


@dataclass(frozen=True)
class PatientRecord:
    """One patient of a project.

    Attributes:
        name: Pseudonym.
        clips: Number of clips.
        annotated_frames: Number of frames on which a person has annotated any structure.
        split: Split of the patient; None as long as it is open. An open one is chosen by the project when training,
            evaluation or an export first asks for it, and is fixed from then on.
    """

    name: str
    clips: int
    annotated_frames: int
    split: Split | None


def list_patients(project: Project) -> list[PatientRecord]:
    """Return the patients of a project in the order in which they were added, without choosing any split.

    Raises:
        ProjectError: The database cannot be read.
    """
    clips: dict[str, list[str]] = defaultdict(list)
    for record in project.clips():
        clips[record.patient].append(record.id)
    splits = project.assigned_splits()
    return [
        PatientRecord(name, len(ids), sum(len(project.annotated_frames(clip)) for clip in ids), splits.get(name))
        for name, ids in clips.items()
    ]


def assign_splits(project: Project, splits: Mapping[str, str]) -> None:
    """Assign patients to splits; nothing is changed where one of the names is wrong.

    Args:
        project: Must be writable.
        splits: "train", "validation" or "test" by patient.

    Raises:
        ProjectError: The project has no such patient, there is no such split, nobody has confirmed the case id of a
            patient to be held out, or the patient is in another split already: a student may have been trained on that
            patient, so a split is fixed once assigned.
    """
    known = {record.patient for record in project.clips()}
    confirmed = project.cases().confirmed
    assigned = project.assigned_splits()
    for patient, split in splits.items():
        if patient not in known:
            raise ProjectError(
                f"the project has no patient {patient!r}",
                path=project.folder,
                remedy=f"It has: {', '.join(sorted(known))}." if known else "Add a clip first.",
            )
        if split not in get_args(Split):
            raise ProjectError(f"unknown split {split!r}", remedy=f"It is one of: {', '.join(get_args(Split))}.")
        if split != "train" and patient not in confirmed and patient not in assigned:
            raise ProjectError(
                f"the case id {patient!r} is not confirmed, so it can only be in training",
                path=project.folder,
                remedy="Confirm whose clip it is first: in the window under Student, Case ids...",
            )
        if assigned.get(patient, split) != split:
            raise ProjectError(
                f"patient {patient!r} is in {assigned[patient]!r} already, and stays there",
                remedy="A student may have been trained on that patient: a split is fixed once assigned.",
            )
    for patient, split in splits.items():
        project.assign_split(patient, cast("Split", split))
