# SPDX-License-Identifier: Apache-2.0
"""A student at work on a project: proposals for many frames, kept as they come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace

from vfss.errors import SchemaError
from vfss.masks import MaskState
from vfss.project import ClipRecord, Project
from vfss.proposals.propagation import without_carried_or_imported
from vfss.student import Student

_BATCH = 8
"""Frames proposed and written at a time."""


def unproposed(project: Project, clip_id: str, frames: Iterable[int], student_id: str) -> list[int]:
    """Frames on which this student has still something to say, in the order given."""
    states = project.states(clip_id)

    def is_done(t: int) -> bool:
        if (states[t] == MaskState.UNSEEN).any():
            return False
        newest = project.newest(clip_id, t).values()
        return all(
            revision.state.by_person or revision.student == student_id or revision.provenance.outranks_student
            for revision in newest
        )

    return [t for t in frames if not is_done(t)]


def proposed_words(project: Project, record: ClipRecord, frames: int) -> str:
    """What was proposed on a clip, and what the student left as it is because a person brought it there."""
    standing = project.past.standing(record.id).values()
    methods = Counter(revision.provenance.method for revision in standing)
    kinds = ((methods["import"], "imported"), (methods["propagation"], "carried"), (methods["adapted"], "learnt"))
    left = [f"{count} {how} masks" for count, how in kinds if count]
    words = f"{record.path.name}: proposed on {frames} frames of {record.n_frames}"
    return f"{words}; {' and '.join(left)} are left as they are" if left else words


def propose_clip(
    project: Project,
    student: Student,
    clip_id: str,
    frames: Iterable[int],
    progress: Callable[[int, int], bool] | None = None,
) -> int:
    """Propose on frames of a clip; each batch is one transaction, so what is done stays done when it is stopped.

    Args:
        project: Where the proposals go; nothing a person said is touched, nor what was carried or imported.
        student: Whose proposals.
        clip_id: The clip.
        frames: Zero-based frame indices, in the order in which they are wanted.
        progress: Called with frames done and in all; False stops.

    Returns:
        Frames done.

    Raises:
        SchemaError: The student proposes other structures than the project has.
        ClipError: The clip is not found, or a frame cannot be decoded.
    """
    if student.schema.keys != project.schema.keys:
        raise SchemaError(
            f"the student knows {', '.join(student.schema.keys)}; the project has {', '.join(project.schema.keys)}",
            remedy="Choose a student of the project's schema, or train one with `vfss-train fit`.",
        )
    wanted, done = list(frames), 0
    with project.open_clip(clip_id) as clip:
        proposals = student.propose_each(clip.as_uint8(t) for t in wanted)
        while done < len(wanted):
            batch = wanted[done : done + _BATCH]
            located = [replace(next(proposals), clip=clip_id, frame=t) for t in batch]
            project.write_proposals(clip_id, [without_carried_or_imported(project, one) for one in located])
            done += len(batch)
            if progress is not None and progress(done, len(wanted)) is False:
                break
    return done
