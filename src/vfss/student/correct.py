# SPDX-License-Identifier: Apache-2.0
"""What a student does with prompts: a frame is encoded once, and every click costs the corrector only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from vfss.clips.exposed_field import Window
from vfss.masks import BoolArray
from vfss.student.preprocess import Placement

FloatArray = npt.NDArray[np.float32]

Encoded = tuple[FloatArray, FloatArray, FloatArray]
"""Features of one frame: float32 (1, width, size/16, size/16), (1, at8, size/8, size/8), (1, at4, size/4, size/4)."""


class PromptRuntime(Protocol):
    """What runs encoder and corrector apart."""

    def encode(self, one: FloatArray) -> Encoded:
        """Features of one input, float32 (1, size, size)."""

    def correct(self, features: Encoded, maps: FloatArray, asked: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Logits float32 (S, size/4, size/4) and quality float32 (S,).

        Args:
            features: As from encode.
            maps: float32 (S + 4, size/4, size/4), as from vfss.student.prompt_maps.
            asked: float32 (S,), 1 at the structure that is corrected; all 0: all are wanted.
        """


@dataclass(frozen=True)
class EncodedFrame:
    """What the encoder knows of one frame; to be kept as long as the frame is looked at.

    Attributes:
        features: For the runtime.
        window: Part of the frame that the network sees.
        placement: Where it lies in the input.
        shape: Rows and columns of the frame.
        student: Id of the student.
    """

    features: Encoded
    window: Window
    placement: Placement
    shape: tuple[int, int]
    student: str

    @property
    def bytes(self) -> int:
        """What it takes up in memory."""
        return sum(part.nbytes for part in self.features)


@dataclass(frozen=True)
class Refinement:
    """The answer to a prompt.

    Attributes:
        mask: bool (H, W), the structure's plane at the frame's own size.
        confidence: The student's own estimate of its Dice, 0..1.
    """

    mask: BoolArray
    confidence: float
