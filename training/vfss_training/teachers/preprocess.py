# SPDX-License-Identifier: Apache-2.0
"""Preprocessing of frames for a teacher: scaled, cropped or padded to a square, with the teacher's normalisation."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from vfss_training.teachers.table import Fit, TeacherEntry

_MEANS: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "imagenet": ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
    "rad-dino": ((0.5307 * 255,), (0.2583 * 255,)),
    "medclip": ((0.5862785803043838 * 255,), (0.27950088968644304 * 255,)),
}
"""Mean and standard deviation of grey values 0..255, for three colours or for all."""
_SMALLEST_RANGE = 1e-8


@dataclass(frozen=True)
class Window:
    """A part of a frame, as fractions of its height and width; below 0 and above 1 lies padding.

    Attributes:
        top: Upper edge.
        left: Left edge.
        bottom: Lower edge.
        right: Right edge.
    """

    top: float
    left: float
    bottom: float
    right: float


def window(fit: Fit, height: int, width: int) -> Window:
    """Return the part of a frame that a teacher's grid covers; for a square frame that is all of it, whatever the fit.

    Args:
        fit: As in TeacherEntry.
        height: Height of the frame, px.
        width: Width of the frame, px.
    """
    longer, shorter = max(height, width), min(height, width)
    if fit == "squash":
        return Window(0.0, 0.0, 1.0, 1.0)
    if fit == "pad":
        return Window(0.0, 0.0, longer / height, longer / width)
    side = shorter if fit == "crop" else longer
    y, x = side / height, side / width
    return Window((1 - y) / 2, (1 - x) / 2, (1 + y) / 2, (1 + x) / 2)


def preprocess_frames(frames: Tensor, entry: TeacherEntry) -> Tensor:
    """Prepare frames for a teacher.

    Args:
        frames: uint8 (N, H, W).
        entry: The teacher.

    Returns:
        float32 (N, 3, input_size, input_size).
    """
    size = entry.input_size
    if entry.fit == "square":
        frames = _squared(frames)
    height, width = frames.shape[1:]
    grey = _scaled(frames, _shape(entry.fit, height, width, size), entry.interpolation)
    if entry.fit == "crop":
        top, left = (grey.shape[2] - size) // 2, (grey.shape[3] - size) // 2
        grey = grey[:, :, top : top + size, left : left + size]
    colours = _normalised(grey, entry.pixels)
    # Padded after normalisation: 0 there is the teacher's mean, or the darkest value of the frame.
    return functional.pad(colours, (0, size - colours.shape[3], 0, size - colours.shape[2]))


def _squared(frames: Tensor) -> Tensor:
    """Pad frames with black on both sides of the shorter side, uint8 (N, L, L)."""
    height, width = frames.shape[1:]
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    return functional.pad(frames, (left, side - width - left, top, side - height - top))


def _shape(fit: Fit, height: int, width: int, size: int) -> tuple[int, int]:
    """Return the rows and columns to scale to, px."""
    if fit in {"squash", "square"}:
        return size, size
    scale = size / (max(height, width) if fit == "pad" else min(height, width))
    return int(height * scale + 0.5), int(width * scale + 0.5)


def _scaled(frames: Tensor, shape: tuple[int, int], mode: str) -> Tensor:
    """Resize frames without aliasing, float32 (N, 1, h, w), integral grey values 0..255."""
    # Only the CPU can resize bytes; on other devices it is done in floating point.
    values = frames[:, None] if frames.device.type == "cpu" else frames[:, None].float()
    scaled = functional.interpolate(values, size=shape, mode=mode, antialias=True)
    return scaled.float().round().clamp(0, 255)


def _normalised(grey: Tensor, pixels: str) -> Tensor:
    """Normalise grey values 0..255, float32 (N, 1, h, w), to three colours, float32 (N, 3, h, w)."""
    if pixels == "range":
        low, high = grey.amin((1, 2, 3), keepdim=True), grey.amax((1, 2, 3), keepdim=True)
        return ((grey - low) / (high - low).clamp(min=_SMALLEST_RANGE)).expand(-1, 3, -1, -1)
    mean, deviation = (torch.tensor(part, device=grey.device).reshape(1, -1, 1, 1) for part in _MEANS[pixels])
    return ((grey - mean) / deviation).expand(-1, 3, -1, -1)
