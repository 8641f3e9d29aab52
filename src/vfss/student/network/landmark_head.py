# SPDX-License-Identifier: Apache-2.0
"""The landmark head: a small decoder of its own that finds single points in the encoder's features.

It has weights of its own, so that training it changes no mask, and is computed only where points are wanted. It starts
as a copy of the mask decoder, whose structure tokens it keeps: a landmark is found beside the structures it belongs to.
"""

from __future__ import annotations

import torch
from segment_anything.modeling.mask_decoder import MLP
from torch import Tensor, nn

from vfss.student.config import StudentConfig
from vfss.student.network.decoder import Features, Upscaling, two_way_transformer


class LandmarkHead(nn.Module):
    """Maps features of frames to a heat map and the presence of every landmark."""

    def __init__(self, config: StudentConfig, n_structures: int) -> None:
        """Build with random weights."""
        super().__init__()
        width, at4 = config.width, config.channels8 // 2
        self.n_landmarks = config.landmark_head
        self.structures = nn.Parameter(torch.zeros(1 + n_structures, width))  # the first token is of quality
        self.tokens = nn.Parameter(torch.randn(config.landmark_head, width))
        self.transformer = two_way_transformer(config)
        self.upscaling = Upscaling(config)
        self.kernels = MLP(width, width, at4, 3)
        self.presence = nn.Linear(width, 1)

    def forward(self, features: Features, position: Tensor, sparse: Tensor, dense: Tensor) -> tuple[Tensor, Tensor]:
        """Return where each landmark is, and whether it is to be seen.

        Args:
            features: Features of N frames.
            position: Positional encoding, float (1, width, size/16, size/16).
            sparse: Point prompts, float (N, points, width), at least one.
            dense: Mask prompt, float (1, width, size/16, size/16).

        Returns:
            Logits of the places, float (N, L, size/4, size/4): a softmax over places makes shares of them; and logits
            of the presence, float (N, L).
        """
        n = features.embedding.shape[0]
        own = torch.cat([self.structures, self.tokens], dim=0)
        tokens = torch.cat([own.unsqueeze(0).expand(n, -1, -1), sparse], dim=1)
        source = features.embedding + dense
        hidden, mixed = self.transformer(source, position.expand(n, -1, -1, -1), tokens)
        fine = self.upscaling(mixed.transpose(1, 2).reshape(source.shape), features)
        first = len(self.structures)
        found = hidden[:, first : first + self.n_landmarks]
        heat = (self.kernels(found) @ fine.flatten(2)).reshape(n, self.n_landmarks, *fine.shape[-2:])
        return heat, self.presence(found)[..., 0]
