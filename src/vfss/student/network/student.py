# SPDX-License-Identifier: Apache-2.0
"""The student's network: timm backbone, light neck, segment-anything's prompt encoder and mask decoder made small."""

from __future__ import annotations

import timm
import torch
from segment_anything.modeling import PromptEncoder
from torch import Tensor, nn
from torch.nn import functional

from vfss.errors import StudentError
from vfss.student.config import STRIDE, StudentConfig, is_backbone_name
from vfss.student.network.corrector import Corrector
from vfss.student.network.decoder import Decoded, Features, FineMaskDecoder, convolution
from vfss.student.network.landmark_head import LandmarkHead

_LEVELS = (4, 8, 16, 32)
_DETAIL = 16  # channels of the detail layers at stride 2


def _indices(backbone: str) -> list[int]:
    """Return which of a backbone's levels have the strides that the student needs.

    Raises:
        StudentError: timm does not list the backbone, or it has no such levels.
    """
    remedy = "Choose a name from timm.list_models() with features at strides 4, 8, 16 and 32."
    if not is_backbone_name(backbone) or not timm.is_model(backbone):
        raise StudentError(f"timm has no model {backbone!r}", remedy=remedy)
    try:
        # It draws random weights, and so do those that follow: without it a seed would mean others.
        probe = timm.create_model(backbone, features_only=True, pretrained=False, in_chans=1)
        return [probe.feature_info.reduction().index(level) for level in _LEVELS]
    except (ValueError, RuntimeError, TypeError, AttributeError, NotImplementedError) as error:
        raise StudentError(f"the backbone {backbone!r} cannot be used ({error})", remedy=remedy) from error


class Encoder(nn.Module):
    """Backbone and neck: maps frames to Features."""

    def __init__(self, config: StudentConfig) -> None:
        """Build with random weights."""
        super().__init__()
        self.backbone = timm.create_model(
            config.backbone, features_only=True, pretrained=False, in_chans=1, out_indices=_indices(config.backbone)
        )
        at4, at8, at16, at32 = self.backbone.feature_info.channels()
        width = config.width
        self.lateral16 = nn.Conv2d(at16, width, 1)
        self.lateral32 = nn.Conv2d(at32, width, 1)
        self.blend = nn.Sequential(convolution(width, width, 3), nn.Conv2d(width, width, 1))
        self.fine8 = convolution(at8, config.channels8, 1)
        self.fine4 = convolution(at4, config.channels8 // 2, 1)
        # The backbone's first blocks were trained on photographs and stay frozen in training on a CPU.
        self.detail = (
            nn.Sequential(convolution(1, _DETAIL, 3, 2), convolution(_DETAIL, config.channels8 // 2, 3, 2))
            if config.detail
            else None
        )

    def forward(self, frames: Tensor) -> Features:
        """Return the features of frames, float (N, 1, size, size) as from preprocess.prepare."""
        at4, at8, at16, at32 = self.backbone(frames)
        lateral = self.lateral16(at16)
        coarse = functional.interpolate(self.lateral32(at32), size=lateral.shape[-2:], mode="bilinear")
        merged = lateral + coarse
        fine4 = self.fine4(at4)
        if self.detail is not None:
            fine4 = fine4 + self.detail(frames)
        return Features(merged + self.blend(merged), self.fine8(at8), fine4)


class StudentNetwork(nn.Module):
    """Maps frames to logits and quality of every structure of a schema, in one pass and without a prompt."""

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
        self.corrector = Corrector(config, n_structures) if config.prompted else None
        self.landmark_head = LandmarkHead(config, n_structures) if config.landmark_head else None

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits, float (N, S, size/4, size/4), and quality 0..1, float (N, S).

        Args:
            frames: float (N, 1, size, size) as from preprocess.prepare.
        """
        if self.training or not self._mirrored:
            return self.one_pass(frames)
        logits, quality = self.one_pass(torch.cat([frames, frames.flip(3)]))
        n = frames.shape[0]
        return (logits[:n] + logits[n:].flip(3)) / 2, (quality[:n] + quality[n:]) / 2

    def correct(self, features: Features, prompts: Tensor, asked: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and quality with prompts; see Corrector."""
        if self.corrector is None:
            raise StudentError(
                "this student takes no prompts",
                remedy="Train a corrector for it: vfss-train clicks STUDENT --out FILE.",
            )
        position = self.prompt_encoder.pe_layer(tuple(features.embedding.shape[-2:])).unsqueeze(0)
        corrected: tuple[Tensor, Tensor] = self.corrector(features, position, prompts, asked)
        return corrected

    def landmarks(self, features: Features) -> tuple[Tensor, Tensor]:
        """Return heat maps and presence of landmarks by the landmark head; see LandmarkHead."""
        if self.landmark_head is None:
            raise StudentError(
                "this student finds no landmarks",
                remedy="Train a head for them: vfss-train landmarks STUDENT --out FILE.",
            )
        found: tuple[Tensor, Tensor] = self.landmark_head(features, *self._no_prompt(features))
        return found

    def unprompted(self, features: Features) -> Decoded:
        """Return what the decoder makes of features alone."""
        return self.decoder.decode(features, *self._no_prompt(features))

    def one_pass(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and quality as forward does, of the frames alone even where the network is mirrored."""
        decoded = self.unprompted(self.encoder(frames))
        return decoded.logits, decoded.quality.sigmoid()

    def _no_prompt(self, features: Features) -> tuple[Tensor, Tensor, Tensor]:
        """Return position, sparse and dense prompt for no clicks.

        One not-a-point replaces no point: OpenVINO crashes on a sparse prompt of length zero.
        """
        n, _, height, width = features.embedding.shape
        prompts = self.prompt_encoder
        position = prompts.pe_layer((height, width)).unsqueeze(0)
        sparse = prompts.not_a_point_embed.weight.unsqueeze(0).expand(n, -1, -1)
        dense = prompts.no_mask_embed.weight.reshape(1, -1, 1, 1).expand(1, -1, height, width)
        return position, sparse, dense
