# SPDX-License-Identifier: Apache-2.0
"""The optimiser, its learning rate over the schedule, and the moving average of weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from vfss_training.config.recipe import Recipe

_FINAL_RATE = 0.01


def adamw(model: nn.Module, balancer: nn.Module | None, recipe: Recipe) -> torch.optim.AdamW:
    """Create the optimiser of a model's trainable weights and of a balancer's parameters, which do not decay."""
    groups: list[dict[str, Any]] = [{"params": [weight for weight in model.parameters() if weight.requires_grad]}]
    if balancer is not None and list(balancer.parameters()):
        groups.append({"params": list(balancer.parameters()), "weight_decay": 0.0})
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True)


def schedule(progress: float, warm_up: float) -> float:
    """Return the share of the peak learning rate: a linear rise, then a cosine down to a hundredth.

    Args:
        progress: Share of the schedule that is done, 0..1.
        warm_up: Share of the schedule in which the rate rises.
    """
    if progress < warm_up:
        return max(progress / warm_up, _FINAL_RATE)
    along = (progress - warm_up) / max(1.0 - warm_up, 1e-9)
    return _FINAL_RATE + (1.0 - _FINAL_RATE) * 0.5 * (1.0 + math.cos(math.pi * min(along, 1.0)))


def averaging(decay: float) -> Callable[[Any, Any, Tensor | int], None]:
    """Return an update for AveragedModel: a moving average that soon forgets the random start; counters are copied."""

    def average(means: list[Tensor], news: list[Tensor], n: Tensor | int) -> None:
        if not means[0].is_floating_point():
            torch._foreach_copy_(means, news)
            return
        kept = min(decay, (1.0 + float(n)) / (10.0 + float(n)))
        torch._foreach_lerp_(means, news, 1.0 - kept)

    return average
