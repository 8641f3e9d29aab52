# SPDX-License-Identifier: Apache-2.0
"""Projectors: from the student's embedding to a teacher's features; left behind when the student is done."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn


def linear(width: int, channels: int) -> nn.Module:
    """A linear map of each cell: what it cannot say is not in the embedding."""
    return nn.Conv2d(width, channels, 1)


def mlp(width: int, channels: int) -> nn.Module:
    """The paper's: one hidden layer, twice as wide as the embedding."""
    return nn.Sequential(nn.Conv2d(width, 2 * width, 1), nn.GELU(), nn.Conv2d(2 * width, channels, 1))


PROJECTORS: dict[str, Callable[[int, int], nn.Module]] = {"linear": linear, "mlp": mlp}
"""Projectors by name: float (N, width, h, w) to float (N, channels, h, w)."""
