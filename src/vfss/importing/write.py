# SPDX-License-Identifier: Apache-2.0
"""Writing a plan: proposals only, in batches, to be stopped and gone on with at any time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from vfss.errors import DatasetError
from vfss.importing.plan import ImportPlan, PlannedFrame, is_same, refuse_reading, united
from vfss.masks import MaskState
from vfss.output import Progress
from vfss.project import Edit, Project

_BATCH = 16
"""Frames written in one transaction."""


@dataclass(frozen=True)
class ImportReport:
    """What an import wrote, and what it left.

    Attributes:
        written: Masks written by structure.
        frames: Frames on which at least one was written.
        same: Masks that were there already.
        protected: Places left as they are because a person has spoken there.
        problems: In sentences, what could not be imported.
        cancelled: True where it was stopped; what was written stays.
    """

    written: Mapping[str, int]
    frames: int
    same: int
    protected: int
    problems: tuple[str, ...] = ()
    cancelled: bool = False

    def lines(self) -> list[str]:
        """The report in sentences for a person."""
        masks = sum(self.written.values())
        stopped = " Import the same again to go on: what is there already is passed over."
        return [
            f"{'Stopped. ' if self.cancelled else ''}Wrote {masks} proposed masks on {self.frames} frames; none of "
            f"them counts until a person accepts it.{stopped if self.cancelled else ''}",
            *([f"There already: {self.same} masks."] if self.same else []),
            *([f"Left as a person has said: {self.protected} places."] if self.protected else []),
            *(f"Not imported: {problem}." for problem in self.problems),
        ]


def write_plan(project: Project, plan: ImportPlan, *, author: str, progress: Progress | None = None) -> ImportReport:
    """Write the masks of a plan as proposals; whatever a person has said stays, also what is said meanwhile.

    Each batch is one transaction. After a stop, an interruption or a crash the same import goes on where it was.

    Args:
        project: Where they go.
        plan: What to write.
        author: Who imports them.
        progress: Called with frames done and in all, after every batch; False stops.

    Raises:
        DatasetError: The plan is not complete, or the source changed since it was made.
        ProjectError: The project cannot be written, or is a second reading.
    """
    if not plan.complete:
        raise DatasetError("the plan of the import was not finished", remedy="Plan it again, to its end.")
    refuse_reading(project)
    todo = [frame for frame in plan.frames if frame.write]
    written: Counter[str] = Counter()
    touched: set[tuple[str, int]] = set()
    passed: Counter[str] = Counter()
    cancelled = False
    for start in range(0, len(todo), _BATCH):
        batch = todo[start : start + _BATCH]
        edits = [edit for frame in batch for edit in _edits(project, plan, frame, passed)]
        revisions = project.write(edits, author=author, origin="import", leave=True) if edits else []
        written.update(revision.structure for revision in revisions)
        touched.update((revision.clip, revision.frame) for revision in revisions)
        passed["protected"] += len(edits) - len(revisions)
        done = start + len(batch)
        if progress is not None and progress(done, len(todo)) is False:
            cancelled = done < len(todo)
            break
    return ImportReport(
        written=dict(written),
        frames=len(touched),
        same=plan.same + passed["same"],
        protected=sum(1 for _ in plan.protected()) + passed["protected"],
        problems=tuple(problem.text for problem in plan.problems),
        cancelled=cancelled,
    )


def _edits(project: Project, plan: ImportPlan, frame: PlannedFrame, passed: Counter[str]) -> list[Edit]:
    """What is still to be written of a frame."""
    planes = united(plan.source.planes(plan.source.images[frame.image]), plan.labels)
    newest = project.newest(frame.clip, frame.frame)
    edits = []
    for key in frame.write:
        if key not in planes:
            raise DatasetError(
                f"{key} is not in {plan.source.images[frame.image].name} any more",
                path=plan.source.path,
                remedy="The files were changed meanwhile: plan the import again.",
            )
        if is_same(newest.get(key), planes[key]):
            passed["same"] += 1
        else:
            edits.append(Edit(frame.clip, frame.frame, key, planes[key], MaskState.PROPOSED))
    return edits
