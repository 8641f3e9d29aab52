# SPDX-License-Identifier: Apache-2.0
"""Vision model of MedCLIP: timm's Swin-T and a projection; its weights have the names of transformers 4."""

from __future__ import annotations

import re
from collections.abc import Mapping

import timm
from torch import Tensor

from vfss_training.teachers.table import TeacherEntry
from vfss_training.teachers.teacher import FrozenTeacher, join_query_key_value, rename_weights, replace_parts

_VISION = "vision_model."
"""Prefix of the vision model; the rest of the file is the model of reports."""
_STAGES = 3
"""Stages up to the one with the grid of 14x14 that is the target; after the fourth it is 7x7."""
_UNUSED = (".relative_position_index", "projection_head.weight")
"""Is computed, and compares pictures with reports."""
_NAMES = (
    ("model.embeddings.patch_embeddings.projection.", "swin.patch_embed.proj."),
    ("model.embeddings.norm.", "swin.patch_embed.norm."),
    ("model.encoder.layers.", "swin.layers."),
    ("model.layernorm.", "swin.norm."),
    (".attention.self.relative_position_bias_table", ".attn.relative_position_bias_table"),
    (".attention.output.dense.", ".attn.proj."),
    (".layernorm_before.", ".norm1."),
    (".layernorm_after.", ".norm2."),
    (".intermediate.dense.", ".mlp.fc1."),
    (".output.dense.", ".mlp.fc2."),
)
_THREE = (".attention.self.query.", ".attention.self.key.", ".attention.self.value.")


class SwinTeacher(FrozenTeacher):
    """MedCLIP.

    Attributes:
        swin: timm's network.
    """

    def __init__(self, entry: TeacherEntry) -> None:
        """Create the teacher with random weights, in evaluation mode."""
        super().__init__(entry)
        self.swin = timm.create_model("swin_tiny_patch4_window7_224", num_classes=0)
        self.freeze()

    def own_names(self, published: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the weights under timm's names, with query, key and value in one.

        timm has a patch merging at the beginning of a stage instead of at the end of the one before.
        """
        vision = {
            name.removeprefix(_VISION): tensor
            for name, tensor in published.items()
            if name.startswith(_VISION) and not name.endswith(_UNUSED)
        }
        return rename_weights(join_query_key_value(vision, _THREE, ".attn.qkv."), _own_name)

    def features(self, inputs: Tensor) -> Tensor:
        """Return the features of the third stage, float32 (N, 384, 14, 14)."""
        features: Tensor = self.swin.layers[:_STAGES](self.swin.patch_embed(inputs))
        return features.permute(0, 3, 1, 2)


def _own_name(name: str) -> str:
    """Return the name in this module of a published name without its prefix."""
    return re.sub(
        r"layers\.(\d)\.downsample\.", lambda m: f"layers.{int(m[1]) + 1}.downsample.", replace_parts(name, _NAMES)
    )
