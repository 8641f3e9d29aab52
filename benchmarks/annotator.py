# SPDX-License-Identifier: Apache-2.0
"""A simulated annotator, who knows the true masks and corrects with the inaccuracy of a human hand.

The error model, the same for every tool that is compared:
- Annotators zoom in on small structures: the errors below hold for a structure whose bounding box has a longer side of
  `VIEW_PX` pixels or more (on a frame of 512 x 512; in proportion for other sizes). For smaller structures they are
  smaller in proportion, down to one `MOST_ZOOM`th.
- A click is aimed at the pixel deepest inside the largest connected wrong area, with a normal error of `AIM_PX` pixels
  in y and x. Its sign is right: it adds if the pixel that it hits belongs to the structure, and removes otherwise.
- Thin wrong rims are painted, not clicked: a click is made only if the deepest pixel of the largest wrong area lies at
  least `RIM_PX` from its border.
- The sides of a box have a normal error of `BOX_PX`.
- A stroke of the brush repairs the largest wrong area and the pixels within `REACH_PX` of it: the mask there becomes
  the truth, with a normal error of `EDGE_PX` that varies smoothly along the contour.
Each click, box, stroke and key press that starts a command (propose, propagate, accept) counts as one interaction.
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
    """A hand with a random error.

    Attributes:
        random: Generator of the errors.
    """

    random: np.random.Generator

    def click(self, shown: BoolArray, truth: BoolArray) -> Click | None:
        """Return the next click; None if nothing is wrong.

        Args:
            shown: Current mask, bool (H, W).
            truth: True mask, bool (H, W).
        """
        area = largest(shown ^ truth)
        if area is None:
            return None
        depth = ndimage.distance_transform_edt(np.pad(area, 1))[1:-1, 1:-1]
        aim = np.array(np.unravel_index(int(depth.argmax()), depth.shape), np.float64)
        scale = scale_of(truth | shown)
        # The error is never larger than a small area itself, since annotators look where they click.
        spread = min(AIM_PX * scale, 0.5 * float(depth.max()))
        y, x = np.clip(aim + self.random.normal(0.0, spread, 2), 0, np.array(truth.shape) - 1)
        row, column = round(float(y)), round(float(x))
        return Click(float(row), float(column), bool(truth[row, column]))

    def would_click(self, shown: BoolArray, truth: BoolArray) -> bool:
        """Return whether the largest wrong area is thick enough for a click; masks are bool (H, W)."""
        area = largest(shown ^ truth)
        if area is None:
            return False
        depth = ndimage.distance_transform_edt(np.pad(area, 1)).max()
        return bool(depth >= RIM_PX * scale_of(truth | shown))

    def box(self, truth: BoolArray) -> Box:
        """Return a box drawn around a visible structure."""
        rows, columns = np.flatnonzero(truth.any(axis=1)), np.flatnonzero(truth.any(axis=0))
        error = self.random.normal(0.0, BOX_PX * scale_of(truth), 4)
        height, width = truth.shape
        top, left = max(0.0, rows[0] + error[0]), max(0.0, columns[0] + error[1])
        bottom, right = min(height - 1.0, rows[-1] + error[2]), min(width - 1.0, columns[-1] + error[3])
        return Box(top, left, max(top, bottom), max(left, right))

    def stroke(self, shown: BoolArray, truth: BoolArray) -> BoolArray:
        """Return the mask after one stroke over its largest wrong area, bool (H, W)."""
        area = largest(shown ^ truth)
        if area is None:
            return shown
        frame_scale, scale = max(truth.shape) / _SIDE, scale_of(truth | shown)
        within_reach = ndimage.distance_transform_edt(~area) <= REACH_PX * frame_scale
        contour_error = ndimage.gaussian_filter(self.random.standard_normal(truth.shape), _SMOOTH_PX * scale)
        contour_error *= EDGE_PX * scale / max(float(contour_error.std()), 1e-9)
        repaired = signed_distance(truth) + contour_error > 0
        return np.where(within_reach, repaired, shown)


def scale_of(area: BoolArray) -> float:
    """Return the scale of the errors for a structure, 1 for a large one on a frame of 512 x 512."""
    rows, columns = np.flatnonzero(area.any(axis=1)), np.flatnonzero(area.any(axis=0))
    frame_scale = max(area.shape) / _SIDE
    if not rows.size:
        return frame_scale
    extent = 1.0 + max(rows[-1] - rows[0], columns[-1] - columns[0])
    return float(frame_scale * np.clip(extent / (VIEW_PX * frame_scale), 1.0 / MOST_ZOOM, 1.0))


def signed_distance(mask: BoolArray) -> npt.NDArray[np.float64]:
    """Return the distance to the contour in pixels, positive inside; -1e6 everywhere if the mask is empty."""
    if not mask.any():
        return np.full(mask.shape, -1e6)
    inside = ndimage.distance_transform_edt(mask)
    outside = ndimage.distance_transform_edt(~mask)
    distance: npt.NDArray[np.float64] = np.where(mask, inside - 0.5, 0.5 - outside)
    return distance


def largest(area: BoolArray) -> BoolArray | None:
    """Return the largest connected part of an area; None if it is empty."""
    labels, n = ndimage.label(area)
    if not n:
        return None
    part: BoolArray = labels == 1 + int(np.bincount(labels.ravel())[1:].argmax())
    return part


def agreement(shown: BoolArray, truth: BoolArray) -> float:
    """Return the Dice, 1 if both masks are empty."""
    value = dice(shown, truth)
    return 1.0 if np.isnan(value) else value
