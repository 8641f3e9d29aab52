# SPDX-License-Identifier: Apache-2.0
"""Small picture of a clip, by which a person recognises it in a list."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from vfss.clips.clip import Clip, through_window
from vfss.clips.exposed_field import exposed_field
from vfss.errors import ClipError

HEIGHT, WIDTH = 54, 72
"""Rows and columns of a thumbnail, pixels."""
_NOTHING = 0.02  # standard deviation, share of the range: the tube is not on yet


def thumbnail(clip: Clip) -> npt.NDArray[np.uint8]:
    """Return the exposed field of a clip's first frame, made small; of one in its middle if the first shows nothing.

    The first frame is decoded on opening anyway; one in the middle of a video can take half a second.

    Args:
        clip: An open clip.

    Returns:
        uint8 (HEIGHT, WIDTH), black beside the picture, which keeps its aspect.

    Raises:
        ClipError: The frame in the middle cannot be decoded.
    """
    try:
        frame = clip[0]
    except ClipError:
        frame = clip[clip.n_frames // 2]
    else:
        if float(frame.std()) < _NOTHING * (2**clip.bits - 1):
            frame = clip[clip.n_frames // 2]
    grey = through_window(frame, (int(frame.min()), int(frame.max())))
    field = np.ascontiguousarray(grey[exposed_field(grey, clip.pixel_aspect)])
    width = field.shape[1] * clip.pixel_aspect
    scale = min(HEIGHT / field.shape[0], WIDTH / width)
    size = max(1, round(width * scale)), max(1, round(field.shape[0] * scale))
    small = np.asarray(Image.fromarray(field).resize(size, Image.Resampling.BOX))
    picture = np.zeros((HEIGHT, WIDTH), np.uint8)
    top, left = (HEIGHT - size[1]) // 2, (WIDTH - size[0]) // 2
    picture[top : top + size[1], left : left + size[0]] = small
    return picture
