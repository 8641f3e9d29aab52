# SPDX-License-Identifier: Apache-2.0
"""Prompts as maps beside the logits, on numpy alone; training makes the same (vfss_training.data.click_examples)."""

from __future__ import annotations

import numpy as np
from PIL import Image

from vfss.student.config import LOGIT_STRIDE
from vfss.student.preprocess import BoolArray, FloatArray, Placement
from vfss.student.prompts import Box, Click, Prompts

RADIUS = 3.0
"""Distance from a click at which its map has fallen to 0, in pixels of the logits."""


def covered(plane: BoolArray, placement: Placement) -> FloatArray:
    """Share of each pixel of the logits that a plane covers.

    Args:
        plane: bool (H, W), the part of the frame that the network sees.
        placement: Where it lies in the input.

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
    shared: FloatArray = square.reshape(side, LOGIT_STRIDE, side, LOGIT_STRIDE).mean(axis=(1, 3), dtype=np.float32)
    return shared


def signed(share: FloatArray) -> FloatArray:
    """A covered share 0..1 as the corrector takes it: 1 inside, -1 outside; 0 is left for what nobody knows."""
    return 2.0 * share - 1.0


def click_map(clicks: tuple[Click, ...], placement: Placement, *, adds: bool) -> FloatArray:
    """Map of the clicks of one kind, float32 (size/4, size/4), 0..1: a cone at each.

    Args:
        clicks: In pixels of the part of the frame that the network sees.
        placement: Where that part lies in the input.
        adds: Which of them.
    """
    side = placement.size // LOGIT_STRIDE
    rows, columns = np.arange(side, dtype=np.float32)[:, None], np.arange(side, dtype=np.float32)[None]
    found = np.zeros((side, side), np.float32)
    for click in clicks:
        if click.adds == adds:
            y, x = _in_logits(click.y, click.x, placement)
            np.maximum(found, 1.0 - np.hypot(rows - y, columns - x) / RADIUS, out=found)
    return found


def box_map(box: Box | None, placement: Placement) -> FloatArray:
    """Map of a box, float32 (size/4, size/4): 1 inside, -1 outside, 0 everywhere where there is none."""
    side = placement.size // LOGIT_STRIDE
    if box is None:
        return np.zeros((side, side), np.float32)
    (top, left), (bottom, right) = (
        _in_logits(y, x, placement) for y, x in ((box.top, box.left), (box.bottom, box.right))
    )
    rows, columns = np.arange(side)[:, None], np.arange(side)[None]
    inside = (rows >= top - 0.5) & (rows <= bottom + 0.5) & (columns >= left - 0.5) & (columns <= right + 0.5)
    return signed(inside.astype(np.float32))


def asking(index: int, current: BoolArray, prompts: Prompts, placement: Placement, n: int) -> FloatArray:
    """Maps of a prompt for one structure, float32 (S + 4, size/4, size/4).

    Args:
        index: Of the structure.
        current: bool (H, W), what is there of it now.
        prompts: In pixels of the same part of the frame.
        placement: Where that part lies in the input.
        n: Number of structures.
    """
    side = placement.size // LOGIT_STRIDE
    maps = np.zeros((n + 4, side, side), np.float32)
    maps[n] = signed(covered(current, placement))
    maps[n + 1] = click_map(prompts.clicks, placement, adds=True)
    maps[n + 2] = click_map(prompts.clicks, placement, adds=False)
    maps[n + 3] = box_map(prompts.box, placement)
    return maps


def _in_logits(y: float, x: float, placement: Placement) -> tuple[float, float]:
    """A place in pixels of the part of the frame, in pixels of the logits."""
    return (
        ((y + 0.5) * placement.rows / placement.height + placement.top) / LOGIT_STRIDE - 0.5,
        ((x + 0.5) * placement.columns / placement.width + placement.left) / LOGIT_STRIDE - 0.5,
    )


def shifted(prompts: Prompts, window: tuple[slice, slice]) -> Prompts:
    """Prompts of a frame, in pixels of the part of it in that window."""
    top, left = window[0].start, window[1].start
    clicks = tuple(Click(click.y - top, click.x - left, click.adds) for click in prompts.clicks)
    box = prompts.box
    return Prompts(
        clicks, None if box is None else Box(box.top - top, box.left - left, box.bottom - top, box.right - left)
    )
