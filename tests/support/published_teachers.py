# SPDX-License-Identifier: Apache-2.0
"""Teachers of other libraries, and random weights under their published names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from segment_anything import sam_model_registry
from torch import Tensor, nn
from transformers import (
    Dinov2Config,
    Dinov2Model,
    Sam2HieraDetConfig,
    Sam2VisionConfig,
    Sam2VisionModel,
    SwinConfig,
    SwinModel,
)

from published_tiny_vit import published_weights
from vfss_training.teachers.loading import build_teacher
from vfss_training.teachers.table import TEACHERS

Weights = dict[str, Tensor]
# transformers 5 renamed its modules; published files have the names of transformers 4.
ATTENTION = ((".attention.o_proj.", ".attention.output.dense."),)
DINO = (
    (".attention.q_proj.", ".attention.attention.query."),
    (".attention.k_proj.", ".attention.attention.key."),
    (".attention.v_proj.", ".attention.attention.value."),
    *ATTENTION,
)
SWIN = (
    (".attention.q_proj.", ".attention.self.query."),
    (".attention.k_proj.", ".attention.self.key."),
    (".attention.v_proj.", ".attention.self.value."),
    (".attention.relative_position_bias.", ".attention.self."),
    (".mlp.fc1.", ".intermediate.dense."),
    (".mlp.fc2.", ".output.dense."),
    *ATTENTION,
)
HIERA = (
    ("backbone.", "trunk."),
    ("patch_embed.projection.", "patch_embed.proj."),
    (".layer_norm1.", ".norm1."),
    (".layer_norm2.", ".norm2."),
    (".mlp.proj_in.", ".mlp.layers.0."),
    (".mlp.proj_out.", ".mlp.layers.1."),
    *((f"neck.convs.{i}.", f"neck.convs.{i}.conv.") for i in range(4)),
)


def renamed(weights: Mapping[str, Tensor], parts: Sequence[tuple[str, str]], prefix: str = "") -> Weights:
    """Return weights with a prefix and with parts of their names replaced."""
    renamed_weights = {prefix + name: tensor for name, tensor in weights.items()}
    for before, after in parts:
        renamed_weights = {name.replace(before, after): tensor for name, tensor in renamed_weights.items()}
    return renamed_weights


def filled(shapes: Mapping[str, Tensor], seed: int = 0) -> Weights:
    """Return random values of given shapes that keep a deep network's features at a size of about one."""
    random = torch.Generator().manual_seed(seed)
    weights: Weights = {}
    for name, tensor in shapes.items():
        values = torch.randn(tensor.shape, generator=random)
        if tensor.ndim > 1:
            values *= 0.7 / max(1, tensor[0].numel()) ** 0.5
        else:
            values = 1 + 0.1 * values if "norm" in name and name.endswith("weight") else 0.1 * values
        weights[name] = values
    return weights


def dino(size: int) -> nn.Module:
    """Return DINOv2 of transformers for square inputs of a size."""
    return Dinov2Model(Dinov2Config(image_size=size, patch_size=14, attn_implementation="eager")).eval()


def swin() -> nn.Module:
    """Return Swin-T of transformers."""
    return SwinModel(SwinConfig(attn_implementation="eager")).eval()


def hiera() -> nn.Module:
    """Return the image encoder of SAM 2 of transformers, for inputs of 512x512."""
    return Sam2VisionModel(Sam2VisionConfig(backbone_config=Sam2HieraDetConfig(image_size=[512, 512]))).eval()


def published_dino(weights: Mapping[str, Tensor]) -> Weights:
    """Return RAD-DINO's file."""
    return renamed(weights, DINO)


def published_swin(weights: Mapping[str, Tensor]) -> Weights:
    """Return MedCLIP's file: the Swin-T with its position tables, the projection, and the text model."""
    file = renamed(weights, SWIN, "vision_model.model.")
    tables = [name for name in file if name.endswith("relative_position_bias_table")]
    file |= {name.replace("_bias_table", "_index"): torch.zeros(49, 49, dtype=torch.long) for name in tables}
    file["vision_model.projection_head.weight"] = filled({"": torch.empty(512, 768)}, 1)[""]
    return file | {"logit_scale": torch.tensor(2.0), "text_model.projection_head.weight": torch.zeros(512, 768)}


def published_hiera(weights: Mapping[str, Tensor]) -> Weights:
    """Return MedSAM2's file: the image encoder, and some of the weights for prompts and memory."""
    return renamed(weights, HIERA, "image_encoder.") | {"no_mem_embed": torch.zeros(1, 1, 256)}


def published(name: str) -> Weights:
    """Return a teacher's weights without values, with the names and shapes of its file."""
    with torch.device("meta"):
        match name:
            case "rad-dino":
                return published_dino(dino(518).state_dict())
            case "medclip":
                return published_swin(swin().state_dict())
            case "medsam2":
                return published_hiera(hiera().state_dict())
            case "medsam" | "sam-vit-b":
                return dict(sam_model_registry["vit_b"]().state_dict())
    encoder = {f"image_encoder.{key}": value for key, value in published_weights(TEACHERS[name].stem, 0).items()}
    others = build_teacher(TEACHERS[name]).state_dict()
    return encoder | {key: value for key, value in others.items() if not key.startswith("image_encoder.")}
