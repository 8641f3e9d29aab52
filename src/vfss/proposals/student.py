# SPDX-License-Identifier: Apache-2.0
"""A student's proposals for frames of a project's clip: one implementation for the command line and the window."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from vfss.clips import Clip
from vfss.errors import StudentError
from vfss.masks import Masks, MaskState
from vfss.project import ClipRecord, Project
from vfss.schema import Schema
from vfss.student import Proposal, Student, shared_keys
from vfss.wording import count

_STREAMED, _STEP = 8, 4  # frames proposed and written at a time

Replacement = Callable[[Student, Exception], Student]
"""Gives the student that goes on after one failed, or raises where none can."""


class ProposalRun:
    """Proposes on frames of one clip and writes each batch in one transaction, so that what is done stays done.

    A structure is known by its key: the order of the student's structures need not be the project's. Annotations are
    never replaced; masks that a person had propagated, adapted or imported only where that is asked for.

    Attributes:
        student: The student at work.
        left_out: Keys of structures that the student proposes and the project lacks: their masks are not written.
        never_proposed: Keys of structures of the project that the student does not know: they stay as they are.
    """

    def __init__(
        self, project: Project, clip: Clip, student: Student, frames: Iterable[int], *, replace_requested: bool = False
    ) -> None:
        """Check that the student fits; nothing is computed yet.

        Args:
            project: Where the proposals go.
            clip: The recording, one of the project's clips.
            student: Whose proposals.
            frames: Zero-based frame indices, in the order in which they are wanted.
            replace_requested: Replace proposals too that a person had propagated, adapted or imported.

        Raises:
            SchemaError: The student and the project have no structure in common.
        """
        self._replace_requested = replace_requested
        self._project, self._clip, self._frames = project, clip, tuple(frames)
        self._take(student)

    @property
    def total(self) -> int:
        """Frames to propose on."""
        return len(self._frames)

    @property
    def differences(self) -> str:
        """Message on structures that only the student or only the project has; empty if both have the same."""
        return schema_differences(self.student.schema, self._project.schema)

    def stream(self) -> Iterator[tuple[int, ...]]:
        """Propose as fast as possible, several frames side by side on a CPU; yield the frames of each batch.

        Raises:
            VfssError: A frame cannot be decoded, the student fails, or the project cannot be written.
        """
        proposals = self.student.propose_each(
            (self._clip.as_uint8(t) for t in self._frames), pixel_aspect=self._clip.pixel_aspect
        )
        for batch in _batches(self._frames, _STREAMED, _STREAMED):
            self._write(batch, [next(proposals) for _ in batch])
            yield batch

    def step(self, replacement: Replacement | None = None) -> Iterator[tuple[int, ...]]:
        """Propose a few frames at a time, the first one alone; yield the frames of each batch.

        Nothing is computed between two batches, so that the caller can pause, or stop at once.

        Args:
            replacement: Asked for another student where one fails; None: the error is raised.

        Raises:
            VfssError: A frame cannot be decoded, the student fails, or the project cannot be written.
        """
        for batch in _batches(self._frames, 1, _STEP):
            pictures = np.stack([self._clip.as_uint8(t) for t in batch])
            try:
                proposals = self.student.propose(pictures, pixel_aspect=self._clip.pixel_aspect)
            except (RuntimeError, StudentError) as error:  # torch raises RuntimeError where the graphics card fails
                if replacement is None:
                    raise
                self._take(replacement(self.student, error))
                proposals = self.student.propose(pictures, pixel_aspect=self._clip.pixel_aspect)
            self._write(batch, proposals)
            yield batch

    def _take(self, student: Student) -> None:
        shared = shared_keys(student.schema.keys, self._project.schema.keys)
        self.student = student
        self.left_out = tuple(key for key in student.schema.keys if key not in shared)
        self.never_proposed = tuple(key for key in self._project.schema.keys if key not in shared)

    def _write(self, frames: Sequence[int], proposals: Sequence[Proposal]) -> None:
        located = [replace(one, clip=self._clip.id, frame=t) for one, t in zip(proposals, frames, strict=True)]
        if not self._replace_requested:
            located = [without_outranking(self._project, one) for one in located]
        self._project.write_proposals(self._clip.id, located)


def schema_differences(student: Schema, project: Schema) -> str:
    """Return a message on structures that only a student or only a project has; empty if both have the same."""
    left_out = [key for key in student.keys if key not in project.keys]
    unknown = [key for key in project.keys if key not in student.keys]
    parts = []
    if left_out:
        parts.append(f"The project lacks {', '.join(left_out)}, which the student proposes: left out.")
    if unknown:
        parts.append(f"The student does not know {', '.join(unknown)}: never proposed.")
    return " ".join(parts)


def without_outranking(project: Project, proposal: Proposal) -> Proposal:
    """Return a proposal without the structures that a person had propagated, adapted or imported on its frame.

    Args:
        project: Where the proposal is to be written.
        proposal: A student's proposal that names its clip and frame.
    """
    state = proposal.masks.state.copy()
    if proposal.clip is not None and proposal.frame is not None:
        for key, revision in project.newest(proposal.clip, proposal.frame).items():
            if key in proposal.keys and revision.provenance.outranks_student:
                state[proposal.keys.index(key)] = MaskState.UNSEEN
    return replace(proposal, masks=Masks(proposal.masks.planes, state))


def unproposed(project: Project, clip_id: str, frames: Iterable[int], student: Student) -> list[int]:
    """Return the frames on which a student has not yet proposed all it could, in the order given.

    Raises:
        SchemaError: The student and the project have no structure in common.
    """
    keys = shared_keys(student.schema.keys, project.schema.keys)
    states = project.states(clip_id)[:, [project.schema[key].index for key in keys]]

    def is_done(t: int) -> bool:
        if (states[t] == MaskState.UNSEEN).any():
            return False
        newest = project.newest(clip_id, t)
        return all(
            revision.state.is_annotated or revision.student == student.id or revision.provenance.outranks_student
            for revision in (newest[key] for key in keys)
        )

    return [t for t in frames if not is_done(t)]


def proposal_summary(project: Project, record: ClipRecord, frames: int, student: Student) -> str:
    """Return a message on what a student proposed on a clip, which masks it left, and which structures it lacks."""
    standing = project.past.standing(record.id).values()
    methods = Counter(revision.provenance.method for revision in standing)
    kinds = ((methods["import"], "imported"), (methods["propagation"], "propagated"), (methods["adapted"], "adapted"))
    left = [f"{n} {kind} masks" for n, kind in kinds if n]
    summary = f"{record.path.name}: proposed on {count(frames, 'frame')} of {record.n_frames}"
    summary = f"{summary}; {' and '.join(left)} are left as they are" if left else summary
    differences = schema_differences(student.schema, project.schema)
    return f"{summary}. {differences}" if differences else summary


def propose_clip(
    project: Project,
    student: Student,
    clip_id: str,
    frames: Iterable[int],
    progress: Callable[[int, int], bool] | None = None,
) -> int:
    """Propose on frames of a clip, as fast as possible; see ProposalRun.

    Args:
        project: Where the proposals go.
        student: Whose proposals.
        clip_id: The clip.
        frames: Zero-based frame indices, in the order in which they are wanted.
        progress: Called with frames done and in all; False stops.

    Returns:
        Frames done.

    Raises:
        SchemaError: The student and the project have no structure in common.
        ClipError: The clip is not found, or a frame cannot be decoded.
    """
    done = 0
    with project.open_clip(clip_id) as clip:
        run = ProposalRun(project, clip, student, frames)
        for batch in run.stream():
            done += len(batch)
            if progress is not None and progress(done, run.total) is False:
                break
    return done


def _batches(frames: Sequence[int], first: int, size: int) -> Iterator[tuple[int, ...]]:
    """Yield the frames in order, `first` of them at once and then `size` at a time."""
    start, stop = 0, first
    while start < len(frames):
        yield tuple(frames[start:stop])
        start, stop = stop, stop + size
