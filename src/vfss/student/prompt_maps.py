# SPDX-License-Identifier: Apache-2.0
"""Encode prompts as maps at the resolution of the logits, numpy only; training does the same (vfss_training.data)."""

from __future__ import annotations

import numpy as np
from PIL import Image

from vfss.student.config import LOGIT_STRIDE
from vfss.student.preprocess import BoolArray, FloatArray, Placement
from vfss.student.prompts import Box, Click, Prompts

RADIUS = 3.0
"""Distance from a click at which its map reaches 0, in pixels of the logits."""


def coverage(plane: BoolArray, placement: Placement) -> FloatArray:
    """Return the share of each pixel of the logits that a plane covers.

    Args:
        plane: bool (H, W), the part of the frame that the network sees.
        placement: Position of that part in the input.

    Returns:
        float32 (size/4, size/4), 0..1.
    """
    side = placement.size // LOGIT_STRIDE
    if not plane.any():
        return np.zeros((side, side), np.float32)
    image = Image.fromarray(plane.astype(np.uint8) * np.uint8(255))
    scaled = image.resize((placement.columns, placement.rows), Image.Resampling.BOX)
    square = np.zeros((placement.size, placement.size), np.float32)
    square[placement.window] = np.asarray(scaled, np.float32) / 255.0
    shares: FloatArray = square.reshape(side, LOGIT_STRIDE, side, LOGIT_STRIDE).mean(axis=(1, 3), dtype=np.float32)
    return shares


def signed(share: FloatArray) -> FloatArray:
    """Map a coverage share 0..1 to 1 inside and -1 outside, as the corrector takes it; 0 is reserved for unknown."""
    return 2.0 * share - 1.0


def click_map(clicks: tuple[Click, ...], placement: Placement, *, adds: bool) -> FloatArray:
    """Return the map of the clicks of one kind, float32 (size/4, size/4), 0..1: a cone at each.

    Args:
        clicks: In pixels of the part of the frame that the network sees.
        placement: Position of that part in the input.
        adds: Kind of the clicks: those that add, or those that remove.
    """
    side = placement.size // LOGIT_STRIDE
    rows, columns = np.arange(side, dtype=np.float32)[:, None], np.arange(side, dtype=np.float32)[None]
    cones = np.zeros((side, side), np.float32)
    for click in clicks:
        if click.adds == adds:
            y, x = _in_logits(click.y, click.x, placement)
            np.maximum(cones, 1.0 - np.hypot(rows - y, columns - x) / RADIUS, out=cones)
    return cones


def box_map(box: Box | None, placement: Placement) -> FloatArray:
    """Return the map of a box, float32 (size/4, size/4): 1 inside, -1 outside, 0 everywhere if there is no box."""
    side = placement.size // LOGIT_STRIDE
    if box is None:
        return np.zeros((side, side), np.float32)
    (top, left), (bottom, right) = (
        _in_logits(y, x, placement) for y, x in ((box.top, box.left), (box.bottom, box.right))
    )
    rows, columns = np.arange(side)[:, None], np.arange(side)[None]
    inside = (rows >= top - 0.5) & (rows <= bottom + 0.5) & (columns >= left - 0.5) & (columns <= right + 0.5)
    return signed(inside.astype(np.float32))


def correction_maps(index: int, current: BoolArray, prompts: Prompts, placement: Placement, n: int) -> FloatArray:
    """Return the maps of the prompts for one structure, float32 (S + 4, size/4, size/4).

    Args:
        index: Index of the structure.
        current: bool (H, W), its current mask.
        prompts: In pixels of the same part of the frame.
        placement: Position of that part in the input.
        n: Number of structures.
    """
    side = placement.size // LOGIT_STRIDE
    maps = np.zeros((n + 4, side, side), np.float32)
    maps[n] = signed(coverage(current, placement))
    maps[n + 1] = click_map(prompts.clicks, placement, adds=True)
    maps[n + 2] = click_map(prompts.clicks, placement, adds=False)
    maps[n + 3] = box_map(prompts.box, placement)
    return maps


def _in_logits(y: float, x: float, placement: Placement) -> tuple[float, float]:
    """Convert a position from pixels of the part of the frame to pixels of the logits."""
    return (
        ((y + 0.5) * placement.rows / placement.height + placement.top) / LOGIT_STRIDE - 0.5,
        ((x + 0.5) * placement.columns / placement.width + placement.left) / LOGIT_STRIDE - 0.5,
    )


def relative_to_window(prompts: Prompts, window: tuple[slice, slice]) -> Prompts:
    """Convert prompts from pixels of the frame to pixels of a window of it."""
    top, left = window[0].start, window[1].start
    clicks = tuple(Click(click.y - top, click.x - left, click.adds) for click in prompts.clicks)
    box = prompts.box
    return Prompts(
        clicks, None if box is None else Box(box.top - top, box.left - left, box.bottom - top, box.right - left)
    )
