# SPDX-License-Identifier: Apache-2.0
"""Correct a mask by prompts: the runtime's protocol, encoded frames, and keeping a correction near the clicks."""

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

FloatArray = npt.NDArray[np.float32]

Encoded = tuple[FloatArray, FloatArray, FloatArray]
"""Features of one frame: float32 (1, width, size/16, size/16), (1, at8, size/8, size/8), (1, at4, size/4, size/4)."""

_THIN = 1 / 256  # of the longer side: thinner changes are redrawn borders, not the error that was clicked
_REACH = 1 / 64  # of the longer side: largest distance between a click and a change that it selects


class PromptRuntime(Protocol):
    """Runs encoder, corrector and landmark head separately."""

    def encode(self, frame: FloatArray) -> Encoded:
        """Return the encoder's features of one input, float32 (1, size, size)."""

    def correct(self, features: Encoded, maps: FloatArray, asked: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return logits float32 (S, size/4, size/4) and quality float32 (S,).

        Args:
            features: Features as from encode.
            maps: float32 (S + 4, size/4, size/4), as from vfss.student.prompt_maps.
            asked: float32 (S,), 1 at the structure to correct; all 0 if all of them are wanted.
        """

    def landmarks(self, features: Encoded) -> tuple[FloatArray, FloatArray]:
        """Return logits of places float32 (L, size/4, size/4) and of presence float32 (L,) of landmarks."""


@dataclass(frozen=True)
class EncodedFrame:
    """Encoder features of one frame, to be kept while the frame is shown.

    Attributes:
        features: Features, as the runtime returned them.
        window: Part of the frame that the network sees.
        placement: Position of that part in the input.
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
        """Size of the features in memory."""
        return sum(level.nbytes for level in self.features)


@dataclass(frozen=True)
class Refinement:
    """A mask corrected by prompts.

    Attributes:
        mask: bool (H, W), the structure's plane at the frame's own size.
        confidence: The student's own estimate of its Dice, 0..1.
    """

    mask: BoolArray
    confidence: float


def changed_near_clicks(
    current: BoolArray, corrected: BoolArray, clicks: Sequence[Click], pixel_aspect: float = 1.0
) -> BoolArray:
    """Return the current mask with what the clicks ask for: pixels added at clicks that add, taken away at the others.

    A network redraws the whole structure after each click. What it changes far from every click, or against what the
    click says, is as likely worse as better, and surprises the person who clicked.

    Args:
        current: bool (H, W), the mask before the correction.
        corrected: bool (H, W), the network's mask for the clicks.
        clicks: All clicks so far; without any the corrected mask is returned unchanged.
        pixel_aspect: Width of a pixel divided by its height: what is near is as round as the picture shows it.

    Returns:
        bool (H, W).
    """
    if not clicks or not current.any():
        return corrected
    missing = _change_at(corrected & ~current, [click for click in clicks if click.adds], pixel_aspect)
    surplus = _change_at(current & ~corrected, [click for click in clicks if not click.adds], pixel_aspect)
    return (current | missing) & ~surplus


def _change_at(change: BoolArray, clicks: Sequence[Click], pixel_aspect: float) -> BoolArray:
    """Return the connected parts of a change, bool (H, W), that lie at one of some clicks."""
    if not clicks:
        return np.zeros_like(change)
    side = max(change.shape[0], change.shape[1] * pixel_aspect)
    differs = change.astype(np.uint8)
    thick = cv2.morphologyEx(differs, cv2.MORPH_OPEN, _disc(_THIN * side, pixel_aspect))
    near = _near(differs.shape, clicks, _REACH * side, pixel_aspect)
    selected = _touching(thick, near)
    if selected is None:
        selected = _touching(differs & near, near)
    if selected is None:
        return np.zeros_like(change)
    around: BoolArray = cv2.dilate(selected, _disc(2 * _THIN * side, pixel_aspect)) > 0
    return np.logical_and(change, around)


def _near(shape: tuple[int, ...], clicks: Sequence[Click], radius: float, pixel_aspect: float) -> npt.NDArray[np.uint8]:
    """Return 1 within a radius, in heights of a pixel, of a click and 0 elsewhere, uint8 (H, W)."""
    near = np.zeros(shape, np.uint8)
    axes = (max(1, round(radius / pixel_aspect)), max(1, round(radius)))
    for click in clicks:
        centre = (round(click.x), round(click.y))
        if axes[0] == axes[1]:
            cv2.circle(near, centre, axes[1], 1, -1)
        else:
            cv2.ellipse(near, centre, axes, 0.0, 0.0, 360.0, 1, -1)
    return near


def _touching(areas: npt.NDArray[np.uint8], near: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8] | None:
    """Return the connected areas that have a pixel near a click; None if there is none."""
    _, labels = cv2.connectedComponents(areas, connectivity=8)
    touched = np.unique(labels[(near > 0) & (areas > 0)])
    return np.isin(labels, touched).astype(np.uint8) if len(touched) else None


def _disc(radius: float, pixel_aspect: float) -> npt.NDArray[np.uint8]:
    """Return a disc of a radius in heights of a pixel, round where pixels of that aspect are shown."""
    size = (2 * max(1, round(radius / pixel_aspect)) + 1, 2 * max(1, round(radius)) + 1)
    disc: npt.NDArray[np.uint8] = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, size)
    return disc
