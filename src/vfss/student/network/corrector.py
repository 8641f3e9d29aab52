# SPDX-License-Identifier: Apache-2.0
"""The corrector: segment-anything's mask decoder once more, told by maps what a person pointed at and what was there.

Its weights are its own, so that learning to take prompts changes no proposal. Clicks come as maps beside the masks, as
in RITM (Sofiiuk et al., arXiv 2102.06583), not as tokens: what they say is local, and a mask goes in at the logits'
size.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vfss.student.config import StudentConfig
from vfss.student.network.decoder import Features, FineMaskDecoder, convolution


class Corrector(nn.Module):
    """Features and prompts of frames to logits and quality of every structure."""

    def __init__(self, config: StudentConfig, n_structures: int) -> None:
        """Build with random weights."""
        super().__init__()
        width, at8, at4 = config.width, config.channels8, config.channels8 // 2
        self.n_structures = n_structures
        self.to4 = nn.Sequential(convolution(prompt_channels(n_structures), at4, 3), convolution(at4, at4, 3))
        self.to8 = convolution(at4, at8, 3, 2)
        self.to16 = convolution(at8, width, 3, 2)
        self.add4, self.add8, self.add16 = _nothing(at4), _nothing(at8), _nothing(width)
        self.asked = nn.Parameter(torch.zeros(n_structures + 1, width))  # the last one: no structure was asked for
        self.trust = nn.Parameter(torch.ones(2))
        self.decoder = FineMaskDecoder(config, n_structures)

    def forward(self, features: Features, position: Tensor, prompts: Tensor, asked: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and quality of every structure.

        Args:
            features: Of N frames.
            position: Positional encoding, float (1, width, size/16, size/16).
            prompts: float (N, S + 4, size/4, size/4), as from vfss.student.prompt_maps.
            asked: float (N, S), 1 at the structure that is corrected, all 0 where all of them are wanted.

        Returns:
            Logits, float (N, S, size/4, size/4), and quality 0..1, float (N, S).
        """
        at4 = self.to4(prompts)
        at8 = self.to8(at4)
        dense = self.add16(self.to16(at8))
        told = Features(features.embedding, features.fine8 + self.add8(at8), features.fine4 + self.add4(at4))
        which = torch.cat([asked, 1.0 - asked.sum(1, keepdim=True)], dim=1) @ self.asked
        logits, quality = self.decoder.decode(told, position, which.unsqueeze(1), dense)
        n = self.n_structures
        before = self.trust[0] * prompts[:, :n] + self.trust[1] * asked[:, :, None, None] * prompts[:, n : n + 1]
        return logits + before, quality.sigmoid()


def _nothing(channels: int) -> nn.Conv2d:
    """A layer that adds nothing at first, so that learning begins from what the decoder proposes."""
    layer = nn.Conv2d(channels, channels, 1)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]  # it has one
    return layer


def prompt_channels(n_structures: int) -> int:
    """Maps of a prompt: what was there of every structure and of the one asked for, adding and removing clicks, box."""
    return n_structures + 4
