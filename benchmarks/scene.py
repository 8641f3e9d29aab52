# SPDX-License-Identifier: Apache-2.0
"""A phantom clip in memory as an annotator works on it: its truth, what is shown, and what the tool does with it."""

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
from vfss.proposals.adapted_student import annotated_soft
from vfss.schema import Schema
from vfss.student import Proposal, Student
from vfss.student.checkpoint import Checkpoint
from vfss.student.openvino_runtime import OpenVinoRuntime
from vfss_training.clip_adaptation.fine_tune import MOST_FRAMES, Example, learn_clip

FloatArray = npt.NDArray[np.float32]


@dataclass
class Scene:
    """A clip in memory, with its truth and the student's word on it.

    Attributes:
        pictures: uint8 (T, H, W).
        truth: bool (T, S, H, W).
        proposals: One a frame.
        masks: bool (T, S, H, W), what is shown now.
        state: uint8 (T, S), values of MaskState.
        sure: float32 (T, S), the machine's estimate of each mask's Dice.
    """

    schema: Schema
    student: Student
    pictures: ByteArray
    truth: BoolArray
    proposals: list[Proposal]
    masks: BoolArray
    state: ByteArray
    sure: FloatArray
    encoded: dict[int, Any] = field(default_factory=dict)

    @property
    def n_frames(self) -> int:
        """Frames of the clip."""
        return len(self.pictures)

    def again(self) -> Scene:
        """The same before anything was corrected."""
        masks, state = self.masks.copy(), self.state.copy()
        proposals, sure = list(self.proposals), self.sure.copy()
        return replace(self, masks=masks, state=state, proposals=proposals, sure=sure, encoded={})

    def picture(self, frame: int) -> ByteArray:
        """Frame as uint8 (H, W)."""
        return self.pictures[frame]

    def states(self) -> ByteArray:
        """States of all frames."""
        return self.state

    def plane(self, frame: int, structure: str) -> BoolArray:
        """A mask as it is now."""
        found: BoolArray = self.masks[frame, self.schema[structure].index]
        return found

    def proposal(self, frame: int) -> Proposal | None:
        """What the student says of a frame."""
        return self.proposals[frame]

    def features(self, frame: int) -> Any:
        """What the encoder knows of a frame."""
        if frame not in self.encoded:
            self.encoded = {frame: self.student.encode(self.pictures[frame])}
        return self.encoded[frame]

    def is_right(self, frame: int, index: int) -> bool:
        """Whether a structure needs no correction."""
        shown, truth = self.masks[frame, index], self.truth[frame, index]
        return not shown.any() if not truth.any() else agreement(shown, truth) >= ENOUGH

    def wrong(self) -> BoolArray:
        """What a person has still to correct, bool (T, S)."""
        found = np.zeros(self.state.shape, np.bool_)
        for frame, index in np.argwhere(self.state == MaskState.PROPOSED):
            found[frame, index] = not self.is_right(int(frame), int(index))
        return found

    def carry(self, frame: int, keys: tuple[str, ...]) -> None:
        """Carry masks of a frame both ways, as the window does."""
        self._take(Propagation(self, PropagationRequest(frame, "both", keys)))

    def learn(self, checkpoint: Checkpoint) -> None:
        """Learn the clip from what was corrected, and propose its soft structures anew, as the window does."""
        self.spread(self.learnt(checkpoint))

    def learnt(self, checkpoint: Checkpoint) -> Checkpoint:
        """A student that has learnt the clip from what was corrected."""
        told = annotated_soft(self.state, self.schema)
        frames = np.flatnonzero(told.any(axis=1))
        return learn_clip(checkpoint, [Example(self.pictures[t], self.masks[t], told[t]) for t in frames])

    def spread(self, learnt: Checkpoint) -> None:
        """Propose the soft structures anew by a student that has learnt the clip."""
        told = int(annotated_soft(self.state, self.schema).any(axis=1).sum())
        keys, frames = self.schema.keys, min(told, MOST_FRAMES)
        proposals = list(Student(learnt, OpenVinoRuntime(learnt)).propose_each(iter(self.pictures)))
        said = {frame: soft_predictions(proposal, self.schema, frames) for frame, proposal in enumerate(proposals)}
        self.proposals = [
            replace(one, confidence=np.array([said[t].get(key, (b"", np.nan))[1] for key in keys], np.float32))
            for t, one in enumerate(proposals)
        ]
        self._take(WholeClipPropagation(self, said))

    def _take(self, run: Propagation | WholeClipPropagation) -> None:
        for found in run.run():
            for key, plane in found.planes.items():
                index = self.schema[key].index
                if self.state[found.frame, index] == MaskState.PROPOSED:
                    self.masks[found.frame, index] = plane
                    self.sure[found.frame, index] = found.confidence[key]


def scene(student: Student, seed: int, frames: int, size: int, style: str) -> Scene:
    """A clip of which everything is proposed and nothing corrected."""
    phantom = Phantom(seed, n_frames=frames, height=size, width=size, style=style)
    samples = [phantom.sample(t) for t in range(frames)]
    pictures = np.stack([picture for picture, _, _ in samples])
    truth = np.stack([planes for _, planes, _ in samples])
    proposals = list(student.propose_each(iter(pictures)))
    masks = np.stack([proposal.masks.planes for proposal in proposals])
    state = np.full((frames, len(student.schema)), MaskState.PROPOSED, np.uint8)
    sure = np.stack([proposal.confidence for proposal in proposals])
    return Scene(student.schema, student, pictures, truth, proposals, masks, state, sure)
