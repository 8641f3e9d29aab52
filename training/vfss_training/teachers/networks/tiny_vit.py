# SPDX-License-Identifier: Apache-2.0
"""TinyViT as in MobileSAM and LiteMedSAM: timm's, with a last patch merging that keeps the size, and SAM's neck.

timm has the patch merging at the beginning of a stage, the published weights at the end of the one before, and timm
names some parts differently; `renamed` maps the published names, and everything is loaded strictly.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from segment_anything.modeling.common import LayerNorm2d
from timm.models.tiny_vit import TinyVit
from torch import Tensor, nn

from vfss_training.teachers.teacher import rename_weights

_WIDTHS = (64, 128, 160, 320)
"""Channels of the four stages of TinyViT-5M."""
_UNUSED = ("norm_head.", "head.")
"""Prefixes of the classifier in MobileSAM's file, which is not used."""
_LAST_STAGE = 3


class TinyVitEncoder(nn.Module):
    """Encodes frames to features at a 16th (stem 3) or a quarter (stem 1) of their size."""

    def __init__(self, stem: int, channels: int = 256) -> None:
        """Create the encoder with random weights.

        Args:
            stem: Kernel size of the first two convolutions, 3 with stride 2 or 1 with stride 1.
            channels: Channels of the features.
        """
        super().__init__()
        trunk = TinyVit(
            num_classes=0, embed_dims=_WIDTHS, num_heads=(2, 4, 5, 10), window_sizes=(7, 7, 14, 7), drop_path_rate=0.0
        )
        trunk.stages[_LAST_STAGE].downsample.conv2.conv.stride = (1, 1)
        if stem == 1:
            for part in (trunk.patch_embed.conv1, trunk.patch_embed.conv2):
                part.conv = nn.Conv2d(part.conv.in_channels, part.conv.out_channels, 1, bias=False)
        self.patch_embed, self.stages = trunk.patch_embed, trunk.stages
        self.neck = nn.Sequential(
            nn.Conv2d(_WIDTHS[-1], channels, 1, bias=False),
            LayerNorm2d(channels),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            LayerNorm2d(channels),
        )

    def forward(self, frames: Tensor) -> Tensor:
        """Return features, float (N, channels, h, w), of normalised frames, float (N, 3, H, W)."""
        features: Tensor = self.neck(self.stages(self.patch_embed(frames)))
        return features


def renamed(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of a published image encoder, without its prefix, under the names of TinyVitEncoder.

    Raises:
        TrainingError: Two names map to the same one.
    """
    used = {name: tensor for name, tensor in published.items() if not name.startswith(_UNUSED)}
    return rename_weights(used, _own_name)


def _own_name(name: str) -> str:
    """Return timm's name of a published name."""
    name = name.replace("patch_embed.seq.0.", "patch_embed.conv1.").replace("patch_embed.seq.2.", "patch_embed.conv2.")
    name = re.sub(r"^layers\.(\d)\.downsample\.", lambda m: f"stages.{int(m[1]) + 1}.downsample.", name)
    name = re.sub(r"^layers\.(\d)\.", r"stages.\1.", name)
    return re.sub(r"\.c\.weight$", ".conv.weight", name)
