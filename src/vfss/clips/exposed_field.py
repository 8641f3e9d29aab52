# SPDX-License-Identifier: Apache-2.0
"""The exposed (collimated) field of a frame: the dark area beside it would waste the network's resolution."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

Window = tuple[slice, slice]

_ELONGATED = 1.2  # ratio of the sides from which a frame is cropped
_SIDE = 96  # px of the small copy in which the field is detected
_EDGE = 0.06  # share of the range of grey values: pixels closer to the border's value are outside
_LEAST_STEP = 6.0  # lower bound of it in grey values
_MARGIN = 0.02  # share of the longer side, kept on both sides of the field
_GRID = 32  # the window's ends lie on a grid of so many parts, so that it stays fixed while the patient moves
_LEAST = 0.02  # share of the frame: a smaller bright area is not the field


def exposed_field(frame: npt.NDArray[np.uint8], pixel_aspect: float = 1.0) -> Window:
    """Return rows and columns of the exposed field of an elongated frame, at least as long as the shorter side.

    Screen captures show the field somewhere in a wide dark frame. Only the longer side is cropped, and only down to a
    square: a tighter crop would take context and scale from the network, and the air beside the neck from the picture.
    The field is the largest connected area that differs from the grey value along the frame's border, so that text
    beside it is ignored.

    Args:
        frame: uint8 (H, W).
        pixel_aspect: Width of a pixel divided by its height; what counts as long is the picture, not its grid.
    """
    height, width = frame.shape
    full_frame = (slice(0, height), slice(0, width))
    true_width = width * pixel_aspect
    if max(height, true_width) < _ELONGATED * min(height, true_width):
        return full_frame
    area = largest_area(frame, pixel_aspect)
    if area is None:
        return full_frame
    if true_width > height:
        return full_frame[0], _crop_side(area[1], height / true_width, width)
    return _crop_side(area[0], true_width / height, height), full_frame[1]


def largest_area(
    frame: npt.NDArray[np.uint8], pixel_aspect: float = 1.0
) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """Return the rows and columns of the largest area unlike the border, as shares of the sides; None without one.

    Args:
        frame: uint8 (H, W).
        pixel_aspect: Width of a pixel divided by its height.
    """
    from scipy import ndimage  # takes longer to import than the command line to start

    height, true_width = frame.shape[0], frame.shape[1] * pixel_aspect
    scale = _SIDE / max(height, true_width)
    size = (max(1, round(true_width * scale)), max(1, round(height * scale)))
    small = np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BOX), np.float32)
    outside = float(np.median(np.concatenate([small[0], small[-1], small[:, 0], small[:, -1]])))
    low, high = np.percentile(small, (1, 99))
    differs = np.abs(small - outside) > max(_LEAST_STEP, _EDGE * float(high - low))
    labels, n = ndimage.label(ndimage.binary_opening(differs))
    if n == 0:
        return None
    sizes = np.bincount(labels.ravel())[1:]
    if sizes.max() < _LEAST * small.size:
        return None
    rows, columns = ndimage.find_objects(labels)[int(np.argmax(sizes))]
    return (
        (rows.start / small.shape[0], rows.stop / small.shape[0]),
        (columns.start / small.shape[1], columns.stop / small.shape[1]),
    )


def _crop_side(extent: tuple[float, float], least: float, pixels: int) -> slice:
    """Return the pixels of a side to keep.

    Args:
        extent: Start and end of the field, shares of the side; a margin is added.
        least: Smallest share of the side to keep.
        pixels: Length of the side.
    """
    middle, length = sum(extent) / 2, max(extent[1] - extent[0] + 2 * _MARGIN, least)
    if length >= 1:
        return slice(0, pixels)
    first = min(max(middle - length / 2, 0.0), 1 - length)
    return slice(
        int(np.floor(first * _GRID)) * pixels // _GRID,
        min(int(np.ceil((first + length) * _GRID)), _GRID) * pixels // _GRID,
    )
