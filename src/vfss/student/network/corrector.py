# SPDX-License-Identifier: Apache-2.0
"""The corrector: a second mask decoder of segment-anything, conditioned on maps of prompts and of the current mask.

It has weights of its own, so that training it on prompts changes no proposal. Clicks are given as maps, like the masks,
as in RITM (Sofiiuk et al., arXiv 2102.06583), not as tokens: their information is local, and a mask enters at the
logits' size.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from vfss.student.config import StudentConfig
from vfss.student.network.decoder import Features, FineMaskDecoder, convolution


class Corrector(nn.Module):
    """Maps features and prompts of frames to logits and quality of every structure."""

    def __init__(self, config: StudentConfig, n_structures: int) -> None:
        """Build with random weights."""
        super().__init__()
        width, at8, at4 = config.width, config.channels8, config.channels8 // 2
        self.n_structures = n_structures
        self.to4 = nn.Sequential(convolution(prompt_channels(n_structures), at4, 3), convolution(at4, at4, 3))
        self.to8 = convolution(at4, at8, 3, 2)
        self.to16 = convolution(at8, width, 3, 2)
        self.add4, self.add8, self.add16 = (_zero_convolution(channels) for channels in (at4, at8, width))
        self.asked = nn.Parameter(torch.zeros(n_structures + 1, width))  # the last one: all structures are wanted
        self.trust = nn.Parameter(torch.ones(2))
        self.decoder = FineMaskDecoder(replace(config, landmarks=0), n_structures)

    def forward(self, features: Features, position: Tensor, prompts: Tensor, asked: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and quality of every structure.

        Args:
            features: Features of N frames.
            position: Positional encoding, float (1, width, size/16, size/16).
            prompts: float (N, S + 4, size/4, size/4), as from vfss.student.prompt_maps.
            asked: float (N, S), 1 at the structure to correct, all 0 if all of them are wanted.

        Returns:
            Logits, float (N, S, size/4, size/4), and quality 0..1, float (N, S).
        """
        at4 = self.to4(prompts)
        at8 = self.to8(at4)
        dense = self.add16(self.to16(at8))
        conditioned = Features(features.embedding, features.fine8 + self.add8(at8), features.fine4 + self.add4(at4))
        which = torch.cat([asked, 1.0 - asked.sum(1, keepdim=True)], dim=1) @ self.asked
        logits, quality, *_ = self.decoder.decode(conditioned, position, which.unsqueeze(1), dense)
        n = self.n_structures
        before = self.trust[0] * prompts[:, :n] + self.trust[1] * asked[:, :, None, None] * prompts[:, n : n + 1]
        return logits + before, quality.sigmoid()


def _zero_convolution(channels: int) -> nn.Conv2d:
    """Build a layer that adds nothing at first, so that training begins from what the decoder proposes."""
    layer = nn.Conv2d(channels, channels, 1)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]  # it has one
    return layer


def prompt_channels(n_structures: int) -> int:
    """Return the number of prompt maps: each structure's mask, the mask to correct, two kinds of clicks, a box."""
    return n_structures + 4
