# SPDX-License-Identifier: Apache-2.0
"""Feature maps of students and teachers side by side, with their principal components as colours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vfss.student.config import StudentConfig
from vfss.student.network.student import StudentNetwork
from vfss.student.preprocess import Placement, prepare

FrameArray = npt.NDArray[np.uint8]

_COLOURS = 3
_SATURATED = 2.0  # percent of the cells at either end that may be saturated


def embeddings(network: StudentNetwork, config: StudentConfig, frames: Sequence[FrameArray]) -> Tensor:
    """Return the student's embedding e_L, float32 (N, width, h, w).

    Args:
        network: Network in evaluation mode.
        config: Config of the network.
        frames: uint8, square, of the student's input size.
    """
    placement = Placement.of(config.input_size, config.input_size, config.input_size)
    inputs = np.stack([prepare(frame, placement, config) for frame in frames])
    with torch.inference_mode():
        embedding: Tensor = network.encoder(torch.from_numpy(inputs)).embedding
    return embedding.float()


def pca_colours(features: Tensor) -> npt.NDArray[np.float32]:
    """Return the first three principal components of all cells as red, green and blue, float32 (N, h, w, 3), 0..1.

    Args:
        features: float (N, C, h, w); the components are those of all N maps together.
    """
    n, channels, rows, columns = features.shape
    cells = features.permute(0, 2, 3, 1).reshape(-1, channels).double()
    cells = cells - cells.mean(0)
    torch.manual_seed(0)
    _, _, axes = torch.pca_lowrank(cells, q=min(_COLOURS, channels), center=False)
    # A component's sign is arbitrary: its weights shall add up to more than 0, so that pictures can be compared.
    axes = axes * torch.where(axes.sum(0) < 0, -1.0, 1.0)
    parts = (cells @ axes).numpy()
    low, high = np.percentile(parts, (_SATURATED, 100.0 - _SATURATED), axis=0)
    shown = np.clip((parts - low) / np.maximum(high - low, 1e-9), 0.0, 1.0)
    if shown.shape[1] < _COLOURS:
        shown = np.pad(shown, ((0, 0), (0, _COLOURS - shown.shape[1])))
    colours: npt.NDArray[np.float32] = shown.reshape(n, rows, columns, _COLOURS).astype(np.float32)
    return colours


def plot_features(frames: Sequence[FrameArray], maps: Mapping[str, Tensor], path: Path) -> None:
    """Draw a row per frame: the frame, then each network's feature map.

    Args:
        frames: uint8 (H, W) each.
        maps: Features of these frames by network, float (N, C, h, w).
        path: File to write.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(
        len(frames), 1 + len(maps), figsize=(2.2 * (1 + len(maps)), 2.3 * len(frames)), squeeze=False
    )
    for axis, frame in zip(axes[:, 0], frames, strict=True):
        axis.imshow(frame, cmap="gray", vmin=0, vmax=255)
    axes[0, 0].set_title("frame", fontsize=8)
    for column, (name, features) in enumerate(maps.items(), 1):
        for axis, colours in zip(axes[:, column], pca_colours(features), strict=True):
            axis.imshow(colours, interpolation="nearest")
        axes[0, column].set_title(name, fontsize=8)
    for axis in axes.flat:
        axis.set_axis_off()
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    plt.close(figure)
