# SPDX-License-Identifier: Apache-2.0
"""Redaction: which pixels of a recording are made black and what is cut away, the same on all of its frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np

from vfss.clips import Frame
from vfss.errors import DatasetError
from vfss.masks import BoolArray

_SIDES = ("top", "left", "bottom", "right")


@dataclass(frozen=True)
class PixelBox:
    """A rectangle of whole pixels, at least one.

    Attributes:
        top: First row.
        left: First column.
        bottom: Row after the last.
        right: Column after the last.
    """

    top: int
    left: int
    bottom: int
    right: int

    def __post_init__(self) -> None:
        if any(isinstance(side, bool) or not isinstance(side, int) for side in astuple(self)):
            raise DatasetError(f"a box needs whole numbers, found {astuple(self)}", remedy="Give rows and columns.")
        if not (0 <= self.top < self.bottom and 0 <= self.left < self.right):
            raise DatasetError(
                f"a box from row {self.top} to {self.bottom} and column {self.left} to {self.right} holds no pixels",
                remedy="Rows and columns count from 0; bottom and right stand after the last.",
            )

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns, to index an array (..., H, W) by its last two axes."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def joined(self, other: PixelBox) -> PixelBox:
        """The smallest box around both."""
        return PixelBox(
            min(self.top, other.top),
            min(self.left, other.left),
            max(self.bottom, other.bottom),
            max(self.right, other.right),
        )

    def to_dict(self) -> dict[str, int]:
        """Plain data for JSON."""
        return dict(zip(_SIDES, astuple(self), strict=True))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> PixelBox:
        """The box that to_dict described.

        Raises:
            DatasetError: It is malformed, or holds no pixels.
        """
        try:
            return cls(*(data[side] for side in _SIDES))
        except (KeyError, TypeError) as error:
            raise DatasetError(f"no box: {data!r}", remedy=f"A box has {', '.join(_SIDES)}.") from error


@dataclass(frozen=True)
class Redaction:
    """What is done to the pixels of every frame of a recording before it leaves the house.

    Attributes:
        boxes: Made black: stored value 0, whatever the polarity. Given on the whole frame, before the crop.
        crop: What is kept of a frame; None for all of it.
    """

    boxes: tuple[PixelBox, ...] = ()
    crop: PixelBox | None = None

    @property
    def is_nothing(self) -> bool:
        """True where frames stay as they are."""
        return not self.boxes and self.crop is None

    def expect_within(self, height: int, width: int) -> None:
        """Refuse a frame of another size than this was made for, as far as that can be seen.

        Raises:
            DatasetError: A box or the crop reaches over the edge of the frame.
        """
        for box in (*self.boxes, *((self.crop,) if self.crop is not None else ())):
            if box.bottom > height or box.right > width:
                raise DatasetError(
                    f"a redaction to row {box.bottom} and column {box.right} does not fit frames of "
                    f"{height} rows and {width} columns",
                    remedy="It belongs to another recording: look at this one's pixels again.",
                )

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of a frame after the crop."""
        self.expect_within(height, width)
        if self.crop is None:
            return height, width
        return self.crop.bottom - self.crop.top, self.crop.right - self.crop.left

    def pixels(self, frame: Frame) -> Frame:
        """A frame with its boxes black, cropped; a copy wherever anything changes.

        Args:
            frame: uint8 or uint16 (H, W).

        Raises:
            DatasetError: The redaction does not fit the frame.
        """
        self.expect_within(*frame.shape)
        if self.is_nothing:
            return frame
        redacted: Frame = frame.copy()
        for box in self.boxes:
            redacted[box.slices] = 0
        cropped: Frame = redacted if self.crop is None else redacted[self.crop.slices].copy()
        return cropped

    def planes(self, planes: BoolArray) -> BoolArray:
        """Masks cropped as the frames are, bool (..., H, W); boxes leave masks alone.

        Raises:
            DatasetError: The redaction does not fit the planes.
        """
        self.expect_within(*planes.shape[-2:])
        return planes if self.crop is None else np.ascontiguousarray(planes[(..., *self.crop.slices)])

    def whole(self, planes: BoolArray, height: int, width: int) -> BoolArray:
        """Masks of cropped frames put back in their place, False around them.

        Args:
            planes: bool (..., h, w), of the size that size(height, width) gives.
            height: Rows of the whole frame.
            width: Columns of the whole frame.

        Raises:
            DatasetError: The planes are of another size.
        """
        expected = self.size(height, width)
        if planes.shape[-2:] != expected:
            raise DatasetError(
                f"masks of {planes.shape[-2]}x{planes.shape[-1]} pixels, expected {expected[0]}x{expected[1]}",
                remedy="Import masks of the de-identified frames as they were exported.",
            )
        if self.crop is None:
            return planes
        restored = np.zeros((*planes.shape[:-2], height, width), np.bool_)
        restored[(..., *self.crop.slices)] = planes
        return restored

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "boxes": [box.to_dict() for box in self.boxes],
            "crop": None if self.crop is None else self.crop.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Redaction:
        """The redaction that to_dict described; what is left out is nothing to do.

        Raises:
            DatasetError: It is malformed.
        """
        try:
            boxes, crop = data.get("boxes") or (), data.get("crop")
            return cls(
                tuple(PixelBox.from_dict(box) for box in boxes), None if crop is None else PixelBox.from_dict(crop)
            )
        except (AttributeError, TypeError) as error:
            raise DatasetError(
                f"no redaction: {data!r}", remedy="It has a list of boxes and a crop or null."
            ) from error
