# SPDX-License-Identifier: Apache-2.0
"""Feature distillation: projectors draw the student's embedding towards standardised features of several teachers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from vfss.student.network.decoder import Decoded
from vfss.student.network.student import StudentNetwork
from vfss_training.config.parts import Distillation
from vfss_training.loop.batches import Draw
from vfss_training.losses.balancing import Balancer, balance
from vfss_training.losses.features import FEATURE_LOSSES, PROJECTORS
from vfss_training.teachers.targets import CachedTargets, OnlineTargets


@dataclass(frozen=True)
class FeatureTargets:
    """Features of one teacher that the student's embedding is trained towards, for the frames of one source.

    Attributes:
        teacher: Name of the teacher.
        provider: Gives the features: of cached views of the first frames, or of every frame that a batch shows.
        source: Index of the source.
    """

    teacher: str
    provider: CachedTargets | OnlineTargets
    source: int

    @property
    def frames(self) -> int:
        """Number of first frames of the source that have cached targets; 0 for online targets."""
        return self.provider.frames

    def covers(self, draw: Draw) -> bool:
        """True if this teacher has targets for that sample of a batch."""
        return draw.source == self.source and (draw.view >= 0 or isinstance(self.provider, OnlineTargets))


class DistillationLoss(NamedTuple):
    """Feature loss of one batch.

    Attributes:
        loss: Balanced loss of the student, a scalar.
        gate: Loss of the balancer's own parameters, a scalar.
        losses: Mean loss of each teacher, for the log.
        weights: Mean weight of each teacher, for the log.
    """

    loss: Tensor
    gate: Tensor
    losses: dict[str, float]
    weights: dict[str, float]


class DistilledStudent(nn.Module):
    """A student during training: its own outputs, and its embedding projected to the features of each teacher.

    Attributes:
        network: The student.
        adaptors: One projector per teacher, dropped after training.
    """

    # The names of these attributes are keys in the saved state of a run.

    def __init__(
        self, network: StudentNetwork, width: int, channels: Mapping[str, int], projector: str = "linear"
    ) -> None:
        """Add projectors to a student.

        Args:
            network: The student.
            width: Channels of its embedding.
            channels: Channels of each teacher's features, by teacher.
            projector: One of PROJECTORS.
        """
        super().__init__()
        self.network = network
        self.adaptors = nn.ModuleDict({name: PROJECTORS[projector](width, n) for name, n in channels.items()})

    def forward(self, frames: Tensor) -> tuple[Decoded, dict[str, Tensor]]:
        """Return what the student makes of frames, and its embedding as each teacher sees it.

        Embeddings are float (N, channels, size/16, size/16).

        Args:
            frames: float (N, 1, size, size).
        """
        features = self.network.encoder(frames)
        decoded = self.network.unprompted(features)
        return decoded, {name: adaptor(features.embedding) for name, adaptor in self.adaptors.items()}


@dataclass(frozen=True)
class DistillationObjective:
    """Balanced loss between the projected embedding and the feature targets of all teachers.

    Attributes:
        feature_targets: One per teacher, in the order of the balancer's teachers.
        settings: Which losses to use.
    """

    feature_targets: tuple[FeatureTargets, ...]
    settings: Distillation

    def __call__(
        self, balancer: Balancer, projected: Mapping[str, Tensor], shown: Tensor, draws: Sequence[Draw], step: int = 0
    ) -> DistillationLoss | None:
        """Return the balanced loss of the samples that have feature targets; None if no sample has any.

        Args:
            balancer: Weighs the teachers' losses.
            projected: The student's embedding, projected to each teacher's features.
            shown: float (N, 1, size, size), the student's input.
            draws: The samples of the batch.
            step: Seed of the cells that the relation loss draws.
        """
        rows = [row for row, draw in enumerate(draws) if any(one.covers(draw) for one in self.feature_targets)]
        if not rows:
            return None
        by_teacher = [self._losses(one, projected[one.teacher], shown, draws, step) for one in self.feature_targets]
        losses = torch.stack([loss for loss, _ in by_teacher], dim=1)[rows]
        known = torch.stack([counted for _, counted in by_teacher], dim=1)[rows]
        balanced = balance(balancer, losses, known)
        mean = torch.where(known, losses.detach(), 0.0).sum(0) / known.sum(0).clamp(min=1)
        names = [one.teacher for one in self.feature_targets]
        return DistillationLoss(
            balanced.loss,
            balanced.gate,
            dict(zip(names, mean.tolist(), strict=True)),
            dict(zip(names, balanced.weights.tolist(), strict=True)),
        )

    def _losses(
        self, one: FeatureTargets, projected: Tensor, shown: Tensor, draws: Sequence[Draw], step: int
    ) -> tuple[Tensor, Tensor]:
        """Return one teacher's loss of each sample, float32 (N,), and which samples have targets of it, bool (N,)."""
        losses = torch.zeros(len(draws), device=projected.device)
        known = torch.zeros(len(draws), dtype=torch.bool, device=projected.device)
        rows = [row for row, draw in enumerate(draws) if one.covers(draw)]
        if not rows:
            return losses, known
        index = torch.tensor(rows, device=projected.device)
        target, field = one.provider.targets([(draws[row].item, draws[row].view) for row in rows], shown[index])
        target, field = target.to(projected.device), field.to(projected.device)
        loss = FEATURE_LOSSES[self.settings.loss](projected[index], target, field, step)
        if self.settings.relation:
            relation = FEATURE_LOSSES["relation"](projected[index], target, field, step)
            loss = loss + self.settings.relation * relation
        return losses.index_add(0, index, loss), known.index_put((index,), field.flatten(1).any(1))
