# SPDX-License-Identifier: Apache-2.0
"""Image encoder of MedSAM2: timm's Hiera-tiny as in SAM 2, and the feature pyramid above it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence

import timm
from torch import Tensor, nn
from torch.nn import functional

from vfss_training.teachers.table import TeacherEntry
from vfss_training.teachers.teacher import FrozenTeacher, rename_weights, replace_parts

_ENCODER = "image_encoder."
"""Prefix of the encoder; the rest of the file is for prompts and the memory of earlier frames."""
_NAMES = ((".mlp.layers.0.", ".mlp.fc1."), (".mlp.layers.1.", ".mlp.fc2."))


class HieraTeacher(FrozenTeacher):
    """MedSAM2.

    Attributes:
        trunk: timm's network.
        neck: The pyramid.
    """

    def __init__(self, entry: TeacherEntry) -> None:
        """Create the teacher with random weights, in evaluation mode."""
        super().__init__(entry)
        self.trunk = timm.create_model("sam2_hiera_tiny", num_classes=0)
        self.trunk.head = nn.Identity()  # a classifier, which SAM 2 does not have
        self.neck = Pyramid([stage["num_chs"] for stage in self.trunk.feature_info], entry.channels)
        self.freeze()

    def own_names(self, published: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the trunk under timm's names; those of the neck stay."""
        encoder = {name.removeprefix(_ENCODER): t for name, t in published.items() if name.startswith(_ENCODER)}
        return rename_weights(encoder, lambda name: replace_parts(name, _NAMES))

    def features(self, inputs: Tensor) -> Tensor:
        """Return the neck's features at stride 16, float32 (N, 256, grid, grid)."""
        stages = self.trunk.forward_intermediates(inputs, intermediates_only=True)
        features: Tensor = self.neck(stages)
        return features


class Pyramid(nn.Module):
    """Neck of SAM 2, up to the level used for prompts and memory; the layers of the two finer levels are unused.

    Attributes:
        convs: A linear layer per stage, coarsest first.
    """

    def __init__(self, widths: Sequence[int], channels: int) -> None:
        """Create the neck with random weights.

        Args:
            widths: Channels of the stages, finest first.
            channels: Channels of its features.
        """
        super().__init__()
        layers = [nn.Sequential(OrderedDict(conv=nn.Conv2d(width, channels, 1))) for width in reversed(widths)]
        self.convs = nn.ModuleList(layers)

    def forward(self, stages: Sequence[Tensor]) -> Tensor:
        """Return features at stride 16, float (N, channels, h, w), of stages, finest first, the last of (h/2, w/2)."""
        coarsest: Tensor = self.convs[0](stages[-1])
        level: Tensor = self.convs[1](stages[-2])
        return level + functional.interpolate(coarsest, scale_factor=2.0, mode="nearest")
