# SPDX-License-Identifier: Apache-2.0
"""The exposed field of a frame: what lies beside it, dark and without detail, is not worth the network's pixels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

Window = tuple[slice, slice]

_SIDE = 96  # px of the small copy in which the field is looked for
_EDGE = 0.06  # of the range of grey values: what is nearer to the border's own value lies outside
_WORTH = 0.8  # share of the frame above which nothing is cut away
_MARGIN = 0.04  # of the field's longer side, kept around it
_GRID = 32  # the window's borders lie on a grid of so many parts, so that it rests while the patient moves
_LEAST = 0.02  # share of the frame below which it is no field but something lit in the dark


def exposed_field(frame: npt.NDArray[np.uint8]) -> Window:
    """Rows and columns of the exposed field with a margin; the whole frame where little would be cut away.

    The field is the largest connected area that differs from the grey value along the frame's border, so that words and
    numbers beside it do not count.

    Args:
        frame: uint8 (H, W).
    """
    height, width = frame.shape
    whole = (slice(0, height), slice(0, width))
    scale = _SIDE / max(height, width)
    if scale >= 1:
        return whole
    small_size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = np.asarray(Image.fromarray(frame).resize(small_size, Image.Resampling.BOX), np.float32)
    border = np.concatenate([small[0], small[-1], small[:, 0], small[:, -1]])
    outside = float(np.median(border))
    low, high = np.percentile(small, (1, 99))
    differs = np.abs(small - outside) > max(6.0, _EDGE * float(high - low))
    labels, n = ndimage.label(ndimage.binary_opening(differs, iterations=1))
    if n == 0:
        return whole
    largest = 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))
    rows, columns = ndimage.find_objects(labels)[largest - 1]
    if (rows.stop - rows.start) * (columns.stop - columns.start) < _LEAST * small.size:
        return whole
    margin = _MARGIN * max(rows.stop - rows.start, columns.stop - columns.start)
    found = (_outward(rows, margin, small.shape[0], height), _outward(columns, margin, small.shape[1], width))
    area = (found[0].stop - found[0].start) * (found[1].stop - found[1].start)
    return whole if area > _WORTH * frame.size else found


def _outward(part: slice, margin: float, of: int, pixels: int) -> slice:
    """A stretch of the small copy in pixels of the frame, widened to the next lines of the grid."""
    first = int(np.floor((part.start - margin) / of * _GRID))
    last = int(np.ceil((part.stop + margin) / of * _GRID))
    return slice(max(first, 0) * pixels // _GRID, min(last, _GRID) * pixels // _GRID)
