# SPDX-License-Identifier: Apache-2.0
"""Student and Proposal: frames in, a machine's word out."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from vfss.errors import StudentError
from vfss.masks import Masks, MaskState
from vfss.schema import Schema
from vfss.student.checkpoint import Checkpoint
from vfss.student.preprocess import Placement, prepare, restore


@dataclass(frozen=True)
class Proposal:
    """A machine's word on one frame: becomes truth only when a person accepts it.

    Attributes:
        masks: Planes at the frame's own size, every state PROPOSED.
        confidence: float32 (S,), the student's own estimate of each plane's Dice, 0..1.
        student: Id of the student that made it.
        clip: Id of the clip, where known.
        frame: Zero-based frame index, where known.
    """

    masks: Masks
    confidence: npt.NDArray[np.float32]
    student: str
    clip: str | None = None
    frame: int | None = None


class Runtime(Protocol):
    """What runs the network.

    Attributes:
        device: Where it runs and how precisely, e.g. "cpu (bf16)".
        batch: Frames it likes to take at once.
    """

    device: str
    batch: int

    def run(self, inputs: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Logits float32 (N, S, size/4, size/4) and quality float32 (N, S) of inputs float32 (N, 1, size, size)."""


class Student:
    """The network at work: proposes masks of all structures of a schema.

    Several threads may use one student; they take turns.

    Attributes:
        id: Hash of the file's content.
        schema: Structures; plane i of a proposal is schema.structures[i].
        provenance: How the file came to be.
        scores: Scores it was saved with.
        path: File it was read from.
        device: Where it runs, for a person.
    """

    def __init__(self, checkpoint: Checkpoint, runtime: Runtime) -> None:
        """Bind a checkpoint to the runtime that was built from it."""
        self.id = checkpoint.id
        self.schema: Schema = checkpoint.schema
        self.provenance: Mapping[str, Any] = checkpoint.provenance
        self.scores: Mapping[str, Any] = checkpoint.scores
        self.path: Path | None = checkpoint.path
        self.device = runtime.device
        self._config = checkpoint.config
        self._runtime = runtime
        self._placement: Placement | None = None
        self._turn = threading.Lock()

    def propose(self, frames: npt.NDArray[np.uint8]) -> list[Proposal]:
        """Masks and confidence of every structure on each frame.

        Args:
            frames: uint8 (N, H, W).

        Returns:
            One proposal per frame, in order, planes bool (S, H, W).

        Raises:
            StudentError: frames has another dtype or number of axes, or is empty in height or width.
        """
        if frames.dtype != np.uint8 or frames.ndim != 3 or 0 in frames.shape[1:]:
            raise StudentError(
                f"frames must be uint8 (N, H, W), got {frames.dtype} {frames.shape}",
                remedy="Use clip.as_uint8(t)[None] for one frame of a clip.",
            )
        placement = self._placed(frames.shape[1], frames.shape[2])
        proposals: list[Proposal] = []
        for start in range(0, len(frames), self._runtime.batch):
            part = frames[start : start + self._runtime.batch]
            inputs = np.stack([prepare(frame, placement, self._config) for frame in part])
            with self._turn:
                logits, quality = self._runtime.run(inputs)
            proposals += [self._proposal(*pair, placement) for pair in zip(logits, quality, strict=True)]
        return proposals

    def _placed(self, height: int, width: int) -> Placement:
        """Placement of frames of that size; that of the last call is kept, as clips do not change theirs."""
        placement = self._placement
        if placement is None or (placement.height, placement.width) != (height, width):
            placement = Placement.of(height, width, self._config.input_size)
            self._placement = placement
        return placement

    def _proposal(
        self, logits: npt.NDArray[np.float32], quality: npt.NDArray[np.float32], placement: Placement
    ) -> Proposal:
        state = np.full(len(self.schema), MaskState.PROPOSED, np.uint8)
        return Proposal(Masks(restore(logits, placement), state), quality.astype(np.float32, copy=True), self.id)
