# SPDX-License-Identifier: Apache-2.0
"""Grey values: colour that is grey becomes grey, and deep grey gets a window worth showing."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from vfss.clips.clip import Frame

# ITU-R BT.601, as recorders and viewers weigh colour.
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def collapse(colour: Frame) -> Frame:
    """Grey of a colour frame: the common value where red, green and blue agree, else luma.

    Args:
        colour: uint8 or uint16 (H, W, C): grey (1), grey and alpha (2), RGB (3) or RGB and alpha (4).

    Returns:
        (H, W) of the same type.
    """
    red: Frame = colour[..., 0].copy()
    if colour.shape[-1] < 3:
        return red
    if np.array_equal(red, colour[..., 1]) and np.array_equal(red, colour[..., 2]):
        return red
    luma: Frame = np.rint(colour[..., :3].astype(np.float32) @ _LUMA).astype(colour.dtype)
    return luma


def measured_window(frames: Iterable[Frame], bits: int) -> tuple[int, int]:
    """Darkest and brightest grey value worth showing: the 0.5 and 99.5 percentile over some frames.

    Args:
        frames: uint8 or uint16 (H, W) each; at most a few, all pixels count alike.
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
    """The window that a file names, or None where it does not fit what the frames hold.

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
    # A third of the picture at least must show, and fill an eighth of the range: else it is no window to look through.
    if shared < span / 3 or width > 8 * max(1, span):
        return None
    return max(0, round(low)), min((1 << bits) - 1, round(high))
