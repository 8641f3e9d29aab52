# SPDX-License-Identifier: Apache-2.0
"""Renewal: proposals of earlier students that nobody accepted are proposed anew, and what changed is told.

Nothing that a person did is touched: only masks that are still proposals, by a student other than the present one.
Those that a person had propagated, adapted or imported stay as well.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from vfss.masks import BoolArray, MaskState
from vfss.masks.metrics import dice
from vfss.project import ClipRecord, Project, Revision
from vfss.proposals.student import ProposalRun, proposed_keys
from vfss.student import Student

CHANGED_BELOW = 0.99
"""Dice of a mask with the one before, below which it counts as changed."""


@dataclass(frozen=True)
class RenewedMask:
    """A mask that was proposed anew.

    Attributes:
        clip: Id of the clip.
        frame: Zero-based frame.
        structure: Key of the structure.
        dice: Dice of the new mask with the old one, 1 where both have no pixels.
    """

    clip: str
    frame: int
    structure: str
    dice: float


@dataclass(frozen=True)
class StructureChange:
    """What changed of one structure.

    Attributes:
        structure: Key of the structure.
        masks: Masks proposed anew.
        changed: Masks whose Dice with the one before is below `CHANGED_BELOW`.
        mean_dice: Mean Dice of new with old over all of them.
        least: The mask that changed most.
    """

    structure: str
    masks: int
    changed: int
    mean_dice: float
    least: RenewedMask


def outdated(project: Project, clip_id: str, student_id: str, keys: Collection[str]) -> dict[int, list[Revision]]:
    """Return the proposals of other students that nobody accepted, by frame, ascending.

    Args:
        project: The project.
        clip_id: Id of the clip.
        student_id: The present student.
        keys: Structures that it proposes.
    """
    found: dict[int, list[Revision]] = {}
    for (frame, key), revision in project.past.standing(clip_id).items():
        of_a_student = revision.state == MaskState.PROPOSED and revision.provenance.method == "student"
        if of_a_student and key in keys and revision.student != student_id:
            found.setdefault(frame, []).append(revision)
    return dict(sorted(found.items()))


def renew_clip(
    project: Project, record: ClipRecord, student: Student
) -> Iterator[tuple[tuple[int, ...], list[RenewedMask]]]:
    """Propose anew on the frames of a clip with outdated proposals; yield the frames and masks of each batch.

    The caller can stop between two batches; what was proposed stays.

    Raises:
        SchemaError: The student and the project have no structure in common.
        ClipError: The clip is not found or cannot be opened.
        ProjectError: The project cannot be written.
    """
    old = outdated(project, record.id, student.id, proposed_keys(project, student))
    if not old:
        return
    with project.open_clip(record.id) as clip:
        run = ProposalRun(project, clip, student, old)
        for frames in run.step():
            yield frames, [mask for t in frames for mask in _renewed(project, record.id, t, old[t], student.id)]


def _renewed(project: Project, clip_id: str, frame: int, old: Sequence[Revision], student: str) -> list[RenewedMask]:
    newest = project.newest(clip_id, frame)
    renewed = []
    for before in old:
        after = newest[before.structure]
        if after.id != before.id and after.student == student and after.state == MaskState.PROPOSED:
            agreement = _dice(before.mask, after.mask)
            renewed.append(RenewedMask(clip_id, frame, before.structure, agreement))
    return renewed


def _dice(before: BoolArray | None, after: BoolArray | None) -> float:
    if before is None or after is None:
        return float(before is after)
    value = dice(before, after)
    return 1.0 if np.isnan(value) else value


def changes_by_structure(renewed: Iterable[RenewedMask]) -> list[StructureChange]:
    """Return what changed, the structure with the most changed masks first."""
    of: dict[str, list[RenewedMask]] = {}
    for mask in renewed:
        of.setdefault(mask.structure, []).append(mask)
    rows = [
        StructureChange(
            key,
            len(masks),
            sum(mask.dice < CHANGED_BELOW for mask in masks),
            float(np.mean([mask.dice for mask in masks])),
            min(masks, key=lambda mask: mask.dice),
        )
        for key, masks in of.items()
    ]
    return sorted(rows, key=lambda row: (-row.changed, row.mean_dice))


def largest_changes(renewed: Iterable[RenewedMask], at_most: int = 200) -> list[RenewedMask]:
    """Return the masks that changed, those that changed most first."""
    changed = [mask for mask in renewed if mask.dice < CHANGED_BELOW]
    return sorted(changed, key=lambda mask: (mask.dice, mask.clip, mask.frame))[:at_most]
