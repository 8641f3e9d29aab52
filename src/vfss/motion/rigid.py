# SPDX-License-Identifier: Apache-2.0
"""Motion of rigid structures: each moves as a whole, and neighbours of a chain are held together by their joint.

The flow inside one small vertebra is noisy, and shadows of shoulders and contrast move over it. So all bodies are
fitted at once, with few parameters: points that do not follow the body's motion count less, and two neighbours must
agree on the place between them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

from vfss.masks import BoolArray
from vfss.motion.optical_flow import Motion, Points, pixel_unit

Matrix = npt.NDArray[np.float64]
Weights = npt.NDArray[np.float64]  # of points, (N,), 0..1

# In pixel units: heights of a pixel at 512 of them in the frame's shorter side.
_MARGIN = 4  # px around the mask whose flow counts too: the edge of a bone is what can be followed
_FLOW_PX = 0.7  # error of the flow of a whole body
_STEP_PX, _STEP_RADIANS = 0.4, 0.01  # usual motion of a body in one frame
_JOINT_PX = 0.5  # distance by which neighbours may part where they meet
_JOINT_RADIANS = 0.01  # angle by which neighbours may turn against each other
_RESIDUAL_PX = 0.8  # residual at which a point counts half
_ERROR_PX = 1.0  # forward-backward error at which a point counts half
_POINTS, _INDEPENDENT, _ROUNDS = 600, 12, 4  # points of a body; how many of them are independent; rounds of reweighting


class RigidBodies:
    """The rigid structures of a key frame, and how each moves to other frames.

    Attributes:
        keys: Keys of the structures.
        joints: Indices of structures that are joined, in pairs.
    """

    def __init__(
        self, planes: Mapping[str, BoolArray], chains: Iterable[Sequence[str]] = (), pixel_aspect: float = 1.0
    ) -> None:
        """Start from the masks of a key frame.

        Args:
            planes: bool (H, W) each, none empty, by key of structure.
            chains: Keys of structures in the order in which they are joined (Schema.chains).
            pixel_aspect: Width of a pixel divided by its height. Bodies are rigid where pixels are square, so that
                motion is fitted there and brought back to the pixels of the frame.
        """
        self.keys = tuple(planes)
        first = next(iter(planes.values()))
        self._true = np.array((pixel_aspect, 1.0))  # heights of a pixel in one pixel along x and along y
        self._unit = pixel_unit(first.shape, pixel_aspect)
        margin = _MARGIN * self._unit
        self._pixels = [_points(plane, round(margin), round(margin / pixel_aspect)) for plane in planes.values()]
        self._points = [pixels * self._true for pixels in self._pixels]
        self._centres = np.array([points.mean(axis=0) for points in self._points])
        self._steps = 0
        # Only true neighbours are joined: of C2 and C4 without C3 nobody knows where they meet.
        self.joints = tuple(
            (self.keys.index(a), self.keys.index(b))
            for chain in chains
            for a, b in pairwise(chain)
            if a in planes and b in planes
        )

    def fit(self, motion: Motion) -> dict[str, tuple[Matrix, float]]:
        """Fit all structures to the motion to the next frame.

        Returns:
            By key: matrix float64 (2, 3), from (x, y) on the key frame to (x, y) here, and the consistency of the
            structure's flow, 0..1.
        """
        self._steps += 1
        flows = [motion.displacements(pixels) for pixels in self._pixels]
        weights = [1 / (1 + (error / (_ERROR_PX * self._unit)) ** 2) for _, error in flows]
        motions, inliers = self._fit([displacement * self._true for displacement, _ in flows], weights)
        return {
            key: (self._in_pixels(_matrix(motions[i], self._centres[i])), float(np.mean(weights[i] * inliers[i])))
            for i, key in enumerate(self.keys)
        }

    def _in_pixels(self, matrix: Matrix) -> Matrix:
        """Return a matrix (2, 3) between true positions as one between positions in px of the frame."""
        pixels: Matrix = matrix * np.append(self._true, 1.0) / self._true[:, None]
        return pixels

    def _fit(self, moves: list[Points], weights: list[Weights]) -> tuple[npt.NDArray[np.float64], list[Weights]]:
        """Return shift x, y and rotation (radians) about its centre of every body, float64 (B, 3), and inliers.

        Inliers are found from the flow and the joints alone, in rounds. Only then the bodies are held to their place
        on the key frame, less and less with time: noise must not shake them, but held earlier, or to their last
        place, they would lag behind.
        """
        n, joints, inliers = len(self.keys), self._joint_terms(), [np.ones_like(weight) for weight in weights]
        for _ in range(_ROUNDS):
            free = self._solve(moves, [w * share for w, share in zip(weights, inliers, strict=True)], joints)
            residuals = [
                self._residuals(i, move, free[i]) / (_RESIDUAL_PX * self._unit) for i, move in enumerate(moves)
            ]
            inliers = [1 / (1 + residual**2) for residual in residuals]
        reach = self._steps * np.array((_STEP_PX * self._unit, _STEP_PX * self._unit, _STEP_RADIANS))
        prior = joints + np.diag(np.tile(1 / reach**2, n))
        return self._solve(moves, [w * share for w, share in zip(weights, inliers, strict=True)], prior), inliers

    def _solve(
        self, moves: list[Points], weights: list[Weights], prior: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        """Return the shifts and rotations, float64 (B, 3), that fit the points' motion best, given a prior (3B, 3B)."""
        n = len(self.keys)
        left, right = prior + 1e-6 * np.eye(3 * n), np.zeros(3 * n)
        for i, (move, weight) in enumerate(zip(moves, weights, strict=True)):
            at, counts = slice(3 * i, 3 * i + 3), weight * (_INDEPENDENT / len(move)) / (_FLOW_PX * self._unit) ** 2
            for rows, shift in zip(self._rows(i), move.T, strict=True):
                left[at, at] += (rows * counts[:, None]).T @ rows
                right[at] += (rows * counts[:, None]).T @ shift
        return np.linalg.solve(left, right).reshape(n, 3).astype(np.float64)

    def _joint_terms(self) -> npt.NDArray[np.float64]:
        """Return the part of the equations that holds joints together, float64 (3B, 3B)."""
        n = 3 * len(self.keys)
        terms = np.zeros((n, n))
        for a, b in self.joints:
            joint = (self._centres[a] + self._centres[b]) / 2
            for axis in (0, 1):
                apart = np.zeros(n)
                for body, sign in ((a, 1.0), (b, -1.0)):
                    arm = joint - self._centres[body]
                    apart[3 * body + axis] = sign
                    apart[3 * body + 2] = sign * (-arm[1] if axis == 0 else arm[0])
                terms += np.outer(apart, apart) / (_JOINT_PX * self._unit) ** 2
            turned = np.zeros(n)
            turned[3 * a + 2], turned[3 * b + 2] = 1.0, -1.0
            terms += np.outer(turned, turned) / _JOINT_RADIANS**2
        return terms

    def _rows(self, i: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return how shift and rotation of a body move its points along x and along y, float64 (N, 3) each."""
        arm = self._points[i] - self._centres[i]
        one, zero = np.ones(len(arm)), np.zeros(len(arm))
        return np.stack((one, zero, -arm[:, 1]), axis=1), np.stack((zero, one, arm[:, 0]), axis=1)

    def _residuals(self, i: int, move: Points, fitted: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        along_x, along_y = self._rows(i)
        return np.hypot(move[:, 0] - along_x @ fitted, move[:, 1] - along_y @ fitted)


def _points(plane: BoolArray, rows: int, columns: int) -> Points:
    """Return a sample of points (x, y) of a mask and its surroundings, float64 (N, 2), px; always the same ones."""
    size = (2 * max(1, rows) + 1, 2 * max(1, columns) + 1)
    grown = cv2.dilate(plane.astype(np.uint8), np.ones(size, np.uint8))
    y, x = np.nonzero(grown)
    chosen = np.random.default_rng(0).permutation(len(y))[:_POINTS]
    return np.stack((x[chosen], y[chosen]), axis=1).astype(np.float64)


def _matrix(fitted: npt.NDArray[np.float64], centre: npt.NDArray[np.float64]) -> Matrix:
    cosine, sine = np.cos(fitted[2]), np.sin(fitted[2])
    rotation = np.array(((cosine, -sine), (sine, cosine)))
    return np.concatenate((rotation, (centre + fitted[:2] - rotation @ centre)[:, None]), axis=1)
