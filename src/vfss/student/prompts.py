# SPDX-License-Identifier: Apache-2.0
"""Prompts: where a person clicked or drew a box to say what a structure is."""

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
        adds: True: the place belongs to the structure; False: it does not.
    """

    y: float
    x: float
    adds: bool


@dataclass(frozen=True)
class Box:
    """A box around a structure, in pixels of the frame, the far sides inclusive.

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
            raise MaskError(f"a box needs its first corner above and left of its last one, got {self}")

    @classmethod
    def between(cls, one: tuple[float, float], other: tuple[float, float]) -> Self:
        """Box with two opposite corners (y, x) in any order."""
        (y0, x0), (y1, x1) = one, other
        return cls(min(y0, y1), min(x0, x1), max(y0, y1), max(x0, x1))


@dataclass(frozen=True)
class Prompts:
    """All that a person pointed at for one structure on one frame, in order."""

    clicks: tuple[Click, ...] = ()
    box: Box | None = None

    def __len__(self) -> int:
        """Number of interactions."""
        return len(self.clicks) + (self.box is not None)

    def with_click(self, click: Click) -> Prompts:
        """The same and one click more."""
        return replace(self, clicks=(*self.clicks, click))

    def with_box(self, box: Box) -> Prompts:
        """The same with another box."""
        return replace(self, box=box)

    def follows(self, earlier: Prompts | None) -> bool:
        """True where one click more, or a box or another one, leads here from the earlier prompts (None: none)."""
        earlier = earlier or Prompts()
        if self.box != earlier.box:
            return self.clicks == earlier.clicks and self.box is not None
        return bool(self.clicks) and self.clicks[:-1] == earlier.clicks

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as kept with a mask."""
        box = self.box
        return {
            "clicks": [[click.y, click.x, click.adds] for click in self.clicks],
            "box": None if box is None else [box.top, box.left, box.bottom, box.right],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Prompts:
        """Prompts from to_dict's data.

        Raises:
            MaskError: It is something else.
        """
        try:
            clicks = tuple(Click(float(y), float(x), bool(adds)) for y, x, adds in data["clicks"])
            box = None if data["box"] is None else Box(*(float(side) for side in data["box"]))
        except (KeyError, TypeError, ValueError) as error:
            raise MaskError(f"malformed prompts ({error!r})", remedy="Restore the project from a backup.") from error
        return cls(clicks, box)
