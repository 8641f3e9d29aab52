# SPDX-License-Identifier: Apache-2.0
"""A student's proposals for frames of a project's clip: one implementation for the command line and the window."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from vfss.clips import Clip
from vfss.clips.readable import ReadableFrames, unreadable_frames
from vfss.errors import ClipError, SchemaError, StudentError
from vfss.masks import Masks, MaskState
from vfss.project import ClipRecord, Project
from vfss.project.frame_checks import ChangedFrame
from vfss.project.frame_ledger import FrameLedger, changed_frames
from vfss.schema import Schema
from vfss.student import Proposal, Student, shared_keys
from vfss.student.readable import propose_readable
from vfss.student.temporal_median import steadied_frame
from vfss.wording import count, listed

_STREAMED, _STEP = 8, 4  # frames proposed and written at a time
_NAMED = 5  # students of a project that an error names, the newest ones

Replacement = Callable[[Student, Exception], Student]
"""Gives the student that goes on after one failed, or raises where none can."""


class ProposalRun:
    """Proposes on frames of one clip and writes each batch in one transaction, so that what is done stays done.

    A structure is known by its key: the order of the student's structures need not be the project's. Annotations are
    never replaced; masks that a person had propagated, adapted or imported only where that is asked for. A frame that
    cannot be decoded is left out, and the run goes on. Each frame is compared with what the project keeps of how it
    was first read; one that was damaged then is tried again only if it is the only one asked for.

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
        self._ledger = FrameLedger(project.frame_checks, clip)
        known = {} if len(self._frames) == 1 else project.frame_checks.damaged_frames(clip.id)
        self._reader = ReadableFrames(clip, self._ledger, known)
        self._written = 0
        self._take(student)

    @property
    def total(self) -> int:
        """Frames to propose on."""
        return len(self._frames)

    @property
    def done(self) -> int:
        """Frames proposed on or left out so far."""
        return self._written + len(self.unreadable)

    @property
    def unreadable(self) -> Mapping[int, ClipError]:
        """Why a frame was left out that cannot be decoded, by zero-based index."""
        return self._reader.unreadable

    @property
    def differences(self) -> str:
        """Message on structures that only the student or only the project has; empty if both have the same."""
        return schema_differences(self.student, self._project.schema)

    @property
    def outcome(self) -> ProposedClip:
        """What came of the run so far."""
        return ProposedClip(self._written, self.unreadable, self.changed)

    @property
    def changed(self) -> Mapping[int, ChangedFrame]:
        """Frames that are decoded otherwise than when they were first read, known at the end of the run."""
        return self._ledger.changed

    def stream(self) -> Iterator[tuple[int, ...]]:
        """Propose as fast as possible, several frames side by side on a CPU; yield the frames of each batch.

        Raises:
            VfssError: The student fails, or the project cannot be written.
        """
        batch: list[tuple[int, Proposal]] = []
        for located in propose_readable(self.student, self._reader, self._frames):
            batch.append(located)
            if len(batch) == _STREAMED:
                yield self._write(batch)
                batch = []
        if batch:
            yield self._write(batch)
        self._ledger.keep()

    def step(self, replacement: Replacement | None = None) -> Iterator[tuple[int, ...]]:
        """Propose a few frames at a time, the first one alone; yield the frames of each batch that can be decoded.

        Nothing is computed between two batches, so that the caller can pause, or stop at once.

        Args:
            replacement: Asked for another student where one fails; None: the error is raised.

        Raises:
            VfssError: The student fails, or the project cannot be written.
        """
        for batch in _batches(self._frames, 1, _STEP):
            readable = list(self._reader.pictures(batch))
            if not readable:
                yield ()
                continue
            pictures = np.stack([picture for _, picture in readable])
            try:
                proposals = self._proposals(pictures, [t for t, _ in readable])
            except (RuntimeError, StudentError) as error:  # torch raises RuntimeError where the graphics card fails
                if replacement is None:
                    raise
                self._take(replacement(self.student, error))
                proposals = self._proposals(pictures, [t for t, _ in readable])
            yield self._write([(t, one) for (t, _), one in zip(readable, proposals, strict=True)])
        self._ledger.keep()

    def _proposals(self, pictures: npt.NDArray[np.uint8], frames: Sequence[int]) -> list[Proposal]:
        """Return the student's proposals on pictures, uint8 (N, H, W), of N frames."""
        aspect = self._clip.pixel_aspect
        return self.student.propose(
            pictures, pixel_aspect=aspect, steadied=lambda i: steadied_frame(self._reader, frames[i])
        )

    def _take(self, student: Student) -> None:
        shared = proposed_keys(self._project, student)
        self.student = student
        self.left_out = tuple(key for key in student.keys if key not in shared)
        self.never_proposed = tuple(key for key in self._project.schema.keys if key not in shared)

    def _write(self, batch: Sequence[tuple[int, Proposal]]) -> tuple[int, ...]:
        """Write the proposals of some frames, and return the frames."""
        located = [replace(one, clip=self._clip.id, frame=t) for t, one in batch]
        if not self._replace_requested:
            located = [without_outranking(self._project, one) for one in located]
        self._project.write_proposals(self._clip.id, located)
        self._written += len(batch)
        return tuple(t for t, _ in batch)


@dataclass(frozen=True)
class ProposedClip:
    """What came of proposing on frames of a clip.

    Attributes:
        frames: Frames proposed on.
        unreadable: Why a frame was left out that cannot be decoded, by zero-based index.
        changed: Frames that are decoded otherwise than when they were first read, by zero-based index.
    """

    frames: int
    unreadable: Mapping[int, ClipError] = field(default_factory=dict)
    changed: Mapping[int, ChangedFrame] = field(default_factory=dict)

    def warnings(self, *, first: int = 0) -> list[str]:
        """Return what a person must know of these frames, a sentence each.

        Args:
            first: Number that a person sees on the first frame of a clip.
        """
        messages = (unreadable_frames(self.unreadable, first=first), changed_frames(self.changed, first=first))
        return [f"{message}." for message in messages if message]


def proposed_keys(project: Project, student: Student) -> tuple[str, ...]:
    """Return the keys of the structures that a student proposes in a project, in the project's order.

    Raises:
        SchemaError: There are none; the remedy names students of the project that were trained for it.
    """
    try:
        return shared_keys(student.keys, project.schema.keys)
    except SchemaError as error:
        others = [record.id for record in project.students() if record.id != student.id]
        if not others:
            raise
        which = f"the student that this project has: {others[0]}"
        if len(others) > 1:
            which = f"one of the students that this project has: {listed(others[::-1], _NAMED)}"
        raise SchemaError(
            error.what,
            remedy=f"Choose {which}. In the window under Student, or: vfss students {project.folder} --choose ID",
        ) from error


def schema_differences(student: Student, project: Schema) -> str:
    """Return a message on structures that only a student or only a project has; empty if both have the same."""
    left_out = [key for key in student.keys if key not in project.keys]
    unknown = [key for key in project.keys if key not in student.schema.keys]
    not_learnt = [key for key in project.keys if key in student.schema.keys and key not in student.keys]
    parts = []
    if left_out:
        parts.append(f"The project lacks {', '.join(left_out)}, which the student proposes: left out.")
    if unknown:
        parts.append(f"The student does not know {', '.join(unknown)}: never proposed.")
    if not_learnt:
        parts.append(f"The student has not learnt {', '.join(not_learnt)}, which nobody had annotated: never proposed.")
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
    keys = proposed_keys(project, student)
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
    differences = schema_differences(student, project.schema)
    return f"{summary}. {differences}" if differences else summary


def propose_clip(
    project: Project,
    student: Student,
    clip_id: str,
    frames: Iterable[int],
    progress: Callable[[int, int], bool] | None = None,
) -> ProposedClip:
    """Propose on frames of a clip, as fast as possible; see ProposalRun.

    Args:
        project: Where the proposals go.
        student: Whose proposals.
        clip_id: The clip.
        frames: Zero-based frame indices, in the order in which they are wanted.
        progress: Called with frames done and in all; False stops.

    Raises:
        SchemaError: The student and the project have no structure in common.
        ClipError: The clip is not found or cannot be opened.
    """
    with project.open_clip(clip_id) as clip:
        run = ProposalRun(project, clip, student, frames)
        reported = 0
        for _ in run.stream():
            reported = run.done
            if progress is not None and progress(reported, run.total) is False:
                break
        if progress is not None and run.done > reported:  # the last frames cannot be read
            progress(run.done, run.total)
    return run.outcome


def _batches(frames: Sequence[int], first: int, size: int) -> Iterator[tuple[int, ...]]:
    """Yield the frames in order, `first` of them at once and then `size` at a time."""
    start, stop = 0, first
    while start < len(frames):
        yield tuple(frames[start:stop])
        start, stop = stop, stop + size
