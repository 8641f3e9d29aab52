# SPDX-License-Identifier: Apache-2.0
"""Masks of a key frame on other frames: rigid structures moved as a whole, soft ones by dense flow and the student.

Masks are propagated as fields of signed distance, so that two of them can be blended and none erodes by rounding.
Which method is best for which structure was measured on phantoms: benchmarks/propagate.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp

import cv2
import numpy as np
import numpy.typing as npt

from vfss.masks import BoolArray, ByteArray
from vfss.masks.metrics import dice
from vfss.motion.optical_flow import FloatArray, KeyMotion, Points, pixel_unit
from vfss.motion.rigid import Matrix, RigidBodies
from vfss.schema import Schema, Structure

_REACH = 32  # px at 512 px of the shorter side: larger distances are clipped to it
_CORRECTION = 0.5  # share of the annotator's correction of the student on the key frame that is propagated too
_BLENDED = 8  # px at 512: distances are clipped to it where a propagated mask and the student's are blended
_EDGE_POINTS = 400  # of an outline, on which the consistency of the flow is measured


@dataclass(frozen=True, eq=False)
class PropagatedMask:
    """One structure of a key frame on another frame.

    Attributes:
        field: float32 (H, W), signed distance to the outline in px, positive inside, at most 32/512 of the frame's
            shorter side.
        correction: float32 (H, W), the key frame's field minus that of the student's mask there; None for rigid
            structures, and without a student.
        frames: Frames since the key frame.
        steps: The same without frames that only repeat another one.
        consistency: How well the flow to this frame and the flow back agree, 0..1.
        agreement: Dice of the masks from two key frames, one on either side; None where there is one only.
    """

    field: FloatArray
    correction: FloatArray | None
    frames: int
    steps: int
    consistency: float
    agreement: float | None = None

    @property
    def mask(self) -> BoolArray:
        """The mask, bool (H, W)."""
        return self.field > 0


@dataclass(frozen=True, eq=False)
class PackedPropagatedMask:
    """A mask propagated from a far key frame, in little memory until propagation from the near one gets there."""

    box: tuple[slice, slice]
    shape: tuple[int, ...]
    field: npt.NDArray[np.float16]
    correction: npt.NDArray[np.float16] | None
    frames: int
    steps: int
    consistency: float

    @classmethod
    def pack(cls, mask: PropagatedMask) -> PackedPropagatedMask:
        """Pack a mask: only the part whose distance is not clipped is kept."""
        near = mask.field > mask.field.min()
        rows, columns = np.flatnonzero(near.any(axis=1)), np.flatnonzero(near.any(axis=0))
        box = (slice(0, 0), slice(0, 0))
        if rows.size:
            box = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
        correction = None if mask.correction is None else mask.correction[box].astype(np.float16)
        field = mask.field[box].astype(np.float16)
        return cls(box, mask.field.shape, field, correction, mask.frames, mask.steps, mask.consistency)

    def unpack(self) -> PropagatedMask:
        """Return the mask."""
        field = np.full(self.shape, -_largest_distance(self.shape), np.float32)
        field[self.box] = self.field
        correction = None
        if self.correction is not None:
            correction = np.zeros(self.shape, np.float32)
            correction[self.box] = self.correction
        return PropagatedMask(field, correction, self.frames, self.steps, self.consistency)


class KeyFrame:
    """Propagates the masks of one key frame to its neighbours, which are given one after another."""

    def __init__(
        self,
        frame: ByteArray,
        planes: Mapping[str, BoolArray],
        schema: Schema,
        proposed: Mapping[str, BoolArray] | None = None,
        pixel_aspect: float = 1.0,
    ) -> None:
        """Start from a key frame.

        Args:
            frame: uint8 (H, W).
            planes: Annotated masks by key of structure, bool (H, W) each, none empty.
            schema: Tells which structures are rigid, and which of them are joined.
            proposed: The student's own masks of the same frame, of the structures that it knows.
            pixel_aspect: Width of a pixel divided by its height.
        """
        self._motion = KeyMotion(frame, pixel_aspect)
        self._unit = pixel_unit(frame.shape, pixel_aspect)
        self._fields = {key: signed_distance(plane) for key, plane in planes.items()}
        rigid = {key: plane for key, plane in planes.items() if schema[key].is_rigid}
        self._bodies = RigidBodies(rigid, schema.chains, pixel_aspect) if rigid else None
        self._soft = tuple(key for key in planes if not schema[key].is_rigid)
        own = proposed or {}
        self._corrections = {key: self._fields[key] - signed_distance(own[key]) for key in self._soft if key in own}
        self._outlines = {key: _edge_points(planes[key]) for key in self._soft}
        self._frames = self._steps = 0

    def propagate_to(self, frame: ByteArray, after: int = 1) -> dict[str, PropagatedMask]:
        """Return all structures on the next neighbour by key.

        Args:
            frame: uint8 (H, W).
            after: How many frames it is after the one before; more than 1 if those between cannot be read.
        """
        motion, repeated = self._motion.advance(frame)
        self._frames += after
        self._steps += 0 if repeated else after
        masks: dict[str, PropagatedMask] = {}
        if self._bodies is not None:
            for key, (matrix, consistency) in self._bodies.fit(motion).items():
                masks[key] = PropagatedMask(
                    _transformed(self._fields[key], matrix),
                    None,
                    self._frames,
                    self._steps,
                    consistency * motion.unbroken,
                )
        for key in self._soft:
            _, errors = motion.displacements(self._outlines[key])
            consistency = float(np.mean(1 / (1 + (errors / self._unit) ** 2))) * motion.unbroken
            correction = self._corrections.get(key)
            masks[key] = PropagatedMask(
                _warped(self._fields[key], motion.backward_map),
                None if correction is None else _warped(correction, motion.backward_map),
                self._frames,
                self._steps,
                consistency,
            )
        return masks


def blend(near: PropagatedMask, far: PropagatedMask) -> PropagatedMask:
    """Blend masks from key frames on both sides, each weighted by how near it is."""
    share = near.frames / (near.frames + far.frames)
    correction = near.correction
    if near.correction is not None and far.correction is not None:
        correction = (1 - share) * near.correction + share * far.correction
    return PropagatedMask(
        (1 - share) * near.field + share * far.field,
        correction,
        min(near.frames, far.frames),
        min(near.steps, far.steps),
        (1 - share) * near.consistency + share * far.consistency,
        agreement(near.mask, far.mask),
    )


def blend_with_student(structure: Structure, propagated: PropagatedMask, proposed: BoolArray | None) -> BoolArray:
    """Blend a propagated mask with the student's mask of this frame, bool (H, W); rigid ones stay as propagated.

    The student's mask is corrected as the annotator corrected it on the key frame, and counts the more the further away
    that is; where the structure is no longer there, it counts alone.
    """
    if structure.is_rigid or proposed is None:
        return propagated.mask
    weight = propagated_weight(structure, propagated.steps)
    reach = np.float32(_BLENDED * min(proposed.shape) / 512)
    own = np.clip(signed_distance(proposed), -reach, reach)
    if propagated.correction is not None and proposed.any():
        own = own + np.float32(_CORRECTION) * np.clip(propagated.correction, -reach, reach)
    field = np.float32(weight) * np.clip(propagated.field, -reach, reach) + np.float32(1 - weight) * own
    mask: BoolArray = field > 0
    return mask


def propagated_weight(structure: Structure, steps: int) -> float:
    """Return the weight, 0..1, of a mask propagated over so many frames beside the student's own."""
    return exp(-steps / structure.holds_frames)


def _largest_distance(shape: tuple[int, ...]) -> float:
    """Return the distance, px, to which fields of that shape are clipped."""
    return _REACH * min(shape) / 512


def signed_distance(mask: BoolArray) -> FloatArray:
    """Return the clipped distance to the outline in px, float32 (H, W): positive inside, negative outside."""
    reach = np.float32(_largest_distance(mask.shape))
    field = np.full(mask.shape, -reach, np.float32)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return field
    pad = int(reach) + 2
    box = (
        slice(max(0, int(rows[0]) - pad), int(rows[-1]) + 1 + pad),
        slice(max(0, int(columns[0]) - pad), int(columns[-1]) + 1 + pad),
    )
    part = mask[box].astype(np.uint8)
    inside = cv2.distanceTransform(part, cv2.DIST_L2, cv2.DIST_MASK_5)
    outside = cv2.distanceTransform(1 - part, cv2.DIST_L2, cv2.DIST_MASK_5)
    field[box] = np.clip(inside - outside, -reach, reach)
    return field


def _transformed(field: FloatArray, matrix: Matrix) -> FloatArray:
    height, width = field.shape
    # A structure that the picture's edge cuts off continues beyond it.
    transformed: FloatArray = cv2.warpAffine(
        field, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return transformed


def _warped(field: FloatArray, backward_map: tuple[FloatArray, FloatArray]) -> FloatArray:
    warped: FloatArray = cv2.remap(field, *backward_map, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return warped


def _edge_points(plane: BoolArray) -> Points:
    """Return a sample of points (x, y) of the outline, float64 (N, 2)."""
    small = plane.astype(np.uint8)
    edge = small - cv2.erode(small, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    y, x = np.nonzero(edge)
    chosen = np.random.default_rng(0).permutation(len(y))[:_EDGE_POINTS]
    return np.stack((x[chosen], y[chosen]), axis=1).astype(np.float64)


def agreement(one: BoolArray, other: BoolArray) -> float:
    """Return the Dice of two masks, 1 where both are empty."""
    overlap = dice(one, other)
    return 1.0 if np.isnan(overlap) else overlap
