# SPDX-License-Identifier: Apache-2.0
"""The network: timm backbone, light neck, segment-anything's prompt encoder and mask decoder made small."""

from __future__ import annotations

from dataclasses import dataclass

import timm
import torch
from segment_anything.modeling import MaskDecoder, PromptEncoder, TwoWayTransformer
from segment_anything.modeling.common import LayerNorm2d
from segment_anything.modeling.mask_decoder import MLP
from torch import Tensor, nn
from torch.nn import functional

from vfss.student.config import STRIDE, StudentConfig

_LEVELS = (4, 8, 16, 32)
_DETAIL = 16  # channels of the detail layers at stride 2


@dataclass(frozen=True)
class Features:
    """What the encoder knows of N frames: kept, so that a click costs the decoder only.

    Attributes:
        embedding: e_L, float (N, width, size/16, size/16).
        fine8: float (N, channels8, size/8, size/8).
        fine4: float (N, channels8/2, size/4, size/4).
    """

    embedding: Tensor
    fine8: Tensor
    fine4: Tensor


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


class Encoder(nn.Module):
    """Backbone and neck: frames to Features."""

    def __init__(self, config: StudentConfig) -> None:
        """Build with random weights."""
        super().__init__()
        probe = timm.create_model(config.backbone, features_only=True, pretrained=False, in_chans=1)
        indices = [probe.feature_info.reduction().index(level) for level in _LEVELS]
        self.backbone = timm.create_model(
            config.backbone, features_only=True, pretrained=False, in_chans=1, out_indices=indices
        )
        at4, at8, at16, at32 = self.backbone.feature_info.channels()
        width = config.width
        self.lateral16 = nn.Conv2d(at16, width, 1)
        self.lateral32 = nn.Conv2d(at32, width, 1)
        self.blend = nn.Sequential(_conv(width, width, 3), nn.Conv2d(width, width, 1))
        self.fine8 = _conv(at8, config.channels8, 1)
        self.fine4 = _conv(at4, config.channels8 // 2, 1)
        # The backbone's first blocks were made for photographs and stay as they are in training on a CPU.
        self.detail = (
            nn.Sequential(_conv(1, _DETAIL, 3, 2), _conv(_DETAIL, config.channels8 // 2, 3, 2))
            if config.detail
            else None
        )

    def forward(self, frames: Tensor) -> Features:
        """Features of frames, float (N, 1, size, size) as from preprocess.prepare."""
        at4, at8, at16, at32 = self.backbone(frames)
        lateral = self.lateral16(at16)
        coarse = functional.interpolate(self.lateral32(at32), size=lateral.shape[-2:], mode="bilinear")
        merged = lateral + coarse
        fine4 = self.fine4(at4)
        if self.detail is not None:
            fine4 = fine4 + self.detail(frames)
        return Features(merged + self.blend(merged), self.fine8(at8), fine4)


class FineMaskDecoder(MaskDecoder):  # type: ignore[misc]
    """segment-anything's decoder with one token per structure, a batch of frames, and the finer levels mixed in."""

    def __init__(self, config: StudentConfig, n_structures: int) -> None:
        """Build with random weights; the original counts its outputs without the first token."""
        width, at8, at4 = config.width, config.channels8, config.channels8 // 2
        super().__init__(
            transformer_dim=width,
            transformer=TwoWayTransformer(
                depth=config.depth, embedding_dim=width, mlp_dim=config.mlp_width, num_heads=config.heads
            ),
            num_multimask_outputs=n_structures - 1,
            iou_head_hidden_dim=width,
        )
        self.output_upscaling = nn.ModuleDict(
            {
                "to8": nn.ConvTranspose2d(width, at8, kernel_size=2, stride=2),
                "norm8": LayerNorm2d(at8),
                "mix8": _conv(at8, at8, 3),
                "to4": nn.ConvTranspose2d(at8, at4, kernel_size=2, stride=2),
                "mix4": _conv(at4, at4, 3),
            }
        )
        self.output_hypernetworks_mlps = nn.ModuleList(MLP(width, width, at4, 3) for _ in range(n_structures))

    def decode(self, features: Features, position: Tensor, sparse: Tensor, dense: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and quality of every structure.

        Args:
            features: Of N frames.
            position: Positional encoding, float (1, width, size/16, size/16).
            sparse: Point and box prompts, float (N, points, width), at least one.
            dense: Mask prompt, float (N or 1, width, size/16, size/16).

        Returns:
            Logits, float (N, S, size/4, size/4), and quality before the sigmoid, float (N, S).
        """
        n = features.embedding.shape[0]
        learned = torch.cat([self.iou_token.weight, self.mask_tokens.weight], dim=0)
        tokens = torch.cat([learned.unsqueeze(0).expand(n, -1, -1), sparse], dim=1)
        source = features.embedding + dense
        hidden, mixed = self.transformer(source, position.expand(n, -1, -1, -1), tokens)
        mixed = mixed.transpose(1, 2).reshape(source.shape)
        fine = self._upscale(mixed, features)
        structure_tokens = hidden[:, 1 : 1 + self.num_mask_tokens]
        kernels = [mlp(structure_tokens[:, i]) for i, mlp in enumerate(self.output_hypernetworks_mlps)]
        logits = torch.stack(kernels, dim=1) @ fine.flatten(2)
        quality = self.iou_prediction_head(hidden[:, 0])
        return logits.reshape(n, -1, fine.shape[-2], fine.shape[-1]), quality

    def _upscale(self, mixed: Tensor, features: Features) -> Tensor:
        """Decoder channels at stride 4, float (N, channels8/2, size/4, size/4)."""
        part = self.output_upscaling
        at8 = functional.gelu(part["norm8"](part["to8"](mixed)) + features.fine8)
        at8 = at8 + part["mix8"](at8)
        at4 = functional.gelu(part["to4"](at8) + features.fine4)
        out: Tensor = at4 + part["mix4"](at4)
        return out


class StudentNetwork(nn.Module):
    """Frames to logits and quality of every structure of a schema, in one pass and without a prompt."""

    def __init__(self, config: StudentConfig, n_structures: int) -> None:
        """Build with random weights."""
        super().__init__()
        cells = config.input_size // STRIDE
        self._mirrored = config.mirrored
        self.encoder = Encoder(config)
        self.prompt_encoder = PromptEncoder(
            embed_dim=config.width,
            image_embedding_size=(cells, cells),
            input_image_size=(config.input_size, config.input_size),
            mask_in_chans=16,
        )
        self.decoder = FineMaskDecoder(config, n_structures)

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Logits, float (N, S, size/4, size/4), and quality 0..1, float (N, S).

        Args:
            frames: float (N, 1, size, size) as from preprocess.prepare.
        """
        if self.training or not self._mirrored:
            return self._pass(frames)
        logits, quality = self._pass(torch.cat([frames, frames.flip(3)]))
        n = frames.shape[0]
        return (logits[:n] + logits[n:].flip(3)) / 2, (quality[:n] + quality[n:]) / 2

    def _pass(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        features = self.encoder(frames)
        logits, quality = self.decoder.decode(features, *self._no_prompt(features))
        return logits, quality.sigmoid()

    def _no_prompt(self, features: Features) -> tuple[Tensor, Tensor, Tensor]:
        """Position, sparse and dense prompt where nobody has clicked.

        One not-a-point stands in for no point: a sparse prompt of length zero is more than OpenVINO can bear.
        """
        n, _, height, width = features.embedding.shape
        prompts = self.prompt_encoder
        position = prompts.pe_layer((height, width)).unsqueeze(0)
        sparse = prompts.not_a_point_embed.weight.unsqueeze(0).expand(n, -1, -1)
        dense = prompts.no_mask_embed.weight.reshape(1, -1, 1, 1).expand(1, -1, height, width)
        return position, sparse, dense
