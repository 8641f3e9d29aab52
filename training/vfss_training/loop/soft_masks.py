# SPDX-License-Identifier: Apache-2.0
"""Soft masks of several mask teachers, blended by how reliable each teacher is, and the loss against them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from vfss.errors import TrainingError
from vfss_training.teachers.feature_statistics import Origin, refuse_held_out

_SMOOTH = 1.0
_SHARPNESS = 2.0
"""Power of an agreement in a teacher's weight: a Dice of .9 against one of .45 weighs four to one, not two."""


class Blend(NamedTuple):
    """Soft masks of several teachers together.

    Attributes:
        planes: float32 (N, S, h, w), 0..1; 0 if no teacher knows the structure.
        weight: float32 (N, S), 1 if a teacher knows the structure, else 0: nothing is learnt there.
    """

    planes: Tensor
    weight: Tensor


def blend(masks: Tensor, agreement: Tensor, knows: Tensor) -> Blend:
    """Return the mean of the teachers' soft masks, each weighted by its agreement, squared.

    If the agreement of all teachers that know a structure is 0, they count alike.

    Args:
        masks: float (T, N, S, h, w), 0..1, of T teachers: the sigmoid of each structure, not a softmax over them.
        agreement: float (T, S) from LabelAgreement, or (T, N, S) from mutual_agreement, 0..1.
        knows: bool (T, S), which teacher has learnt which structure.
    """
    if agreement.dim() == 2:
        agreement = agreement[:, None].expand(-1, masks.shape[1], -1)
    known = knows[:, None].to(masks.device).expand_as(agreement)
    weights = torch.where(known, agreement.to(masks.device).float().pow(_SHARPNESS), 0.0)
    weights = torch.where(weights.sum(0) > 0, weights, known.float())
    weights = weights / weights.sum(0).clamp(min=torch.finfo(weights.dtype).tiny)
    # A plane of a structure that a teacher does not know may hold anything.
    predicted = masks.float().masked_fill(~known[..., None, None], 0.0)
    # Weights may add up to a little more than 1, and a pixel above 1 has no entropy.
    return Blend(torch.einsum("tns,tnshw->nshw", weights, predicted).clamp(0.0, 1.0), known.any(0).float())


class LabelAgreement:
    """Dice of each teacher with the labels, per structure, over frames of training patients.

    Held-out frames are refused: if they decided which teacher counts most, the student would have learnt from them.
    """

    def __init__(self, teachers: int, structures: int, held_out: Collection[str]) -> None:
        """Start without frames.

        Args:
            teachers: Number of teachers.
            structures: Number of structures.
            held_out: Patients of the validation and test splits.
        """
        self._overlap = torch.zeros(teachers, structures, dtype=torch.float64)
        self._size = torch.zeros(teachers, structures, dtype=torch.float64)
        self._held_out = frozenset(held_out)

    def add(self, masks: Tensor, labels: Tensor, known: Tensor, field: Tensor, origins: Sequence[Origin]) -> None:
        """Add a few frames; if it raises, none was added.

        Args:
            masks: float (T, N, S, h, w), 0..1.
            labels: bool (N, S, h, w).
            known: bool (N, S), planes that are annotated; empty ones count as well.
            field: bool (N, h, w), exposed field.
            origins: Origin of each frame.

        Raises:
            TrainingError: A frame is held out.
        """
        refuse_held_out(origins, self._held_out, "the weights of the teachers' masks")
        counted = field[:, None] & known[..., None, None]
        true = (labels & counted).double()
        predicted = masks.double().masked_fill(~counted, 0.0)
        self._overlap += (predicted * true).sum((1, 3, 4)).cpu()
        self._size += (predicted.sum((1, 3, 4)) + true.sum((0, 2, 3))).cpu()

    def value(self) -> Tensor:
        """Return the agreement, float32 (T, S), 0..1; 1 for a structure that is neither annotated nor predicted."""
        return torch.where(self._size > 0, 2.0 * self._overlap / self._size.clamp(min=1e-12), 1.0).float()


def mutual_agreement(masks: Tensor, knows: Tensor, field: Tensor) -> Tensor:
    """Return the agreement of each teacher with the others on unlabelled frames, float32 (T, N, S), 0..1.

    It is the mean Dice with each of the others that know the structure, so that of three the outlier counts least. Two
    teachers always get the same value; a single one gets 1.

    Args:
        masks: float (T, N, S, h, w), 0..1.
        knows: bool (T, S).
        field: bool (N, h, w), exposed field.
    """
    counted = field[None, :, None] & knows.to(masks.device)[:, None, :, None, None]
    inside = masks.float().masked_fill(~counted, 0.0)
    size = inside.sum((3, 4))
    dice = size.new_ones(len(size), *size.shape)
    # Pair by pair, as all at once would take teachers² planes. Equal masks agree fully, however soft they are.
    for a, b in combinations(range(len(size)), 2):
        both = size[a] + size[b] + _SMOOTH
        dice[a, b] = dice[b, a] = 1.0 - (inside[a] - inside[b]).abs().sum((2, 3)) / both
    others = (knows[:, None] & knows[None]).to(masks.device).float()
    others = others * (1.0 - torch.eye(len(masks), device=masks.device))[..., None]
    count = others.sum(1)[:, None]
    mean = (dice * others[:, :, None]).sum(1) / count.clamp(min=1.0)
    return torch.where(count > 0, mean, 1.0)


@dataclass(frozen=True)
class SoftMaskLoss:
    """Cross-entropy and soft Dice against planes that are themselves soft.

    Both are 0 where the student predicts the same as the teachers, also at 0.3. The usual soft Dice is not: it would
    pull each pixel to 0 or 1. The sum of absolute differences is used instead (Wang et al., arXiv 2303.16296), which
    is equal to it where the target is hard.

    Attributes:
        cross_entropy: Weight of the pixels' divergence: cross-entropy, less the target's own entropy.
        dice: Weight of one minus the Dice.
    """

    cross_entropy: float = 4.0
    dice: float = 1.0

    def __call__(self, logits: Tensor, target: Blend, field: Tensor, structures: Tensor | None = None) -> Tensor:
        """Return the loss, a scalar: the weighted mean over planes; 0 if none is known.

        Args:
            logits: float (N, S, h, w) of the student; they are resized to the target's size.
            target: Blended soft masks of the teachers, planes (N, S, H, W).
            field: bool (N, H, W), exposed field: the pixels that count.
            structures: float (S,), weight of each structure; None: all the same.
        """
        n, s, *size = target.planes.shape
        if logits.shape[:2] != (n, s) or tuple(field.shape) != (n, *size):
            raise TrainingError(
                f"logits {tuple(logits.shape)} and exposed field {tuple(field.shape)} do not fit soft masks "
                f"{tuple(target.planes.shape)}",
                remedy="Give a plane per structure of the student's schema, and an exposed field of the masks' size.",
            )
        logits = logits.float()
        if list(logits.shape[2:]) != size:
            logits = functional.interpolate(logits, size=size, mode="bilinear")
        inside = field[:, None].float()
        planes = target.planes.float().clamp(0.0, 1.0)
        entropy = functional.binary_cross_entropy_with_logits(logits, planes, reduction="none") - _entropy(planes)
        entropy = (entropy * inside).sum((2, 3)) / inside.sum((2, 3)).clamp(min=1.0)
        student = logits.sigmoid() * inside
        planes = planes * inside
        apart = (student - planes).abs().sum((2, 3))
        apart = apart / (student.sum((2, 3)) + planes.sum((2, 3)) + _SMOOTH)
        each = self.cross_entropy * entropy + self.dice * apart
        weight = target.weight * field.flatten(1).any(1)[:, None]
        weight = weight if structures is None else weight * structures.to(weight.device)
        return (each * weight).sum() / weight.sum().clamp(min=1e-6)


def _entropy(planes: Tensor) -> Tensor:
    """Return the binary entropy of each pixel, nat; 0 at 0 and 1."""
    return -(torch.xlogy(planes, planes) + torch.xlogy(1.0 - planes, 1.0 - planes))
