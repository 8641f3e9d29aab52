# SPDX-License-Identifier: Apache-2.0
"""Teacher: the interface that the trainer uses, and the common base of the teachers in the table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from vfss.errors import TrainingError
from vfss_training.teachers.preprocess import Window, preprocess_frames, window
from vfss_training.teachers.table import TeacherEntry

_NAMED = 5


class Teacher(Protocol):
    """A large network that computes features of frames; it is never trained.

    Attributes:
        name: Name in TEACHERS.
        input_size: Side of its square input, px.
        pixels: Normalisation of grey values, as in TeacherEntry.
        channels: Channels of its features.
        grid: Cells of its features along a side.
    """

    @property
    def name(self) -> str:
        """Name in TEACHERS."""

    @property
    def input_size(self) -> int:
        """Side of its input, px."""

    @property
    def pixels(self) -> str:
        """Normalisation of grey values."""

    @property
    def channels(self) -> int:
        """Channels of its features."""

    @property
    def grid(self) -> int:
        """Cells of its features along a side."""

    def targets(self, frames: Tensor) -> Tensor:
        """Return features, float32 (N, channels, grid, grid), of frames, uint8 (N, H, W)."""


class FrozenTeacher(nn.Module):
    """Base of the teachers in the table.

    Subclasses define how published names of weights map to their own, and how features are computed.

    Attributes:
        entry: The teacher's entry in the table.
    """

    def __init__(self, entry: TeacherEntry) -> None:
        """Set the entry; subclasses then add their modules with random weights and call freeze()."""
        super().__init__()
        self.entry = entry

    def freeze(self) -> None:
        """Switch to evaluation mode without gradients, permanently."""
        self.requires_grad_(False).eval()

    @property
    def name(self) -> str:
        """Name in the table."""
        return self.entry.name

    @property
    def input_size(self) -> int:
        """Side of its input, px."""
        return self.entry.input_size

    @property
    def pixels(self) -> str:
        """Normalisation of grey values."""
        return self.entry.pixels

    @property
    def channels(self) -> int:
        """Channels of its features."""
        return self.entry.channels

    @property
    def grid(self) -> int:
        """Cells of its features along a side."""
        return self.entry.grid

    def window(self, height: int, width: int) -> Window:
        """Return the part of a frame that its grid covers.

        Targets are compared with the student's map of the same frame. Training frames are square, so that the window is
        the whole frame for every teacher; for other frames the student's map has to be cropped or padded to it first.

        Args:
            height: Height of the frame, px.
            width: Width of the frame, px.
        """
        return window(self.entry.fit, height, width)

    def prepare(self, frames: Tensor) -> Tensor:
        """Return input, float32 (N, 3, input_size, input_size), of frames, uint8 (N, H, W)."""
        return preprocess_frames(frames, self.entry)

    @torch.inference_mode()
    def targets(self, frames: Tensor) -> Tensor:
        """Return features, float32 (N, channels, grid, grid), of frames, uint8 (N, H, W), on the frames' device."""
        return self.features(self._input(frames)).float().to(frames.device)

    def _input(self, frames: Tensor) -> Tensor:
        """Return input on the device of the weights."""
        return self.prepare(frames).to(next(self.parameters()).device)

    def features(self, inputs: Tensor) -> Tensor:
        """Return features, float (N, channels, grid, grid), of input, float32 (N, 3, input_size, input_size)."""
        raise NotImplementedError

    def own_names(self, published: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the weights of a published file under the names of this module.

        Raises:
            TrainingError: They cannot be mapped.
        """
        raise NotImplementedError

    def load_published(self, weights: Mapping[str, Tensor]) -> None:
        """Load weights under the names they are published with; none may be missing or left over.

        Raises:
            TrainingError: Some are missing, unexpected or of another shape; the message names them.
        """
        own = self.own_names(weights)
        problem = difference(self.state_dict(), own)
        if problem:
            raise TrainingError(
                f"the weights do not fit teacher {self.name!r}: {problem}",
                remedy=f"Get {self.entry.file} again: 'vfss-train download {self.name}', or {self.entry.source}.",
            )
        self.load_state_dict(own, strict=True)


def difference(expected: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> str:
    """Describe the weights that are missing, unexpected or of another shape; return "" if all fit."""
    lists = {
        "missing": [name for name in expected if name not in given],
        "unexpected": [name for name in given if name not in expected],
        "of another shape": [
            f"{name} {tuple(given[name].shape)} for {tuple(tensor.shape)}"
            for name, tensor in expected.items()
            if name in given and given[name].shape != tensor.shape
        ],
    }
    return "; ".join(
        f"{len(names)} {what} ({', '.join(names[:_NAMED])}{', ...' if len(names) > _NAMED else ''})"
        for what, names in lists.items()
        if names
    )


def rename_weights(weights: Mapping[str, Tensor], own_name: Callable[[str], str]) -> dict[str, Tensor]:
    """Rename weights.

    Raises:
        TrainingError: Two names map to the same one.
    """
    renamed: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        own = own_name(name)
        if own in renamed:
            raise TrainingError(f"two of the weights are named {own!r}")
        renamed[own] = tensor
    return renamed


def replace_parts(name: str, parts: Sequence[tuple[str, str]]) -> str:
    """Return a name with some parts replaced, one after the other."""
    for before, after in parts:
        name = name.replace(before, after)
    return name


def join_query_key_value(weights: Mapping[str, Tensor], before: tuple[str, str, str], after: str) -> dict[str, Tensor]:
    """Concatenate the weights of query, key and value of each layer under one name.

    Args:
        weights: Weights by name. If one of the three is missing or of another shape, all three stay, and a strict load
            will fail.
        before: Parts of the names of query, key and value.
        after: Part of the name of the concatenated weight.
    """
    own = dict(weights)
    for name in [name for name in weights if before[0] in name]:
        three = [name.replace(before[0], part) for part in before]
        parts = [weights[part] for part in three if part in weights]
        concatenated = name.replace(before[0], after)
        if len(parts) == len(three) and len({part.shape for part in parts}) == 1 and concatenated not in own:
            own = {key: tensor for key, tensor in own.items() if key not in three}
            own[concatenated] = torch.cat(parts)
    return own
