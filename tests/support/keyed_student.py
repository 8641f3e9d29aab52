# SPDX-License-Identifier: Apache-2.0
"""A student whose masks tell by their place which structure they are of, and schemas that differ from the project's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from vfss.masks import Masks, MaskState
from vfss.schema import Schema
from vfss.student import Proposal

VFSS12 = Schema.load()
_STRUCTURES = VFSS12.to_dict()["structures"]
_VALVE = {"key": "valve", "name": "Valve", "colour": "#123456"}


def _schema(name: str, structures: list) -> Schema:
    return Schema.from_dict({"id": name, "version": "1.0.0", "title": name, "structures": structures})


VFSS12_REVERSED = _schema("reversed", _STRUCTURES[::-1])
WITH_A_VALVE = _schema("larger", [_VALVE, *_STRUCTURES])
ONLY_A_VALVE = _schema("valve", [_VALVE])


def mask_of(key: str, height: int, width: int) -> np.ndarray:
    """The mask that a structure has on every frame, bool (height, width): two rows of its own."""
    plane = np.zeros((height, width), np.bool_)
    first = 2 * WITH_A_VALVE.keys.index(key)
    plane[first : first + 2, 3:-3] = True
    return plane


def confidence_of(key: str) -> float:
    """The confidence of a structure on every frame."""
    return 0.5 + WITH_A_VALVE.keys.index(key) / 64


class KeyedStudent:
    """Proposes the same masks on every frame.

    Attributes:
        asked: Frames that it was asked for, all together.
    """

    device = "cpu (test)"
    can_refine = False

    def __init__(self, schema: Schema, *, id: str = "st-keyed") -> None:
        self.schema, self.id, self.asked = schema, id, 0
        self.keys = schema.keys

    def propose(self, frames: np.ndarray, *, pixel_aspect: float = 1.0, **settings: object) -> list[Proposal]:
        self.asked += len(frames)
        keys = self.schema.keys
        state = np.full(len(keys), MaskState.PROPOSED, np.uint8)
        confidence = np.array([confidence_of(key) for key in keys], np.float32)
        planes = np.stack([mask_of(key, *frames.shape[1:]) for key in keys])
        return [Proposal(keys, Masks(planes.copy(), state), confidence, self.id) for _ in frames]

    def propose_each(
        self, frames: Iterable[np.ndarray], *, pixel_aspect: float = 1.0, **settings: object
    ) -> Iterator[Proposal]:
        for frame in frames:
            yield self.propose(frame[None])[0]
