# SPDX-License-Identifier: Apache-2.0
"""Prompts: clicks and boxes by which a person shows where a structure is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from vfss.errors import MaskError


@dataclass(frozen=True)
class Click:
    """One click, in pixels of the frame: the centre of pixel (i, j) is at y = i, x = j.

    Attributes:
        y: Row.
        x: Column.
        adds: True: the point belongs to the structure; False: it does not.
    """

    y: float
    x: float
    adds: bool


@dataclass(frozen=True)
class Box:
    """A box around a structure, in pixels of the frame, last row and column inclusive.

    Attributes:
        top: First row.
        left: First column.
        bottom: Last row.
        right: Last column.
    """

    top: float
    left: float
    bottom: float
    right: float

    def __post_init__(self) -> None:
        if self.bottom < self.top or self.right < self.left:
            raise MaskError(f"the first corner of a box must be above and left of its last one, got {self}")

    @classmethod
    def between(cls, corner: tuple[float, float], opposite: tuple[float, float]) -> Self:
        """Build a box from two opposite corners (y, x) in any order."""
        (y0, x0), (y1, x1) = corner, opposite
        return cls(min(y0, y1), min(x0, x1), max(y0, y1), max(x0, x1))


@dataclass(frozen=True)
class Prompts:
    """All clicks, in order, and the box for one structure on one frame."""

    clicks: tuple[Click, ...] = ()
    box: Box | None = None

    def __len__(self) -> int:
        """Return the number of interactions."""
        return len(self.clicks) + (self.box is not None)

    def with_click(self, click: Click) -> Prompts:
        """Return these prompts with one click more."""
        return replace(self, clicks=(*self.clicks, click))

    def with_box(self, box: Box) -> Prompts:
        """Return these prompts with another box."""
        return replace(self, box=box)

    def follows(self, earlier: Prompts | None) -> bool:
        """Return whether one more click, or a new box, leads from earlier prompts (None: none) to these."""
        earlier = earlier or Prompts()
        if self.box != earlier.box:
            return self.clicks == earlier.clicks and self.box is not None
        return bool(self.clicks) and self.clicks[:-1] == earlier.clicks

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, as stored with a mask."""
        box = self.box
        return {
            "clicks": [[click.y, click.x, click.adds] for click in self.clicks],
            "box": None if box is None else [box.top, box.left, box.bottom, box.right],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Prompts:
        """Build prompts from the data that to_dict returns.

        Raises:
            MaskError: The data is malformed.
        """
        try:
            clicks = tuple(Click(float(y), float(x), bool(adds)) for y, x, adds in data["clicks"])
            box = None if data["box"] is None else Box(*(float(side) for side in data["box"]))
        except (KeyError, TypeError, ValueError) as error:
            raise MaskError(f"malformed prompts ({error!r})", remedy="Restore the project from a backup.") from error
        return cls(clicks, box)
