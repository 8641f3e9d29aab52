# SPDX-License-Identifier: Apache-2.0
"""The exposed field of a long frame: what lies dark beside it is not worth the network's pixels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

Window = tuple[slice, slice]

_LONG = 1.2  # longer side over shorter side from which a frame counts as long
_SIDE = 96  # px of the small copy in which the field is looked for
_EDGE = 0.06  # of the range of grey values: what is nearer to the border's own value lies outside
_LEAST_STEP = 6.0  # the same in grey values
_MARGIN = 0.02  # of the longer side, kept on both sides of the field
_GRID = 32  # the window's ends lie on a grid of so many parts, so that it rests while the patient moves
_LEAST = 0.02  # share of the frame below which it is no field but something lit in the dark


def exposed_field(frame: npt.NDArray[np.uint8]) -> Window:
    """Rows and columns of a long frame with the exposed field, never shorter than the frame's shorter side.

    Captures of a screen show the field somewhere in a wide dark frame. Only the longer side is cut, and only down to a
    square: a tighter cut would take context and scale from the network, and the air beside a neck from the picture. The
    field is the largest connected area that differs from the grey value along the frame's border, so that words and
    numbers beside it do not count.

    Args:
        frame: uint8 (H, W).
    """
    height, width = frame.shape
    whole = (slice(0, height), slice(0, width))
    if max(height, width) < _LONG * min(height, width):
        return whole
    found = largest_area(frame)
    if found is None:
        return whole
    if width > height:
        return whole[0], _stretch(found[1], height / width, width)
    return _stretch(found[0], width / height, height), whole[1]


def largest_area(frame: npt.NDArray[np.uint8]) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """First and last row and column, as shares of the sides, of the largest area unlike the border; None without."""
    from scipy import ndimage  # takes longer to import than the command line to start

    scale = _SIDE / max(frame.shape)
    size = (max(1, round(frame.shape[1] * scale)), max(1, round(frame.shape[0] * scale)))
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


def _stretch(found: tuple[float, float], least: float, pixels: int) -> slice:
    """The found stretch, shares of a side, in pixels: with a margin, at least so long, within the side, on the grid."""
    middle, length = sum(found) / 2, max(found[1] - found[0] + 2 * _MARGIN, least)
    if length >= 1:
        return slice(0, pixels)
    first = min(max(middle - length / 2, 0.0), 1 - length)
    return slice(
        int(np.floor(first * _GRID)) * pixels // _GRID,
        min(int(np.ceil((first + length) * _GRID)), _GRID) * pixels // _GRID,
    )
