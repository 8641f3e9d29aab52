# SPDX-License-Identifier: Apache-2.0
"""Students as teachers: larger ones, or several, that were taught the labels paint what nobody has painted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from vfss.student.checkpoint import Checkpoint
from vfss.student.config import LOGIT_STRIDE
from vfss.student.preprocess import Placement, prepare
from vfss.student.torch_runtime import build_network


class StudentTeacher:
    """One student that paints masks.

    Attributes:
        key: Id of its file.
        grid: Side of its masks, px.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        """Build its network; logits are the mean over the frame and its mirror image."""
        self.key = checkpoint.id
        self._config = replace(checkpoint.config, mirrored=True)
        self.grid = self._config.input_size // LOGIT_STRIDE
        self._network = build_network(replace(checkpoint, config=self._config))
        if torch.cuda.is_available():
            self._network.cuda()

    def masks(self, frames: Tensor, places: Sequence[tuple[int, int]] = ()) -> Tensor:
        """Sigmoid of each structure, float32 (N, S, grid, grid).

        Args:
            frames: uint8 (N, size, size).
            places: Of the frames in their stream; it looks at the frames themselves.
        """
        side = frames.shape[1]
        placement = Placement.of(side, side, self._config.input_size)
        inputs = np.stack([prepare(frame, placement, self._config) for frame in frames.numpy()])
        with torch.inference_mode():
            logits, _ = self._network(torch.from_numpy(inputs).to(next(self._network.parameters()).device))
        found: Tensor = logits.float().sigmoid().cpu()
        return found
