# SPDX-License-Identifier: Apache-2.0
"""The picture of a strip of structures by frames. States differ by height and pattern, not by colour alone.

Nothing known: a thin line. Proposed: a bar, the higher the surer the student; a doubtful one is pink. Edited: hatched.
Accepted: solid. Empty: hollow. Not visible: a dashed line in the middle. A mask that jumps: a white wedge on top.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from napari_vfss.timeline_scale import TimelineScale
from vfss.masks import BoolArray, ByteArray, MaskState
from vfss.trust import JUMPY, Trust, judge

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
"""Colours by what is shown; where several frames share a pixel, the last one in this list is shown."""

_NAMES = tuple(COLOURS)
_RGB = np.array([COLOURS[name] for name in _NAMES], np.uint8)
_RANK = np.array([_NAMES.index(state.label) for state in MaskState], np.uint8)
_PROPOSED, _DOUBTFUL = _NAMES.index("proposed"), _NAMES.index("doubtful")
_PERIOD = 4  # pixels after which patterns repeat
_APART = 7  # pixels of a frame from which a line parts it from the next
_LOWEST, _HIGHEST = 0.25, 0.9  # height of a bar for confidence 0 and 1


@dataclass(frozen=True, eq=False)
class Strip:
    """What is to be drawn of a clip.

    Attributes:
        states: uint8 (T, S), values of MaskState.
        confidence: float32 (T, S), 0..1, NaN where not known.
        inconsistency: float32 (T, S), 0..1, NaN where not known.
        surveyed: False while confidence and inconsistency are still being read: then nothing is called doubtful.
        trust: uint8 (T, S), values of Trust.
    """

    states: ByteArray
    confidence: FloatArray
    inconsistency: FloatArray
    surveyed: bool = True
    trust: ByteArray = field(init=False)

    def __post_init__(self) -> None:
        trust = judge(self.states, self.confidence, self.inconsistency)
        if not self.surveyed:
            trust[trust == Trust.DOUBTFUL] = Trust.TRUSTED
        object.__setattr__(self, "trust", trust)

    @property
    def jumps(self) -> BoolArray:
        """Bool (T, S), where a mask jumps against its neighbours."""
        jumps: BoolArray = np.nan_to_num(self.inconsistency) >= JUMPY
        return jumps

    @property
    def ranks(self) -> ByteArray:
        """uint8 (T, S), index into COLOURS."""
        return np.where(self.trust == Trust.DOUBTFUL, np.uint8(_DOUBTFUL), _RANK[self.states])


def strip_picture(strip: Strip, scale: TimelineScale, row_height: int, active: int) -> ByteArray:
    """Draw all structures below each other.

    Args:
        strip: What to draw.
        scale: Which frames, on how many pixels.
        row_height: Pixels of a structure, the last of them left free as a gap.
        active: Index of the structure in work, whose row is lighter.

    Returns:
        uint8 (S * row_height, width, 3), red, green, blue.
    """
    starts = np.minimum((scale.first + np.arange(scale.width) * scale.span / scale.width).astype(int), scale.n_frames)
    end = min(scale.n_frames, max(int(np.ceil(scale.first + scale.span)), int(starts[-1]) + 1))
    ranks = _reduced(np.maximum, strip.ranks, starts, end)  # (W, S)
    confidence = _reduced(np.fmin, strip.confidence, starts, end)
    inside = row_height - 1
    ink = _patterns(inside)[ranks, :, (np.arange(scale.width) % _PERIOD)[:, None]]  # (W, S, inside)
    share = _LOWEST + (_HIGHEST - _LOWEST) * np.nan_to_num(confidence)
    bar = np.arange(inside) >= inside - np.rint(share * inside).astype(int)[..., None]
    is_bar = (ranks == _PROPOSED) | (ranks == _DOUBTFUL)
    ink = np.where(is_bar[..., None], bar, ink)
    picture = np.empty((strip.states.shape[1], row_height, scale.width, 3), np.uint8)
    picture[:] = BACKGROUND
    picture[active] = ACTIVE_BACKGROUND
    colours = np.where(ink[..., None], _RGB[ranks][:, :, None], picture[:, :1, :1].transpose(1, 0, 2, 3))
    picture[:, :inside] = colours.transpose(1, 2, 0, 3)
    if scale.width >= _APART * scale.span:
        begins = np.flatnonzero(np.diff(starts, prepend=starts[0]))
        picture[:, :, begins] = BACKGROUND
    _draw_wedges(picture, strip.jumps, scale)
    return picture.reshape(-1, scale.width, 3)


def _reduced(by: np.ufunc, values: npt.NDArray[np.generic], starts: npt.NDArray[np.int_], end: int) -> npt.NDArray:  # type: ignore[type-arg]
    """One value a pixel, (W, S), of those of all frames that fall on it, (T, S); frames wider than a pixel repeat."""
    return by.reduceat(values[:end], starts, axis=0)


def _patterns(height: int) -> BoolArray:
    """Ink of each kind of cell, bool (kinds, height, _PERIOD); bars are drawn by their confidence."""
    ink = np.zeros((len(_NAMES), height, _PERIOD), np.bool_)
    y, x = np.ogrid[:height, :_PERIOD]
    ink[_NAMES.index("unseen")] = y >= height - 1
    ink[_NAMES.index("edited")] = ((x + y) % _PERIOD) < 2
    ink[_NAMES.index("accepted")] = True
    ink[_NAMES.index("empty")] = (y == 0) | (y == height - 1)
    middle = height // 2
    ink[_NAMES.index("not visible")] = ((y == middle) | (y == middle - 1)) & (x < 2)
    return ink


def _draw_wedges(picture: ByteArray, jumps: BoolArray, scale: TimelineScale) -> None:
    """Draw a wedge over every frame that jumps into picture, uint8 (S, row_height, width, 3)."""
    frames, rows = np.nonzero(jumps)
    centres = np.floor((frames + 0.5 - scale.first) * scale.width / scale.span).astype(int)
    size = 3 if scale.width < _APART * 2 * scale.span else 5
    # In a black border, so that it is seen on every colour.
    for reach_on_top, colour in ((size + 1, 0), (size - 1, 255)):
        for y in range(reach_on_top + (colour == 255)):
            reach = reach_on_top - y - (colour == 0)
            for dx in range(-reach, reach + 1):
                x = centres + dx
                seen = (x >= 0) & (x < scale.width)
                picture[rows[seen], y, x[seen]] = colour
