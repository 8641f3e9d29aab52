# SPDX-License-Identifier: Apache-2.0
"""Feature losses: how far the student's features are from a teacher's, frame by frame, over the exposed field."""

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
"""Similarity of a cell that does not count: none of a softmax falls on it, and sums with it stay finite."""


class FeatureLoss(Protocol):
    """A loss per frame."""

    def __call__(self, student: Tensor, target: Tensor, field: Tensor, seed: int = 0) -> Tensor:
        """Loss of each frame, float32 (N,): the mean over the cells in its field; 0 where it has none.

        Args:
            student: float (N, C, h, w), as the adaptor for this teacher gives it; it is resized to the target's grid,
                never the target.
            target: float (N, C, grid, grid), standardised. Cells beside the field may hold anything.
            field: bool (N, grid, grid), cells inside the collimator and not in the padding.
            seed: Of what is drawn at random, such as the number of the step.
        """


@dataclass(frozen=True)
class CellLoss:
    """Cell by cell: one minus the cosine, squared difference and smooth absolute difference, by their weights.

    Differences are means over the channels, so that teachers of few and of many channels count alike.

    Attributes:
        cosine: Weight of one minus the cosine, 0..2.
        square: Weight of the squared difference.
        smooth: Weight of the absolute difference, squared below 1 (smooth L1).
    """

    cosine: float = 0.0
    square: float = 0.0
    smooth: float = 0.0

    def __call__(self, student: Tensor, target: Tensor, field: Tensor, seed: int = 0) -> Tensor:
        """Loss of each frame, float32 (N,); see FeatureLoss. Nothing is drawn."""
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
    """Which cells of a frame resemble which: divergence of the student's view of it from the teacher's.

    The cosines of a cell with all others, over the temperature, are a distribution; the loss is the Kullback-Leibler
    divergence of the student's from the teacher's, at the temperature of lightly-train's DistillationV3Loss. That one
    counts a cell's cosine with itself, which is always 1 and takes most of the softmax; here it is left out. A number
    of cells is drawn, the same for both, so that memory is N cells² and not N grid⁴.

    Channels of student and target need not agree.

    Attributes:
        temperature: What cosines are divided by.
        cells: Most cells of a frame that are compared.
    """

    temperature: float = 0.07
    cells: int = 256

    def __call__(self, student: Tensor, target: Tensor, field: Tensor, seed: int = 0) -> Tensor:
        """Loss of each frame, float32 (N,); see FeatureLoss. A frame of fewer than two cells gives 0."""
        student, target = _aligned(student, target, field, same_channels=False)
        place, valid = self._drawn(field, seed)
        apart = ~torch.eye(place.shape[1], dtype=torch.bool, device=field.device)
        counted = valid[:, None] & valid[:, :, None] & apart
        said = self._relations(target, place, counted)
        heard = self._relations(student, place, counted)
        each = (said.exp() * (said - heard)).sum(2)
        # A lone cell has no other to be compared with.
        rows = (valid & counted.any(2)).to(each.dtype)
        return (each * rows).sum(1) / rows.sum(1).clamp(min=1.0)

    def _drawn(self, field: Tensor, seed: int) -> tuple[Tensor, Tensor]:
        """Numbers of the cells that are drawn of each field, int64 (N, cells), and which of them lie in it, bool."""
        inside = field.flatten(1)
        chance = torch.from_numpy(np.random.default_rng(seed).random(tuple(inside.shape), np.float32))
        order = chance.to(field.device).masked_fill(~inside, -1.0)
        place = order.topk(min(self.cells, inside.shape[1]), dim=1).indices
        return place, inside.gather(1, place)

    def _relations(self, features: Tensor, place: Tensor, counted: Tensor) -> Tensor:
        """Logarithm of the distribution of each drawn cell over the others, float32 (N, cells, cells)."""
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
    """The student's features on the target's grid, and the target with nothing beside the field, both float32."""
    fits = tuple(field.shape) == (len(target), *target.shape[2:]) and len(student) == len(target)
    if not fits or (same_channels and student.shape[1] != target.shape[1]):
        raise TrainingError(
            f"features {tuple(student.shape)} do not fit a target {tuple(target.shape)} with a field "
            f"{tuple(field.shape)}",
            remedy="Give the student an adaptor for this teacher, and a field on the teacher's grid.",
        )
    # Not a product with the mask: nothing times nan, such as a teacher may give for padding, is nan.
    target = target.float().masked_fill(~field[:, None], 0.0)
    student, size = student.float(), target.shape[-2:]
    if student.shape[-2:] != size:
        # A finer map is averaged on its way down: single pixels of it would stand for whole cells.
        smaller = size[0] < student.shape[-2] or size[1] < student.shape[-1]
        student = functional.interpolate(student, size=size, mode="bilinear", antialias=smaller)
    return student, target


def linear(width: int, channels: int) -> nn.Module:
    """A linear map of each cell: what it cannot say is not in the embedding."""
    return nn.Conv2d(width, channels, 1)


def mlp(width: int, channels: int) -> nn.Module:
    """The paper's: one hidden layer, twice as wide as the embedding."""
    return nn.Sequential(nn.Conv2d(width, 2 * width, 1), nn.GELU(), nn.Conv2d(2 * width, channels, 1))


PROJECTORS: dict[str, Callable[[int, int], nn.Module]] = {"linear": linear, "mlp": mlp}
"""Projectors by name: float (N, width, h, w) to float (N, channels, h, w)."""
