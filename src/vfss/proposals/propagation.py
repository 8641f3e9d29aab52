# SPDX-License-Identifier: Apache-2.0
"""Propagation on a project: masks propagated over a clip, each batch written as it is done."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from cachetools import LRUCache

from vfss.clips import Clip
from vfss.clips.readable import ReadableFrames
from vfss.errors import ProjectError
from vfss.masks import BoolArray, ByteArray, Masks, MaskState, pack_mask, unpack_mask
from vfss.project import Edit, Project, Provenance
from vfss.project.provenance import PROPAGATION
from vfss.propagation.propagation import Ending, PropagatedFrame, Propagation, PropagationRequest
from vfss.student import Proposal, Student
from vfss.student.temporal_median import steadied_frame

_BATCH = 4
_PICTURES, _PROPOSALS = 4, 256  # kept in memory; proposals are packed


@dataclass(frozen=True)
class Stage:
    """Progress of a run.

    Attributes:
        done: Frames worked on.
        total: Frames to work on at most.
        written: Frame, structure key and revision id of each mask written since the previous stage.
    """

    done: int
    total: int
    written: tuple[tuple[int, str, int], ...]


def refuse_read_only(project: Project) -> None:
    """Raise before anything is computed that could not be written.

    Raises:
        ProjectError: The project can only be read.
    """
    if project.read_only:
        raise ProjectError(
            "the project can only be read, masks cannot be written",
            path=project.folder,
            remedy="Copy the folder to a place where you may write, and open the copy.",
        )


class ProjectPropagation:
    """One propagation over one clip of a project. It writes proposals, never over annotations."""

    def __init__(self, project: Project, clip: Clip, request: PropagationRequest, student: Student | None) -> None:
        """Read how far each structure may be propagated.

        Args:
            project: Holds the annotated masks, and takes the propagated ones.
            clip: The recording.
            request: The structures, the key frame and the direction.
            student: Its proposals help with soft structures; None: motion alone.

        Raises:
            ProjectError: A structure has no annotated mask on the key frame, or the project cannot be read.
        """
        refuse_read_only(project)
        self._project, self._clip, self._student = project, clip, student
        self._provenance = Provenance.propagated(request.start, None if student is None else student.id)
        self._run = Propagation(StoredClip(project, clip, student), request)

    @property
    def total(self) -> int:
        """Frames to work on at most."""
        return self._run.total

    @property
    def endings(self) -> tuple[Ending, ...]:
        """How far each structure was propagated so far."""
        return self._run.endings

    @property
    def unreadable(self) -> tuple[int, ...]:
        """Frames found so far that cannot be decoded: masks are propagated past them."""
        return self._run.unreadable

    def run(self) -> Iterator[Stage]:
        """Propagate and write; each stage is one transaction, the first of one frame, to show a result soon.

        Raises:
            VfssError: The key frame cannot be decoded, or the project cannot be written.
        """
        batch: list[PropagatedFrame] = []
        size = 1
        for frame in self._run.run():
            batch.append(frame)
            if len(batch) >= size:
                yield self._write(batch)
                batch, size = [], _BATCH
        if batch:
            yield self._write(batch)

    def _write(self, batch: list[PropagatedFrame]) -> Stage:
        edits = proposed_edits(self._clip.id, batch, self._provenance)
        if not edits:
            return Stage(self._run.done, self._run.total, ())
        written = self._project.write(edits, author=PROPAGATION, origin="proposal", leave=True)
        places = tuple((revision.frame, revision.structure, revision.id) for revision in written)
        return Stage(self._run.done, self._run.total, places)


def proposed_edits(clip_id: str, batch: Iterable[PropagatedFrame], provenance: Provenance) -> list[Edit]:
    """Return an edit that proposes each propagated mask of some frames of a clip."""
    return [
        Edit(clip_id, new.frame, key, plane, MaskState.PROPOSED, new.confidence[key], provenance=provenance)
        for new in batch
        for key, plane in new.planes.items()
    ]


class StoredClip:
    """Frames, states and masks of one clip of a project, as propagation reads them (its `Source`).

    Attributes:
        schema: The structures.
        n_frames: Frames of the clip.
        pixel_aspect: Width of a pixel divided by its height.
    """

    def __init__(self, project: Project, clip: Clip, student: Student | None) -> None:
        """Read from a project, a recording and a student, None for none."""
        self.schema, self.n_frames, self.pixel_aspect = project.schema, clip.n_frames, clip.pixel_aspect
        self._project, self._clip, self._student = project, clip, student
        known = () if student is None else student.keys
        self._soft = tuple(s.key for s in self.schema.structures if not s.is_rigid and s.key in known)
        self._pictures: LRUCache[int, ByteArray] = LRUCache(_PICTURES)
        self._proposals: LRUCache[int, tuple[list[bytes], Proposal]] = LRUCache(_PROPOSALS)

    def picture(self, frame: int) -> ByteArray:
        """Return a frame as uint8 (H, W)."""
        if frame not in self._pictures:
            self._pictures[frame] = self._clip.as_uint8(frame)
        return self._pictures[frame]

    def states(self) -> ByteArray:
        """Return the present states of all frames, uint8 (n_frames, S), values of MaskState."""
        return self._project.states(self._clip.id)

    def plane(self, frame: int, structure: str) -> BoolArray:
        """Return the newest mask of a structure, bool (H, W), empty where there is none."""
        revision = self._project.newest(self._clip.id, frame).get(structure)
        mask = None if revision is None else revision.mask
        return np.zeros((self._clip.height, self._clip.width), np.bool_) if mask is None else mask

    def proposal(self, frame: int) -> Proposal | None:
        """Return the student's proposal for a frame, read from the project if it is there, else computed."""
        if self._student is None or not self._soft:
            return None
        if frame in self._proposals:
            packed, bare = self._proposals[frame]
            planes = np.stack([unpack_mask(plane) for plane in packed])
            return replace(bare, masks=Masks(planes, bare.masks.state))
        proposal = self._stored(frame, self._student.id)
        if proposal is None:
            reader = ReadableFrames(self._clip)
            (proposal,) = self._student.propose(
                self.picture(frame)[None],
                pixel_aspect=self.pixel_aspect,
                steadied=lambda _: steadied_frame(reader, frame),
            )
        bare = replace(proposal, masks=Masks(proposal.masks.planes[:, :0, :0], proposal.masks.state))
        self._proposals[frame] = [pack_mask(plane) for plane in proposal.masks.planes], bare
        return proposal

    def _stored(self, frame: int, student_id: str) -> Proposal | None:
        """Return the student's proposal of the soft structures where it is the newest revision of all of them."""
        own, keys = Provenance("student", student=student_id), self._soft
        newest = self._project.newest(self._clip.id, frame)
        if any(key not in newest or newest[key].provenance != own for key in keys):
            return None
        empty = np.zeros((self._clip.height, self._clip.width), np.bool_)
        masks = [newest[key].mask for key in keys]
        planes = np.stack([empty if mask is None else mask for mask in masks])
        confidence = [np.nan if newest[key].confidence is None else newest[key].confidence for key in keys]
        state = np.full(len(keys), MaskState.PROPOSED, np.uint8)
        return Proposal(keys, Masks(planes, state), np.array(confidence, np.float32), student_id)
