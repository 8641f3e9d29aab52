# SPDX-License-Identifier: Apache-2.0
"""RAD-DINO: timm's DINOv2 ViT-B/14; its weights are published under the names of transformers 4."""

from __future__ import annotations

from collections.abc import Mapping

import timm
from torch import Tensor

from vfss_training.teachers.table import TeacherEntry
from vfss_training.teachers.teacher import FrozenTeacher, join_query_key_value, rename_weights, replace_parts

_OWN = "vit."
_UNUSED = ("embeddings.mask_token",)
"""Token of masked patches, which exist only in its own training."""
_NAMES = (
    ("embeddings.cls_token", "cls_token"),
    ("embeddings.position_embeddings", "pos_embed"),
    ("embeddings.patch_embeddings.projection.", "patch_embed.proj."),
    ("encoder.layer.", "blocks."),
    (".attention.output.dense.", ".attn.proj."),
    (".layer_scale1.lambda1", ".ls1.gamma"),
    (".layer_scale2.lambda1", ".ls2.gamma"),
    ("layernorm.", "norm."),
)
_THREE = (".attention.attention.query.", ".attention.attention.key.", ".attention.attention.value.")


class DinoTeacher(FrozenTeacher):
    """RAD-DINO.

    Attributes:
        vit: timm's network.
    """

    def __init__(self, entry: TeacherEntry) -> None:
        """Create the teacher with random weights, in evaluation mode."""
        super().__init__(entry)
        self.vit = timm.create_model("vit_base_patch14_dinov2", num_classes=0, img_size=entry.input_size)
        self.freeze()

    def own_names(self, published: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the weights under timm's names, with query, key and value in one."""
        used = {name: tensor for name, tensor in published.items() if name not in _UNUSED}
        return rename_weights(
            join_query_key_value(used, _THREE, ".attn.qkv."), lambda name: _OWN + replace_parts(name, _NAMES)
        )

    def features(self, inputs: Tensor) -> Tensor:
        """Return the patch tokens after the last norm, float32 (N, 768, grid, grid)."""
        tokens: Tensor = self.vit.forward_features(inputs)[:, self.vit.num_prefix_tokens :]
        return tokens.transpose(1, 2).reshape(len(tokens), -1, self.grid, self.grid)
