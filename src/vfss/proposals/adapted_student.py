# SPDX-License-Identifier: Apache-2.0
"""Proposals by a clip-adapted student: its masks go wherever no person has annotated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from vfss.clips import Clip
from vfss.clips.readable import ReadableFrames
from vfss.errors import ClipError
from vfss.masks import Masks, MaskState, unpack_mask
from vfss.project import Project, Provenance
from vfss.project.provenance import ADAPTED_STUDENT
from vfss.propagation.direction import PropagatedFrame
from vfss.propagation.whole_clip import PackedPrediction, WholeClipPropagation, soft_predictions
from vfss.proposals.propagation import Stage, StoredClip, proposed_edits
from vfss.student import Proposal, Student
from vfss.student.readable import propose_readable

BATCH = 8
"""Frames written in one transaction."""


class AdaptedClip(StoredClip):
    """A clip of a project with the predictions of a student adapted to it.

    Attributes:
        predictions: Packed masks and confidences of the soft structures, by frame and structure key.
    """

    def __init__(self, project: Project, clip: Clip, student: Student, frames: int) -> None:
        """Take the student and the number of frames that it was adapted on; nothing is predicted yet."""
        super().__init__(project, clip, student)
        self._n_adapted = frames
        self.predictions: dict[int, dict[str, PackedPrediction]] = {}
        self._adapted = student
        self._reader = ReadableFrames(clip)

    @property
    def unreadable(self) -> Mapping[int, ClipError]:
        """Why a frame cannot be decoded, by zero-based index; known when all are predicted."""
        return self._reader.unreadable

    def predict(self) -> Iterator[int]:
        """Let the student predict each frame that can be decoded; yield how many are done."""
        for frame, proposal in propose_readable(self._adapted, self._reader, range(self.n_frames)):
            self.predictions[frame] = soft_predictions(proposal, self.schema, self._n_adapted)
            yield frame + 1

    def proposal(self, frame: int) -> Proposal | None:
        """Return the student's proposal of the soft structures of a frame; None where it knows none of them."""
        predictions = self.predictions.get(frame)
        if not predictions:
            return None
        planes = np.stack([unpack_mask(packed) for packed, _ in predictions.values()])
        confidence = np.array([value for _, value in predictions.values()], np.float32)
        state = np.full(len(planes), MaskState.PROPOSED, np.uint8)
        return Proposal(tuple(predictions), Masks(planes, state), confidence, self._adapted.id)


class AdaptedRun:
    """Writes a clip-adapted student's masks as proposals, never over annotations or imports."""

    def __init__(self, project: Project, clip: Clip, student: Student, *, frames: Sequence[int], parent: str) -> None:
        """Take the student; nothing is written yet.

        Args:
            project: Holds the annotations, and takes the proposals.
            clip: The recording.
            student: The student adapted to it.
            frames: Zero-based frames that it was fine-tuned on.
            parent: Id of the student that it was fine-tuned from.
        """
        self._project, self._clip = project, clip
        self._provenance = Provenance.adapted(tuple(sorted(frames)), parent)
        self._source = AdaptedClip(project, clip, student, len(frames))

    @property
    def unreadable(self) -> Mapping[int, ClipError]:
        """Why a frame was left out that cannot be decoded, by zero-based index; known at the end of the run."""
        return self._source.unreadable

    def run(self) -> Iterator[Stage]:
        """Predict all frames, then write; each stage is one transaction. Frames that cannot be decoded are left out.

        Raises:
            VfssError: The project cannot be read or written.
        """
        n = self._clip.n_frames
        for done in self._source.predict():
            yield Stage(done, 3 * n, ())  # most clips have their key frames on both sides of each gap
        propagation = WholeClipPropagation(self._source, self._source.predictions)
        standing = self._project.past.standing(self._clip.id).items()
        imported = {place for place, revision in standing if revision.provenance.method == "import"}
        batch: list[PropagatedFrame] = []
        for frame in propagation.run():
            batch.append(frame)
            if len(batch) == BATCH:
                yield self._write(batch, propagation, imported)
                batch = []
        if batch:
            yield self._write(batch, propagation, imported)

    def _write(
        self, batch: list[PropagatedFrame], propagation: WholeClipPropagation, imported: set[tuple[int, str]]
    ) -> Stage:
        n = self._clip.n_frames
        edits = [
            edit
            for edit in proposed_edits(self._clip.id, batch, self._provenance)
            if (edit.frame, edit.structure) not in imported  # a person chose to import it
        ]
        places: tuple[tuple[int, str, int], ...] = ()
        if edits:
            written = self._project.write(edits, author=ADAPTED_STUDENT, origin="proposal", leave=True)
            places = tuple((revision.frame, revision.structure, revision.id) for revision in written)
        return Stage(n + propagation.done, n + propagation.total, places)
