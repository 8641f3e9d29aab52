# SPDX-License-Identifier: Apache-2.0
"""Distillation: a linear adaptor draws the student's embedding to a teacher's standardised features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from vfss.student.network import Features, StudentNetwork
from vfss_training.teachers.targets import CachedTargets
from vfss_training.views import Draw


@dataclass(frozen=True)
class Lesson:
    """What a teacher has to say.

    Attributes:
        teacher: Its name.
        targets: Features of the first frames of one source.
        source: Number of that source.
    """

    teacher: str
    targets: CachedTargets
    source: int


class Taught(nn.Module):
    """A student while it is trained: its own outputs, and its embedding as each teacher would say it.

    Attributes:
        network: The student.
        adaptors: A linear map per teacher, left behind at the end.
    """

    def __init__(self, network: StudentNetwork, width: int, channels: dict[str, int]) -> None:
        """Add adaptors.

        Args:
            network: The student.
            width: Channels of its embedding.
            channels: Channels of each teacher.
        """
        super().__init__()
        self.network = network
        self.adaptors = nn.ModuleDict({name: nn.Conv2d(width, count, 1) for name, count in channels.items()})

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Logits, quality, and the embedding per teacher, float (N, channels, size/16, size/16).

        Args:
            frames: float (N, 1, size, size).
        """
        if not self.adaptors:
            return (*self.network(frames), {})
        seen: list[Features] = []

        def keep(module: nn.Module, inputs: Any, features: Features) -> None:
            seen.append(features)

        # The student has no output for it, as only a training asks.
        listening = self.network.encoder.register_forward_hook(keep)
        try:
            logits, quality = self.network(frames)
        finally:
            listening.remove()
        embedding = seen[0].embedding
        return logits, quality, {name: adaptor(embedding) for name, adaptor in self.adaptors.items()}


def feature_loss(adapted: Tensor, target: Tensor, field: Tensor) -> Tensor:
    """Half one minus the cosine and half the smooth absolute difference (UNIC, arXiv 2408.05088), over the field.

    Args:
        adapted: float (N, channels, h, w): resized to the target's grid, never the other way round.
        target: float (N, channels, grid, grid), standardised.
        field: bool (N, grid, grid), cells that count.
    """
    resized = functional.interpolate(adapted.float(), size=target.shape[-2:], mode="bilinear")
    apart = 1.0 - functional.cosine_similarity(resized, target, dim=1)
    difference = functional.smooth_l1_loss(resized, target, reduction="none").mean(1)
    weight = field.to(apart.dtype)
    return ((0.5 * apart + 0.5 * difference) * weight).sum() / weight.sum().clamp(min=1.0)


def lesson_loss(lesson: Lesson, adapted: Tensor, draws: Sequence[Draw]) -> Tensor | None:
    """Loss of the views in a batch that kept their place; None where there is none."""
    rows = [row for row, draw in enumerate(draws) if draw.in_place and draw.source == lesson.source]
    if not rows:
        return None
    target, field = lesson.targets.batch([draws[row].item for row in rows])
    chosen = adapted[torch.tensor(rows, device=adapted.device)]
    return feature_loss(chosen, target.to(adapted.device), field.to(adapted.device))
