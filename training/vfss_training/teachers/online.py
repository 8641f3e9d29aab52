# SPDX-License-Identifier: Apache-2.0
"""Targets of a teacher that looks at every batch as the student is shown it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from vfss_training.teachers.targets import CachedTargets, textured
from vfss_training.teachers.teacher import Teacher


class OnlineTargets:
    """Features of whatever a batch shows, standardised.

    Attributes:
        frames: 0, as no views are kept.
        channels: Of the features.
    """

    frames = 0

    def __init__(self, teacher: Teacher, scale: CachedTargets) -> None:
        """Ask that teacher.

        Args:
            teacher: With its weights, on the device it works on.
            scale: Features of some frames, which say how all are standardised and pooled.
        """
        self._teacher, self._scale = teacher, scale
        self.channels = scale.channels

    def said(self, places: Sequence[tuple[int, int]], shown: Tensor) -> tuple[Tensor, Tensor]:
        """Standardised features, float32 (N, channels, grid, grid), and field, bool (N, grid, grid).

        Args:
            places: Frame and view of each; it looks at the pictures themselves.
            shown: float (N, 1, size, size), the student's input, -1..1.
        """
        frames = ((shown[:, 0].detach().clamp(-1.0, 1.0) + 1.0) * 127.5).round().to(torch.uint8)
        return self._scale.pooled(self._teacher.targets(frames)), textured(frames, self._scale.grid)
