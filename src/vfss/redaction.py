# SPDX-License-Identifier: Apache-2.0
"""Redaction: which pixels of a recording are blacked out and which are cropped, the same on all frames."""

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
        bottom: Last row plus 1.
        right: Last column plus 1.
    """

    top: int
    left: int
    bottom: int
    right: int

    def __post_init__(self) -> None:
        if any(isinstance(side, bool) or not isinstance(side, int) for side in astuple(self)):
            raise DatasetError(f"a box needs whole numbers, found {astuple(self)}", remedy="Give integers.")
        if not (0 <= self.top < self.bottom and 0 <= self.left < self.right):
            raise DatasetError(
                f"a box from row {self.top} to {self.bottom} and column {self.left} to {self.right} holds no pixels",
                remedy="Rows and columns count from 0; bottom and right are exclusive.",
            )

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns, to index the last two axes of an array (..., H, W)."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def joined(self, other: PixelBox) -> PixelBox:
        """Return the smallest box around both."""
        return PixelBox(
            min(self.top, other.top),
            min(self.left, other.left),
            max(self.bottom, other.bottom),
            max(self.right, other.right),
        )

    def to_dict(self) -> dict[str, int]:
        """Return plain data for JSON."""
        return dict(zip(_SIDES, astuple(self), strict=True))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> PixelBox:
        """Make the box that to_dict described.

        Raises:
            DatasetError: It is malformed, or holds no pixels.
        """
        try:
            return cls(*(data[side] for side in _SIDES))
        except (KeyError, TypeError) as error:
            raise DatasetError(f"not a box: {data!r}", remedy=f"Give {', '.join(_SIDES)}.") from error


@dataclass(frozen=True)
class Redaction:
    """What is done to the pixels of every frame of a recording before it is shared.

    Attributes:
        boxes: Blacked out: stored value 0, whatever the polarity. In pixels of the frame before the crop.
        crop: Part of the frame that is kept; None for all of it.
    """

    boxes: tuple[PixelBox, ...] = ()
    crop: PixelBox | None = None

    @property
    def is_empty(self) -> bool:
        """True where frames stay unchanged."""
        return not self.boxes and self.crop is None

    def expect_within(self, height: int, width: int) -> None:
        """Refuse frames that are too small for this redaction.

        Raises:
            DatasetError: A box or the crop reaches over the edge of the frame.
        """
        for box in (*self.boxes, *((self.crop,) if self.crop is not None else ())):
            if box.bottom > height or box.right > width:
                raise DatasetError(
                    f"a redaction to row {box.bottom} and column {box.right} does not fit frames of "
                    f"{height} rows and {width} columns",
                    remedy="It belongs to another recording: review the pixels of this one again.",
                )

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Return height and width of a frame after the crop."""
        self.expect_within(height, width)
        if self.crop is None:
            return height, width
        return self.crop.bottom - self.crop.top, self.crop.right - self.crop.left

    def pixels(self, frame: Frame) -> Frame:
        """Return a frame blacked out and cropped; a copy if anything changes.

        Args:
            frame: uint8 or uint16 (H, W).

        Raises:
            DatasetError: The redaction does not fit the frame.
        """
        self.expect_within(*frame.shape)
        if self.is_empty:
            return frame
        redacted: Frame = frame.copy()
        for box in self.boxes:
            redacted[box.slices] = 0
        if self.crop is not None:
            redacted = redacted[self.crop.slices].copy()
        return redacted

    def planes(self, planes: BoolArray) -> BoolArray:
        """Return masks cropped like the frames, bool (..., H, W); boxes do not change masks.

        Raises:
            DatasetError: The redaction does not fit the planes.
        """
        self.expect_within(*planes.shape[-2:])
        return planes if self.crop is None else np.ascontiguousarray(planes[(..., *self.crop.slices)])

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "boxes": [box.to_dict() for box in self.boxes],
            "crop": None if self.crop is None else self.crop.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Redaction:
        """Make the redaction that to_dict described; a missing field means no change.

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
                f"not a redaction: {data!r}", remedy="Give a list of boxes, and a crop or null."
            ) from error
