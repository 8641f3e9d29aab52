# SPDX-License-Identifier: Apache-2.0
"""A click changes what it points at, and leaves alone what nobody complained of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt

from vfss.clips.exposed_field import Window
from vfss.masks import BoolArray
from vfss.student.preprocess import Placement
from vfss.student.prompts import Click

_THIN = 1 / 256  # of the longer side: changes thinner than that are borders drawn anew, not errors pointed at
_REACH = 1 / 64  # a click counts for a change that lies no further away


def changed_where_clicked(current: BoolArray, answer: BoolArray, clicks: Sequence[Click]) -> BoolArray:
    """The answer where it changes the mask around a click, the mask as it was elsewhere.

    A network draws the whole structure anew after each click. What it changes far from every click is as likely worse
    as better, and surprises the person who clicked.

    Args:
        current: bool (H, W), the mask as it was.
        answer: bool (H, W), what the network makes of the clicks.
        clicks: All clicks so far; without one the answer is taken as it is.

    Returns:
        bool (H, W).
    """
    if not clicks or not current.any():
        return answer
    differs = (current ^ answer).astype(np.uint8)
    side = max(current.shape)
    thick = cv2.morphologyEx(differs, cv2.MORPH_OPEN, _disc(_THIN * side))
    near = _near(differs.shape, clicks, _REACH * side)
    wanted = _touching(thick, near)
    if wanted is None:
        wanted = _touching(differs & near, near)
    if wanted is None:
        return current
    region = cv2.dilate(wanted, _disc(2 * _THIN * side)).astype(np.bool_)
    return np.where(region, answer, current)


def _near(shape: tuple[int, ...], clicks: Sequence[Click], radius: float) -> npt.NDArray[np.uint8]:
    """1 within a radius of a click, uint8 (H, W)."""
    found = np.zeros(shape, np.uint8)
    for click in clicks:
        cv2.circle(found, (round(click.x), round(click.y)), max(1, round(radius)), 1, -1)
    return found


def _touching(areas: npt.NDArray[np.uint8], near: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8] | None:
    """The connected areas that have a pixel near a click; None where there is none."""
    _, labels = cv2.connectedComponents(areas, connectivity=8)
    touched = np.unique(labels[(near > 0) & (areas > 0)])
    return np.isin(labels, touched).astype(np.uint8) if len(touched) else None


def _disc(radius: float) -> npt.NDArray[np.uint8]:
    side = 2 * max(1, round(radius)) + 1
    found: npt.NDArray[np.uint8] = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return found


FloatArray = npt.NDArray[np.float32]

Encoded = tuple[FloatArray, FloatArray, FloatArray]
"""Features of one frame: float32 (1, width, size/16, size/16), (1, at8, size/8, size/8), (1, at4, size/4, size/4)."""


class PromptRuntime(Protocol):
    """What runs encoder and corrector apart."""

    def encode(self, one: FloatArray) -> Encoded:
        """Features of one input, float32 (1, size, size)."""

    def correct(self, features: Encoded, maps: FloatArray, asked: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Logits float32 (S, size/4, size/4) and quality float32 (S,).

        Args:
            features: As from encode.
            maps: float32 (S + 4, size/4, size/4), as from vfss.student.prompt_maps.
            asked: float32 (S,), 1 at the structure that is corrected; all 0: all are wanted.
        """


@dataclass(frozen=True)
class EncodedFrame:
    """What the encoder knows of one frame; to be kept as long as the frame is looked at.

    Attributes:
        features: For the runtime.
        window: Part of the frame that the network sees.
        placement: Where it lies in the input.
        shape: Rows and columns of the frame.
        student: Id of the student.
    """

    features: Encoded
    window: Window
    placement: Placement
    shape: tuple[int, int]
    student: str

    @property
    def bytes(self) -> int:
        """What it takes up in memory."""
        return sum(part.nbytes for part in self.features)


@dataclass(frozen=True)
class Refinement:
    """The answer to a prompt.

    Attributes:
        mask: bool (H, W), the structure's plane at the frame's own size.
        confidence: The student's own estimate of its Dice, 0..1.
    """

    mask: BoolArray
    confidence: float
