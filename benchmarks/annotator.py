# SPDX-License-Identifier: Apache-2.0
"""A simulated annotator, who sees the truth and corrects as a person does: with a hand that is not quite steady.

The error model, the same for every tool that is compared:
- A person zooms in on what is small: all errors below are those of a structure whose box has a longer side of `VIEW_PX`
  pixels or more (of a frame of 512 x 512; in proportion for others), for smaller ones they are smaller in proportion,
  down to one `MOST_ZOOM`th.
- A click is aimed at the pixel deepest inside the largest connected area that is wrong, and falls beside it by a normal
  error of `AIM_PX` pixels in y and x. It says truthfully whether the place that it hits belongs to the structure.
- Whoever sees a thin rim that is wrong paints it: only where the deepest pixel of the largest wrong area lies at least
  `RIM_PX` from its border does a person click.
- A box has its sides off by a normal error of `BOX_PX`.
- A stroke of the brush repairs the largest wrong area and what lies within `REACH_PX` of it: the mask there becomes the
  truth with a contour that is off, smoothly along the contour, by a normal error of `EDGE_PX`.
Each click, box, stroke and each key that starts something (propose, carry, accept) counts as one interaction.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from vfss.masks import BoolArray
from vfss.masks.metrics import dice
from vfss.student.prompts import Box, Click

AIM_PX, BOX_PX, EDGE_PX, REACH_PX, RIM_PX = 1.5, 3.0, 0.5, 6.0, 3.0
VIEW_PX, MOST_ZOOM = 128.0, 4.0
_SMOOTH_PX = 6.0
_SIDE = 512.0


@dataclass
class Hand:
    """A hand with a random error of its own."""

    random: np.random.Generator

    def click(self, shown: BoolArray, truth: BoolArray) -> Click | None:
        """Where a person clicks; None where nothing is wrong.

        Args:
            shown: bool (H, W), the mask as it is.
            truth: bool (H, W).
        """
        area = largest(shown ^ truth)
        if area is None:
            return None
        depth = ndimage.distance_transform_edt(np.pad(area, 1))[1:-1, 1:-1]
        aim = np.array(np.unravel_index(int(depth.argmax()), depth.shape), np.float64)
        scale = scale_of(truth | shown)
        # Nobody misses a small area by more than its own size: one looks where one clicks.
        spread = min(AIM_PX * scale, 0.5 * float(depth.max()))
        y, x = np.clip(aim + self.random.normal(0.0, spread, 2), 0, np.array(truth.shape) - 1)
        row, column = round(float(y)), round(float(x))
        return Click(float(row), float(column), bool(truth[row, column]))

    def would_click(self, shown: BoolArray, truth: BoolArray) -> bool:
        """Whether what is most wrong is thick enough to point at, bool (H, W) each."""
        area = largest(shown ^ truth)
        if area is None:
            return False
        depth = ndimage.distance_transform_edt(np.pad(area, 1)).max()
        return bool(depth >= RIM_PX * scale_of(truth | shown))

    def box(self, truth: BoolArray) -> Box:
        """A box drawn around a structure that is there."""
        rows, columns = np.flatnonzero(truth.any(axis=1)), np.flatnonzero(truth.any(axis=0))
        off = self.random.normal(0.0, BOX_PX * scale_of(truth), 4)
        height, width = truth.shape
        top, left = max(0.0, rows[0] + off[0]), max(0.0, columns[0] + off[1])
        bottom, right = min(height - 1.0, rows[-1] + off[2]), min(width - 1.0, columns[-1] + off[3])
        return Box(top, left, max(top, bottom), max(left, right))

    def stroke(self, shown: BoolArray, truth: BoolArray) -> BoolArray:
        """The mask after one stroke where it is most wrong, bool (H, W)."""
        area = largest(shown ^ truth)
        if area is None:
            return shown
        whole, scale = max(truth.shape) / _SIDE, scale_of(truth | shown)
        near = ndimage.distance_transform_edt(~area) <= REACH_PX * whole
        wobble = ndimage.gaussian_filter(self.random.standard_normal(truth.shape), _SMOOTH_PX * scale)
        wobble *= EDGE_PX * scale / max(float(wobble.std()), 1e-9)
        painted = signed_distance(truth) + wobble > 0
        return np.where(near, painted, shown)


def scale_of(area: BoolArray) -> float:
    """How large the hand's errors are, 1 for a large structure on a frame of 512 x 512."""
    rows, columns = np.flatnonzero(area.any(axis=1)), np.flatnonzero(area.any(axis=0))
    whole = max(area.shape) / _SIDE
    if not rows.size:
        return whole
    extent = 1.0 + max(rows[-1] - rows[0], columns[-1] - columns[0])
    return float(whole * np.clip(extent / (VIEW_PX * whole), 1.0 / MOST_ZOOM, 1.0))


def signed_distance(mask: BoolArray) -> npt.NDArray[np.float64]:
    """Distance to the contour in pixels, positive inside; far outside where the mask is empty."""
    if not mask.any():
        return np.full(mask.shape, -1e6)
    inside = ndimage.distance_transform_edt(mask)
    outside = ndimage.distance_transform_edt(~mask)
    found: npt.NDArray[np.float64] = np.where(mask, inside - 0.5, 0.5 - outside)
    return found


def largest(area: BoolArray) -> BoolArray | None:
    """The largest connected part of an area; None where it is empty."""
    labels, n = ndimage.label(area)
    if not n:
        return None
    found: BoolArray = labels == 1 + int(np.bincount(labels.ravel())[1:].argmax())
    return found


def agreement(shown: BoolArray, truth: BoolArray) -> float:
    """Dice, 1 where both are empty."""
    found = dice(shown, truth)
    return 1.0 if np.isnan(found) else found
