# SPDX-License-Identifier: Apache-2.0
"""Motion of rigid structures: each moves as a whole, and neighbours of a chain are held together by their joint.

The flow inside one small vertebra is noisy, and shadows of shoulders and contrast move over it. So all bones are fitted
at once: few numbers, points that do not go along count less, and two neighbours must agree on the place between them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

from vfss.masks import BoolArray
from vfss.motion.optical_flow import Motion, Points, unit_of

Matrix = npt.NDArray[np.float64]
Shares = npt.NDArray[np.float64]  # of points, (N,), 0..1

# In units of motion: px at 512 px of the frame's shorter side.
_GROWN = 4  # px around the mask whose flow counts too: the edge of the bone is what can be followed
_FLOW_PX = 0.7  # how far the flow of a bone is wrong as a whole
_STEP_PX, _STEP_RADIANS = 0.4, 0.01  # how far a bone moves in one frame, as a rule
_JOINT_PX = 0.5  # how far neighbours may part where they meet
_JOINT_RADIANS = 0.01  # how far neighbours may turn against each other
_STRAY_PX = 0.8  # from where on a point counts half
_MISS_PX = 1.0  # the same for going there and back
_POINTS, _INDEPENDENT, _ROUNDS = 600, 12, 4


class RigidBodies:
    """The bones of a key frame, and where they are on others.

    Attributes:
        keys: Keys of the bones.
        joints: Indices of bones that are joined, in pairs.
    """

    def __init__(self, planes: Mapping[str, BoolArray], chains: Iterable[Sequence[str]] = ()) -> None:
        """Take the masks of the bones.

        Args:
            planes: bool (H, W) each, none empty, by key of structure.
            chains: Keys of bones in the order in which they are joined (Schema.chains).
        """
        self.keys = tuple(planes)
        first = next(iter(planes.values()))
        self._unit = unit_of(first.shape)
        self._points = [_points(plane, round(_GROWN * self._unit)) for plane in planes.values()]
        self._centres = np.array([points.mean(axis=0) for points in self._points])
        self._steps = 0
        # Only true neighbours are joined: of C2 and C4 without C3 nobody knows where they meet.
        self.joints = tuple(
            (self.keys.index(a), self.keys.index(b))
            for chain in chains
            for a, b in pairwise(chain)
            if a in planes and b in planes
        )

    def on(self, motion: Motion) -> dict[str, tuple[Matrix, float]]:
        """Matrix float64 (2, 3) of each bone, (x, y) on the key frame to (x, y) here, and how steady its flow is."""
        self._steps += 1
        found = [motion.of(points) for points in self._points]
        weights = [1 / (1 + (miss / (_MISS_PX * self._unit)) ** 2) for _, miss in found]
        fitted, going_along = self._fit([move for move, _ in found], weights)
        return {
            key: (_matrix(fitted[i], self._centres[i]), float(np.mean(weights[i] * going_along[i])))
            for i, key in enumerate(self.keys)
        }

    def _fit(self, moves: list[Points], weights: list[Shares]) -> tuple[npt.NDArray[np.float64], list[Shares]]:
        """Shift x, y (px) and turn (radians) about its centre of every bone, float64 (B, 3), and which points go along.

        What goes along is found by the flow and the joints alone, in rounds. Only then the bones are held to their
        place on the key frame, less and less with time: grain must not shake them, but held earlier, or to their last
        place, they would lag behind.
        """
        n, joined, going_along = len(self.keys), self._joined(), [np.ones_like(weight) for weight in weights]
        for _ in range(_ROUNDS):
            free = self._solved(moves, [w * g for w, g in zip(weights, going_along, strict=True)], joined)
            strays = [self._strays(i, move, free[i]) / (_STRAY_PX * self._unit) for i, move in enumerate(moves)]
            going_along = [1 / (1 + stray**2) for stray in strays]
        reach = self._steps * np.array((_STEP_PX * self._unit, _STEP_PX * self._unit, _STEP_RADIANS))
        held = joined + np.diag(np.tile(1 / reach**2, n))
        return self._solved(moves, [w * g for w, g in zip(weights, going_along, strict=True)], held), going_along

    def _solved(
        self, moves: list[Points], weights: list[Shares], known: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        """Shifts and turns, float64 (B, 3), that fit moves of points best, beside what is known of them anyway."""
        n = len(self.keys)
        left, right = known + 1e-6 * np.eye(3 * n), np.zeros(3 * n)
        for i, (move, weight) in enumerate(zip(moves, weights, strict=True)):
            at, counts = slice(3 * i, 3 * i + 3), weight * (_INDEPENDENT / len(move)) / (_FLOW_PX * self._unit) ** 2
            for rows, shift in zip(self._rows(i), move.T, strict=True):
                left[at, at] += (rows * counts[:, None]).T @ rows
                right[at] += (rows * counts[:, None]).T @ shift
        return np.linalg.solve(left, right).reshape(n, 3).astype(np.float64)

    def _joined(self) -> npt.NDArray[np.float64]:
        """That joints hold, as a part of the equations, float64 (3B, 3B)."""
        n = 3 * len(self.keys)
        held = np.zeros((n, n))
        for a, b in self.joints:
            joint = (self._centres[a] + self._centres[b]) / 2
            for axis in (0, 1):
                apart = np.zeros(n)
                for bone, sign in ((a, 1.0), (b, -1.0)):
                    arm = joint - self._centres[bone]
                    apart[3 * bone + axis] = sign
                    apart[3 * bone + 2] = sign * (-arm[1] if axis == 0 else arm[0])
                held += np.outer(apart, apart) / (_JOINT_PX * self._unit) ** 2
            turned = np.zeros(n)
            turned[3 * a + 2], turned[3 * b + 2] = 1.0, -1.0
            held += np.outer(turned, turned) / _JOINT_RADIANS**2
        return held

    def _rows(self, i: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """How shift and turn of a bone move its points along x and along y, float64 (N, 3) each."""
        arm = self._points[i] - self._centres[i]
        one, zero = np.ones(len(arm)), np.zeros(len(arm))
        return np.stack((one, zero, -arm[:, 1]), axis=1), np.stack((zero, one, arm[:, 0]), axis=1)

    def _strays(self, i: int, move: Points, fitted: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        along_x, along_y = self._rows(i)
        return np.hypot(move[:, 0] - along_x @ fitted, move[:, 1] - along_y @ fitted)


def _points(plane: BoolArray, grown: int) -> Points:
    """Some points (x, y) of a mask and its surroundings, float64 (N, 2); always the same ones."""
    size = 2 * max(1, grown) + 1
    wide = cv2.dilate(plane.astype(np.uint8), np.ones((size, size), np.uint8))
    y, x = np.nonzero(wide)
    chosen = np.random.default_rng(0).permutation(len(y))[:_POINTS]
    return np.stack((x[chosen], y[chosen]), axis=1).astype(np.float64)


def _matrix(fitted: npt.NDArray[np.float64], centre: npt.NDArray[np.float64]) -> Matrix:
    cosine, sine = np.cos(fitted[2]), np.sin(fitted[2])
    turn = np.array(((cosine, -sine), (sine, cosine)))
    return np.concatenate((turn, (centre + fitted[:2] - turn @ centre)[:, None]), axis=1)
