# SPDX-License-Identifier: Apache-2.0
"""MobileSAM and LiteMedSAM, both on a TinyViT: features to learn from, and masks of prompts to compare with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from segment_anything.modeling import MaskDecoder, PromptEncoder, TwoWayTransformer
from torch import Tensor
from torch.nn import functional

from vfss.student.prompts import Box, Click
from vfss_training.teachers.networks.tiny_vit import TinyVitEncoder, renamed
from vfss_training.teachers.table import TeacherEntry
from vfss_training.teachers.teacher import FrozenTeacher

_ENCODER = "image_encoder."


@dataclass(frozen=True)
class Encoded:
    """Encoder output of one frame.

    Attributes:
        features: float32 (1, channels, grid, grid).
        height: Rows of the frame, px.
        width: Columns of the frame, px.
    """

    features: Tensor
    height: int
    width: int


class PromptedTeacher(FrozenTeacher):
    """MobileSAM or LiteMedSAM: encoder, prompt encoder and mask decoder."""

    def __init__(self, entry: TeacherEntry) -> None:
        """Create the teacher with random weights, in evaluation mode."""
        super().__init__(entry)
        self.image_encoder = TinyVitEncoder(entry.stem, entry.channels)
        self.prompt_encoder = PromptEncoder(
            embed_dim=entry.channels,
            image_embedding_size=(entry.grid, entry.grid),
            input_image_size=(entry.input_size, entry.input_size),
            mask_in_chans=16,
        )
        self.mask_decoder = MaskDecoder(
            num_multimask_outputs=3,
            transformer=TwoWayTransformer(depth=2, embedding_dim=entry.channels, mlp_dim=2048, num_heads=8),
            transformer_dim=entry.channels,
        )
        self.freeze()

    def own_names(self, published: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the encoder under timm's names; all others are segment-anything's."""
        encoder = {name.removeprefix(_ENCODER): t for name, t in published.items() if name.startswith(_ENCODER)}
        own = {_ENCODER + name: tensor for name, tensor in renamed(encoder).items()}
        return own | {name: tensor for name, tensor in published.items() if not name.startswith(_ENCODER)}

    def features(self, inputs: Tensor) -> Tensor:
        """Return the encoder's features, float32 (N, channels, grid, grid)."""
        features: Tensor = self.image_encoder(inputs)
        return features

    def encode(self, frame: npt.NDArray[np.uint8]) -> Encoded:
        """Encode one frame, uint8 (H, W): the costly part, done once for any number of prompts."""
        return Encoded(self.targets(torch.from_numpy(np.array(frame, order="C"))[None]), *frame.shape)

    @torch.inference_mode()
    def masks(
        self, encoded: Encoded, boxes: npt.NDArray[np.float32]
    ) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float32]]:
        """Predict the mask of each box.

        Args:
            encoded: The frame.
            boxes: float32 (K, 4): left, top, right, bottom in px of the frame.

        Returns:
            Masks, bool (K, H, W), and the network's own estimate of their overlap, float32 (K,).
        """
        device = next(self.parameters()).device
        scaled = torch.from_numpy(np.asarray(boxes, np.float32)).to(device) * self._scale(encoded)
        sparse, dense = self.prompt_encoder(points=None, boxes=scaled, masks=None)
        logits, quality = self._decode(encoded, sparse, dense)
        return self._full(encoded, logits), quality[:, 0].float().cpu().numpy()

    @torch.inference_mode()
    def refined(
        self, encoded: Encoded, box: Box, clicks: Sequence[Click], before: Tensor | None
    ) -> tuple[npt.NDArray[np.bool_], Tensor]:
        """Predict the mask of a box and clicks, which segment-anything refines from call to call.

        Args:
            encoded: The frame.
            box: Box in px of the frame.
            clicks: Clicks in px of the frame.
            before: Logits of the previous call; None at first.

        Returns:
            Mask, bool (H, W), and logits, float32 (1, 1, h, w).
        """
        device, scale = next(self.parameters()).device, self._scale(encoded)
        corners = torch.tensor([[box.left, box.top, box.right + 1, box.bottom + 1]], device=device) * scale
        points = None
        if clicks:
            places = torch.tensor([[[click.x + 0.5, click.y + 0.5] for click in clicks]], device=device) * scale
            points = (places, torch.tensor([[int(click.adds) for click in clicks]], device=device))
        sparse, dense = self.prompt_encoder(points=points, boxes=corners, masks=before)
        logits, _ = self._decode(encoded, sparse, dense)
        return self._full(encoded, logits)[0], logits

    def _scale(self, encoded: Encoded) -> float:
        return self.input_size / max(encoded.height, encoded.width)

    def _decode(self, encoded: Encoded, sparse: Tensor, dense: Tensor) -> tuple[Tensor, Tensor]:
        features = encoded.features.to(sparse.device)
        position = self.prompt_encoder.get_dense_pe()
        decoded: tuple[Tensor, Tensor] = self.mask_decoder(features, position, sparse, dense, multimask_output=False)
        return decoded

    def _full(self, encoded: Encoded, logits: Tensor) -> npt.NDArray[np.bool_]:
        """Return masks at the frame's size, bool (K, H, W), of logits, float (K, 1, h, w)."""
        size = self.input_size
        square = functional.interpolate(logits, (size, size), mode="bilinear")
        rows, columns = (int(side * self._scale(encoded) + 0.5) for side in (encoded.height, encoded.width))
        unpadded = square[..., :rows, :columns]
        full = functional.interpolate(unpadded, (encoded.height, encoded.width), mode="bilinear")
        masks: npt.NDArray[np.bool_] = (full[:, 0] > 0).cpu().numpy()
        return masks
