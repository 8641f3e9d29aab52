# SPDX-License-Identifier: Apache-2.0
"""A clip of a project, and the student that has learnt it: what it says goes wherever nobody has spoken."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from vfss.clips import Clip
from vfss.masks import BoolArray, ByteArray, Masks, MaskState, unpack_mask
from vfss.project import Edit, Project, Provenance
from vfss.project.provenance import ADAPTED_STUDENT
from vfss.propagation.direction import PropagatedFrame
from vfss.propagation.whole_clip import PackedPrediction, WholeClipPropagation, soft_predictions
from vfss.proposals.propagation import Stage, StoredClip
from vfss.schema import Schema
from vfss.student import Proposal, Student

LEAST_FRAMES = 2
"""Frames on which a person must have said something before a clip can be learnt; more are better."""
_TELLING = (MaskState.EDITED, MaskState.ACCEPTED, MaskState.EMPTY)
_BATCH = 8


def annotated_soft(states: ByteArray, schema: Schema) -> BoolArray:
    """Where a person has said which pixels belong to a soft structure: what a clip can be learnt from.

    Args:
        states: uint8 (T, S), values of MaskState.
        schema: The structures.

    Returns:
        bool (T, S), False for bones.
    """
    found: BoolArray = np.isin(states, _TELLING) & np.array([not structure.is_rigid for structure in schema.structures])
    return found


class AdaptedClip(StoredClip):
    """What a project knows of a clip, with the word of the student that has learnt it."""

    def __init__(self, project: Project, clip: Clip, student: Student, frames: int) -> None:
        """Nothing is asked yet of the student, which has learnt from so many frames."""
        super().__init__(project, clip, student)
        self._learnt_from = frames
        self.said: dict[int, dict[str, PackedPrediction]] = {}
        self._learnt = student

    def listen(self) -> Iterator[int]:
        """Ask the student about every frame; tells how many are done."""
        for frame, said in enumerate(self._learnt.propose_each(map(self._clip.as_uint8, range(self.n_frames)))):
            self.said[frame] = soft_predictions(said, self.schema, self._learnt_from)
            yield frame + 1

    def proposal(self, frame: int) -> Proposal | None:
        """Return the student's proposal of the soft structures of a frame; None where it knows none of them."""
        predictions = self.said[frame]
        if not predictions:
            return None
        planes = np.stack([unpack_mask(packed) for packed, _ in predictions.values()])
        confidence = np.array([value for _, value in predictions.values()], np.float32)
        state = np.full(len(planes), MaskState.PROPOSED, np.uint8)
        return Proposal(tuple(predictions), Masks(planes, state), confidence, self._learnt.id)


class AdaptedRun:
    """Writes what a student that has learnt a clip says of it, as proposals, never over a person's or an import."""

    def __init__(self, project: Project, clip: Clip, student: Student, *, frames: Sequence[int], parent: str) -> None:
        """Nothing is written yet.

        Args:
            project: Where masks come from, and go to.
            clip: The recording.
            student: The one that has learnt it.
            frames: Zero-based frames that it was fine-tuned on.
            parent: Id of the student that it went on from.
        """
        self._project, self._clip = project, clip
        self._provenance = Provenance.adapted(tuple(sorted(frames)), parent)
        self._source = AdaptedClip(project, clip, student, len(frames))

    def run(self) -> Iterator[Stage]:
        """Ask the student about every frame, then write; each stage is one transaction.

        Raises:
            VfssError: A frame cannot be decoded, or the project not be read or written.
        """
        n = self._clip.n_frames
        for done in self._source.listen():
            yield Stage(done, 3 * n, ())  # most clips have their key frames on both sides of each gap
        spreading = WholeClipPropagation(self._source, self._source.said)
        standing = self._project.past.standing(self._clip.id).items()
        imported = {place for place, revision in standing if revision.provenance.method == "import"}
        batch: list[PropagatedFrame] = []
        for frame in spreading.run():
            batch.append(frame)
            if len(batch) == _BATCH:
                yield self._write(batch, spreading, imported)
                batch = []
        if batch:
            yield self._write(batch, spreading, imported)

    def _write(
        self, batch: list[PropagatedFrame], spreading: WholeClipPropagation, imported: set[tuple[int, str]]
    ) -> Stage:
        n = self._clip.n_frames
        edits = [
            Edit(
                self._clip.id,
                new.frame,
                key,
                plane,
                MaskState.PROPOSED,
                new.confidence[key],
                provenance=self._provenance,
            )
            for new in batch
            for key, plane in new.planes.items()
            if (new.frame, key) not in imported  # a person chose to import it
        ]
        places: tuple[tuple[int, str, int], ...] = ()
        if edits:
            written = self._project.write(edits, author=ADAPTED_STUDENT, origin="proposal", leave=True)
            places = tuple((revision.frame, revision.structure, revision.id) for revision in written)
        return Stage(n + spreading.done, n + spreading.total, places)
