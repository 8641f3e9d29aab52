# SPDX-License-Identifier: Apache-2.0
"""How the learning rate runs, how weights are averaged, how numbers are told."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

_FINAL_RATE = 0.01


def rounded(value: Any) -> Any:
    """Numbers for an event, those of inner mappings too."""
    return {name: rounded(inner) for name, inner in value.items()} if isinstance(value, Mapping) else round(value, 5)


def schedule(progress: float, warm_up: float) -> float:
    """Share of the peak rate: a line up, then a cosine down to a hundredth."""
    if progress < warm_up:
        return max(progress / warm_up, _FINAL_RATE)
    along = (progress - warm_up) / max(1.0 - warm_up, 1e-9)
    return _FINAL_RATE + (1.0 - _FINAL_RATE) * 0.5 * (1.0 + math.cos(math.pi * min(along, 1.0)))


def averaging(decay: float) -> Callable[[Any, Any, Tensor | int], None]:
    """Moving average that forgets its random beginning quickly; counters are copied."""

    def average(means: list[Tensor], news: list[Tensor], n: Tensor | int) -> None:
        if not means[0].is_floating_point():
            torch._foreach_copy_(means, news)
            return
        kept = min(decay, (1.0 + float(n)) / (10.0 + float(n)))
        torch._foreach_lerp_(means, news, 1.0 - kept)

    return average
