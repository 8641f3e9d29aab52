# SPDX-License-Identifier: Apache-2.0
"""The mask decoder of segment-anything, made small, with one token per structure and finer levels mixed in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from segment_anything.modeling import MaskDecoder, TwoWayTransformer
from segment_anything.modeling.common import LayerNorm2d
from segment_anything.modeling.mask_decoder import MLP
from torch import Tensor, nn
from torch.nn import functional

from vfss.student.config import StudentConfig


@dataclass(frozen=True)
class Features:
    """Encoder features of N frames, kept so that a click costs the decoder only.

    Attributes:
        embedding: e_L, float (N, width, size/16, size/16).
        fine8: float (N, channels8, size/8, size/8).
        fine4: float (N, channels8/2, size/4, size/4).
    """

    embedding: Tensor
    fine8: Tensor
    fine4: Tensor


class Decoded(NamedTuple):
    """What the decoder makes of the features of N frames.

    Attributes:
        logits: float (N, S, size/4, size/4).
        quality: Estimated Dice before the sigmoid, float (N, S).
        heat: Logits of where each landmark is, float (N, L, size/4, size/4): a softmax over places makes shares of it.
        presence: Logits of whether each landmark is to be seen, float (N, L).
    """

    logits: Tensor
    quality: Tensor
    heat: Tensor
    presence: Tensor


def convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Build convolution, batch normalisation and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


def two_way_transformer(config: StudentConfig) -> TwoWayTransformer:
    """Build segment-anything's transformer between tokens and the embedding."""
    return TwoWayTransformer(
        depth=config.depth, embedding_dim=config.width, mlp_dim=config.mlp_width, num_heads=config.heads
    )


class Upscaling(nn.ModuleDict):
    """The way from the embedding to stride 4, with the encoder's finer levels mixed in."""

    def __init__(self, config: StudentConfig) -> None:
        """Build with random weights."""
        width, at8, at4 = config.width, config.channels8, config.channels8 // 2
        super().__init__(
            {
                "to8": nn.ConvTranspose2d(width, at8, kernel_size=2, stride=2),
                "norm8": LayerNorm2d(at8),
                "mix8": convolution(at8, at8, 3),
                "to4": nn.ConvTranspose2d(at8, at4, kernel_size=2, stride=2),
                "mix4": convolution(at4, at4, 3),
            }
        )

    def forward(self, mixed: Tensor, features: Features) -> Tensor:
        """Return channels at stride 4, float (N, channels8/2, size/4, size/4)."""
        at8 = functional.gelu(self["norm8"](self["to8"](mixed)) + features.fine8)
        at8 = at8 + self["mix8"](at8)
        at4 = functional.gelu(self["to4"](at8) + features.fine4)
        out: Tensor = at4 + self["mix4"](at4)
        return out


class FineMaskDecoder(MaskDecoder):  # type: ignore[misc]
    """segment-anything's decoder with one token per structure, a batch of frames, and the finer levels mixed in."""

    def __init__(self, config: StudentConfig, n_structures: int) -> None:
        """Build with random weights; segment-anything counts its outputs without the first token.

        Landmarks have tokens of their own, and one network that makes a kernel of each, as their tokens differ.
        """
        width, at4 = config.width, config.channels8 // 2
        super().__init__(
            transformer_dim=width,
            transformer=two_way_transformer(config),
            num_multimask_outputs=n_structures - 1,
            iou_head_hidden_dim=width,
        )
        self.output_upscaling = Upscaling(config)
        self.output_hypernetworks_mlps = nn.ModuleList(MLP(width, width, at4, 3) for _ in range(n_structures))
        self.n_landmarks = config.landmarks
        if config.landmarks:
            self.landmark_tokens = nn.Embedding(config.landmarks, width)
            self.landmark_kernels = MLP(width, width, at4, 3)
            self.landmark_presence = nn.Linear(width, 1)

    def decode(self, features: Features, position: Tensor, sparse: Tensor, dense: Tensor) -> Decoded:
        """Return logits and quality of every structure, and where each landmark is.

        Args:
            features: Features of N frames.
            position: Positional encoding, float (1, width, size/16, size/16).
            sparse: Point and box prompts, float (N, points, width), at least one.
            dense: Mask prompt, float (N or 1, width, size/16, size/16).
        """
        n = features.embedding.shape[0]
        own = [self.landmark_tokens.weight] if self.n_landmarks else []
        learned = torch.cat([self.iou_token.weight, self.mask_tokens.weight, *own], dim=0)
        tokens = torch.cat([learned.unsqueeze(0).expand(n, -1, -1), sparse], dim=1)
        source = features.embedding + dense
        hidden, mixed = self.transformer(source, position.expand(n, -1, -1, -1), tokens)
        mixed = mixed.transpose(1, 2).reshape(source.shape)
        fine = self.output_upscaling(mixed, features)
        structure_tokens = hidden[:, 1 : 1 + self.num_mask_tokens]
        kernels = [mlp(structure_tokens[:, i]) for i, mlp in enumerate(self.output_hypernetworks_mlps)]
        places, shape = fine.flatten(2), (n, -1, *fine.shape[-2:])
        logits = (torch.stack(kernels, dim=1) @ places).reshape(shape)
        quality = self.iou_prediction_head(hidden[:, 0])
        if not self.n_landmarks:
            return Decoded(logits, quality, logits[:, :0], quality[:, :0])
        first = 1 + self.num_mask_tokens
        landmarks = hidden[:, first : first + self.n_landmarks]
        heat = (self.landmark_kernels(landmarks) @ places).reshape(shape)
        return Decoded(logits, quality, heat, self.landmark_presence(landmarks)[..., 0])
