# SPDX-License-Identifier: Apache-2.0
"""Teacher: what the trainer asks of any of them, and what all of them have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from vfss.errors import TrainingError
from vfss_training.teachers.preprocess import Window, fitted, window
from vfss_training.teachers.table import TeacherEntry

_NAMED = 5


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
        """Features, float32 (N, channels, grid, grid), of frames, uint8 (N, H, W)."""


class FrozenTeacher(nn.Module):
    """A teacher of the table.

    A kind of its own says how published names become its own, and how input becomes features.

    Attributes:
        entry: Its line of the table.
    """

    def __init__(self, entry: TeacherEntry) -> None:
        """Begin; a kind of its own adds its parts with random weights and then freezes itself."""
        super().__init__()
        self.entry = entry

    def freeze(self) -> None:
        """Evaluation mode, without gradients: for good."""
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

    def window(self, height: int, width: int) -> Window:
        """The part of a frame that its grid covers.

        Targets are compared with the student's map of the same frame. Its frames are square in training, where the
        window is the whole frame for every teacher; for others the student's map has to be cut or filled to it first.

        Args:
            height: Of the frame, px.
            width: Of the frame, px.
        """
        return window(self.entry.fit, height, width)

    def prepare(self, frames: Tensor) -> Tensor:
        """Input, float32 (N, 3, input_size, input_size), of frames, uint8 (N, H, W)."""
        return fitted(frames, self.entry)

    @torch.inference_mode()
    def targets(self, frames: Tensor) -> Tensor:
        """Features, float32 (N, channels, grid, grid), of frames, uint8 (N, H, W), on the device of the frames."""
        return self.features(self._input(frames)).float().to(frames.device)

    def _input(self, frames: Tensor) -> Tensor:
        """Input where the weights are."""
        return self.prepare(frames).to(next(self.parameters()).device)

    def features(self, inputs: Tensor) -> Tensor:
        """Features, float (N, channels, grid, grid), of input, float32 (N, 3, input_size, input_size)."""
        raise NotImplementedError

    def own_names(self, published: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Weights under the names of this module, from those of the published file.

        Raises:
            TrainingError: They cannot be mapped.
        """
        raise NotImplementedError

    def load_published(self, weights: Mapping[str, Tensor]) -> None:
        """Take weights under the names they are published with; nothing is left out on either side.

        Raises:
            TrainingError: Some are missing, foreign or of another shape: with their names.
        """
        own = self.own_names(weights)
        problem = difference(self.state_dict(), own)
        if problem:
            raise TrainingError(
                f"the weights do not fit teacher {self.name!r}: {problem}",
                remedy=f"Get {self.entry.file} again: 'vfss-train download {self.name}', or {self.entry.source}.",
            )
        self.load_state_dict(own, strict=True)


def difference(wanted: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str:
    """What of the weights is missing, foreign or of another shape, in words; empty where all fit."""
    lists = {
        "missing": [name for name in wanted if name not in found],
        "foreign": [name for name in found if name not in wanted],
        "of another shape": [
            f"{name} {tuple(found[name].shape)} for {tuple(tensor.shape)}"
            for name, tensor in wanted.items()
            if name in found and found[name].shape != tensor.shape
        ],
    }
    return "; ".join(
        f"{len(names)} {what} ({', '.join(names[:_NAMED])}{', ...' if len(names) > _NAMED else ''})"
        for what, names in lists.items()
        if names
    )


def mapped(weights: Mapping[str, Tensor], own_name: Callable[[str], str]) -> dict[str, Tensor]:
    """Weights under other names.

    Raises:
        TrainingError: Two names become one.
    """
    found: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        own = own_name(name)
        if own in found:
            raise TrainingError(f"the weights name {own!r} twice")
        found[own] = tensor
    return found


def replaced(name: str, parts: Sequence[tuple[str, str]]) -> str:
    """A name with some parts replaced, one after the other."""
    for before, after in parts:
        name = name.replace(before, after)
    return name


def joined(weights: Mapping[str, Tensor], before: tuple[str, str, str], after: str) -> dict[str, Tensor]:
    """Weights with query, key and value of each layer one below the other under one name.

    Args:
        weights: By name; where one of the three is missing or of another shape, they stay, and a strict load will tell.
        before: Parts of the names of query, key and value.
        after: Part of the name of all three.
    """
    own = dict(weights)
    for name in [name for name in weights if before[0] in name]:
        three = [name.replace(before[0], part) for part in before]
        parts = [weights[part] for part in three if part in weights]
        whole = name.replace(before[0], after)
        if len(parts) == len(three) and len({part.shape for part in parts}) == 1 and whole not in own:
            own = {key: tensor for key, tensor in own.items() if key not in three}
            own[whole] = torch.cat(parts)
    return own
