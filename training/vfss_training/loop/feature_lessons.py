# SPDX-License-Identifier: Apache-2.0
"""Distillation: projectors draw the student's embedding to the standardised features of several teachers, balanced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from vfss.student.network.decoder import Features
from vfss.student.network.student import StudentNetwork
from vfss_training.config.parts import Distillation
from vfss_training.loop.batches import Draw
from vfss_training.losses.balancing import Balancer, balance
from vfss_training.losses.features import FEATURE_LOSSES, PROJECTORS
from vfss_training.teachers.targets import CachedTargets, OnlineTargets


@dataclass(frozen=True)
class FeatureTargets:
    """What a teacher has to say.

    Attributes:
        teacher: Its name.
        targets: Features of kept views of the first frames of one source, or of whatever is shown of it.
        source: Number of that source.
    """

    teacher: str
    targets: CachedTargets | OnlineTargets
    source: int

    def covers(self, draw: Draw) -> bool:
        """Whether it has something to say of that place in a batch."""
        return draw.source == self.source and (draw.view >= 0 or isinstance(self.targets, OnlineTargets))


class DistillationLoss(NamedTuple):
    """What teachers said of a batch.

    Attributes:
        loss: Balanced, a scalar for the student.
        gate: A scalar for the balancer's own parameters.
        losses: Mean loss of each teacher, for the log.
        weights: Mean weight of each teacher, for the log.
    """

    loss: Tensor
    gate: Tensor
    losses: dict[str, float]
    weights: dict[str, float]


class DistilledStudent(nn.Module):
    """A student while it is trained: its own outputs, and its embedding as each teacher would say it.

    Attributes:
        network: The student.
        adaptors: A projector per teacher, left behind at the end.
    """

    def __init__(
        self, network: StudentNetwork, width: int, channels: Mapping[str, int], projector: str = "linear"
    ) -> None:
        """Add projectors.

        Args:
            network: The student.
            width: Channels of its embedding.
            channels: Channels of each teacher.
            projector: One of PROJECTORS.
        """
        super().__init__()
        self.network = network
        self.adaptors = nn.ModuleDict({name: PROJECTORS[projector](width, n) for name, n in channels.items()})

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


@dataclass(frozen=True)
class DistillationObjective:
    """What all teachers have to say, and how it is compared.

    Attributes:
        lessons: In the order of the balancer's teachers.
        how: Which losses.
    """

    lessons: tuple[FeatureTargets, ...]
    how: Distillation

    def listen(
        self, balancer: Balancer, adapted: Mapping[str, Tensor], shown: Tensor, draws: Sequence[Draw], step: int = 0
    ) -> DistillationLoss | None:
        """Balanced loss of the views in a batch that teachers have seen; None where there is none.

        Args:
            balancer: What weighs them.
            adapted: The student's embedding as each teacher would say it.
            shown: float (N, 1, size, size), the student's input.
            draws: What the batch is made of.
            step: Seed of what the relation loss draws.
        """
        rows = [row for row, draw in enumerate(draws) if any(lesson.covers(draw) for lesson in self.lessons)]
        if not rows:
            return None
        by_teacher = [self._losses(lesson, adapted[lesson.teacher], shown, draws, step) for lesson in self.lessons]
        losses = torch.stack([loss for loss, _ in by_teacher], dim=1)[rows]
        known = torch.stack([counted for _, counted in by_teacher], dim=1)[rows]
        found = balance(balancer, losses, known)
        mean = torch.where(known, losses.detach(), 0.0).sum(0) / known.sum(0).clamp(min=1)
        names = [lesson.teacher for lesson in self.lessons]
        return DistillationLoss(
            found.loss,
            found.gate,
            dict(zip(names, mean.tolist(), strict=True)),
            dict(zip(names, found.weights.tolist(), strict=True)),
        )

    def _losses(
        self, lesson: FeatureTargets, adapted: Tensor, shown: Tensor, draws: Sequence[Draw], step: int
    ) -> tuple[Tensor, Tensor]:
        """One teacher's loss of each frame of a batch, float32 (N,), and whether it said something, bool (N,)."""
        losses = torch.zeros(len(draws), device=adapted.device)
        known = torch.zeros(len(draws), dtype=torch.bool, device=adapted.device)
        rows = [row for row, draw in enumerate(draws) if lesson.covers(draw)]
        if not rows:
            return losses, known
        places = torch.tensor(rows, device=adapted.device)
        target, field = lesson.targets.said([(draws[row].item, draws[row].view) for row in rows], shown[places])
        target, field = target.to(adapted.device), field.to(adapted.device)
        found = FEATURE_LOSSES[self.how.loss](adapted[places], target, field, step)
        if self.how.relation:
            found = found + self.how.relation * FEATURE_LOSSES["relation"](adapted[places], target, field, step)
        return losses.index_add(0, places, found), known.index_put((places,), field.flatten(1).any(1))
