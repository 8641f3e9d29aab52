# SPDX-License-Identifier: Apache-2.0
"""Nesting: which part of a structure lies outside the one that it nests in, and in which structure it lies instead.

A bolus outside the pharynx can be a slip of the brush, and it can be what the study was made for: bolus in the airway.
Before and after the swallow it lies in the mouth and in the oesophagus, which have no plane of their own. So nothing
here is wrong by itself. What counts is what a correction newly put outside; whether that is intended, only a person can
tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from vfss.masks import BoolArray, ByteArray, MaskState
from vfss.masks.morphology import grow
from vfss.schema import Schema

_KNOWN = (MaskState.PROPOSED, MaskState.EDITED, MaskState.ACCEPTED, MaskState.EMPTY)


@dataclass(frozen=True, eq=False)
class Break:
    """A correction put part of a structure outside the one that it nests in.

    Attributes:
        child: Key of the structure.
        parent: Key of the one that it nests in.
        outside: bool (H, W), the new part: pixels of the child that are not the parent's.
        lies_in: Key of the other structure that holds at least half of it; None where none does.
    """

    child: str
    parent: str
    outside: BoolArray
    lies_in: str | None

    @property
    def pixels(self) -> int:
        """Number of pixels outside."""
        return int(np.count_nonzero(self.outside))


def tolerance(height: int) -> float:
    """Return the distance, in pixels, that still counts as the edge of a brush on a frame of so many rows."""
    return max(1.5, height / 400)


def outside(schema: Schema, planes: BoolArray, state: ByteArray) -> dict[str, BoolArray]:
    """Return the part of each structure outside the one that it nests in, bool (H, W), by key.

    A structure is left out where it, or the one that it nests in, is unseen or not visible.

    Args:
        schema: Tells what nests in what.
        planes: bool (S, H, W).
        state: uint8 (S,), values of MaskState.
    """
    parts: dict[str, BoolArray] = {}
    for structure in schema.structures:
        if structure.nests_in is not None:
            parent = schema[structure.nests_in].index
            if state[structure.index] in _KNOWN and state[parent] in _KNOWN:
                parts[structure.key] = planes[structure.index] & ~planes[parent]
    return parts


def breaks(schema: Schema, planes: BoolArray, state: ByteArray, before: Mapping[str, BoolArray]) -> list[Break]:
    """Return what newly lies outside the structure that it nests in, by more than the edge of a brush.

    Args:
        schema: Tells what nests in what.
        planes: bool (S, H, W).
        state: uint8 (S,), values of MaskState.
        before: Result of `outside` at an earlier moment; of structures that are not in it everything counts as new.
    """
    new_breaks: list[Break] = []
    for key, now in outside(schema, planes, state).items():
        parent = schema[key].nests_in
        new = now & ~before[key] if key in before else now
        if parent is None or not new.any():
            continue
        near = grow(planes[schema[parent].index], tolerance(planes.shape[1]))
        if (new & ~near).any():
            new_breaks.append(Break(key, parent, new, _container(schema, planes, new, without=(key, parent))))
    return new_breaks


def _container(schema: Schema, planes: BoolArray, part: BoolArray, *, without: tuple[str, ...]) -> str | None:
    shares = {s.key: np.count_nonzero(planes[s.index] & part) for s in schema.structures if s.key not in without}
    best = max(shares, key=lambda key: shares[key], default=None)
    return best if best is not None and 2 * shares[best] >= np.count_nonzero(part) else None
