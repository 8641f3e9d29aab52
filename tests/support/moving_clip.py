# SPDX-License-Identifier: Apache-2.0
"""Synthetic clips: a texture with rigid and soft structures that moves by a given step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import cv2
import numpy as np

from vfss.errors import ClipError
from vfss.masks import Masks, MaskState
from vfss.schema import Schema
from vfss.student import Proposal

SIZE = 128
SCHEMA = Schema.load("vfss12")
N = len(SCHEMA)


def texture(seed: int = 0, size: int = SIZE) -> np.ndarray:
    """Return soft random blobs, uint8 (size, size)."""
    noise = np.random.default_rng(seed).normal(size=(size, size)).astype(np.float32)
    blobs = cv2.GaussianBlur(noise, (0, 0), 3.0)
    return cv2.normalize(blobs, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


def moved(picture: np.ndarray, dx: float, dy: float, degrees: float = 0.0) -> np.ndarray:
    """Turn a picture about its middle, then shift it, uint8 or bool as it was."""
    height, width = picture.shape
    matrix = cv2.getRotationMatrix2D((width / 2 - 0.5, height / 2 - 0.5), degrees, 1.0)
    matrix[:, 2] += (dx, dy)
    if picture.dtype == np.bool_:
        return moved(picture.astype(np.uint8) * 255, dx, dy, degrees) > 127
    return cv2.warpAffine(picture, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)


def box(y: int, x: int, height: int = 16, width: int = 20, size: int = SIZE) -> np.ndarray:
    """Return a filled box with its middle at (y, x), bool (size, size)."""
    plane = np.zeros((size, size), np.bool_)
    plane[max(0, y - height // 2) : y + height // 2, max(0, x - width // 2) : x + width // 2] = True
    return plane


class MovingClip:
    """Frames that move by (dx, dy), with annotation (vfss.propagation.propagation.Source).

    Attributes:
        states_now: uint8 (n_frames, S); a test may change it during propagation.
        planes: Annotated masks, by (frame, key).
        damaged: Frames that cannot be decoded.
    """

    def __init__(self, n_frames: int = 12, dx: float = 1.0, dy: float = 0.5, schema: Schema = SCHEMA) -> None:
        self.schema, self.n_frames, self.pixel_aspect = schema, n_frames, 1.0
        self._first, self._step = texture(), (dx, dy)
        self.states_now = np.zeros((n_frames, len(schema)), np.uint8)
        self.planes: dict[tuple[int, str], np.ndarray] = {}
        self.pictures: dict[int, np.ndarray] = {}
        self.asked: list[int] = []
        self.damaged: set[int] = set()

    def truth(self, plane: np.ndarray, frames: int) -> np.ndarray:
        """Return a plane as it is `frames` frames later, bool (H, W)."""
        return moved(plane, self._step[0] * frames, self._step[1] * frames)

    def annotate(self, frame: int, key: str, plane: np.ndarray | None, state: MaskState = MaskState.ACCEPTED) -> None:
        """Annotate a structure on a frame."""
        self.states_now[frame, self.schema[key].index] = state
        if plane is not None:
            self.planes[frame, key] = plane

    def picture(self, frame: int) -> np.ndarray:
        if frame in self.damaged:
            raise ClipError("cannot be decoded", frame=frame)
        return self.pictures.get(frame, moved(self._first, self._step[0] * frame, self._step[1] * frame))

    def states(self) -> np.ndarray:
        return self.states_now

    def plane(self, frame: int, structure: str) -> np.ndarray:
        return self.planes.get((frame, structure), np.zeros((SIZE, SIZE), np.bool_))

    def proposal(self, frame: int) -> Proposal | None:
        self.asked.append(frame)
        return None


class FixedStudent:
    """A student that proposes the same mask for every structure of every frame; no mask: empty planes."""

    id = "fixed"
    schema = SCHEMA
    keys = SCHEMA.keys

    def __init__(self, plane: np.ndarray | None = None, confidence: float = 0.9) -> None:
        self._plane, self._confidence = plane, confidence

    def propose(self, frames: np.ndarray, *, pixel_aspect: float = 1.0, **settings: object) -> list[Proposal]:
        return [self._proposal(frame) for frame in frames]

    def propose_each(
        self, frames: Iterable[np.ndarray], *, pixel_aspect: float = 1.0, **settings: object
    ) -> Iterator[Proposal]:
        for frame in frames:
            yield self._proposal(frame)

    def _proposal(self, frame: np.ndarray) -> Proposal:
        plane = np.zeros(frame.shape, np.bool_) if self._plane is None else self._plane
        state = np.full(N, MaskState.PROPOSED, np.uint8)
        return Proposal(
            SCHEMA.keys, Masks(np.stack([plane] * N), state), np.full(N, self._confidence, np.float32), self.id
        )
