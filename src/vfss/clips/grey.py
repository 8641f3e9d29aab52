# SPDX-License-Identifier: Apache-2.0
"""Grey values: colour frames are converted to grey, and deep frames get a display window."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from vfss.clips.clip import Frame

# ITU-R BT.601, the weights that recorders and viewers use.
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
_ROWS_AT_ONCE = 256  # as floating point numbers a frame takes twelve times as much memory


def collapse(colour: Frame) -> Frame:
    """Convert a colour frame to grey: the common value if red, green and blue agree everywhere, else luma.

    Args:
        colour: uint8 or uint16 (H, W, C): grey (1), grey and alpha (2), RGB (3) or RGB and alpha (4).

    Returns:
        (H, W) of the same dtype.
    """
    red: Frame = colour[..., 0].copy()
    if colour.shape[-1] < 3:
        return red
    if np.array_equal(red, colour[..., 1]) and np.array_equal(red, colour[..., 2]):
        return red
    for at in range(0, len(colour), _ROWS_AT_ONCE):
        rows = colour[at : at + _ROWS_AT_ONCE, :, :3].astype(np.float32) @ _LUMA
        red[at : at + _ROWS_AT_ONCE] = np.rint(rows)
    return red


def measured_window(frames: Iterable[Frame], bits: int) -> tuple[int, int]:
    """Return the darkest and brightest grey value to display: the 0.5 and 99.5 percentile over some frames.

    Args:
        frames: A few frames, uint8 or uint16 (H, W) each; all pixels have the same weight.
        bits: Significant bits.
    """
    counts = np.zeros(1 << bits, dtype=np.int64)
    for frame in frames:
        counts += np.bincount(frame.ravel(), minlength=1 << bits)[: 1 << bits]
    total = int(counts.sum())
    if total == 0:
        return 0, (1 << bits) - 1
    below = np.cumsum(counts)
    low = int(np.searchsorted(below, 0.005 * total, side="right"))
    high = int(np.searchsorted(below, 0.995 * total))
    return (low, high) if high > low else (max(0, low - 1), min((1 << bits) - 1, low + 1))


def sane_window(centre: float, width: float, measured: tuple[int, int], bits: int) -> tuple[int, int] | None:
    """Return the window that a file declares, or None if it does not fit the grey values of the frames.

    Args:
        centre: Window centre in stored grey values.
        width: Window width in stored grey values.
        measured: The measured window of the frames.
        bits: Significant bits.
    """
    if not (np.isfinite(centre) and np.isfinite(width) and width >= 2):
        return None
    low, high = centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2
    span = measured[1] - measured[0]
    shared = min(high, measured[1]) - max(low, measured[0])
    # It must show at least a third of the picture's range, which must fill an eighth of it; else it is unusable.
    if shared < span / 3 or width > 8 * max(1, span):
        return None
    return max(0, round(low)), min((1 << bits) - 1, round(high))
