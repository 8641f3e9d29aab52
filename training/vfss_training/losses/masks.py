# SPDX-License-Identifier: Apache-2.0
"""Loss of the masks of each structure, and of the network's own estimate of their Dice."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

_SMOOTH = 1.0


@dataclass(frozen=True)
class MaskLoss:
    """Cross-entropy and soft Dice of known planes, and the squared error of the estimated Dice.

    Attributes:
        cross_entropy: Weight of the pixels' cross-entropy.
        dice: Weight of one minus the soft Dice.
        quality: Weight of the squared error of the estimated Dice.
        levels: Weight of the cross-entropy between the names of a chain (see level_loss).
        chains: Planes of each chain of structures that look alike, such as the vertebrae.
    """

    cross_entropy: float = 4.0
    dice: float = 1.0
    quality: float = 0.5
    levels: float = 0.0
    chains: tuple[tuple[int, ...], ...] = ()

    def __call__(
        self, logits: Tensor, quality: Tensor, target: Tensor, known: Tensor, among: Tensor | None = None
    ) -> Tensor:
        """Return the loss, a scalar: the weighted mean over planes; 0 if none is known.

        Args:
            logits: float (N, S, h, w).
            quality: float (N, S), estimated Dice, 0..1.
            target: float (N, S, k h, k w) with k of 1 or 2, covered share of each pixel, 0..1.
            known: float (N, S), weight of each plane, 0: unknown.
            among: Sum of the weights to divide by, float (); None: that of these planes.
        """
        if target.shape[-2:] != logits.shape[-2:]:
            logits = functional.interpolate(logits, size=target.shape[-2:], mode="bilinear")
        entropy = functional.binary_cross_entropy_with_logits(logits, target, reduction="none").mean((2, 3))
        inside = logits.sigmoid()
        overlap = (inside * target).sum((2, 3))
        size = inside.sum((2, 3)) + target.sum((2, 3))
        soft = (2.0 * overlap + _SMOOTH) / (size + _SMOOTH)
        error = (quality - hard_dice(logits.detach(), target)).square()
        each = self.cross_entropy * entropy + self.dice * (1.0 - soft) + self.quality * error
        weight = known.to(each.dtype)
        loss = (each * weight).sum() / (weight.sum() if among is None else among).clamp(min=1e-6)
        if self.levels:
            for chain in self.chains:
                loss = loss + self.levels * level_loss(logits[:, chain], target[:, chain], known[:, chain])
        return loss


def level_loss(logits: Tensor, target: Tensor, known: Tensor) -> Tensor:
    """Return the cross-entropy of the name of each pixel of a chain's structures, a scalar; 0 where none is to be seen.

    Each structure that is to be seen counts alike, whatever its size. It tells names apart, and says nothing of where
    there is no structure of the chain: the loss of the planes does that.

    Args:
        logits: float (N, C, h, w), planes of one chain.
        target: float (N, C, h, w), covered share of each pixel, 0..1.
        known: float (N, C), weight of each plane, 0: unknown.
    """
    covered = target * (known > 0)[:, :, None, None]
    surprise = -(functional.log_softmax(logits, dim=1) * covered).sum((2, 3))
    size = covered.sum((2, 3))
    weight = known * (size >= 1.0)
    return (surprise / size.clamp(min=1.0) * weight).sum() / weight.sum().clamp(min=1.0)


def hard_dice(logits: Tensor, target: Tensor) -> Tensor:
    """Return the Dice of thresholded planes, float (N, S); 1 if both are empty: nothing present, nothing predicted."""
    inside, true = logits > 0, target > 0.5
    overlap = (inside & true).sum((2, 3)).float()
    size = (inside.sum((2, 3)) + true.sum((2, 3))).float()
    return torch.where(size > 0, 2.0 * overlap / size.clamp(min=1.0), torch.ones_like(size))
