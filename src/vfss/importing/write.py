# SPDX-License-Identifier: Apache-2.0
"""Write a plan: proposals only, in batches, so that an import can be stopped and resumed at any time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from vfss.errors import DatasetError
from vfss.importing.plan import ImportPlan, PlannedFrame, is_same, refuse_reading
from vfss.masks import MaskState
from vfss.output import Progress
from vfss.project import Edit, Project
from vfss.wording import count

BATCH = 16
"""Frames written in one transaction."""


@dataclass(frozen=True)
class ImportReport:
    """What an import wrote, and what it left unchanged.

    Attributes:
        written: Masks written by structure.
        frames: Frames on which at least one was written.
        same: Masks that were present already.
        protected: Masks left as they are because a person annotated them.
        problems: Descriptions of what could not be imported.
        cancelled: True if it was stopped; what was written stays.
    """

    written: Mapping[str, int]
    frames: int
    same: int
    protected: int
    problems: tuple[str, ...] = ()
    cancelled: bool = False

    def lines(self) -> list[str]:
        """Return the report in sentences for a person."""
        masks = sum(self.written.values())
        stopped = " Run the same import again to continue: masks that are present already are skipped."
        return [
            f"{'Stopped. ' if self.cancelled else ''}Wrote {masks} proposed masks on {self.frames} frames; none of "
            f"them counts until a person accepts it.{stopped if self.cancelled else ''}",
            *([f"Present already: {self.same} masks."] if self.same else []),
            *([f"Kept, as annotated by a person: {count(self.protected, 'mask')}."] if self.protected else []),
            *(f"Not imported: {problem}." for problem in self.problems),
        ]


def write_plan(project: Project, plan: ImportPlan, *, author: str, progress: Progress | None = None) -> ImportReport:
    """Write the masks of a plan as proposals; annotated masks stay, also those annotated meanwhile.

    Each batch is one transaction. After a stop, an interruption or a crash the same import resumes where it was.

    Args:
        project: Project to write to.
        plan: Plan to write.
        author: Person who imports.
        progress: Called with frames done and in all, after every batch; False stops.

    Raises:
        DatasetError: The plan is incomplete, or the source changed since it was made.
        ProjectError: The project cannot be written, or is a second reading.
    """
    if not plan.complete:
        raise DatasetError("the plan of the import is incomplete", remedy="Plan the import again, to the end.")
    refuse_reading(project)
    todo = [frame for frame in plan.frames if frame.write]
    written: Counter[str] = Counter()
    touched: set[tuple[str, int]] = set()
    skipped: Counter[str] = Counter()
    cancelled = False
    for start in range(0, len(todo), BATCH):
        batch = todo[start : start + BATCH]
        edits = [edit for frame in batch for edit in _edits(project, plan, frame, skipped)]
        revisions = project.write(edits, author=author, origin="import", leave=True) if edits else []
        written.update(revision.structure for revision in revisions)
        touched.update((revision.clip, revision.frame) for revision in revisions)
        skipped["protected"] += len(edits) - len(revisions)
        done = start + len(batch)
        if progress is not None and progress(done, len(todo)) is False:
            cancelled = done < len(todo)
            break
    return ImportReport(
        written=dict(written),
        frames=len(touched),
        same=plan.same + skipped["same"],
        protected=sum(1 for _ in plan.protected()) + skipped["protected"],
        problems=tuple(problem.text for problem in plan.problems),
        cancelled=cancelled,
    )


def _edits(project: Project, plan: ImportPlan, frame: PlannedFrame, skipped: Counter[str]) -> list[Edit]:
    """Return the edits of a frame that are still to be written."""
    planes = plan.planes(frame)
    newest = project.newest(frame.clip, frame.frame)
    edits = []
    for key in frame.write:
        if key not in planes:
            raise DatasetError(
                f"{key} is not in {plan.source.images[frame.image].name} any more",
                path=plan.source.path,
                remedy="The files have changed since: plan the import again.",
            )
        if is_same(newest.get(key), planes[key]):
            skipped["same"] += 1
        else:
            edits.append(Edit(frame.clip, frame.frame, key, planes[key], MaskState.PROPOSED))
    return edits
