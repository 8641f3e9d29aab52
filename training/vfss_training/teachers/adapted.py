# SPDX-License-Identifier: Apache-2.0
"""An adapted teacher: a frozen encoder, optionally with low-rank corrections, and a head that predicts masks."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from vfss.errors import TrainingError
from vfss_training.teachers.targets import CachedTargets
from vfss_training.teachers.teacher import FrozenTeacher

_CORRECTED = (".attn.qkv", ".attn.proj")
"""Names of the linear layers of attention, the same in all networks of the table."""
_LEVELS = 3
_DROPOUT = 0.1


class MaskHead(nn.Module):
    """Predicts a logit of every structure from features.

    It is narrow, and goes to coarser levels and back, since a vertebra's level can only be told by counting.
    """

    def __init__(self, channels: int, structures: int, width: int, grid: int) -> None:
        """Create the head with random weights.

        Args:
            channels: Channels of the features.
            structures: Number of structures.
            width: Channels of the head's own layers.
            grid: Side of its masks, px.
        """
        super().__init__()
        # The names of these modules are keys in the files of adapted teachers.
        self.grid = grid
        self.enter = nn.Sequential(
            nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width), nn.GELU(), nn.Dropout2d(_DROPOUT)
        )
        self.down = nn.ModuleList(_block(width, width, 2) for _ in range(_LEVELS))
        self.up = nn.ModuleList(_block(2 * width, width) for _ in range(_LEVELS))
        self.paint = nn.Conv2d(width, structures, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Return logits, float (N, S, grid, grid), of features, float (N, channels, h, w)."""
        levels: list[Tensor] = [self.enter(features)]
        for block in self.down:
            levels.append(block(levels[-1]))
        current = levels.pop()
        for block in self.up:
            finer = levels.pop()
            enlarged = functional.interpolate(current, finer.shape[-2:], mode="bilinear")
            current = block(torch.cat([finer, enlarged], dim=1))
        return functional.interpolate(self.paint(current), (self.grid, self.grid), mode="bilinear")


def _block(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.GELU()
    )


class LowRank(nn.Module):
    """A linear layer with fixed weights and a learnt correction of low rank (LoRA, Hu et al., arXiv 2106.09685)."""

    def __init__(self, layer: nn.Linear, rank: int) -> None:
        """Add a correction to a layer; it starts as 0."""
        super().__init__()
        self.layer = layer
        self.down = nn.Linear(layer.in_features, rank, bias=False)
        self.up = nn.Linear(rank, layer.out_features, bias=False)
        nn.init.zeros_(self.up.weight)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the corrected output of the layer."""
        corrected: Tensor = self.layer(inputs) + self.up(self.down(inputs))
        return corrected


def correct(teacher: nn.Module, rank: int) -> list[LowRank]:
    """Add low-rank corrections to all attention layers of a teacher; only their weights are trainable.

    Args:
        teacher: Changed in place.
        rank: Rank of the corrections, at least 1.

    Raises:
        TrainingError: The teacher has no attention layers under the known names.
    """
    names = [
        name
        for name, layer in teacher.named_modules()
        if isinstance(layer, nn.Linear) and f".{name}".endswith(_CORRECTED)
    ]
    if not names:
        raise TrainingError(
            "the teacher has no attention layers to correct", remedy="Set adapt: {rank: 0} in the recipe."
        )
    corrections: list[LowRank] = []
    for name in names:
        parent, _, last = name.rpartition(".")
        corrected = LowRank(teacher.get_submodule(name), rank)  # type: ignore[arg-type]  # chosen by its type
        setattr(teacher.get_submodule(parent), last, corrected)
        corrections.append(corrected)
    return corrections


class AdaptedTeacher:
    """A teacher that has learnt the structures and predicts their masks.

    Attributes:
        key: Hash of all that its masks depend on.
        grid: Side of its masks, px.
        head: Predicts masks from its features.
        teacher: The corrected encoder, which computes its own features; None: the cached ones are used.
    """

    def __init__(self, key: str, head: MaskHead, cached: CachedTargets, teacher: FrozenTeacher | None = None) -> None:
        """Combine the parts.

        Args:
            key: Hash of all that its masks depend on.
            head: In evaluation mode.
            cached: Features of the frames to predict, which also define how features are standardised.
            teacher: The corrected encoder, which computes its own features; None: the cached ones are used.
        """
        self.key, self.grid, self.head = key, head.grid, head
        self._cached, self.teacher = cached, teacher

    def for_frames(self, others: CachedTargets) -> AdaptedTeacher:
        """Return the same teacher for other frames, given their cached features."""
        return AdaptedTeacher(self.key, self.head, others, self.teacher)

    def features(self, frames: Tensor, places: Sequence[tuple[int, int]]) -> Tensor:
        """Return standardised features, float32 (N, channels, h, w), on the device of the head."""
        device = next(self.head.parameters()).device
        if self.teacher is None:
            return self._cached.batch(places)[0].to(device)
        inputs = self.teacher.prepare(frames).to(next(self.teacher.parameters()).device)
        return self._cached.pooled(self.teacher.features(inputs)).to(device)

    def masks(self, frames: Tensor, places: Sequence[tuple[int, int]]) -> Tensor:
        """Return the sigmoid of each structure, float32 (N, S, grid, grid).

        Args:
            frames: uint8 (N, size, size).
            places: Frame and view number of each in the stream of the cached features.
        """
        with torch.inference_mode():
            masks: Tensor = self.head(self.features(frames, places)).float().sigmoid().cpu()
        return masks
