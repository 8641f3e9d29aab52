# SPDX-License-Identifier: Apache-2.0
"""Propagation at work on a project: masks carried over a clip, each batch written as it is done."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from cachetools import LRUCache

from vfss.clips import Clip
from vfss.errors import ProjectError
from vfss.masks import BoolArray, ByteArray, Masks, MaskState, pack_mask, unpack_mask
from vfss.project import Edit, Project, Provenance
from vfss.project.provenance import PROPAGATION
from vfss.propagation.propagation import Ending, PropagatedFrame, Propagation, PropagationRequest
from vfss.student import Proposal, Student

_BATCH = 4
_PICTURES, _PROPOSALS = 4, 256  # kept in memory; proposals are packed


@dataclass(frozen=True)
class Stage:
    """How far a run has come.

    Attributes:
        done: Frames worked on.
        total: Frames to work on at most.
        written: Frame, key of structure and id of the revision of every mask written since the stage before.
    """

    done: int
    total: int
    written: tuple[tuple[int, str, int], ...]


def refuse_read_only(project: Project) -> None:
    """Say so before anything is computed that could not be written.

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
    """One run over one clip of a project. What it writes is a machine's word: never over a person's."""

    def __init__(self, project: Project, clip: Clip, order: PropagationRequest, student: Student | None) -> None:
        """Look how far it may go.

        Args:
            project: Where masks come from, and go to.
            clip: The recording.
            order: What to carry.
            student: Whose proposals help with soft structures; None: motion alone.

        Raises:
            ProjectError: A structure has no mask of a person on the frame, or the project cannot be read.
        """
        refuse_read_only(project)
        self._project, self._clip, self._order, self._student = project, clip, order, student
        self._run = Propagation(StoredClip(project, clip, student), order)

    @property
    def total(self) -> int:
        """Frames to work on at most."""
        return self._run.total

    @property
    def endings(self) -> tuple[Ending, ...]:
        """How far each structure has come until now."""
        return self._run.endings

    def run(self) -> Iterator[Stage]:
        """Carry and write; each stage is one transaction, the first one frame, so that a person sees something soon.

        Raises:
            VfssError: A frame cannot be decoded, or the project not be written.
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
        made = Provenance.propagated(self._order.start, None if self._student is None else self._student.id)
        edits = [
            Edit(self._clip.id, new.frame, key, plane, MaskState.PROPOSED, new.confidence[key], provenance=made)
            for new in batch
            for key, plane in new.planes.items()
        ]
        if not edits:
            return Stage(self._run.done, self._run.total, ())
        written = self._project.write(edits, author=PROPAGATION, origin="proposal", leave=True)
        places = tuple((revision.frame, revision.structure, revision.id) for revision in written)
        return Stage(self._run.done, self._run.total, places)


class StoredClip:
    """What a project knows of one of its clips (vfss.propagation.propagation.Source).

    Attributes:
        schema: The structures.
        n_frames: Frames of the clip.
    """

    def __init__(self, project: Project, clip: Clip, student: Student | None) -> None:
        """Read from a project, a recording and a student."""
        self.schema, self.n_frames = project.schema, clip.n_frames
        self._project, self._clip, self._student = project, clip, student
        known = () if student is None else student.schema.keys
        self._soft = tuple(s.key for s in self.schema.structures if not s.is_rigid and s.key in known)
        self._pictures: LRUCache[int, ByteArray] = LRUCache(_PICTURES)
        self._proposals: LRUCache[int, tuple[list[bytes], Proposal]] = LRUCache(_PROPOSALS)

    def picture(self, frame: int) -> ByteArray:
        """Frame as uint8 (H, W)."""
        if frame not in self._pictures:
            self._pictures[frame] = self._clip.as_uint8(frame)
        return self._pictures[frame]

    def states(self) -> ByteArray:
        """States of all frames at this moment, uint8 (n_frames, S)."""
        return self._project.states(self._clip.id)

    def plane(self, frame: int, structure: str) -> BoolArray:
        """A mask that a person made, bool (H, W)."""
        revision = self._project.newest(self._clip.id, frame).get(structure)
        mask = None if revision is None else revision.mask
        return np.zeros((self._clip.height, self._clip.width), np.bool_) if mask is None else mask

    def proposal(self, frame: int) -> Proposal | None:
        """What the student says of a frame: read where it is in the project, else the student is asked."""
        if self._student is None or not self._soft:
            return None
        if frame in self._proposals:
            packed, bare = self._proposals[frame]
            planes = np.stack([unpack_mask(plane) for plane in packed])
            return replace(bare, masks=Masks(planes, bare.masks.state))
        proposal = self._stored(frame, self._student.id) or self._student.propose(self.picture(frame)[None])[0]
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
