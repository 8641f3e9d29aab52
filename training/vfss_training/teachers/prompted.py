# SPDX-License-Identifier: Apache-2.0
"""Teachers of the SAM family on a TinyViT: features to learn from, and masks of boxes to compare with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from segment_anything.modeling import MaskDecoder, PromptEncoder, TwoWayTransformer
from torch import Tensor, nn
from torch.nn import functional

from vfss.errors import TrainingError
from vfss_training.teachers.table import TeacherEntry, teacher_named, verified_file
from vfss_training.teachers.tiny_vit import TinyVitEncoder, renamed

_ENCODER = "image_encoder."
_MEAN = (123.675, 116.28, 103.53)
_DEVIATION = (58.395, 57.12, 57.375)
_SMALLEST_RANGE = 1e-8


@dataclass(frozen=True)
class Encoded:
    """What the encoder knows of one frame.

    Attributes:
        features: float32 (1, channels, grid, grid).
        height: Rows of the frame, px.
        width: Columns of the frame, px.
    """

    features: Tensor
    height: int
    width: int


class PromptedTeacher(nn.Module):
    """MobileSAM or LiteMedSAM: encoder, prompt encoder and mask decoder.

    Attributes:
        entry: Its line of the table.
    """

    def __init__(self, entry: TeacherEntry) -> None:
        """Build with random weights, in evaluation mode."""
        super().__init__()
        self.entry = entry
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
        self.requires_grad_(False).eval()

    @property
    def name(self) -> str:
        """Its name in the table."""
        return self.entry.name

    @property
    def input_size(self) -> int:
        """Side of its input, px."""
        return self.entry.input_size

    @property
    def pixels(self) -> str:
        """How grey values become input."""
        return self.entry.pixels

    @property
    def channels(self) -> int:
        """Channels of its features."""
        return self.entry.channels

    @property
    def grid(self) -> int:
        """Cells along a side."""
        return self.entry.grid

    def load_published(self, weights: Mapping[str, Tensor]) -> None:
        """Take weights under the names they are published with.

        Raises:
            TrainingError: One is missing, foreign or of another shape.
        """
        encoder = {name.removeprefix(_ENCODER): t for name, t in weights.items() if name.startswith(_ENCODER)}
        own = {_ENCODER + name: tensor for name, tensor in renamed(encoder).items()}
        own |= {name: tensor for name, tensor in weights.items() if not name.startswith(_ENCODER)}
        try:
            self.load_state_dict(own, strict=True)
        except RuntimeError as error:
            raise TrainingError(f"the weights do not fit teacher {self.name!r} ({error})") from error

    def prepare(self, frames: Tensor) -> Tensor:
        """Input, float32 (N, 3, input_size, input_size), of frames, uint8 (N, H, W): scaled, normalised, padded."""
        size = self.input_size
        scale = size / max(frames.shape[1:])
        shape = (int(frames.shape[1] * scale + 0.5), int(frames.shape[2] * scale + 0.5))
        scaled = functional.interpolate(frames[:, None], size=shape, mode="bilinear", antialias=True).float()
        if self.pixels == "range":
            low, high = scaled.amin((1, 2, 3), keepdim=True), scaled.amax((1, 2, 3), keepdim=True)
            colours = ((scaled - low) / (high - low).clamp(min=_SMALLEST_RANGE)).expand(-1, 3, -1, -1)
        else:
            mean = torch.tensor(_MEAN, device=frames.device).reshape(1, 3, 1, 1)
            deviation = torch.tensor(_DEVIATION, device=frames.device).reshape(1, 3, 1, 1)
            colours = (scaled - mean) / deviation
        return functional.pad(colours, (0, size - shape[1], 0, size - shape[0]))

    @torch.inference_mode()
    def targets(self, frames: Tensor) -> Tensor:
        """Features, float32 (N, channels, grid, grid), of square frames, uint8 (N, size, size)."""
        features: Tensor = self.image_encoder(self.prepare(frames))
        return features.float()

    def encode(self, frame: npt.NDArray[np.uint8]) -> Encoded:
        """What it knows of one frame, uint8 (H, W): the costly half, done once for any number of boxes."""
        return Encoded(self.targets(torch.from_numpy(np.ascontiguousarray(frame))[None]), *frame.shape)

    @torch.inference_mode()
    def masks(
        self, encoded: Encoded, boxes: npt.NDArray[np.float32]
    ) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float32]]:
        """The mask of each box.

        Args:
            encoded: The frame.
            boxes: float32 (K, 4): left, top, right, bottom in px of the frame.

        Returns:
            Masks, bool (K, H, W), and the network's own estimate of their overlap, float32 (K,).
        """
        size, longer = self.input_size, max(encoded.height, encoded.width)
        scaled = torch.from_numpy(np.asarray(boxes, np.float32)) * (size / longer)
        sparse, dense = self.prompt_encoder(points=None, boxes=scaled, masks=None)
        position = self.prompt_encoder.get_dense_pe()
        logits, quality = self.mask_decoder(encoded.features, position, sparse, dense, multimask_output=False)
        whole = functional.interpolate(logits, (size, size), mode="bilinear")
        rows, columns = (int(side * size / longer + 0.5) for side in (encoded.height, encoded.width))
        shown = whole[..., :rows, :columns]
        full = functional.interpolate(shown, (encoded.height, encoded.width), mode="bilinear")
        return (full[:, 0] > 0).numpy(), quality[:, 0].float().numpy()


def load_teacher(name: str, place: Path | None = None) -> PromptedTeacher:
    """A teacher with its published weights, read without executing anything in the file.

    Args:
        name: Its name in TEACHERS.
        place: File of the weights, or the folder with it; None: the user's cache folder.

    Raises:
        TrainingError: No such teacher; the file is missing, another one, or does not fit.
    """
    entry = teacher_named(name)
    path = verified_file(entry, place)
    teacher = PromptedTeacher(entry)
    teacher.load_published(torch.load(path, map_location="cpu", weights_only=True))
    return teacher
