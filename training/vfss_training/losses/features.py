# SPDX-License-Identifier: Apache-2.0
"""Feature losses between student and teacher, per frame over the exposed field, and the projectors of the student."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from vfss.errors import TrainingError

_FAR = -1e9
"""Similarity of a cell that does not count: its share of a softmax is 0, and sums with it stay finite."""


class FeatureLoss(Protocol):
    """A loss per frame."""

    def __call__(self, student: Tensor, target: Tensor, field: Tensor, seed: int = 0) -> Tensor:
        """Return the loss of each frame, float32 (N,): the mean over the cells of its exposed field; 0 if it has none.

        Args:
            student: float (N, C, h, w), output of the projector for this teacher; it is resized to the target's grid,
                never the other way round.
            target: float (N, C, grid, grid), standardised. Cells outside the exposed field may hold anything.
            field: bool (N, grid, grid), cells of the exposed field, without padding.
            seed: Seed of random choices, such as the number of the step.
        """


@dataclass(frozen=True)
class CellLoss:
    """Weighted sum per cell of one minus the cosine, squared difference and smooth absolute difference.

    Differences are means over the channels, so that teachers with few and with many channels count alike.

    Attributes:
        cosine: Weight of one minus the cosine, 0..2.
        square: Weight of the squared difference.
        smooth: Weight of the absolute difference, squared below 1 (smooth L1).
    """

    cosine: float = 0.0
    square: float = 0.0
    smooth: float = 0.0

    def __call__(self, student: Tensor, target: Tensor, field: Tensor, seed: int = 0) -> Tensor:
        """Return the loss of each frame, float32 (N,); see FeatureLoss. The seed is not used."""
        student, target = _aligned(student, target, field)
        each = torch.zeros_like(target[:, 0])
        if self.cosine:
            each = each + self.cosine * (1.0 - functional.cosine_similarity(student, target, dim=1))
        if self.square:
            each = each + self.square * functional.mse_loss(student, target, reduction="none").mean(1)
        if self.smooth:
            each = each + self.smooth * functional.smooth_l1_loss(student, target, reduction="none").mean(1)
        inside = field.to(each.dtype)
        return (each * inside).sum((1, 2)) / inside.sum((1, 2)).clamp(min=1.0)


@dataclass(frozen=True)
class RelationLoss:
    """Difference between student and teacher in which cells of a frame resemble each other.

    The softmax of a cell's cosines with all others, divided by the temperature, is a distribution; the loss is the
    Kullback-Leibler divergence of the student's from the teacher's, at the temperature of lightly-train's
    DistillationV3Loss. That loss includes a cell's cosine with itself, which is always 1 and takes most of the softmax;
    here it is left out. A number of cells is drawn, the same for both, so that memory is N cells² and not N grid⁴.

    Student and target may have different numbers of channels.

    Attributes:
        temperature: Divisor of the cosines.
        cells: Largest number of cells of a frame that are compared.
    """

    temperature: float = 0.07
    cells: int = 256

    def __call__(self, student: Tensor, target: Tensor, field: Tensor, seed: int = 0) -> Tensor:
        """Return the loss of each frame, float32 (N,); see FeatureLoss. A frame with fewer than two cells gives 0."""
        student, target = _aligned(student, target, field, same_channels=False)
        place, valid = self._drawn(field, seed)
        apart = ~torch.eye(place.shape[1], dtype=torch.bool, device=field.device)
        counted = valid[:, None] & valid[:, :, None] & apart
        teacher_log = self._relations(target, place, counted)
        student_log = self._relations(student, place, counted)
        each = (teacher_log.exp() * (teacher_log - student_log)).sum(2)
        # A single cell has no other to be compared with.
        rows = (valid & counted.any(2)).to(each.dtype)
        return (each * rows).sum(1) / rows.sum(1).clamp(min=1.0)

    def _drawn(self, field: Tensor, seed: int) -> tuple[Tensor, Tensor]:
        """Draw cells of each exposed field: indices, int64 (N, cells), and which of them lie in it, bool (N, cells)."""
        inside = field.flatten(1)
        chance = torch.from_numpy(np.random.default_rng(seed).random(tuple(inside.shape), np.float32))
        order = chance.to(field.device).masked_fill(~inside, -1.0)
        place = order.topk(min(self.cells, inside.shape[1]), dim=1).indices
        return place, inside.gather(1, place)

    def _relations(self, features: Tensor, place: Tensor, counted: Tensor) -> Tensor:
        """Return the logarithm of the distribution of each drawn cell over the others, float32 (N, cells, cells)."""
        tokens = features.flatten(2).gather(2, place[:, None].expand(-1, features.shape[1], -1))
        tokens = functional.normalize(tokens, dim=1)
        with torch.autocast(tokens.device.type, enabled=False):
            cosines = tokens.transpose(1, 2) @ tokens
        return (cosines / self.temperature).masked_fill(~counted, _FAR).log_softmax(2)


FEATURE_LOSSES: dict[str, FeatureLoss] = {
    "cosine": CellLoss(cosine=1.0),
    "mse": CellLoss(square=1.0),
    "smooth-l1": CellLoss(smooth=1.0),
    "unic": CellLoss(cosine=0.5, smooth=0.5),
    "radio": CellLoss(cosine=0.9, smooth=0.1),
    "relation": RelationLoss(),
}
"""Losses by name: "unic" as in UNIC (arXiv 2408.05088), "radio" as in AM-RADIO (arXiv 2312.06709)."""


def _aligned(student: Tensor, target: Tensor, field: Tensor, *, same_channels: bool = True) -> tuple[Tensor, Tensor]:
    """Return the student's features on the target's grid, and the target, 0 outside the exposed field; both float32."""
    fits = tuple(field.shape) == (len(target), *target.shape[2:]) and len(student) == len(target)
    if not fits or (same_channels and student.shape[1] != target.shape[1]):
        raise TrainingError(
            f"features {tuple(student.shape)} do not fit a target {tuple(target.shape)} with an exposed field "
            f"{tuple(field.shape)}",
            remedy="Give the student a projector for this teacher, and an exposed field on the teacher's grid.",
        )
    # Not a product with the mask: 0 times nan, which a teacher may give for padding, is nan.
    target = target.float().masked_fill(~field[:, None], 0.0)
    student, size = student.float(), target.shape[-2:]
    if student.shape[-2:] != size:
        # A finer map is averaged when it is reduced: otherwise single pixels of it would represent whole cells.
        smaller = size[0] < student.shape[-2] or size[1] < student.shape[-1]
        student = functional.interpolate(student, size=size, mode="bilinear", antialias=smaller)
    return student, target


def linear(width: int, channels: int) -> nn.Module:
    """Create a linear map of each cell: a teacher's features must then be linear in the embedding."""
    return nn.Conv2d(width, channels, 1)


def mlp(width: int, channels: int) -> nn.Module:
    """Create the paper's projector: one hidden layer, twice as wide as the embedding."""
    return nn.Sequential(nn.Conv2d(width, 2 * width, 1), nn.GELU(), nn.Conv2d(2 * width, channels, 1))


PROJECTORS: dict[str, Callable[[int, int], nn.Module]] = {"linear": linear, "mlp": mlp}
"""Projectors by name, which map float (N, width, h, w) to float (N, channels, h, w)."""
