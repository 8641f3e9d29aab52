# SPDX-License-Identifier: Apache-2.0
"""Draft of a redaction: boxes and crop while a person changes them, before the review is accepted."""

from __future__ import annotations

from dataclasses import dataclass, replace

from qtpy.QtCore import QObject, Signal

from vfss.deidentify.suggest_redaction import ProposedRedaction
from vfss.redaction import PixelBox, Redaction

_LEAST = 3  # px, smallest side of a drawn box: less is a slip of the mouse


@dataclass(frozen=True)
class DraftBox:
    """A box, and the reason why it is there."""

    box: PixelBox
    why: str


class RedactionDraft(QObject):
    """Boxes and crop of one recording; one box may be chosen."""

    changed = Signal()

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.height, self.width = height, width
        self.boxes: list[DraftBox] = []
        self.crop: PixelBox | None = None
        self.annotated: PixelBox | None = None
        self.chosen = -1

    @property
    def redaction(self) -> Redaction:
        """Boxes and crop as a redaction."""
        return Redaction(tuple(draft.box for draft in self.boxes), self.crop)

    @property
    def cuts_masks(self) -> bool:
        """True if the crop cuts off a part of annotated masks."""
        return self.crop is not None and self.annotated is not None and self.crop.joined(self.annotated) != self.crop

    def take(self, redaction: Redaction) -> None:
        """Start from an accepted redaction."""
        self.boxes = [DraftBox(box, "from the last review") for box in redaction.boxes]
        self.crop, self.chosen = redaction.crop, -1
        self.changed.emit()

    def take_proposed(self, proposed: ProposedRedaction, *, crop: bool) -> None:
        """Add suggested boxes, except those that lie inside a box of the draft.

        Args:
            proposed: Suggestion of the program.
            crop: Whether its crop is taken too.
        """
        self.annotated = proposed.annotated
        for text in proposed.texts:
            if all(draft.box.joined(text.box) != draft.box for draft in self.boxes):
                self.boxes.append(DraftBox(text.box, f"possible text on {text.seen} of {text.examined} pictures"))
        if crop:
            self.crop = proposed.crop
        self.changed.emit()

    def add_between(self, y: float, x: float, other_y: float, other_x: float) -> None:
        """Add a box with these corners, clipped to the picture; nothing if it is too small to be intended."""
        top, bottom = sorted(min(max(round(v), 0), self.height) for v in (y, other_y))
        left, right = sorted(min(max(round(v), 0), self.width) for v in (x, other_x))
        if bottom - top >= _LEAST and right - left >= _LEAST:
            self.boxes.append(DraftBox(PixelBox(top, left, bottom, right), "drawn here"))
            self.choose(len(self.boxes) - 1)

    def add_in_the_middle(self) -> None:
        """Add a box in the middle, to be moved by its edges."""
        rows, columns = self.height // 10 + 1, self.width // 6 + 1
        top, left = (self.height - rows) // 2, (self.width - columns) // 2
        self.boxes.append(DraftBox(PixelBox(top, left, top + rows, left + columns), "drawn here"))
        self.choose(len(self.boxes) - 1)

    def choose(self, number: int) -> None:
        """Choose a box; -1 for none."""
        self.chosen = number if number < len(self.boxes) else -1
        self.changed.emit()

    def choose_at(self, y: float, x: float) -> None:
        """Choose the smallest box that contains a point, or none."""
        inside = [
            (_area(draft.box), number)
            for number, draft in enumerate(self.boxes)
            if draft.box.top <= y < draft.box.bottom and draft.box.left <= x < draft.box.right
        ]
        self.choose(min(inside)[1] if inside else -1)

    def remove_chosen(self) -> None:
        """Remove the chosen box."""
        if 0 <= self.chosen < len(self.boxes):
            del self.boxes[self.chosen]
            self.choose(min(self.chosen, len(self.boxes) - 1))

    def reshape_chosen(self, box: PixelBox) -> None:
        """Change the edges of the chosen box."""
        if 0 <= self.chosen < len(self.boxes) and self.boxes[self.chosen].box != box:
            self.boxes[self.chosen] = replace(self.boxes[self.chosen], box=box)
            self.changed.emit()

    def set_crop(self, crop: PixelBox | None) -> None:
        """Keep only this part of the picture; None keeps all of it."""
        if crop != self.crop:
            self.crop = crop
            self.changed.emit()


def _area(box: PixelBox) -> int:
    return (box.bottom - box.top) * (box.right - box.left)
