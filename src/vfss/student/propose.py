# SPDX-License-Identifier: Apache-2.0
"""Student and Proposal: frames in, a machine's word out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vfss.masks import Masks


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
