# SPDX-License-Identifier: Apache-2.0
"""An adapted teacher: a frozen encoder, where wanted with corrections inside it, and a head that paints masks."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from vfss.errors import TrainingError
from vfss_training.teachers.targets import CachedTargets
from vfss_training.teachers.teacher import FrozenTeacher

_CORRECTED = (".attn.qkv", ".attn.proj")
"""How the linear layers of attention are named in every network of the table."""
_LEVELS = 3
_DROPPED = 0.1


class MaskHead(nn.Module):
    """Features to a logit of every structure: narrow, coarser and finer again, since vertebrae are told by counting."""

    def __init__(self, channels: int, structures: int, width: int, grid: int) -> None:
        """Build with random weights.

        Args:
            channels: Of the features.
            structures: How many.
            width: Its own channels.
            grid: Side of its masks, px.
        """
        super().__init__()
        self.grid = grid
        self.enter = nn.Sequential(
            nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width), nn.GELU(), nn.Dropout2d(_DROPPED)
        )
        self.down = nn.ModuleList(_look(width, width, 2) for _ in range(_LEVELS))
        self.up = nn.ModuleList(_look(2 * width, width) for _ in range(_LEVELS))
        self.paint = nn.Conv2d(width, structures, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Logits, float (N, S, grid, grid), of features, float (N, channels, h, w)."""
        levels: list[Tensor] = [self.enter(features)]
        for look in self.down:
            levels.append(look(levels[-1]))
        seen = levels.pop()
        for look in self.up:
            finer = levels.pop()
            wider = functional.interpolate(seen, finer.shape[-2:], mode="bilinear")
            seen = look(torch.cat([finer, wider], dim=1))
        return functional.interpolate(self.paint(seen), (self.grid, self.grid), mode="bilinear")


def _look(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.GELU()
    )


class LowRank(nn.Module):
    """A linear layer that stays as it is, and a learnt correction of low rank (LoRA, Hu et al., arXiv 2106.09685)."""

    def __init__(self, layer: nn.Linear, rank: int) -> None:
        """Correct that layer; at first by nothing."""
        super().__init__()
        self.layer = layer
        self.down = nn.Linear(layer.in_features, rank, bias=False)
        self.up = nn.Linear(rank, layer.out_features, bias=False)
        nn.init.zeros_(self.up.weight)

    def forward(self, inputs: Tensor) -> Tensor:
        """What the layer gives, corrected."""
        found: Tensor = self.layer(inputs) + self.up(self.down(inputs))
        return found


def correct(teacher: nn.Module, rank: int) -> list[LowRank]:
    """Put corrections into every attention of a teacher; their weights are all that can be learnt of it.

    Args:
        teacher: Changed in place.
        rank: Of the corrections, at least 1.

    Raises:
        TrainingError: It has no attention under the names known.
    """
    places = [
        name
        for name, layer in teacher.named_modules()
        if isinstance(layer, nn.Linear) and f".{name}".endswith(_CORRECTED)
    ]
    if not places:
        raise TrainingError("the teacher has no attention to correct", remedy="Let the recipe's adapt have rank 0.")
    found: list[LowRank] = []
    for name in places:
        parent, _, last = name.rpartition(".")
        corrected = LowRank(teacher.get_submodule(name), rank)  # type: ignore[arg-type]  # chosen by its type
        setattr(teacher.get_submodule(parent), last, corrected)
        found.append(corrected)
    return found


class AdaptedTeacher:
    """A teacher that was taught the structures, and paints them on frames.

    Attributes:
        key: Hash of all that its masks depend on.
        grid: Side of its masks, px.
        head: From its features to masks.
    """

    def __init__(self, key: str, head: MaskHead, seen: CachedTargets, teacher: FrozenTeacher | None = None) -> None:
        """Put together what was learnt.

        Args:
            key: Hash of all that its masks depend on.
            head: In evaluation mode.
            seen: Features of the frames that it will be asked about; they also say how features are standardised.
            teacher: Asked instead of those where its encoder was corrected.
        """
        self.key, self.grid, self.head = key, head.grid, head
        self._seen, self._teacher = seen, teacher

    def shown(self, others: CachedTargets) -> AdaptedTeacher:
        """The same teacher before other frames, whose features were seen."""
        return AdaptedTeacher(self.key, self.head, others, self._teacher)

    def features(self, frames: Tensor, places: Sequence[tuple[int, int]]) -> Tensor:
        """Standardised features, float32 (N, channels, h, w), where the head is."""
        device = next(self.head.parameters()).device
        if self._teacher is None:
            return self._seen.batch(places)[0].to(device)
        inputs = self._teacher.prepare(frames).to(next(self._teacher.parameters()).device)
        return self._seen.pooled(self._teacher.features(inputs)).to(device)

    def masks(self, frames: Tensor, places: Sequence[tuple[int, int]]) -> Tensor:
        """Sigmoid of each structure, float32 (N, S, grid, grid).

        Args:
            frames: uint8 (N, size, size).
            places: Frame and view of each in the stream whose features were seen.
        """
        with torch.inference_mode():
            found: Tensor = self.head(self.features(frames, places)).float().sigmoid().cpu()
        return found
