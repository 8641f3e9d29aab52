# SPDX-License-Identifier: Apache-2.0
"""Draw the strip of structures by frames. States differ by height and pattern, not by colour alone.

No mask yet: a thin line. Proposed: a bar, higher with higher confidence, and pink if doubtful. Edited: hatched.
Accepted: solid. Empty: hollow. Not visible: a dashed line in the middle. A mask that jumps: a white wedge on top.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_vfss.jobs.survey import SHOWN, ClipOverview
from napari_vfss.ui.timeline.scale import TimelineScale
from vfss.masks import BoolArray, ByteArray

FloatArray = npt.NDArray[np.float32]

BACKGROUND, ACTIVE_BACKGROUND = (38, 41, 48), (66, 71, 82)
COLOURS: dict[str, tuple[int, int, int]] = {
    "not visible": (196, 167, 255),
    "empty": (95, 211, 141),
    "accepted": (95, 211, 141),
    "unseen": (122, 128, 138),
    "proposed": (94, 152, 228),
    "edited": (255, 180, 84),
    "doubtful": (255, 110, 160),
}
"""Colour of each kind of cell: red, green, blue."""

_PROPOSED, _DOUBTFUL = SHOWN.index("proposed"), SHOWN.index("doubtful")
_GROUND, _ACTIVE, _BLACK, _WHITE, _FIRST = range(5)
PALETTE = np.array(
    [BACKGROUND, ACTIVE_BACKGROUND, (0, 0, 0), (255, 255, 255), *(COLOURS[name] for name in SHOWN)], np.uint8
)
"""Colours of the strip's indices, uint8 (N, 3): red, green, blue."""
_PERIOD = 4  # pixels after which patterns repeat
_APART = 7  # pixels per frame from which a line separates a frame from the next
_LOWEST, _HIGHEST = 0.25, 0.9  # height of a bar for confidence 0 and 1


def strip_picture(
    strip: ClipOverview, scale: TimelineScale, row_height: int, active: int, *, ratio: float = 1.0
) -> ByteArray:
    """Draw all structures below each other.

    Args:
        strip: States and confidences to draw.
        scale: Which frames, on how many pixels.
        row_height: Height of a row, pixels; the last one is left free as a gap.
        active: Index of the active structure, whose row is lighter.
        ratio: Device pixel ratio of the screen.

    Returns:
        uint8 (S * row_height, width), indices into PALETTE.
    """
    starts = np.minimum((scale.first + np.arange(scale.width) * scale.span / scale.width).astype(int), scale.n_frames)
    end = min(scale.n_frames, max(int(np.ceil(scale.first + scale.span)), int(starts[-1]) + 1))
    # One value a pixel, (S, W), of all frames that fall on it; frames wider than a pixel repeat.
    ranks = np.maximum.reduceat(strip.ranks[:end], starts, axis=0).T
    confidence = np.nan_to_num(np.fmin.reduceat(strip.confidence[:end], starts, axis=0).T)
    inside = row_height - 1
    bar = np.rint((_LOWEST + (_HIGHEST - _LOWEST) * confidence) * inside)
    bar[(ranks != _PROPOSED) & (ranks != _DOUBTFUL)] = 0
    picture = np.full((len(ranks), row_height, scale.width), _GROUND, np.uint8)
    picture[active] = _ACTIVE
    patterns, phase, colours = _patterns(inside), np.arange(scale.width) % _PERIOD, _FIRST + ranks
    for y in range(inside):
        ink = patterns[y][ranks, phase] | (bar >= inside - y)
        np.copyto(picture[:, y], colours, where=ink)
    if scale.width >= _APART * scale.span:
        picture[:, :, np.flatnonzero(np.diff(starts, prepend=starts[0]))] = _GROUND
    _draw_wedges(picture, strip.jumps, scale, ratio)
    return picture.reshape(-1, scale.width)


def _patterns(height: int) -> BoolArray:
    """Return the pattern of each kind of cell, bool (height, kinds, _PERIOD); none for bars, drawn by confidence."""
    ink = np.zeros((len(SHOWN), height, _PERIOD), np.bool_)
    y, x = np.ogrid[:height, :_PERIOD]
    ink[SHOWN.index("unseen")] = y >= height - 1
    ink[SHOWN.index("edited")] = ((x + y) % _PERIOD) < 2
    ink[SHOWN.index("accepted")] = True
    ink[SHOWN.index("empty")] = (y == 0) | (y == height - 1)
    middle = height // 2
    ink[SHOWN.index("not visible")] = ((y == middle) | (y == middle - 1)) & (x < 2)
    return np.ascontiguousarray(ink.transpose(1, 0, 2))


def _draw_wedges(picture: ByteArray, jumps: BoolArray, scale: TimelineScale, ratio: float) -> None:
    """Draw a wedge into picture, uint8 (S, row_height, width) of indices, on every frame whose mask jumps."""
    first = max(0, int(scale.first) - 1)
    frames, rows = np.nonzero(jumps[first : int(scale.first + scale.span) + 2])
    centres = np.floor((frames + first + 0.5 - scale.first) * scale.width / scale.span).astype(int)
    size = round(ratio * (3 if scale.width < _APART * 2 * ratio * scale.span else 5))
    border = max(1, round(ratio))
    # With a black border, so that it stands out from every colour.
    for reach_on_top, colour in ((size, _BLACK), (size - border, _WHITE)):
        for y in range(reach_on_top + 1):
            reach = reach_on_top - y
            for dx in range(-reach, reach + 1):
                x = centres + dx
                inside = (x >= 0) & (x < scale.width)
                picture[rows[inside], y, x[inside]] = colour
