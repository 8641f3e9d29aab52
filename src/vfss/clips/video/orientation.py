# SPDX-License-Identifier: Apache-2.0
"""How stored frames are turned and mirrored for display, and how wide their pixels are."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from vfss.clips.clip import Frame
from vfss.errors import ClipError

MIRRORED = 360
_ASPECTS = (Fraction(1, 4), Fraction(4))
"""Pixels narrower or wider than these are a mistake of the recorder: anamorphic film has 2, DVD and DV 0.89 to 1.46."""


@dataclass(frozen=True)
class Orientation:
    """One of the eight ways to show a frame upright: mirrored left to right or not, then turned by right angles.

    Attributes:
        quarters: Clockwise quarter turns, 0 to 3.
        mirrored: Whether the stored frame is mirrored left to right before it is turned.
    """

    quarters: int = 0
    mirrored: bool = False

    @property
    def degrees(self) -> int:
        """Clockwise degrees, as kept in `Clip.rotation` and in projects; MIRRORED is added for mirrored frames."""
        return 90 * self.quarters + MIRRORED * self.mirrored

    @property
    def swaps_sides(self) -> bool:
        """Whether rows become columns."""
        return self.quarters % 2 == 1

    def apply(self, frame: Frame) -> Frame:
        """Return a stored frame (H, W) as it is shown, (H, W) or (W, H)."""
        if not self.quarters and not self.mirrored:
            return frame
        mirrored = frame[:, ::-1] if self.mirrored else frame
        turned: Any = np.rot90(mirrored, -self.quarters)
        shown: Frame = np.ascontiguousarray(turned)
        return shown

    def __str__(self) -> str:
        """Return it in words for a note, "" for frames that are shown as stored."""
        turned = f"turned by {90 * self.quarters} degrees clockwise" if self.quarters else ""
        return " and ".join(part for part in ("mirrored left to right" * self.mirrored, turned) if part)


def orientation_of(degrees: int) -> Orientation:
    """Return the orientation kept as `Clip.rotation`.

    Raises:
        ClipError: It is not a right angle.
    """
    if degrees % 90 or not 0 <= degrees < 2 * MIRRORED:
        raise ClipError(f"cannot be turned by {degrees} degrees", remedy="Use 0, 90, 180 or 270.")
    return Orientation(degrees % MIRRORED // 90, degrees >= MIRRORED)


def declared_orientation(frame: Any) -> tuple[Orientation, str]:
    """Return how the file says its frames are to be shown, and a note if that cannot be followed exactly.

    Args:
        frame: A decoded av.VideoFrame, with the side data of stream and codec.
    """
    matrix = _display_matrix(frame)
    if matrix is None:
        return Orientation(), ""
    across, down, left, right = (_sign(matrix[at]) for at in (0, 4, 1, 3))
    # A stored pixel (x, y) is shown at (across x + right y, left x + down y).
    if across and down and not left and not right:
        table = {(1, 1): (0, False), (-1, -1): (2, False), (-1, 1): (0, True), (1, -1): (2, True)}
        return Orientation(*table[across, down]), ""
    if left and right and not across and not down:
        table = {(1, -1): (1, False), (-1, 1): (3, False), (1, 1): (3, True), (-1, -1): (1, True)}
        return Orientation(*table[left, right]), ""
    return Orientation(), "The file asks for a turn that is no right angle, which is not made"


def _display_matrix(frame: Any) -> tuple[int, ...] | None:
    for data in frame.side_data:
        if data.type.name == "DISPLAYMATRIX":
            content = bytes(data)
            if len(content) >= 36:
                return struct.unpack("=9i", content[:36])
    return None


def _sign(fixed_point: int) -> int:
    """Return the sign of an entry of a display matrix, 0 if it is far below one."""
    return 0 if abs(fixed_point) < 2**10 else 1 if fixed_point > 0 else -1


def pixel_aspect(declared: Fraction | None) -> tuple[float, str]:
    """Return width through height of a stored pixel as a file declares it, and a note if that is not believed.

    Args:
        declared: The sample aspect ratio of container or codec; None if there is none.
    """
    if not declared or declared == 1:
        return 1.0, ""
    if not _ASPECTS[0] <= declared <= _ASPECTS[1]:
        return 1.0, f"The file declares pixels of {declared} times their height, which is not believed: taken as square"
    return float(declared), ""
