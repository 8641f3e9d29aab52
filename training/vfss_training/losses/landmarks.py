# SPDX-License-Identifier: Apache-2.0
"""Loss of landmarks: where each is, as shares of the places of a map, and whether it is to be seen."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

_SEEN = 0.2  # pixels of the map that a disc covers from which it counts as seen


def landmark_loss(heat: Tensor, presence: Tensor, discs: Tensor, known: Tensor) -> Tensor:
    """Return the cross-entropy of the place and of the presence of landmarks, a scalar; 0 if none is known.

    Args:
        heat: Logits of the places, float (N, L, h, w).
        presence: Logits of whether a landmark is to be seen, float (N, L).
        discs: float (N, L, k h, k w) with k of 1 or 2, share of each pixel that the disc at a landmark covers, 0..1.
        known: float (N, L), weight of each landmark, 0: unknown.
    """
    if discs.shape[-2:] != heat.shape[-2:]:
        discs = functional.adaptive_avg_pool2d(discs, (heat.shape[2], heat.shape[3]))
    size = discs.sum((2, 3))
    seen = (size >= _SEEN).to(heat.dtype)
    shares = functional.log_softmax(heat.flatten(2), dim=2)
    surprise = -(shares * discs.flatten(2)).sum(2) / size.clamp(min=_SEEN)
    doubt = functional.binary_cross_entropy_with_logits(presence, seen, reduction="none")
    placed = known * seen
    where = (surprise * placed).sum() / placed.sum().clamp(min=1.0)
    return where + (doubt * known).sum() / known.sum().clamp(min=1.0)
