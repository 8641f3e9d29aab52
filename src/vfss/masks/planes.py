# SPDX-License-Identifier: Apache-2.0
"""Masks of one frame: a binary plane per structure, each with a state."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

import numpy as np
import numpy.typing as npt

from vfss.errors import MaskError

BoolArray = npt.NDArray[np.bool_]
ByteArray = npt.NDArray[np.uint8]
BoundingBox = tuple[slice, slice]
"""Rows and columns of a rectangle in a plane, end-exclusive."""

EMPTY_BOX: BoundingBox = (slice(0, 0), slice(0, 0))


class MaskState(IntEnum):
    """What is known of one structure on one frame, and whether a person or a student says so."""

    UNSEEN = 0
    PROPOSED = 1
    EDITED = 2
    ACCEPTED = 3
    EMPTY = 4
    NOT_VISIBLE = 5

    @property
    def label(self) -> str:
        """Name for people."""
        return self.name.lower().replace("_", " ")

    @property
    def is_annotated(self) -> bool:
        """True where a person drew, accepted, or declared empty or not visible: no proposal ever replaces it."""
        return self not in (MaskState.UNSEEN, MaskState.PROPOSED)

    @property
    def is_truth(self) -> bool:
        """True where a person has confirmed the plane: it counts as annotation in exports and training.

        NOT_VISIBLE is final too, but tells nothing about pixels, so it is no truth about them.
        """
        return self in (MaskState.ACCEPTED, MaskState.EMPTY)


@dataclass(frozen=True)
class Masks:
    """Planes and states of one frame.

    Attributes:
        planes: bool (S, H, W), plane i belongs to schema.structures[i]; planes may overlap.
        state: uint8 (S,), values of MaskState.
    """

    planes: BoolArray
    state: ByteArray

    def __post_init__(self) -> None:
        planes, state = self.planes, self.state
        if planes.ndim != 3 or planes.dtype != np.bool_:
            raise MaskError(f"planes must be bool (S, H, W), got {planes.dtype} {planes.shape}")
        if state.shape != planes.shape[:1] or state.dtype != np.uint8:
            raise MaskError(f"state must be uint8 ({planes.shape[0]},), got {state.dtype} {state.shape}")

    @classmethod
    def unseen(cls, n_structures: int, height: int, width: int) -> Masks:
        """Return masks of which nothing is known."""
        return cls(np.zeros((n_structures, height, width), np.bool_), np.zeros(n_structures, np.uint8))


def bounding_box(mask: BoolArray, *, margin: int = 0) -> BoundingBox | None:
    """Return the smallest box around the true pixels of a plane, bool (H, W); None where there are none.

    Args:
        mask: The plane.
        margin: Pixels by which the box is larger on each side, as far as the plane reaches.
    """
    rows = np.flatnonzero(mask.any(axis=1))
    if not rows.size:
        return None
    columns = np.flatnonzero(mask[rows[0] : rows[-1] + 1].any(axis=0))
    top, bottom = max(0, int(rows[0]) - margin), min(mask.shape[0], int(rows[-1]) + 1 + margin)
    left, right = max(0, int(columns[0]) - margin), min(mask.shape[1], int(columns[-1]) + 1 + margin)
    return slice(top, bottom), slice(left, right)


@dataclass(frozen=True, eq=False)
class BoxedMask:
    """The part of a plane that has pixels, for analysing many planes without unpacking them to full size.

    Attributes:
        top: First row with pixels.
        left: First column with pixels.
        inside: bool (h, w), the plane within its bounding box; (0, 0) where it has no pixels.
    """

    top: int
    left: int
    inside: BoolArray

    @cached_property
    def area(self) -> int:
        """Number of pixels."""
        return int(np.count_nonzero(self.inside))
