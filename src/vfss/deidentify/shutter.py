# SPDX-License-Identifier: Apache-2.0
"""The exposed field as a crop: what a screen or a shutter shows beside it is where names stand."""

from __future__ import annotations

import math

import numpy as np

from vfss.clips.exposed_field import largest_area
from vfss.deidentify.projections import Projections
from vfss.redaction import PixelBox

_MARGIN = 0.015  # of each side, on top of the grid's own coarseness: the crop must not take anatomy
_NEARLY_ALL = 0.92  # share of the frame from which cropping is not worth it
_FLAT = 16  # grey values within which what is cut away is one flat surface, compression and all
_WRITTEN = 0.1  # share of what is cut away that may be words and the like


def propose_crop(projections: Projections, *, keep: PixelBox | None = None) -> PixelBox | None:
    """The part of the frame that was exposed on any frame; None where that is nearly all of it, or none is found.

    Args:
        projections: The recording at a glance.
        keep: What must stay in any case, such as the box around all masks.
    """
    height, width = projections.brightest.shape
    found = largest_area(projections.brightest)
    if found is None:
        return None
    (first_row, last_row), (first_column, last_column) = found
    crop = PixelBox(
        max(0, int((first_row - _MARGIN) * height)),
        max(0, int((first_column - _MARGIN) * width)),
        min(height, math.ceil((last_row + _MARGIN) * height)),
        min(width, math.ceil((last_column + _MARGIN) * width)),
    )
    if keep is not None:
        crop = crop.joined(keep)
    rows, columns = crop.bottom - crop.top, crop.right - crop.left
    nearly_all = rows * columns > _NEARLY_ALL * height * width
    return None if nearly_all or not _unexposed(projections, crop) else crop


def _unexposed(projections: Projections, crop: PixelBox) -> bool:
    """Whether what the crop cuts away is flat and still, but for what is written on it: else it is picture too."""
    outside = np.ones(projections.brightest.shape, np.bool_)
    outside[crop.slices] = False
    values = np.stack([projections.brightest[outside], projections.darkest[outside]]).astype(np.int16)
    return bool(np.mean(np.abs(values - np.median(values)) > _FLAT) < _WRITTEN)
