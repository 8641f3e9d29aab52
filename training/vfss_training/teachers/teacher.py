# SPDX-License-Identifier: Apache-2.0
"""Teacher: what the trainer asks of any of them."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class Teacher(Protocol):
    """A large network that gives features of frames; it is never trained.

    Attributes:
        name: Its name in TEACHERS.
        input_size: Side of its square input, px.
        pixels: How grey values become input, as in TeacherEntry.
        channels: Of its features.
        grid: Cells of its features along a side.
    """

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def input_size(self) -> int:
        """Side of its input, px."""

    @property
    def pixels(self) -> str:
        """How grey values become input."""

    @property
    def channels(self) -> int:
        """Channels of its features."""

    @property
    def grid(self) -> int:
        """Cells along a side."""

    def targets(self, frames: Tensor) -> Tensor:
        """Features, float32 (N, channels, grid, grid), of square frames, uint8 (N, size, size)."""
