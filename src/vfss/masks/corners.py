# SPDX-License-Identifier: Apache-2.0
"""Lower front corners of vertebral bodies, from masks that hold body, arch and spinous process.

The distance between those of C2 and C4 is the unit of length of swallowing measures (Steele et al. 2019, "Reference
values for healthy swallowing across the range from thin to extremely thick liquids"). Works for any facing and tilt:
the chain of masks says where down is, and what lies before the spine, such as the jaw, where the front is. Without it
the spinous processes must do, which taper away from the bodies: a narrow picture cuts them off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from vfss.masks.morphology import keep_largest
from vfss.masks.planes import BoolArray

FloatArray = npt.NDArray[np.float64]

_DEPTH = 0.8  # of the front of a mask, in distances from body to body, that counts as body
_SLOPE = np.deg2rad(72.0)  # of the direction in which the corner is the farthest pixel, below the horizontal
_TIP = 0.04  # distances from body to body: pixels so close to the farthest one are averaged
_LEAST_PIXELS = 12
_ROUNDS = 2


@dataclass(frozen=True)
class _Body:
    """Pixels of one mask.

    Attributes:
        place: Where in the chain.
        pixels: (y, x), float64 (N, 2).
    """

    place: int
    pixels: FloatArray


def lower_front_corners(
    vertebrae: Sequence[BoolArray], before: BoolArray | None = None
) -> list[tuple[float, float] | None]:
    """Return the lower front corner of the body of each vertebra.

    On exact masks of phantoms, drawn at 512 x 512, they lie 0.02 C2-C4 lengths from the true ones (C2; 0.013 from C3 to
    C5), and the length from C2 to C4 is 0.5 % too long.

    Args:
        vertebrae: Masks bool (H, W) of square pixels, from the head down; empty where a vertebra is not there.
        before: Mask bool (H, W) of what lies before the spine, such as jaw and airway; None or empty if unknown.

    Returns:
        Corners (y, x) in pixels, whole numbers at centres of pixels; None where a mask is empty, and everywhere where
        fewer than two vertebrae are there to tell where down is. The atlas has no such corner: what is returned for it
        means nothing.
    """
    bodies = [_Body(i, np.argwhere(keep_largest(mask)).astype(np.float64)) for i, mask in enumerate(vertebrae)]
    bodies = [body for body in bodies if len(body.pixels) >= _LEAST_PIXELS]
    corners: list[tuple[float, float] | None] = [None] * len(vertebrae)
    if len(bodies) < 2:
        return corners
    anterior = None if before is None or not before.any() else np.argwhere(before).mean(axis=0)
    fronts = bodies
    for _ in range(_ROUNDS):
        downs, pitch = _directions(fronts)
        side = _front_side(bodies, downs) if anterior is None else _side_of(anterior, bodies, downs)
        axes = [side * np.array((-down[1], down[0])) for down in downs]
        fronts = [_front_part(body, axis, _DEPTH * pitch) for body, axis in zip(bodies, axes, strict=True)]
    downs, pitch = _directions(fronts)
    for body, down in zip(fronts, downs, strict=True):
        front = side * np.array((-down[1], down[0]))
        out = np.cos(_SLOPE) * front + np.sin(_SLOPE) * down
        reach = body.pixels @ out
        tip = reach >= reach.max() - _TIP * pitch
        y, x = body.pixels[tip].mean(axis=0) + (reach.max() - reach[tip].mean()) * out
        corners[body.place] = (float(y), float(x))
    return corners


def _directions(bodies: Sequence[_Body]) -> tuple[list[FloatArray], float]:
    """Return the unit vector (y, x) down the spine at each body, and the median distance from body to body, px."""
    middles = [np.median(body.pixels, axis=0) for body in bodies]
    last = len(bodies) - 1
    downs = []
    for i in range(len(bodies)):
        step = middles[min(i + 1, last)] - middles[max(i - 1, 0)]
        downs.append(step / max(float(np.hypot(*step)), 1e-9))
    steps = [
        float(np.hypot(*(low - high))) / (b.place - a.place)
        for (a, high), (b, low) in pairwise(zip(bodies, middles, strict=True))
    ]
    return downs, float(np.median(steps))


def _front_side(bodies: Sequence[_Body], downs: Sequence[FloatArray]) -> int:
    """Return 1 if the front is to the right of somebody walking down the spine in the picture, else -1.

    Masks have their mass in front, in the bodies, and taper to the spinous processes: they are skewed backwards.
    """
    skew = 0.0
    for body, down in zip(bodies, downs, strict=True):
        across = body.pixels @ np.array((-down[1], down[0]))
        across -= across.mean()
        skew += float(np.mean(across**3) / max(float(np.mean(across**2)), 1e-9) ** 1.5)
    return 1 if skew < 0 else -1


def _side_of(point: FloatArray, bodies: Sequence[_Body], downs: Sequence[FloatArray]) -> int:
    """Return 1 if a point (y, x) is to the right of somebody walking down the spine in the picture, else -1."""
    across = [
        (point - body.pixels.mean(axis=0)) @ np.array((-d[1], d[0])) for body, d in zip(bodies, downs, strict=True)
    ]
    return 1 if sum(across) > 0 else -1


def _front_part(body: _Body, axis: FloatArray, depth: float) -> _Body:
    """Return the pixels of a mask not farther than a depth, px, behind its foremost ones."""
    forward = body.pixels @ axis
    return _Body(body.place, body.pixels[forward >= np.percentile(forward, 99) - depth])
