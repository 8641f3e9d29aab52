# SPDX-License-Identifier: Apache-2.0
"""Masks of a key frame on another frame: bones moved as a whole, soft structures by dense flow and the student's word.

Masks are carried as fields of signed distance, so that two of them can be blended and none is worn by rounding.
Which way is best for which structure was measured on phantoms: benchmarks/propagate.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp

import cv2
import numpy as np
import numpy.typing as npt

from vfss.masks import EMPTY_BOX, BoolArray, ByteArray, bounding_box
from vfss.masks.metrics import dice
from vfss.motion.optical_flow import FloatArray, KeyMotion, Points, unit_of
from vfss.motion.rigid import Matrix, RigidBodies
from vfss.schema import Schema, Structure

_REACH = 32  # px at 512 px of the shorter side: beyond that a distance says no more than "far"
_CORRECTION = 0.5  # share of a person's correction of the student on the key frame that goes along
_WEIGHED = 8  # px at 512: beyond that distance what is carried and what the student says have no more to tell


@dataclass(frozen=True, eq=False)
class CarriedMask:
    """One structure of a key frame on another frame.

    Attributes:
        field: float32 (H, W), signed distance to the outline in px, positive inside, at most 32/512 of the frame's
            shorter side.
        correction: float32 (H, W), how the key frame's field differs from that of the student's mask there; None for
            bones, and without a student.
        frames: Frames since the key frame.
        steps: The same without those that only repeat another one.
        steady: How well the motion agrees with itself here, 0..1.
        agreement: Dice of what comes from two key frames, one on either side; None where there is one only.
    """

    field: FloatArray
    correction: FloatArray | None
    frames: int
    steps: int
    steady: float
    agreement: float | None = None

    @property
    def mask(self) -> BoolArray:
        """Where it is, bool (H, W)."""
        return self.field > 0


@dataclass(frozen=True, eq=False)
class PackedCarriedMask:
    """What was carried from a far end, in little memory until the other end gets there."""

    box: tuple[slice, slice]
    shape: tuple[int, ...]
    field: npt.NDArray[np.float16]
    correction: npt.NDArray[np.float16] | None
    frames: int
    steps: int
    steady: float

    @classmethod
    def of(cls, carried: CarriedMask) -> PackedCarriedMask:
        """Keep it: only where the distance says more than "far"."""
        near = carried.field > carried.field.min()
        box = bounding_box(near) or EMPTY_BOX
        correction = None if carried.correction is None else carried.correction[box].astype(np.float16)
        field = carried.field[box].astype(np.float16)
        return cls(box, carried.field.shape, field, correction, carried.frames, carried.steps, carried.steady)

    @property
    def carried(self) -> CarriedMask:
        """What was kept."""
        field = np.full(self.shape, -far_away(self.shape), np.float32)
        field[self.box] = self.field
        correction = None
        if self.correction is not None:
            correction = np.zeros(self.shape, np.float32)
            correction[self.box] = self.correction
        return CarriedMask(field, correction, self.frames, self.steps, self.steady)


class KeyFrame:
    """Carries the masks of one key frame to its neighbours, which are given one after another."""

    def __init__(
        self,
        frame: ByteArray,
        planes: Mapping[str, BoolArray],
        schema: Schema,
        suggested: Mapping[str, BoolArray] | None = None,
    ) -> None:
        """Take what is known.

        Args:
            frame: uint8 (H, W).
            planes: Known masks by key of structure, bool (H, W) each, none empty.
            schema: Says which structures are rigid, and which of them are joined.
            suggested: The student's own masks of the same frame.
        """
        self._motion = KeyMotion(frame)
        self._fields = {key: signed_distance(plane) for key, plane in planes.items()}
        rigid = {key: plane for key, plane in planes.items() if schema[key].is_rigid}
        self._bones = RigidBodies(rigid, schema.chains) if rigid else None
        self._soft = tuple(key for key in planes if not schema[key].is_rigid)
        self._corrections = {
            key: self._fields[key] - signed_distance(suggested[key]) for key in self._soft if suggested is not None
        }
        self._outlines = {key: _edge_points(planes[key]) for key in self._soft}
        self._frames = self._steps = 0

    def to(self, frame: ByteArray) -> dict[str, CarriedMask]:
        """All structures on the next neighbour, uint8 (H, W)."""
        motion, repeated = self._motion.to(frame)
        self._frames += 1
        self._steps += not repeated
        unit = unit_of(frame.shape)
        out: dict[str, CarriedMask] = {}
        if self._bones is not None:
            for key, (matrix, steady) in self._bones.on(motion).items():
                out[key] = CarriedMask(
                    _moved(self._fields[key], matrix), None, self._frames, self._steps, steady * motion.unbroken
                )
        for key in self._soft:
            _, misses = motion.of(self._outlines[key])
            steady = float(np.mean(1 / (1 + (misses / unit) ** 2))) * motion.unbroken
            correction = self._corrections.get(key)
            out[key] = CarriedMask(
                _pulled(self._fields[key], motion.pull),
                None if correction is None else _pulled(correction, motion.pull),
                self._frames,
                self._steps,
                steady,
            )
        return out


def between(near: CarriedMask, far: CarriedMask) -> CarriedMask:
    """What comes from key frames on both sides, each counting the more the nearer it is."""
    share = near.frames / (near.frames + far.frames)
    correction = near.correction
    if near.correction is not None and far.correction is not None:
        correction = (1 - share) * near.correction + share * far.correction
    return CarriedMask(
        (1 - share) * near.field + share * far.field,
        correction,
        min(near.frames, far.frames),
        min(near.steps, far.steps),
        (1 - share) * near.steady + share * far.steady,
        agreement(near.mask, far.mask),
    )


def with_student(structure: Structure, carried: CarriedMask, suggested: BoolArray | None) -> BoolArray:
    """Mask of a structure, bool (H, W): what is carried and, for soft ones, what the student says of this frame.

    The student's word is corrected as a person corrected it on the key frame, and counts the more the further away
    that is; where the structure was not carried any more, it counts alone.
    """
    if structure.is_rigid or suggested is None:
        return carried.mask
    held = holds(structure, carried.steps)
    reach = np.float32(_WEIGHED * min(suggested.shape) / 512)
    own = np.clip(signed_distance(suggested), -reach, reach)
    if carried.correction is not None and suggested.any():
        own = own + np.float32(_CORRECTION) * np.clip(carried.correction, -reach, reach)
    mask: BoolArray = np.float32(held) * np.clip(carried.field, -reach, reach) + np.float32(1 - held) * own > 0
    return mask


def holds(structure: Structure, steps: int) -> float:
    """How much what was carried over so many frames counts beside the student's own word, 0..1."""
    return exp(-steps / structure.holds_frames)


def far_away(shape: tuple[int, ...]) -> float:
    """The greatest distance that a field of that shape says, px."""
    return _REACH * min(shape) / 512


def signed_distance(mask: BoolArray) -> FloatArray:
    """Distance to the outline in px, float32 (H, W): positive inside, negative outside, never more than far."""
    reach = np.float32(far_away(mask.shape))
    field = np.full(mask.shape, -reach, np.float32)
    box = bounding_box(mask, margin=int(reach) + 2)
    if box is None:
        return field
    part = mask[box].astype(np.uint8)
    inside = cv2.distanceTransform(part, cv2.DIST_L2, cv2.DIST_MASK_5)
    outside = cv2.distanceTransform(1 - part, cv2.DIST_L2, cv2.DIST_MASK_5)
    field[box] = np.clip(inside - outside, -reach, reach)
    return field


def _moved(field: FloatArray, matrix: Matrix) -> FloatArray:
    height, width = field.shape
    # What was cut off by the picture's edge is thought to go on beyond it.
    moved: FloatArray = cv2.warpAffine(
        field, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return moved


def _pulled(field: FloatArray, places: tuple[FloatArray, FloatArray]) -> FloatArray:
    pulled: FloatArray = cv2.remap(field, *places, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return pulled


def _edge_points(plane: BoolArray) -> Points:
    """Points (x, y) of the outline, float64 (N, 2), at most some hundreds."""
    small = plane.astype(np.uint8)
    edge = small - cv2.erode(small, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    y, x = np.nonzero(edge)
    chosen = np.random.default_rng(0).permutation(len(y))[:400]
    return np.stack((x[chosen], y[chosen]), axis=1).astype(np.float64)


def agreement(one: BoolArray, other: BoolArray) -> float:
    """Dice, 1 where both are empty."""
    found = dice(one, other)
    return 1.0 if np.isnan(found) else found
