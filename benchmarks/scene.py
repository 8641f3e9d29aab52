# SPDX-License-Identifier: Apache-2.0
"""A phantom clip in memory during annotation: true and current masks, propagation and clip adaptation."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from annotator import agreement
from correcting import ENOUGH

from vfss.masks import BoolArray, ByteArray, MaskState
from vfss.phantom import Phantom
from vfss.propagation.propagation import Propagation, PropagationRequest
from vfss.propagation.whole_clip import WholeClipPropagation, soft_predictions
from vfss.proposals.soft_annotations import annotated_soft
from vfss.schema import Schema
from vfss.student import Proposal, Student
from vfss.student.checkpoint import Checkpoint
from vfss.student.openvino_runtime import OpenVinoRuntime
from vfss_training.clip_adaptation.fine_tune import MOST_FRAMES, Example, learn_clip

FloatArray = npt.NDArray[np.float32]


@dataclass
class Scene:
    """A clip in memory, with its true masks and the proposals of a student.

    Attributes:
        pictures: uint8 (T, H, W).
        truth: bool (T, S, H, W).
        proposals: One per frame.
        masks: Current masks, bool (T, S, H, W).
        state: uint8 (T, S), values of MaskState.
        confidence: Estimated Dice of each mask, float32 (T, S).
        encoded: Features of the frame that was prompted last, by frame.
        pixel_aspect: Width of a pixel divided by its height.
    """

    schema: Schema
    student: Student
    pictures: ByteArray
    truth: BoolArray
    proposals: list[Proposal]
    masks: BoolArray
    state: ByteArray
    confidence: FloatArray
    encoded: dict[int, Any] = field(default_factory=dict)
    pixel_aspect: float = 1.0

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return len(self.pictures)

    def uncorrected(self) -> Scene:
        """Return a copy that can be corrected independently."""
        masks, state = self.masks.copy(), self.state.copy()
        proposals, confidence = list(self.proposals), self.confidence.copy()
        return replace(self, masks=masks, state=state, proposals=proposals, confidence=confidence, encoded={})

    def picture(self, frame: int) -> ByteArray:
        """Return a frame, uint8 (H, W)."""
        return self.pictures[frame]

    def states(self) -> ByteArray:
        """Return the states of all frames, uint8 (T, S)."""
        return self.state

    def plane(self, frame: int, structure: str) -> BoolArray:
        """Return the current mask of a structure, bool (H, W)."""
        mask: BoolArray = self.masks[frame, self.schema[structure].index]
        return mask

    def proposal(self, frame: int) -> Proposal | None:
        """Return the student's proposal for a frame."""
        return self.proposals[frame]

    def features(self, frame: int) -> Any:
        """Return the encoder features of a frame; those of the last frame are cached."""
        if frame not in self.encoded:
            self.encoded = {frame: self.student.encode(self.pictures[frame])}
        return self.encoded[frame]

    def is_right(self, frame: int, index: int) -> bool:
        """Return whether a structure needs no correction."""
        shown, truth = self.masks[frame, index], self.truth[frame, index]
        return not shown.any() if not truth.any() else agreement(shown, truth) >= ENOUGH

    def wrong(self) -> BoolArray:
        """Return the proposals that need correction, bool (T, S)."""
        wrong = np.zeros(self.state.shape, np.bool_)
        for frame, index in np.argwhere(self.state == MaskState.PROPOSED):
            wrong[frame, index] = not self.is_right(int(frame), int(index))
        return wrong

    def propagate(self, frame: int, keys: tuple[str, ...]) -> None:
        """Propagate masks of a frame in both directions, as the window does."""
        self._write_proposals(Propagation(self, PropagationRequest(frame, "both", keys)))

    def learn(self, checkpoint: Checkpoint) -> None:
        """Adapt the student to the corrected frames and propose the soft structures again, as the window does."""
        self.propose_adapted(self.adapted_checkpoint(checkpoint))

    def adapted_checkpoint(self, checkpoint: Checkpoint) -> Checkpoint:
        """Return the student adapted to the corrected frames of the clip."""
        annotated = annotated_soft(self.state, self.schema)
        frames = np.flatnonzero(annotated.any(axis=1))
        return learn_clip(checkpoint, [Example(self.pictures[t], self.masks[t], annotated[t]) for t in frames])

    def propose_adapted(self, adapted: Checkpoint) -> None:
        """Propose the soft structures again by a clip-adapted student."""
        annotated = int(annotated_soft(self.state, self.schema).any(axis=1).sum())
        keys, frames = self.schema.keys, min(annotated, MOST_FRAMES)
        proposals = list(Student(adapted, OpenVinoRuntime(adapted)).propose_each(iter(self.pictures)))
        predictions = {
            frame: soft_predictions(proposal, self.schema, frames) for frame, proposal in enumerate(proposals)
        }
        self.proposals = [
            replace(one, confidence=np.array([predictions[t].get(key, (b"", np.nan))[1] for key in keys], np.float32))
            for t, one in enumerate(proposals)
        ]
        self._write_proposals(WholeClipPropagation(self, predictions))

    def _write_proposals(self, run: Propagation | WholeClipPropagation) -> None:
        for propagated in run.run():
            for key, plane in propagated.planes.items():
                index = self.schema[key].index
                if self.state[propagated.frame, index] == MaskState.PROPOSED:
                    self.masks[propagated.frame, index] = plane
                    self.confidence[propagated.frame, index] = propagated.confidence[key]


def scene(student: Student, seed: int, frames: int, size: int, style: str) -> Scene:
    """Return a clip with proposals on all frames and without corrections."""
    phantom = Phantom(seed, n_frames=frames, height=size, width=size, style=style)
    samples = [phantom.sample(t) for t in range(frames)]
    pictures = np.stack([picture for picture, _, _ in samples])
    truth = np.stack([planes for _, planes, _ in samples])
    proposals = list(student.propose_each(iter(pictures)))
    masks = np.stack([proposal.masks.planes for proposal in proposals])
    state = np.full((frames, len(student.schema)), MaskState.PROPOSED, np.uint8)
    confidence = np.stack([proposal.confidence for proposal in proposals])
    return Scene(student.schema, student, pictures, truth, proposals, masks, state, confidence)
